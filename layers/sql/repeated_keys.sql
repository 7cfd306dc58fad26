-- Purpose: the keys that several rows of one file bear. Run inside an import; placeholders are composed, not bound.
--   {staging}  the rows: a temporary table, or the layer itself when it was empty
--   {whole}    digest of all that a row says, the key of rows that have none
-- Writes to repeated: key, first_row (the first row that bears it).
INSERT INTO repeated (key, first_row)
SELECT coalesce(staged.item_key, {whole}) AS key, min(staged.row_no)
FROM {staging} AS staged
GROUP BY 1 HAVING count(*) > 1
