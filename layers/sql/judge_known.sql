-- Purpose: staged rows whose key the layer has already. Run inside an import; placeholders are composed, not bound.
--   {layer}    the layer's table
--   {same}     whether `staged` and `known` say the same in the fields that the file fills
--   {whole_staged}, {whole_known}  digest of all that a row says, for rows without a key
--   {verdict}  what a row with other values is to be: 'update' or 'conflict'
-- Writes to verdict: row_no, 'unchanged' or {verdict}, fid.
INSERT INTO verdict (row_no, verdict, fid)
SELECT staged.row_no, CASE WHEN {same} THEN 'unchanged' ELSE {verdict} END, known.fid
FROM staging AS staged
JOIN {layer} AS known ON known.item_key = staged.item_key
WHERE NOT EXISTS (SELECT FROM verdict WHERE verdict.row_no = staged.row_no)
UNION ALL
SELECT staged.row_no, 'unchanged', min(known.fid)
FROM staging AS staged
JOIN {layer} AS known ON known.item_key IS NULL AND staged.item_key IS NULL AND {whole_known} = {whole_staged}
WHERE NOT EXISTS (SELECT FROM verdict WHERE verdict.row_no = staged.row_no)
GROUP BY staged.row_no
