-- The store's own tables. A layer's table comes from its definition (layers/tables.py), not from a migration.

CREATE SCHEMA IF NOT EXISTS leeward;
COMMENT ON SCHEMA leeward IS 'The store''s own tables: layers, sources, imports';
CREATE SCHEMA IF NOT EXISTS layers;
COMMENT ON SCHEMA layers IS 'One table a layer, made from its definition';
CREATE SCHEMA IF NOT EXISTS released;
COMMENT ON SCHEMA released IS 'One view a layer: the public fields of the public rows, all that the service reads';

CREATE TABLE leeward.layers (
    id              text PRIMARY KEY,
    definition_hash text NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE leeward.layers IS 'The layers that have a table, and the definition it was last made from';

CREATE TABLE leeward.sources (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    licence     text NOT NULL,
    attribution text NOT NULL,
    url         text
);
COMMENT ON TABLE leeward.sources IS 'Where data come from and on what terms; shown with every map';

CREATE TABLE leeward.imports (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    layer       text NOT NULL,
    source      text NOT NULL REFERENCES leeward.sources,
    file_name   text,
    file_sha256 text,
    crs         text,
    counts      jsonb NOT NULL DEFAULT '{}',
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE leeward.imports IS 'One row an import: what was read, and what became of it';
COMMENT ON COLUMN leeward.imports.counts IS 'Rows read, imported, updated, unchanged, rejected, and flagged by flag';
COMMENT ON COLUMN leeward.imports.crs IS 'The coordinate reference system that the file''s coordinates were read in';

-- Not STRICT, so that PostgreSQL can put it in line: ten times faster in a bulk load.
-- Web Mercator ends at 85.06 degrees: what lies beyond is cut off, and a point beyond has no place on a tile.
CREATE FUNCTION layers.web_mercator(geom geometry) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN ST_YMax(geom) <= 85.06 AND ST_YMin(geom) >= -85.06 THEN ST_Transform(geom, 3857)
    WHEN ST_Dimension(geom) = 0 THEN NULL
    ELSE ST_Transform(ST_CollectionExtract(ST_Intersection(geom, ST_MakeEnvelope(-180, -85.06, 180, 85.06, 4326)), ST_Dimension(geom) + 1), 3857)
END;
COMMENT ON FUNCTION layers.web_mercator IS 'A geometry in EPSG:3857, cut at 85.06 degrees of latitude';

CREATE VIEW released.sources AS SELECT id, name, licence, attribution, url FROM leeward.sources;
COMMENT ON VIEW released.sources IS 'Where data come from and on what terms';
GRANT USAGE ON SCHEMA released TO leeward_anonymous;
GRANT SELECT ON released.sources TO leeward_anonymous;
