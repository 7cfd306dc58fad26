-- The items of one layer nearest to a point, in one row. A template: names in braces come from the layer's definition
-- and the question (gis.nearest); it stands in the FROM list of a query that has a table `question`.
--
-- Method    `near` follows the index in the order of distance on the sphere to the first k items that fit. Distance on
--           the sphere and on the spheroid differ by less than 0.6 %, so every item among the nearest k on the
--           spheroid lies within `reach` on the sphere. All items within reach are then measured on the spheroid.
-- Uses      question.point geography, EPSG:4326
-- Names     view; candidate: who is asked about; closed, full_up, unsuitable, inside_hazard, not_designated: why an
--           item is left out; all_ranked: nothing is left out; k; max_m in metres or NULL; layer, name, properties,
--           bearing, evidence: what is told of an item i
-- Columns   ranked         GeoJSON features, parted by commas, nearest first: distance_m in metres on the spheroid,
--                          bearing_deg clockwise from north; NULL when there are none
--           skipped        the 20 nearest of the items left out that would have come before the last ranked one
--           skipped_count  how many there are of these in all
WITH near AS (
    SELECT ST_Distance(i.geom::geography, (SELECT point FROM question)) AS distance_m
    FROM {view} AS i
    WHERE {candidate}
      AND ({all_ranked} OR NOT ({closed} OR {full_up} OR {unsuitable} OR {inside_hazard} OR {not_designated}))
    ORDER BY i.geom::geography <-> (SELECT point FROM question)
    LIMIT {k}
), reach AS (
    SELECT CASE WHEN count(*) = {k} THEN max(distance_m) ELSE coalesce({max_m}, 2.1e7) END * 1.0061 + 0.01 AS reach_m
    FROM near
), judged AS (
    SELECT i.*,
        ST_Distance(i.geom::geography, (SELECT point FROM question)) AS _distance_m,
        array_remove(ARRAY[
            CASE WHEN {closed} THEN 'closed' END,
            CASE WHEN {full_up} THEN 'full' END,
            CASE WHEN {unsuitable} THEN 'unsuitable' END,
            CASE WHEN {inside_hazard} THEN 'inside_hazard' END,
            CASE WHEN {not_designated} THEN 'not_designated' END
        ], NULL) AS _reasons
    FROM {view} AS i
    WHERE {candidate}
      AND ST_DWithin(i.geom::geography, (SELECT point FROM question), (SELECT reach_m FROM reach), false)
), ranked AS (
    SELECT *, row_number() OVER (ORDER BY _distance_m, fid) AS _rank
    FROM judged
    WHERE {all_ranked} OR cardinality(_reasons) = 0
    ORDER BY _distance_m, fid
    LIMIT {k}
), skipped AS (
    SELECT *, row_number() OVER (ORDER BY _distance_m, fid) AS _row
    FROM judged
    WHERE NOT {all_ranked} AND cardinality(_reasons) > 0
      AND ((SELECT count(*) FROM ranked) < {k}
           OR (_distance_m, fid) < (SELECT _distance_m, fid FROM ranked WHERE _rank = {k}))
)
SELECT
    (SELECT string_agg(json_build_object(
        'type', 'Feature',
        'id', {layer} || '.' || i.fid,
        'geometry', ST_AsGeoJSON(i.geom, 7)::json,
        'properties', (SELECT row_to_json(p) FROM (SELECT {properties}) AS p))::text, ',' ORDER BY i._rank)
     FROM ranked AS i) AS ranked,
    (SELECT string_agg(json_build_object(
        'id', {layer} || '.' || i.fid,
        'layer', {layer},
        'fid', i.fid,
        'name', {name},
        'distance_m', round(i._distance_m::numeric, 3),
        'bearing_deg', {bearing},
        'geometry', ST_AsGeoJSON(i.geom, 7)::json,
        'reason', i._reasons[1],
        'also', i._reasons[2:],
        'evidence', {evidence},
        'sample', i.sample)::text, ',' ORDER BY i._row)
     FROM skipped AS i WHERE i._row <= 20) AS skipped,
    (SELECT count(*) FROM skipped) AS skipped_count
