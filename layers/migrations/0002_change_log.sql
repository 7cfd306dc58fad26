-- The change log and what every layer's triggers share. The triggers of a layer, and its table of history, come from
-- its definition (layers/tables.py).
--
-- A *change* is one transaction that wrote to layers: it takes its number at its first write, and each row that it
-- writes bears it. A *version* is one row of the log: one statement. Versions are given out at the end of the
-- transaction, under a lock that is held until it is committed: whoever reads version n + 1 can read version n.

CREATE SCHEMA history;
COMMENT ON SCHEMA history IS 'One table a layer: the rows that were replaced or deleted, as they were';
CREATE SCHEMA internal;
COMMENT ON SCHEMA internal IS 'One view a layer: every field of every row, for those who have signed in';
CREATE SCHEMA released_then;
COMMENT ON SCHEMA released_then IS 'The views of schema released, as things were recorded at an earlier moment';
CREATE SCHEMA internal_then;
COMMENT ON SCHEMA internal_then IS 'The views of schema internal, as things were recorded at an earlier moment';
CREATE SCHEMA released_past;
COMMENT ON SCHEMA released_past IS 'One view a layer: the rows that were replaced or deleted, what the public may see of them';
CREATE SCHEMA internal_past;
COMMENT ON SCHEMA internal_past IS 'One view a layer: the rows that were replaced or deleted';
GRANT USAGE ON SCHEMA released_then, released_past TO leeward_anonymous;
GRANT USAGE ON SCHEMA internal, internal_then, internal_past TO leeward_member;
GRANT USAGE ON SCHEMA layers, leeward, internal, internal_then, internal_past TO leeward_service;

CREATE SEQUENCE leeward.change_number;
COMMENT ON SEQUENCE leeward.change_number IS 'Numbers of transactions that write to layers';
CREATE SEQUENCE leeward.version_number;
COMMENT ON SEQUENCE leeward.version_number IS 'Numbers of the rows of the change log, in the order in which they are committed';

CREATE TABLE leeward.changes (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version        bigint UNIQUE,
    change         bigint NOT NULL,
    layer          text NOT NULL,
    operation      text NOT NULL CHECK (operation IN ('insert', 'update', 'delete')),
    count          bigint NOT NULL,
    fids           bigint[],
    bbox           box2d,
    cells          integer[],
    released_count bigint NOT NULL,
    released_fids  bigint[],
    released_bbox  box2d,
    released_cells integer[],
    import_id      bigint,
    author         text NOT NULL,
    reason         text,
    recorded_at    timestamptz,
    top_change     bigint,
    late           int8range
);
COMMENT ON TABLE leeward.changes IS 'One row a statement that wrote to a layer';
COMMENT ON COLUMN leeward.changes.version IS 'Its place in the order of commits; NULL until then';
COMMENT ON COLUMN leeward.changes.change IS 'The transaction; the rows that it wrote bear this number';
COMMENT ON COLUMN leeward.changes.fids IS 'The items, when they are 1000 at most; of more, the numbers stand in the rows';
COMMENT ON COLUMN leeward.changes.bbox IS 'Box around the geometries before and after, EPSG:4326';
COMMENT ON COLUMN leeward.changes.cells IS 'Web Mercator tiles of zoom 12 that they touch, row * 4096 + column; NULL when they are more than 256: the box counts then';
COMMENT ON COLUMN leeward.changes.released_count IS 'How many of the rows the public may see, before or after; the other released columns are of these alone';
COMMENT ON COLUMN leeward.changes.author IS 'The account, or the user of the command line or of psql';
COMMENT ON COLUMN leeward.changes.recorded_at IS 'When it was committed; later than that of every smaller version';
COMMENT ON COLUMN leeward.changes.top_change IS 'The greatest number of a change among this and all smaller versions';
COMMENT ON COLUMN leeward.changes.late IS 'The versions at which a change with a greater number was committed already, and this one not';
CREATE INDEX changes_recorded_at ON leeward.changes (recorded_at);
CREATE INDEX changes_change ON leeward.changes (change);
CREATE INDEX changes_late ON leeward.changes USING gist (late) WHERE late IS NOT NULL;

