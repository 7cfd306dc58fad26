"""Verbs that ask."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.database import opened
from cli.output import Json, plain_errors, print_json, progress, say
from layers.errors import InvalidValue

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def nearest(
    lon: float,
    lat: float,
    layers: Annotated[
        str | None, typer.Option(help="Layers, with commas between; else those ranked by default.")
    ] = None,
    k: Annotated[int | None, typer.Option(help="How many of each layer.")] = None,
    by: Annotated[str, typer.Option(help="line: how far in a straight line; road: how long by road.")] = "line",
    hazard: Annotated[str | None, typer.Option(help="Leaves out what is not fit for it.")] = None,
    places: Annotated[int | None, typer.Option(help="Places needed, persons.")] = None,
    include: Annotated[str | None, typer.Option(help="all: rank everything, leave nothing out.")] = None,
    profile: Annotated[str | None, typer.Option(help="By road: fire_engine (default), car, foot.")] = None,
    at: Annotated[str | None, typer.Option(help="By road: the moment for which closures are judged.")] = None,
    max_s: Annotated[float | None, typer.Option(help="By road: the longest travel time, seconds.")] = None,
    route: Annotated[bool, typer.Option(help="By road: tell the ways, in the JSON.")] = False,
    as_json: Json = False,
) -> None:
    """Print the nearest shelters, teams and depots to a place, and what nearer ones were left out."""
    with plain_errors():
        from api.parameters import moment_of
        from gis.nearest import Question
        from gis.nearest import nearest as answer_nearest
        from layers.database import Readers

        if by not in ("line", "road"):
            raise InvalidValue(f"{by!r} is unknown", parameter="by", expected="line, road")
        if include not in (None, "all"):
            raise InvalidValue(f"{include!r} is unknown", parameter="include", expected="all")
        question = Question(
            lon=lon, lat=lat, layers=tuple(layers.split(",")) if layers else (), k=k, hazard=hazard, places=places,
            include_all=include == "all", by="road" if by == "road" else "line", profile=profile, max_s=max_s,
            route=route, at=moment_of(at, "at") if at else None,
        )  # fmt: skip
        with opened() as url:
            readers = Readers(url, size=2)
            if question.by == "road":
                from gis.nearest_by_road import nearest_by_road
                from gis.roads import Roads

                with progress("roads") as tell:
                    answer = nearest_by_road(readers, Roads(readers, progress=tell), question)
            else:
                answer = answer_nearest(readers, question)
            readers.close()
        if as_json:
            print_json(answer)
        else:
            _print(answer)


def run(
    process: Annotated[str, typer.Argument(help="nearest, matrix, service-area or access.")],
    inputs: Annotated[Path, typer.Argument(help="What it is asked: a file of JSON, or - for standard input.")],
) -> None:
    """Run an analysis, and print its answer as JSON."""
    with plain_errors():
        from gis.processes import process as process_of
        from gis.roads import Roads
        from layers.database import Readers

        found = process_of(process)
        try:
            text = sys.stdin.read() if str(inputs) == "-" else inputs.read_text(encoding="utf-8")
            given = json.loads(text)
        except (OSError, ValueError) as error:
            raise InvalidValue(f"{inputs} cannot be read: {error}", parameter="inputs", expected="JSON") from None
        if not isinstance(given, dict):
            raise InvalidValue("the inputs are no JSON object", parameter="inputs", expected="{…}")
        asked = given.get("inputs", given)
        with opened() as url:
            readers = Readers(url, size=2)
            with progress("roads") as tell:
                answer = found.run(readers, Roads(readers, progress=tell), asked)
            readers.close()
        print_json(answer)


def network(
    profile: Annotated[str | None, typer.Option(help="Who travels: fire_engine (default), car, foot.")] = None,
    as_json: Json = False,
) -> None:
    """Read the roads into a network, and print what is noteworthy about it: islands, traps, near misses."""
    with plain_errors():
        from gis.roads import Roads, report
        from layers.database import Readers

        with opened() as url:
            readers = Readers(url, size=2)
            with progress("roads") as tell:
                roads = Roads(readers, progress=tell)
                answer = report(roads.situation(readers, profile, None, None, wait=True))
            readers.close()
        if as_json:
            print_json(answer)
            return
        for name, value in answer["report"].items():
            if isinstance(value, dict):
                number, rows = value.get("count"), value.get("examples") or value.get("edges_examples") or []
                print(f"{name}: {number}" + (f", such as rows {', '.join(map(str, rows[:5]))}" if rows else ""))
            else:
                print(f"{name}: {value}")


def _print(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from layers.catalog import catalog

    book, screen = catalog(), Console()
    listing = Table("", "layer", "name", "time", "distance", "direction", "places", "age", "")
    for feature in answer["features"]:
        p = feature["properties"]
        name_field = book[p["layer"]].name_field
        name = escape(str(p.get(name_field or "", "") or "—"))
        listing.add_row(
            str(p["rank"]), book[p["layer"]].title.zh, name, _minutes(p.get("travel_time_s")), _metres(p["distance_m"]),
            _direction(p["bearing_deg"]), _places(p), _age(p.get("age_s")),
            "sample" if p["sample"] else "",
        )  # fmt: skip
    screen.print(listing)
    for item in answer["skipped"]:
        name = item["name"] or item["id"]
        say(f"nearer, not ranked: {name}, {_metres(item['distance_m'])}: {item['reason']}")


def _minutes(travel_time_s: float | None) -> str:
    return "" if travel_time_s is None else f"{travel_time_s / 60:.0f} min"


def _metres(distance_m: float) -> str:
    return f"{distance_m:.0f} m" if distance_m < 1000 else f"{distance_m / 1000:.1f} km"


def _direction(bearing_deg: float | None) -> str:
    return "" if bearing_deg is None else COMPASS[round(bearing_deg / 45) % 8]


def _places(properties: dict[str, Any]) -> str:
    if "places_persons" not in properties:
        return ""
    places = properties["places_persons"]
    return "unknown" if places is None else str(places)


def _age(age_s: float | None) -> str:
    if age_s is None:
        return "unknown"
    return (
        f"{age_s / 60:.0f} min"
        if age_s < 3600
        else f"{age_s / 3600:.0f} h"
        if age_s < 86400
        else f"{age_s / 86400:.0f} d"
    )


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(context_settings={"ignore_unknown_options": True})(nearest)
    app.command()(run)
    app.command()(network)
