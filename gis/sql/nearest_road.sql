-- Some items of one layer, judged: what makes each unfit, and what is told of it. A template: names in braces come from
-- the layer's definition and the question (gis.judging).
--
-- Uses      question.point geography, EPSG:4326
-- Names     layer, view, name, fids (the items asked about, bigint[]), candidate, reasons, all_ranked, properties, bearing, evidence
-- Columns   layer, fid, distance_m  metres on the spheroid, in a straight line
--           reasons   why it is unfit, the first one counts; empty when it is not
--           feature   GeoJSON, of items that are ranked; NULL of others
--           about     what the list of items left out tells of any of them
--           evidence  what shows the first reason
SELECT {layer} AS layer, i.fid, j.distance_m, j.reasons,
    CASE WHEN {all_ranked} OR cardinality(j.reasons) = 0 THEN json_build_object(
        'type', 'Feature',
        'id', {layer} || '.' || i.fid,
        'geometry', ST_AsGeoJSON(i.geom, 7)::json,
        'properties', (SELECT row_to_json(p) FROM (SELECT {properties}) AS p))::text END AS feature,
    json_build_object(
        'id', {layer} || '.' || i.fid,
        'layer', {layer},
        'fid', i.fid,
        'name', {name},
        'distance_m', round(j.distance_m::numeric, 3),
        'bearing_deg', {bearing},
        'geometry', ST_AsGeoJSON(i.geom, 7)::json,
        'sample', i.sample)::text AS about,
    CASE WHEN cardinality(j.reasons) > 0 THEN ({evidence})::text END AS evidence
FROM (
    SELECT i.fid, NULL::bigint AS rank, ST_Distance(i.geom::geography, (SELECT point FROM question)) AS distance_m,
        {reasons} AS reasons
    FROM {view} AS i
    WHERE i.fid = ANY ({fids}) AND {candidate}
) AS j JOIN {view} AS i USING (fid)
