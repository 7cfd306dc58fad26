-- The danger zones of one layer that a geometry touches. A template: names in braces come from the definition.
--
-- Names     view, of_hazard (which zones count), geometry (EPSG:4326), layer, name, hazard, grade, worst_first
-- Columns   zone  one JSON object a zone, the worst grade first
SELECT json_build_object(
    'id', {layer} || '.' || z.fid, 'layer', {layer}, 'name', {name}, 'hazard', {hazard}, 'risk_class', {grade},
    'sample', z.sample
) AS zone, {worst_first} AS worst_first, z.fid
FROM {view} AS z
WHERE {of_hazard} AND ST_Intersects(z.geom, {geometry})
