-- Purpose: rows of one file that bear the same key. Run inside an import; placeholders are composed, not bound.
--   {staging}  the rows: a temporary table, or the layer itself when it was empty
--   {whole}  digest of all that a row says, the key of rows that have none
--   {same}   whether `staged` and `first` say the same
-- Writes to verdict: row_no, 'unchanged' (says the same again) or 'duplicate', first_row (the row that was taken).
WITH keyed AS (
    SELECT staged.row_no, coalesce(staged.item_key, {whole}) AS key FROM {staging} AS staged
), several AS (
    SELECT key, min(row_no) AS first_row FROM keyed GROUP BY key HAVING count(*) > 1
)
INSERT INTO verdict (row_no, verdict, first_row)
SELECT staged.row_no, CASE WHEN {same} THEN 'unchanged' ELSE 'duplicate' END, several.first_row
FROM several
JOIN keyed ON keyed.key = several.key AND keyed.row_no <> several.first_row
JOIN {staging} AS staged ON staged.row_no = keyed.row_no
JOIN {staging} AS first ON first.row_no = several.first_row
