-- Purpose: which points of a file lie near roads and buildings, read in each datum in which they might be.
--   {known}  composed: one SELECT of geographies, named place, of roads and buildings
--   lon, lat, wgs_lon, wgs_lat, gcj_lon, gcj_lat, bd_lon, bd_lat  bound: arrays of degrees in WGS 84: each point as it
--            was read, and as it would lie if the file were in WGS 84, GCJ-02 and BD-09
--   near_m, reference_m  bound: how near counts; how near there must be something for a point to be judged
-- Columns: whether the point can be judged; whether it is near, read in WGS 84, GCJ-02, BD-09. In the points' order.
-- Each EXISTS is a column, as in WHERE the first would become a join that compares every pair.
WITH known AS NOT MATERIALIZED ({known})
SELECT EXISTS (SELECT FROM known WHERE ST_DWithin(place, ST_Point(lon, lat)::geography, %(reference_m)s, false)),
       EXISTS (SELECT FROM known WHERE ST_DWithin(place, ST_Point(wgs_lon, wgs_lat)::geography, %(near_m)s, false)),
       EXISTS (SELECT FROM known WHERE ST_DWithin(place, ST_Point(gcj_lon, gcj_lat)::geography, %(near_m)s, false)),
       EXISTS (SELECT FROM known WHERE ST_DWithin(place, ST_Point(bd_lon, bd_lat)::geography, %(near_m)s, false))
FROM unnest(
    %(lon)s::float8[], %(lat)s::float8[], %(wgs_lon)s::float8[], %(wgs_lat)s::float8[],
    %(gcj_lon)s::float8[], %(gcj_lat)s::float8[], %(bd_lon)s::float8[], %(bd_lat)s::float8[]
) WITH ORDINALITY AS point (lon, lat, wgs_lon, wgs_lat, gcj_lon, gcj_lat, bd_lon, bd_lat, n)
ORDER BY n
