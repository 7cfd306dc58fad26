-- What tiles of low zooms are made of: sums over cells for what is too small to be drawn there, and geometry simplified
-- beforehand for the rest. The tables of schema pyramid come from definitions (layers/pyramid.py).

CREATE SCHEMA pyramid;
COMMENT ON SCHEMA pyramid IS 'One table a layer: counts and sums of its items by cell, as summands that triggers append';
CREATE SCHEMA released_pyramid;
COMMENT ON SCHEMA released_pyramid IS 'One view a layer: the summands of the rows that the public may see';
CREATE SCHEMA internal_pyramid;
COMMENT ON SCHEMA internal_pyramid IS 'One view a layer: the summands of all rows';
GRANT USAGE ON SCHEMA released_pyramid TO leeward_anonymous;
GRANT USAGE ON SCHEMA internal_pyramid TO leeward_member;
GRANT USAGE ON SCHEMA released_pyramid, internal_pyramid TO leeward_service;

CREATE FUNCTION leeward.dot_zoom(geom_3857 geometry) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE ST_Dimension(geom_3857)
    WHEN 0 THEN 22
    WHEN 1 THEN -1
    WHEN 2 THEN CASE
        WHEN ST_Area(geom_3857) <= 0 THEN 22
        ELSE least(greatest(ceil(ln(24505721471.395786 / ST_Area(geom_3857)) / ln(4.0)) - 1, -1), 22)
    END
END::smallint;
COMMENT ON FUNCTION leeward.dot_zoom IS 'The greatest zoom at which a geometry is a dot: a point, or an area under 4 square pixels of a tile 512 pixels wide; -1 when it is at none';

CREATE FUNCTION leeward.drawn(geom_3857 geometry, px_m double precision) RETURNS geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN ST_Dimension(geom_3857) = 2 AND ST_Area(geom_3857) < ST_Perimeter(geom_3857) * px_m / 4
        THEN ST_Buffer(ST_Simplify(geom_3857, px_m / 2, true), px_m / 2, 1)
    WHEN ST_Dimension(geom_3857) = 0 THEN geom_3857
    ELSE coalesce(ST_Simplify(geom_3857, px_m / 2), geom_3857)
END;
COMMENT ON FUNCTION leeward.drawn IS 'A geometry as it is drawn with pixels of so many metres: simplified to half a pixel; strips narrower than half a pixel are widened to one';

CREATE FUNCTION leeward.morton(x integer, y integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN  -- the bits of x and y in turn, for 12 bits each: a tile's cells of any finer level then are neighbours
    x := (x | (x << 8)) & 16711935;  y := (y | (y << 8)) & 16711935;
    x := (x | (x << 4)) & 252645135; y := (y | (y << 4)) & 252645135;
    x := (x | (x << 2)) & 858993459; y := (y | (y << 2)) & 858993459;
    x := (x | (x << 1)) & 1431655765; y := (y | (y << 1)) & 1431655765;
    RETURN x | (y << 1);
END $$;
COMMENT ON FUNCTION leeward.morton IS 'The place of a cell along the Z-order curve';

CREATE FUNCTION leeward.fold_pyramid(layer text, at_least integer DEFAULT 0) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE folded bigint := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('leeward pyramid ' || layer, 0)) THEN
        RETURN 0;
    END IF;
    EXECUTE format($fold$
        WITH several AS (
            SELECT level, cell FROM pyramid.%1$I
            GROUP BY level, cell, released, sample, rule HAVING count(*) > 1
        ), taken AS (
            DELETE FROM pyramid.%1$I AS p USING (SELECT DISTINCT level, cell FROM several) AS s
            WHERE p.level = s.level AND p.cell = s.cell AND (SELECT count(*) FROM several) >= $1
            RETURNING p.*
        ), put AS (
            INSERT INTO pyramid.%1$I
            SELECT level, cell, released, sample, rule, sum(count), sum(x), sum(y), bit_xor(fid),
                sum(persons), sum(persons_unknown), sum(area_m2)
            FROM taken GROUP BY level, cell, released, sample, rule HAVING sum(count) <> 0
        )
        SELECT count(*) FROM taken
    $fold$, layer) INTO folded USING at_least;
    RETURN folded;
END $$;
COMMENT ON FUNCTION leeward.fold_pyramid IS 'Add up the summands of a layer that stand in one cell; how many there were. Nobody waits: who else folds is let go on';
REVOKE ALL ON FUNCTION leeward.fold_pyramid FROM PUBLIC;
GRANT EXECUTE ON FUNCTION leeward.fold_pyramid TO leeward_service;

ALTER TABLE leeward.changes ADD COLUMN boxes double precision[], ADD COLUMN released_boxes double precision[];
COMMENT ON COLUMN leeward.changes.boxes IS 'Of a statement that wrote 50 items at most, the boxes of their geometries before and after: west, south, east, north, EPSG:4326';
CREATE OR REPLACE VIEW released.changes AS
    SELECT version, layer, operation, released_count AS count, released_fids AS fids, released_bbox AS bbox,
           released_cells AS cells, NULL::bigint AS import_id, NULL::text AS author, NULL::text AS reason, recorded_at, change,
           released_boxes AS boxes
    FROM leeward.changes WHERE version IS NOT NULL AND released_count > 0;
CREATE OR REPLACE VIEW internal.changes AS
    SELECT version, layer, operation, count, fids, bbox, cells, import_id, author, reason, recorded_at, change, boxes
    FROM leeward.changes WHERE version IS NOT NULL;
