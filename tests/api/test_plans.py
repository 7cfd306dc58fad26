"""At 10⁵ rows, what the anonymous role asks goes along the spatial indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api import tiles
from gis.nearest import TYPES, Question, nearest, statement_text
from layers import features
from layers.catalog import catalog
from layers.database import Readers, sql, transaction
from layers.features import Page
from layers.tables import view

SHELTERS = catalog()["shelters"]


@pytest.fixture(scope="module")
def many(module_database: str) -> Iterator[Readers]:
    """Readers of a database with 10⁵ shelters on one degree of latitude and longitude."""
    with transaction(module_database) as cursor:
        cursor.execute(
            "INSERT INTO layers.shelters (source, name, geom) SELECT 'test', 's' || n,"
            " ST_SetSRID(ST_MakePoint(105 + random(), 27 + random()), 4326) FROM generate_series(1, 100000) AS n"
        )
    with transaction(module_database) as cursor:
        cursor.execute("ANALYZE layers.shelters")
    pool = Readers(module_database, size=1)
    yield pool
    pool.close()


def plan(readers: Readers, query: Any, values: Any = None) -> str:
    return "\n".join(line for (line,) in readers.rows(query, values or ()))


def explained(readers: Readers, text: str, values: tuple[Any, ...], types: str) -> str:
    with readers.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("leeward_anonymous",)
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
    told = explained(many, text, tiles.bounds(14, 12992, 6920), tiles.TYPES)
    assert told.count("shelters_geom_3857") >= 2
    assert "Seq Scan on shelters" not in told


def test_items_in_a_box_use_the_index(many: Readers) -> None:
    asked = Page(bbox=(105.5, 27.5, 105.51, 27.51))
    query = sql.SQL("EXPLAIN SELECT fid FROM {} AS i WHERE {} ORDER BY fid LIMIT 101").format(
        view(SHELTERS), features._where(catalog(), SHELTERS, asked)
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


def test_the_anonymous_role_reads_nothing_but_the_released_views(many: Readers) -> None:
    for name in ("layers.shelters", "leeward.sources", "leeward.imports"):
        with pytest.raises(Exception, match="permission denied"):
            many.rows(sql.SQL("SELECT * FROM {}").format(sql.Identifier(*name.split("."))))
    with pytest.raises(Exception, match=r"permission denied|read-only"):
        many.rows("DELETE FROM released.shelters RETURNING fid")
