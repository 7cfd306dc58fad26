-- Purpose: how many rows that are being written bear each flag.
-- Columns: flag, rows.
SELECT flag, count(*)
FROM staging CROSS JOIN unnest(flags) AS flag
WHERE NOT EXISTS (SELECT FROM verdict WHERE verdict.row_no = staging.row_no AND verdict.verdict IN ('duplicate', 'conflict'))
GROUP BY flag
