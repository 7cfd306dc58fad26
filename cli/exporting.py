"""The verb that writes a layer to a file."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import opened
from cli.output import Json, plain_errors, print_json, progress, say
from layers.errors import InvalidValue

if TYPE_CHECKING:
    from layers.exporting import Report


def export(
    layer: str,
    file: Annotated[Path, typer.Argument(help=".gpkg, .geojson, .parquet, .fgb, .zip (Shapefile), .csv or .xlsx")],
    as_of: Annotated[str | None, typer.Option(help="What was recorded then, such as 2026-11-20T14:20+08:00.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="gpkg, geojson, parquet, fgb, shp, csv or xlsx; else by the ending.")
    ] = None,
    headings: Annotated[str, typer.Option(help="names of fields, or labels in zh or en.")] = "names",
    crs: Annotated[str | None, typer.Option(help="EPSG:n, GCJ-02 or BD-09; else WGS 84 or the profile's.")] = None,
    profile: Annotated[str | None, typer.Option(help="An exchange profile: the other side's form.")] = None,
    since: Annotated[
        int | None, typer.Option(help="Only what has changed since that version of the change log.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Only what anyone may see.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write a layer to a file that import reads back."""
    with plain_errors():
        from layers.catalog import catalog
        from layers.database import INTERNAL, RELEASED, Readers
        from layers.exporting import Options, export_file, format_of, headings_of
        from layers.features import Page

        catalog()[layer]
        options = Options(
            format=format_of(form, file), headings=headings_of(headings), crs=crs, profile=profile, since=since,
            asked=Page(as_of=_moment(as_of) if as_of is not None else None), force=force,
        )  # fmt: skip
        with opened() as url, progress(f"export {file.name}") as tell:
            readers = Readers(url, RELEASED if public else INTERNAL, size=1)
            try:
                report = export_file(readers, layer, file, options, tell)
            finally:
                readers.close()
        _print_report(report, as_json)


def _moment(text: str) -> datetime:
    expected = "a moment with its offset such as 2026-11-20T14:20:00+08:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{text[:40]!r} is not a moment", parameter="as-of", expected=expected) from None
    if moment.tzinfo is None:
        raise InvalidValue(f"{text[:40]!r} has no offset", parameter="as-of", expected=expected)
    return moment


def _print_report(report: Report, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    for note in report.notes:
        say(f"note: {note}")
    for loss in report.losses:
        say(f"lost: {loss}")
    for source in report.sources:
        terms = "; ".join(source[part] for part in ("name", "licence", "attribution", "url") if source[part])
        say(f"source {source['id']}, {source['count']} rows: {terms}")
    if report.withdrawn:
        say(f"public no more, to be taken out: {', '.join(map(str, report.withdrawn))}")
    deleted = f", {report.deleted} of them deleted" if report.since is not None else ""
    print(f"{report.rows} rows{deleted}, version {report.version}: {report.file}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)
