-- Purpose: among the keys that several rows of one file bear, judge all rows but the first. Run inside an import, after
-- repeated_keys.sql; placeholders are composed, not bound.
--   {staging}  the rows: a temporary table, or the layer itself when it was empty
--   {whole}    digest of all that a row says, the key of rows that have none
--   {same}     whether `staged` and `first` say the same
-- Writes to verdict: row_no, 'unchanged' (says the same again) or 'duplicate', first_row (the row that was taken).
INSERT INTO verdict (row_no, verdict, first_row)
SELECT staged.row_no, CASE WHEN {same} THEN 'unchanged' ELSE 'duplicate' END, repeated.first_row
FROM repeated
JOIN {staging} AS staged ON coalesce(staged.item_key, {whole}) = repeated.key AND staged.row_no <> repeated.first_row
JOIN {staging} AS first ON first.row_no = repeated.first_row