CREATE VIEW released.changes AS
    SELECT version, layer, operation, released_count AS count, released_fids AS fids, released_bbox AS bbox,
           released_cells AS cells, NULL::bigint AS import_id, NULL::text AS author, NULL::text AS reason, recorded_at, change
    FROM leeward.changes WHERE version IS NOT NULL AND released_count > 0;
COMMENT ON VIEW released.changes IS 'The change log as far as it is about public rows, without authors';
CREATE VIEW internal.changes AS
    SELECT version, layer, operation, count, fids, bbox, cells, import_id, author, reason, recorded_at, change
    FROM leeward.changes WHERE version IS NOT NULL;
COMMENT ON VIEW internal.changes IS 'The change log';
CREATE VIEW internal.sources AS SELECT id, name, licence, attribution, url FROM leeward.sources;
COMMENT ON VIEW internal.sources IS 'Where data come from and on what terms';
ALTER TABLE leeward.imports ADD COLUMN author text NOT NULL DEFAULT 'leeward';
ALTER TABLE leeward.imports ADD COLUMN taken_back_at timestamptz;
COMMENT ON COLUMN leeward.imports.author IS 'Who imported';
COMMENT ON COLUMN leeward.imports.taken_back_at IS 'When the import was taken back';
CREATE VIEW internal.imports AS
    SELECT id, layer, source, file_name, crs, counts, finished_at, author, taken_back_at FROM leeward.imports;
COMMENT ON VIEW internal.imports IS 'One row an import';
GRANT SELECT ON released.changes TO leeward_anonymous;
GRANT SELECT ON internal.changes, internal.sources, internal.imports TO leeward_member;
GRANT SELECT ON leeward.changes, leeward.sources, leeward.imports TO leeward_service;
GRANT INSERT ON leeward.sources TO leeward_service;
GRANT UPDATE (taken_back_at) ON leeward.imports TO leeward_service;

CREATE TABLE leeward.requests (
    author      text NOT NULL,
    key         text NOT NULL,
    request     bytea NOT NULL,
    status      integer,
    headers     jsonb,
    body        text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (author, key)
);
COMMENT ON TABLE leeward.requests IS 'Writes that bore an Idempotency-Key, and what was answered; kept for 24 hours';
COMMENT ON COLUMN leeward.requests.request IS 'Digest of method, path and body: the same key with another request is refused';
CREATE INDEX requests_received_at ON leeward.requests (received_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON leeward.requests TO leeward_service;

-- --- what the triggers of layers call

CREATE FUNCTION leeward.begin_change() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE number bigint := nullif(current_setting('leeward.change', true), '')::bigint;
BEGIN
    IF number IS NULL THEN
        IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
            RAISE EXCEPTION 'layers are written in READ COMMITTED transactions: in others the log cannot see what was committed just before'
                USING ERRCODE = 'feature_not_supported';
        END IF;
        number := nextval('leeward.change_number');
        PERFORM set_config('leeward.change', number::text, true);
    END IF;
    RETURN number;
END $$ SECURITY DEFINER SET search_path = pg_catalog;
COMMENT ON FUNCTION leeward.begin_change IS 'The number of the transaction, given out at its first write to a layer';

CREATE FUNCTION leeward.before_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM leeward.begin_change();
    RETURN NULL;
END $$;
COMMENT ON FUNCTION leeward.before_write IS 'Before each statement: the transaction gets its number';

CREATE FUNCTION leeward.before_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.fid <> OLD.fid THEN
        RAISE EXCEPTION 'the number of an item (fid) does not change' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.change := current_setting('leeward.change')::bigint;
    NEW.recorded_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION leeward.before_update IS 'Before each row: it bears the number of the transaction';

CREATE FUNCTION leeward.before_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE leaves no history: use DELETE FROM %.%', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported';
END $$;
COMMENT ON FUNCTION leeward.before_truncate IS 'A layer is not truncated: that would leave no history';

CREATE FUNCTION leeward.cells(geom_3857 geometry) RETURNS SETOF integer LANGUAGE sql IMMUTABLE AS $$
    SELECT y * 4096 + x
    FROM generate_series(greatest(floor((ST_XMin(geom_3857) + 20037508.342789244) / 9783.93962050256)::int, 0),
                         least(floor((ST_XMax(geom_3857) + 20037508.342789244) / 9783.93962050256)::int, 4095)) AS x,
         generate_series(greatest(floor((20037508.342789244 - ST_YMax(geom_3857)) / 9783.93962050256)::int, 0),
                         least(floor((20037508.342789244 - ST_YMin(geom_3857)) / 9783.93962050256)::int, 4095)) AS y
$$;
COMMENT ON FUNCTION leeward.cells IS 'The Web Mercator tiles of zoom 12 that the box of a geometry touches: row * 4096 + column';

CREATE FUNCTION leeward.author() RETURNS text LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('leeward.author', true), ''), 'psql: ' || session_user);
COMMENT ON FUNCTION leeward.author IS 'Who writes in this transaction';

