-- The administrative areas that contain the incident, from large to small. A template: names in braces come from the
-- definition of the layer of areas.
--
-- Names     view, layer, name, name_en, level, levels (the codes from large to small)
-- Uses      question.point geography, EPSG:4326
-- Columns   place  a JSON array, NULL when no area contains the incident
SELECT json_agg(
    json_build_object('id', {layer} || '.' || a.fid, 'level', {level}, 'name', {name}, 'sample', a.sample)
    ORDER BY array_position({levels}, {level}), a.fid
)::text AS place
FROM {view} AS a
WHERE ST_Intersects(a.geom, (SELECT point::geometry FROM question))
