-- Purpose: the rows that lie in another admin area than they declare. Placeholders are composed, not bound.
--   {staging}   the rows, with row_no and geom: a table, or a query in brackets
--   {declared}  the text in which a row declares its area
--   {sample}    whether the rows are sample data; those are compared with sample areas only
-- A row is compared by the parents that its text names (counties, say): it must lie in one of them or in a child of
-- one; where the text names none, by the names of the areas themselves;
-- borders between the children of one parent are drawn too coarsely to doubt a row for.
WITH areas AS (
    SELECT geom, translate(name, '臺', '台') AS name, translate(parent_name, '臺', '台') AS parent_name
    FROM layers.admin_areas WHERE sample = {sample}
), texts AS (
    SELECT DISTINCT translate({declared}, '臺', '台') AS declared FROM {staging} AS staged
), named AS (
    SELECT declared,
           (SELECT array_agg(DISTINCT parent_name) FROM areas WHERE length(parent_name) > 1 AND strpos(declared, parent_name) > 0) AS parents,
           (SELECT array_agg(DISTINCT name) FROM areas WHERE length(name) > 1 AND strpos(declared, name) > 0) AS names
    FROM texts WHERE declared <> ''
), inside AS (
    SELECT staged.row_no, array_agg(areas.parent_name) AS parents, array_agg(areas.name) AS names
    FROM {staging} AS staged JOIN areas ON ST_Intersects(areas.geom, staged.geom)
    GROUP BY staged.row_no
)
SELECT staged.row_no
FROM {staging} AS staged JOIN inside USING (row_no), named
WHERE named.declared = translate({declared}, '臺', '台')
  AND CASE WHEN named.parents IS NOT NULL THEN NOT named.parents && (inside.parents || inside.names)
           WHEN named.names IS NOT NULL THEN NOT named.names && inside.names
           ELSE false END
