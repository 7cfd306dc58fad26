"""At 10⁵ rows, what each role asks, now and of an earlier moment, goes along the spatial indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api import tiles
from gis.nearest import TYPES, Question, nearest, statement_text
from layers import features
from layers.catalog import catalog
from layers.database import INTERNAL, RELEASED, Readers, Writers, sql, transaction
from layers.features import Page
from layers.tables import view

SHELTERS = catalog()["shelters"]


SCOPES = {"anonymous": RELEASED, "member": INTERNAL}


@pytest.fixture(scope="module")
def full(module_database: str) -> Iterator[dict[str, Readers]]:
    """Readers by role of a database with 10⁵ shelters on one degree, each of which was changed once."""
    with transaction(module_database) as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, name, geom) SELECT 'test', 's' || n,"
            " ST_SetSRID(ST_MakePoint(105 + random(), 27 + random()), 4326) FROM generate_series(1, 100000) AS n"
        )
    with transaction(module_database) as cursor:
        cursor.execute("UPDATE layers.shelters SET capacity_persons = 1")
    with transaction(module_database) as cursor:
        cursor.execute("ANALYZE layers.shelters, history.shelters")
    pools = {name: Readers(module_database, scope, size=1) for name, scope in SCOPES.items()}
    yield pools
    for pool in pools.values():
        pool.close()


@pytest.fixture(params=["anonymous", "member"])
def many(request: pytest.FixtureRequest, full: dict[str, Readers]) -> Readers:
    """The readers of one role."""
    readers = full[request.param]
    assert readers.one("SELECT current_user::text") == (f"leeward_{request.param}",)
    return readers


@pytest.fixture
def then(many: Readers) -> Readers:
    """The same, looking back to before the last change."""
    (moment,) = (
        many.one("SELECT min(recorded_at) FROM released.changes")
        if many.scope.public
        else many.one("SELECT min(recorded_at) FROM internal.changes")
    )
    return many.at(moment)


def plan(readers: Readers, query: Any, values: Any = None) -> str:
    return "\n".join(line for (line,) in readers.rows(query, values or ()))


def explained(readers: Readers, text: str, values: tuple[Any, ...], types: str) -> str:
    with readers.cursor() as cursor:
        cursor.execute(f"PREPARE asked ({types}) AS {text}")
        try:
            lines = []
            for mode in ("force_custom_plan", "force_generic_plan"):
                cursor.execute(f"SET plan_cache_mode = {mode}")
                cursor.execute(f"EXPLAIN EXECUTE asked ({', '.join(['%s'] * len(values))})", values)
                lines.append("\n".join(line for (line,) in cursor.fetchall()))
            return "\n".join(lines)
        finally:
            cursor.execute("DEALLOCATE asked")
            cursor.execute("RESET plan_cache_mode")


def test_a_tile_uses_the_index(many: Readers) -> None:
    text = tiles._text(many, catalog(), ("shelters",), 14)
    told = explained(many, text, tiles.values_of(14, 12992, 6920), tiles.TYPES)
    assert told.count("shelters_geom_3857") >= 2
    assert "Seq Scan on shelters" not in told


def test_a_tile_of_an_earlier_moment_uses_both_indexes(then: Readers) -> None:
    text = tiles._text(then, catalog(), ("shelters",), 14)
    told = explained(then, text, tiles.values_of(14, 12992, 6920), tiles.TYPES)
    assert told.count("shelters_geom_3857") >= 2
    assert told.count("shelters_history_geom") >= 2
    assert "Seq Scan on shelters" not in told


def test_one_item_of_an_earlier_moment_uses_both_indexes(then: Readers) -> None:
    query = sql.SQL("EXPLAIN SELECT name FROM {} WHERE fid = 77").format(view(SHELTERS, then.scope))
    told = plan(then, query)
    assert "shelters_pkey" in told
    assert "shelters_history_fid" in told
    assert "Seq Scan" not in told


def test_items_in_a_box_use_the_index(many: Readers) -> None:
    asked = Page(bbox=(105.5, 27.5, 105.51, 27.51))
    query = sql.SQL("EXPLAIN SELECT fid FROM {} AS i WHERE {} ORDER BY fid LIMIT 101").format(
        view(SHELTERS, many.scope), features.where(catalog(), SHELTERS, asked, many.scope)
    )
    told = plan(many, query)
    assert "shelters_geom" in told
    assert "Seq Scan" not in told


def test_nearest_uses_the_index(many: Readers) -> None:
    question = Question(105.5, 27.5, layers=("shelters",), k=5)
    values = (105.5, 27.5, None, None, None, [], [], [], None, None)
    told = explained(many, statement_text(many, question), values, TYPES)
    assert told.count("Order By: ((geom)::geography <-> ") == 2
    assert told.count("shelters_geography") >= 4
    assert len(nearest(many, question)["features"]) == 5


def test_a_role_reads_nothing_but_the_views_of_its_scope(many: Readers) -> None:
    hidden = ["layers.shelters", "history.shelters", "leeward.sources", "leeward.imports", "leeward.changes"]
    hidden += ["leeward.accounts", "leeward.tokens", "leeward.sessions", "leeward.requests"]
    hidden += ["internal.shelters", "internal.changes", "internal_past.shelters"] if many.scope.public else []
    for name in hidden:
        with pytest.raises(Exception, match="permission denied"):
            many.rows(sql.SQL("SELECT * FROM {}").format(sql.Identifier(*name.split("."))))
    own = sql.Identifier(many.scope.schema, "shelters")
    with pytest.raises(Exception, match=r"permission denied|read-only"):
        many.rows(sql.SQL("DELETE FROM {} RETURNING fid").format(own))


def test_the_service_writes_rows_but_neither_history_nor_log(module_database: str, full: dict[str, Readers]) -> None:
    writers = Writers(module_database, size=1)
    for query in (
        "DELETE FROM history.shelters",
        "UPDATE history.shelters SET name = 'x'",
        "DELETE FROM leeward.changes",
        "INSERT INTO leeward.changes (change, layer, operation, count, released_count, author)"
        " VALUES (1, 'shelters', 'insert', 1, 1, 'x')",
        "UPDATE leeward.accounts SET role = 'admin'",
        "TRUNCATE layers.shelters",
        "ALTER TABLE layers.shelters DISABLE TRIGGER USER",
    ):
        with pytest.raises(Exception, match=r"permission denied|must be owner"), writers.transaction("t") as cursor:
            cursor.execute(query)
    writers.close()
