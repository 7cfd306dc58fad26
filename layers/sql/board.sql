-- The items of a layer that are in its loop: counts, by state, the first cards of each state, by county, gaps, people.
WITH item AS MATERIALIZED (
    SELECT i.fid, {state} AS state, {persons} AS persons, {area} AS area, {is_open} AS is_open,
        {is_overdue} AS is_overdue, {closed_this_month} AS closed_this_month, {grade_unknown} AS grade_unknown,
        {deadline_unknown} AS deadline_unknown, {gaps} AS gaps, {not_known} AS not_known,
        row_number() OVER (PARTITION BY {state} ORDER BY {order}) AS place
    FROM {view} AS i WHERE {in_loop}
)
SELECT
    (SELECT json_build_object(
        'registered', count(*), 'open', count(*) FILTER (WHERE is_open),
        'overdue', count(*) FILTER (WHERE is_overdue),
        'closed_this_month', count(*) FILTER (WHERE closed_this_month),
        'grade_unknown', count(*) FILTER (WHERE grade_unknown),
        'deadline_unknown', count(*) FILTER (WHERE deadline_unknown)) FROM item),
    (SELECT json_agg(s) FROM (
        SELECT state, count(*) AS count, count(*) FILTER (WHERE is_overdue) AS overdue FROM item GROUP BY state) AS s),
    (SELECT json_agg(json_build_object('state', c.state, 'item', c.card) ORDER BY c.place) FROM (
        SELECT item.state, item.place, ({feature})::json AS card
        FROM item JOIN {view} AS i ON i.fid = item.fid, {properties} WHERE item.place <= {limit}) AS c),
    (SELECT json_agg(a ORDER BY a.name IS NULL, a.overdue DESC, a.open DESC, a.name) FROM (
        SELECT area AS name, count(*) FILTER (WHERE is_open) AS open, count(*) FILTER (WHERE is_overdue) AS overdue,
            count(*) FILTER (WHERE closed_this_month) AS closed_this_month
        FROM item GROUP BY area) AS a),
    (SELECT json_agg(g.numbers ORDER BY g.n) FROM (
        SELECT n, json_build_object('count', count(*) FILTER (WHERE item.gaps[n]),
                                    'unknown', count(*) FILTER (WHERE item.not_known[n])) AS numbers
        FROM generate_series(1, {gap_count}) AS n LEFT JOIN item ON true GROUP BY n) AS g),
    (SELECT json_build_object(
        'sum', CASE WHEN count(*) FILTER (WHERE is_open) = 0 THEN 0 ELSE sum(persons) FILTER (WHERE is_open) END,
        'unknown', count(*) FILTER (WHERE is_open AND persons IS NULL)) FROM item)