CREATE FUNCTION leeward.publish_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    number bigint;
    before record;
    seen bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7305105275);
    number := nextval('leeward.version_number');
    SELECT c.change, c.recorded_at, c.top_change INTO before
        FROM leeward.changes AS c WHERE c.version IS NOT NULL ORDER BY c.version DESC LIMIT 1;
    IF NEW.change < before.top_change AND NEW.change <> before.change THEN
        SELECT c.version INTO seen
            FROM leeward.changes AS c WHERE c.version IS NOT NULL AND c.top_change < NEW.change
            ORDER BY c.version DESC LIMIT 1;
        NEW.late := int8range(coalesce(seen, 0), number, '()');
    END IF;
    UPDATE leeward.changes AS c
       SET version = number,
           recorded_at = greatest(clock_timestamp(), before.recorded_at + interval '1 microsecond'),
           top_change = greatest(before.top_change, NEW.change),
           late = NEW.late
     WHERE c.id = NEW.id;
    PERFORM pg_notify('leeward_changes', number::text);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION leeward.publish_change IS 'At the end of a transaction: the log''s rows get their versions, in the order of commits';
CREATE CONSTRAINT TRIGGER publish AFTER INSERT ON leeward.changes DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION leeward.publish_change();

-- --- as things were recorded at an earlier moment

CREATE FUNCTION leeward.snapshot_of(version bigint, OUT top bigint, OUT late bigint[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN  -- plpgsql keeps the plans of its statements; SQL would make them anew at each call
    top := coalesce((SELECT c.top_change FROM leeward.changes AS c WHERE c.version <= $1
                     ORDER BY c.version DESC LIMIT 1), 0);
    late := coalesce((SELECT array_agg(c.change) FROM leeward.changes AS c WHERE c.late @> $1), '{}');
END $$;
COMMENT ON FUNCTION leeward.snapshot_of IS 'Which changes were committed with a version: those up to top, but for the late ones';

CREATE FUNCTION leeward.snapshot_at(moment timestamptz, OUT top bigint, OUT late bigint[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE seen bigint := (SELECT c.version FROM leeward.changes AS c WHERE c.recorded_at <= $1
                        ORDER BY c.recorded_at DESC LIMIT 1);
BEGIN
    SELECT s.top, s.late INTO top, late FROM leeward.snapshot_of(coalesce(seen, 0)) AS s;
END $$;
COMMENT ON FUNCTION leeward.snapshot_at IS 'Which changes were committed at a moment: those up to top, but for the late ones';
GRANT USAGE ON SCHEMA leeward TO leeward_anonymous, leeward_member;

CREATE FUNCTION leeward.was_recorded(change bigint) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN change <= current_setting('leeward.then_top')::bigint
   AND change <> ALL (current_setting('leeward.then_late')::bigint[]);
COMMENT ON FUNCTION leeward.was_recorded IS 'Whether a change was committed at the moment that the session looks back to';

CREATE FUNCTION leeward.moment() RETURNS int8range LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8range(current_setting('leeward.then_low')::bigint, current_setting('leeward.then_top')::bigint, '[]');
COMMENT ON FUNCTION leeward.moment IS 'The changes that the lives of the rows then seen may end with, for the index of history';
