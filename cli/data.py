"""Verbs that read and write layers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import opened
from cli.output import Json, author, plain_errors, print_json, progress, say
from cli.service import check_address, check_demo_accounts, run
from layers.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from layers.importing import Report


def layers(layer: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the layers, or the fields of one."""
    with plain_errors():
        from rich.console import Console
        from rich.table import Table

        from layers.catalog import catalog

        book = catalog()
        if layer is None:
            if as_json:
                print_json([{"id": d.id, "title": d.title.model_dump(), "geometry": d.geometry} for d in book.values()])
                return
            listing = Table("layer", "geometry", "中文", "English")
            for d in book.values():
                listing.add_row(d.id, d.geometry, d.title.zh, d.title.en)
        else:
            definition = book[layer]
            if as_json:
                print_json(definition.model_dump(mode="json"))
                return
            listing = Table("field", "type", "unit", "public", "中文", "English")
            for name, field in definition.fields.items():
                listing.add_row(
                    name, field.type, field.unit or "", "yes" if field.public else "no", field.label.zh, field.label.en
                )
        Console().print(listing)


def template(
    layer: str,
    file: Annotated[Path | None, typer.Argument(help="Else LAYER.xlsx here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
) -> None:
    """Write an XLSX with the layer's headings, drop-downs of coded values and one example row."""
    with plain_errors():
        from layers.catalog import catalog
        from layers.template import write_template

        definition = catalog()[layer]
        target = file or Path(f"{layer}.xlsx")
        if not force and target.exists() and target.stat().st_size:
            raise InvalidValue(f"{target} is there, and may have been filled in", expected="another name, or --force")
        write_template(catalog(), definition, target)
        print(target)


def _existing(file: Path) -> Path:
    if not file.exists():
        raise NotFound(f"there is no file {file}", parameter="file")
    return file


def _pairs(given: list[str] | None, name: str, expected: str) -> dict[str, str]:
    pairs = {}
    for text in given or []:
        left, sign, right = text.rpartition("=")
        if not sign or not left or not right:
            raise InvalidValue(f"{text!r} is no pair", parameter=name, expected=expected)
        pairs[left.strip()] = right.strip()
    return pairs


def import_command(
    layer: str,
    file: Path,
    crs: Annotated[str | None, typer.Option(help="EPSG:n, GCJ-02 or BD-09; else the file's own.")] = None,
    area: Annotated[str | None, typer.Option(help="any, an admin area's code, or west,south,east,north.")] = None,
    columns: Annotated[list[str] | None, typer.Option("--map", help="COLUMN=FIELD; FIELD - leaves it out.")] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", help="FIELD=VALUE for every row that has none.")
    ] = None,
    on_conflict: Annotated[
        str, typer.Option(help="skip, or update rows whose key is there with other values.")
    ] = "skip",
    rejects: Annotated[Path | None, typer.Option(help="Where rejected rows go; else FILE.rejects.csv here.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check; write nothing.")] = False,
    encoding: Annotated[str | None, typer.Option(help="The text's encoding; else found out.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet, or layer of a GeoPackage; else the first.")] = None,
    source: Annotated[str | None, typer.Option(help="The id of the source.")] = None,
    licence: Annotated[str | None, typer.Option(help="The source's licence.")] = None,
    attribution: Annotated[str | None, typer.Option(help="The words that the source asks for.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the change log.")] = None,
    as_json: Json = False,
) -> None:
    """Import a file into a layer; every row is accounted for."""
    with plain_errors():
        from layers.catalog import catalog
        from layers.importing import Options, import_file

        if on_conflict not in ("skip", "update"):
            raise InvalidValue(f"{on_conflict!r} is no way out", parameter="on-conflict", expected="skip or update")
        options = Options(
            crs=crs, area=area, columns=_pairs(columns, "map", "COLUMN=FIELD"),
            constants=_pairs(constants, "set", "FIELD=VALUE"), update=on_conflict == "update", rejects=rejects,
            dry_run=dry_run, encoding=encoding, sheet=sheet, source=source, licence=licence, attribution=attribution,
            author=author(), reason=reason,
        )  # fmt: skip
        catalog()[layer]
        _existing(file)
        with opened() as url, progress(f"import {file.name}") as tell:
            report = import_file(url, layer, file, options, tell)
        _print_report(report, as_json)


def _print_report(report: Report, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    for note in report.notes:
        say(f"note: {note}")
    for heading, name in report.columns.items():
        say(f"column {heading} → {name}")
    if report.unused:
        say(f"columns not used: {', '.join(report.unused)}")
    for flag, count in sorted(report.flags.items()):
        say(f"flagged {flag}: {count}")
    for column, count in report.unread.items():
        first = [e for e in report.unread_examples if e["column"] == column][:3]
        shown = ", ".join(f"row {e['row']} {e['value']!r}" for e in first)
        say(f"unread in {column}: {count}, kept as unknown ({shown}…)")
    for reason, count in report.reasons.items():
        say(f"rejected {count}: {reason}")
    if report.rejects_file:
        say(f"rejected rows, to mend and import again: {report.rejects_file}")
    print(("dry run, nothing written: " if report.dry_run else "") + report.line())


def import_osm_command(file: Path, as_json: Json = False) -> None:
    """Import roads, facilities, shelters, teams, settlements, rivers and admin areas from an OpenStreetMap extract."""
    with plain_errors():
        from layers.osm_import import import_osm

        _existing(file)
        with opened() as url, progress(f"import {file.name}") as tell:
            answer = import_osm(url, file, tell, author())
        if as_json:
            print_json(answer)
            return
        for layer, counts in answer["layers"].items():
            objects = f"objects {counts['objects']}, with rows {counts['objects_imported']}"
            print(f"{layer}: {objects}, left out {counts['left_out']}; {counts['line']}")
            for reason, count in counts["left_out_reasons"].items():
                say(f"  left out {count}: {reason}")


def import_raster(
    raster: Annotated[str, typer.Argument(help="elevation, …")], file: Path, as_json: Json = False
) -> None:
    """Keep a raster as a cloud-optimised GeoTIFF."""
    with plain_errors():
        from layers.rasters import add

        kept = add(raster, _existing(file))
        if as_json:
            print_json(dataclasses.asdict(kept))
        else:
            print(kept.path)


def demo(
    scale: Annotated[float, typer.Option(help="Multiplies the rows.", min=1, max=1000)] = 1,
    load_only: Annotated[bool, typer.Option("--load-only", help="Load the county and serve nothing.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take the sample data away, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """Load the sample county and serve it."""
    with plain_errors():
        from layers import demo as sample_county

        serving = not load_only and not clear
        if serving:
            check_address()
        with opened() as url:
            if serving:
                check_demo_accounts(url)
            if clear:
                counts, words = sample_county.clear(url), "sample rows taken away"
                _clear_accounts(url)
            else:
                with progress("sample county") as tell:
                    counts, words = sample_county.load(url, scale=scale, progress=tell), "sample rows"
            if as_json:
                print_json(counts)
            else:
                for layer, count in counts.items():
                    say(f"{layer}: {count} {words}")
                if not counts:
                    say("no sample data")
            if serving:
                _make_accounts(url)
                run(url)


def _make_accounts(url: str) -> None:
    """Make the demo's accounts, and say how to sign in; none where others can come."""
    from layers.accounts import make_demo
    from layers.database import transaction
    from layers.settings import settings

    if not settings().is_loopback:
        say("no demo accounts: others can reach the service; leeward user add makes one of your own")
        return
    with transaction(url) as cursor:
        path = make_demo(cursor)
    say(f"to sign in: an account for each role stands with its password in {path}")
    say("  sign in on the map, at the right of the bar; leeward user revoke --demo takes them away")


def _clear_accounts(url: str) -> None:
    from layers.accounts import clear_demo
    from layers.database import transaction

    with transaction(url) as cursor:
        if gone := clear_demo(cursor):
            say(f"{gone} demo accounts taken away")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(layers)
    app.command()(template)
    app.command(name="import")(import_command)
    app.command(name="import-osm")(import_osm_command)
    app.command(name="import-raster")(import_raster)
    app.command()(demo)
