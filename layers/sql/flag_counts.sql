-- Purpose: how many rows that are being written bear each flag. Placeholders are composed, not bound.
--   {staging}  the rows: a temporary table, or the layer itself when it was empty
-- Columns: flag, rows.
SELECT flag, count(*)
FROM {staging} AS staged CROSS JOIN unnest(staged.flags) AS flag
WHERE NOT EXISTS (SELECT FROM verdict WHERE verdict.row_no = staged.row_no AND verdict.verdict <> 'update')
GROUP BY flag
