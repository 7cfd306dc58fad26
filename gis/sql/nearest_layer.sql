-- The items of one layer nearest to a point, in one row. A template: names in braces come from the layer's definition
-- and the question (gis.nearest); it stands in the FROM list of a query that has a table `question`.
--
-- Method    `near` follows the index in the order of distance on the sphere until k items fit, past 2000 items at
--           most; `rare` looks through the whole layer when that was not enough. Distance on the sphere and on the
--           spheroid differ by less than 0.6 %, so every item among the nearest k on the spheroid lies within `reach`
--           on the sphere. All items within reach are then measured on the spheroid.
-- Uses      question.point geography, EPSG:4326
-- Names     view; order: distance on the sphere, along the index; candidate: who is asked about; closed, full_up,
--           unsuitable, inside_hazard, not_designated: why an item is left out; reasons: their codes; all_ranked: nothing is left out; k;
--           max_m in metres or NULL; layer, name, properties, bearing, evidence: what is told of an item i that was
--           judged j
-- Columns   ranked         GeoJSON features, parted by commas, nearest first: distance_m in metres on the spheroid,
--                          bearing_deg clockwise from north; NULL when there are none
--           skipped        the 20 nearest of the items left out that would have come before the last ranked one
--           skipped_count  how many there are of these in all
WITH near AS MATERIALIZED (
    SELECT ST_Distance(i.geom::geography, (SELECT point FROM question)) AS distance_m
    FROM (SELECT * FROM {view} AS i ORDER BY {order} LIMIT 2000) AS i
    WHERE {candidate}
      AND ({all_ranked} OR NOT ({closed} OR {full_up} OR {unsuitable} OR {not_designated} OR {inside_hazard}))
    LIMIT {k}
), rare AS MATERIALIZED (
    SELECT ST_Distance(i.geom::geography, (SELECT point FROM question)) AS distance_m
    FROM {view} AS i
    WHERE (SELECT count(*) FROM near) < {k}
      AND {candidate}
      AND ({all_ranked} OR NOT ({closed} OR {full_up} OR {unsuitable} OR {not_designated} OR {inside_hazard}))
    ORDER BY ST_Distance(i.geom::geography, (SELECT point FROM question), false)
    LIMIT {k}
), reach AS MATERIALIZED (
    SELECT coalesce(
        (SELECT max(distance_m) FROM near HAVING count(*) = {k}),
        (SELECT max(distance_m) FROM rare HAVING count(*) = {k}),
        {max_m}, 2.1e7) * 1.0061 + 0.01 AS reach_m
), judged AS MATERIALIZED (
    SELECT i.fid, ST_Distance(i.geom::geography, (SELECT point FROM question)) AS distance_m,
        {reasons} AS reasons
    FROM {view} AS i
    WHERE {candidate}
      AND ST_DWithin(i.geom::geography, (SELECT point FROM question), (SELECT reach_m FROM reach), false)
), ranked AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY distance_m, fid) AS rank
    FROM judged
    WHERE {all_ranked} OR cardinality(reasons) = 0
    ORDER BY distance_m, fid
    LIMIT {k}
), skipped AS MATERIALIZED (
    SELECT *
    FROM judged
    WHERE NOT {all_ranked} AND cardinality(reasons) > 0
      AND ((SELECT count(*) FROM ranked) < {k}
           OR (distance_m, fid) < (SELECT distance_m, fid FROM ranked WHERE rank = {k}))
)
SELECT
    (SELECT string_agg(json_build_object(
        'type', 'Feature',
        'id', {layer} || '.' || i.fid,
        'geometry', ST_AsGeoJSON(i.geom, 7)::json,
        'properties', (SELECT row_to_json(p) FROM (SELECT {properties}) AS p))::text, ',' ORDER BY j.rank)
     FROM ranked AS j JOIN {view} AS i USING (fid)) AS ranked,
    (SELECT string_agg(json_build_object(
        'id', {layer} || '.' || i.fid,
        'layer', {layer},
        'fid', i.fid,
        'name', {name},
        'distance_m', round(j.distance_m::numeric, 3),
        'bearing_deg', {bearing},
        'geometry', ST_AsGeoJSON(i.geom, 7)::json,
        'reason', j.reasons[1],
        'also', j.reasons[2:],
        'evidence', {evidence},
        'sample', i.sample)::text, ',' ORDER BY j.distance_m, j.fid)
     FROM (SELECT * FROM skipped ORDER BY distance_m, fid LIMIT 20) AS j JOIN {view} AS i USING (fid)) AS skipped,
    (SELECT count(*) FROM skipped) AS skipped_count
