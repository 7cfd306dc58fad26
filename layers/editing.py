"""Write features one by one or some at a time, checked against the definition, with no write of others lost.

All functions write in the transaction of their cursor, in which the author is already said (``Writers.transaction``).
What an item was before goes to history, and each statement to the change log, by the database's own triggers.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from layers import geometries, grades, workflow
from layers.accounts import roles_with
from layers.catalog import Catalog
from layers.database import INTERNAL, INTERNAL_THEN, Cursor, look_back, one, prepared_rows, rows, sql
from layers.definition import Definition, Field
from layers.errors import (
    Conflict,
    EditConflict,
    Forbidden,
    InvalidFeature,
    InvalidValue,
    NotFound,
    PreconditionRequired,
)
from layers.features import LARGEST, SYSTEM_PROPERTIES, feature, properties_of
from layers.importing import settled_area
from layers.names import initials_of
from layers.staging import location_doubt
from layers.tables import SAMPLE_SOURCE, table, view

TEXT_AT_MOST = 20_000
BATCH_AT_MOST = 10_000
EDITED_LISTED = 20
TEXTS_AT_MOST = 1000
CLOCKS_DIFFER = datetime.timedelta(minutes=5)
READ_ONLY = (*SYSTEM_PROPERTIES, "fid", "layer")
PLACE_FLAGS = ("location_doubt", "geometry_repaired", "point_of_area")
Feature = Mapping[str, Any]
Fault = dict[str, str]


@dataclass(frozen=True)
class Editor:
    """Who writes: the rights that the account's role has, and the day for what is dated."""

    rights: frozenset[str]
    today: datetime.date

    def may(self, right: str) -> bool:
        """Whether the account has a right."""
        return right in self.rights


@dataclass(frozen=True)
class Written:
    """An item as it stands after a write: its number, the change that wrote it, its GeoJSON feature as text."""

    fid: int
    change: int
    text: str


# --- the acts


def create(cursor: Cursor, known: Catalog, definition: Definition, given: Feature, editor: Editor) -> Written:
    """A new item.

    Parameters
    ----------
    given : mapping
        A GeoJSON feature, EPSG:4326; properties that are not given are unknown.

    Raises
    ------
    InvalidFeature
        Says for each field what is wrong.
    StepRefused
        When the item does not begin in the first state of the layer's workflow.
    Forbidden
        When the account may not edit.
    """
    _need(editor, "edit")
    values, faults = _values(cursor, known, definition, _properties(given))
    values = {name: values.get(name) for name in definition.fields if not definition.fields[name].computed}
    for name, field in definition.fields.items():
        if field.default is not None and values.get(name) is None:
            values[name] = field.default
    shape = _geometry(cursor, definition, given.get("geometry"), faults)
    _refuse(definition, values, faults)
    values |= workflow.check_step(definition, None, values, editor.rights, editor.today)
    source = f"local_{definition.id}"
    cursor.execute(
        "INSERT INTO leeward.sources (id, name, licence, attribution) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (source, definition.source.name, definition.source.licence, definition.source.attribution),
    )
    flags = [*_flags(definition, values), *_doubt(cursor, definition, values, shape, sample=False)]
    own = {"source": source, "flags": flags, **_initials(definition, values)}
    return _written(cursor, definition, _insert(cursor, definition, {**values, **own}, shape))


def replace(
    cursor: Cursor, known: Catalog, definition: Definition, fid: int, given: Feature, if_match: str | None,
    editor: Editor,
) -> Written:  # fmt: skip
    """An item in the place of what it was: properties that are not given become unknown.

    Raises
    ------
    NotFound, PreconditionRequired, EditConflict, InvalidFeature, StepRefused, Forbidden
        As ``patch``.
    """
    properties = dict.fromkeys(n for n, f in definition.fields.items() if not f.computed) | dict(_properties(given))
    whole = {"properties": properties, "geometry": given.get("geometry")}
    return patch(cursor, known, definition, fid, whole, if_match, editor, given)


def patch(
    cursor: Cursor, known: Catalog, definition: Definition, fid: int, given: Feature, if_match: str | None,
    editor: Editor, sent: Feature | None = None,
) -> Written:  # fmt: skip
    """An item with some of its properties, or its geometry, changed.

    Parameters
    ----------
    given : mapping
        A JSON merge patch (RFC 7396) of the item's GeoJSON feature: null makes a property unknown.
    if_match : str, optional
        The ETag of the state that the writer saw, or ``*``; needed unless monitoring fields alone are written.
    sent : mapping, optional
        What the writer sent, for the answer to a lost race; else ``given``.

    Raises
    ------
    NotFound
        When there is no such item.
    PreconditionRequired
        When ``if_match`` is missing.
    EditConflict
        When somebody else has written meanwhile; nothing is written then, and both states are told.
    InvalidFeature
        Says for each field what is wrong.
    StepRefused
        When the state would change by a step that the workflow does not have, or that lacks what it needs.
    Forbidden
        When the account may not write these fields.
    """
    before = _locked(cursor, definition, fid)
    properties = _properties(given)
    if before is None:
        raise (
            EditConflict(
                "the item was deleted meanwhile" if if_match else f"the layer {definition.id} has no item {fid}",
                further={"current": None, "yours": sent or given},
            )
            if if_match and _was_there(cursor, definition, fid)
            else NotFound(f"the layer {definition.id} has no item {fid}", parameter="fid")
        )
    light = _is_light(definition, properties, given)
    _check_match(cursor, definition, fid, before["change"], if_match, sent or given, needed=not light)
    values, faults = _values(cursor, known, definition, properties)
    values = {name: value for name, value in values.items() if before[name] != value}
    if light:
        values |= _stated_now(definition, properties, values)
    moved = "geometry" in given
    shape = _geometry(cursor, definition, given["geometry"], faults) if moved else None
    if shape == before["wkb"]:
        moved = False
    after = {**before, **values}
    _refuse(definition, after, faults, changed=values)
    _check_rights(definition, before, after, [*values, *(["geometry"] if moved else [])], editor, light=light)
    values |= {
        name: value
        for name, value in workflow.check_step(definition, before, after, editor.rights, editor.today).items()
        if before.get(name) != value
    }
    if values or moved:
        own = _follows(cursor, definition, before, values, shape if moved else None)
        _update(cursor, definition, fid, {**values, **own}, shape if moved else None)
    return _written(cursor, definition, fid)


def patch_many(
    cursor: Cursor, known: Catalog, definition: Definition, items: Sequence[Feature], editor: Editor
) -> list[Written]:
    """Some items patched, all of them or none.

    Parameters
    ----------
    items : sequence of mapping
        Each with ``fid``, a patch (``properties``, ``geometry``) and ``if_match``.

    Raises
    ------
    EditConflict
        Names every item that somebody else has written meanwhile, with its state.
    InvalidFeature, StepRefused, Forbidden, NotFound, PreconditionRequired
        Of the first item that is refused, which is named.
    """
    if len(items) > BATCH_AT_MOST:
        raise InvalidValue("too many items at once", parameter="items", expected=f"{BATCH_AT_MOST} at most")
    written, conflicts = [], []
    numbers = [_fid(item) for item in items]
    if len(set(numbers)) < len(numbers):
        raise InvalidValue("an item is there twice", parameter="items", expected="each item once")
    for number, item in sorted(zip(numbers, items, strict=True), key=lambda pair: pair[0]):  # one order: no deadlock
        change = {name: item[name] for name in ("properties", "geometry") if name in item}
        try:
            written.append(patch(cursor, known, definition, number, change, item.get("if_match"), editor, item))
        except EditConflict as error:
            conflicts.append({"fid": number, "current": error.further.get("current")})
        except (InvalidFeature, InvalidValue) as error:
            error.further["fid"] = number
            raise
    if conflicts:
        raise EditConflict(
            f"{len(conflicts)} of {len(items)} items were changed meanwhile; nothing was written",
            expected="the new states, and the changes once more",
            further={"conflicts": conflicts},
        )
    return written


def delete(cursor: Cursor, definition: Definition, fid: int, if_match: str | None, editor: Editor) -> None:
    """An item no more; its history stays, and it can be restored.

    Raises
    ------
    NotFound, PreconditionRequired, EditConflict, Forbidden
        As ``patch``.
    Conflict
        When another row points to it.
    """
    _need(editor, "edit")
    before = _locked(cursor, definition, fid)
    if before is None:
        raise NotFound(f"the layer {definition.id} has no item {fid}", parameter="fid")
    _check_match(cursor, definition, fid, before["change"], if_match, None, needed=True)
    cursor.execute(sql.SQL("DELETE FROM {} WHERE fid = %s").format(table(definition)), (fid,))


def restore(
    cursor: Cursor, definition: Definition, fid: int, version: int, if_match: str | None, editor: Editor
) -> Written | None:
    """The item as it was after a version of the change log, written as a new change; None when it was not there then.

    Raises
    ------
    NotFound
        When the item has never been there, or is not there now and was not there then.
    PreconditionRequired, EditConflict, Forbidden, Conflict
        As ``delete``.
    """
    _need(editor, "edit")
    before = _locked(cursor, definition, fid)
    if before is not None:
        _check_match(cursor, definition, fid, before["change"], if_match, {"version": version}, needed=True)
    look_back(cursor, version)
    columns = _restored_columns(definition)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    then = sql.Identifier(INTERNAL_THEN.schema, definition.id)
    there = one(cursor, sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE fid = %s)").format(then), (fid,))
    if not there:
        if before is None:
            raise NotFound(f"the layer {definition.id} had no item {fid} then", parameter="version")
        cursor.execute(sql.SQL("DELETE FROM {} WHERE fid = %s").format(table(definition)), (fid,))
        return None
    if before is None:
        query = sql.SQL("INSERT INTO {} (fid, {}) SELECT fid, {} FROM {} WHERE fid = %s")
        cursor.execute(query.format(table(definition), names, names, then), (fid,))
    else:
        query = sql.SQL("UPDATE {} AS now SET ({}) = (SELECT {} FROM {} AS t WHERE t.fid = now.fid) WHERE fid = %s")
        cursor.execute(query.format(table(definition), names, names, then), (fid,))
    return _written(cursor, definition, fid)


@dataclass(frozen=True)
class TakenBack:
    """What became of the rows of an import that was taken back."""

    deleted: int
    restored: int
    left: int


def take_back(
    cursor: Cursor, definition: Definition, import_id: int, editor: Editor, *, leave_edited: bool = False
) -> TakenBack:
    """An import undone as one change: what it added goes, what it replaced comes back.

    Parameters
    ----------
    leave_edited : bool
        Leave alone the rows that were written again since; else they are the reason to refuse.

    Raises
    ------
    Conflict
        When rows were written again since, or others point to them, or the import was taken back before.
    """
    _need(editor, "edit")
    cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table(definition)))
    query = "SELECT DISTINCT change FROM leeward.changes WHERE import_id = %s AND layer = %s AND version IS NOT NULL"
    changes = [number for (number,) in rows(cursor, query, (import_id, definition.id))]
    if one(cursor, "SELECT taken_back_at FROM leeward.imports WHERE id = %s", (import_id,)) is not None:
        raise Conflict("the import was taken back before")
    if not changes:
        raise Conflict("the import wrote nothing, or before there was a change log", parameter="id")
    change = changes[0]
    names = {"layer": table(definition), "past": sql.Identifier(INTERNAL.past, definition.id)}
    again = _as_left_again(cursor, definition, change, import_id)
    query = "SELECT DISTINCT fid FROM {past} WHERE change = %s AND import_id = %s AND fid <> ALL (%s) ORDER BY fid"
    edited = rows(cursor, sql.SQL(query).format(**names), (change, import_id, again))
    if edited and not leave_edited:
        raise Conflict(
            f"{len(edited)} rows of the import were written again since",
            expected="leave_edited, which leaves these as they are",
            further={"fids": [fid for (fid,) in edited[:EDITED_LISTED]], "count": len(edited)},
        )
    columns = sql.SQL(", ").join(map(sql.Identifier, _restored_columns(definition)))
    query = sql.SQL(
        "UPDATE {layer} AS now SET ({columns}) = (SELECT {columns} FROM {past} AS p WHERE p.fid = now.fid"
        " AND p.ended_change = %s) FROM {past} AS was WHERE was.fid = now.fid AND was.ended_change = %s"
        " AND (now.change = %s OR now.fid = ANY (%s)) AND now.import_id = %s"
    ).format(columns=columns, **names)
    cursor.execute(query, (change, change, change, again, import_id))
    restored = cursor.rowcount
    # a restored row bears this transaction's change: what else is as the import left it was added by it
    query = sql.SQL(
        "DELETE FROM {layer} WHERE (change = %s OR fid = ANY (%s)) AND import_id = %s"
        " AND change <> current_setting('leeward.change')::bigint"
    ).format(**names)
    cursor.execute(query, (change, again, import_id))
    deleted = cursor.rowcount
    cursor.execute("UPDATE leeward.imports SET taken_back_at = now() WHERE id = %s", (import_id,))
    return TakenBack(deleted, restored, len(edited))


def _as_left_again(cursor: Cursor, definition: Definition, change: int, import_id: int) -> list[int]:
    """The items that were written again since an import and are as it left them: that was taken back in turn."""
    columns = _restored_columns(definition)
    now, then = (sql.SQL(", ").join(sql.Identifier(row, name) for name in columns) for row in ("now", "p"))
    query = sql.SQL(
        "SELECT p.fid FROM {past} AS p JOIN {layer} AS now ON now.fid = p.fid"
        " WHERE p.change = %s AND p.import_id = %s AND ({now}) IS NOT DISTINCT FROM ({then})"
    ).format(past=sql.Identifier(INTERNAL.past, definition.id), layer=table(definition), now=now, then=then)
    return [fid for (fid,) in rows(cursor, query, (change, import_id))]


# --- who may, and whether they saw what they change


def _need(editor: Editor, right: str) -> None:
    if not editor.may(right):
        roles = roles_with(right)
        raise Forbidden(
            f"this account may not {right} items", expected=f"one of the roles {', '.join(roles)}",
            further={"roles": roles},
        )  # fmt: skip


def monitoring_fields(definition: Definition) -> dict[str, str]:
    """The fields that change often, each with the field that says when its value was stated."""
    return {name: field.stated_at for name, field in definition.fields.items() if field.stated_at is not None}


def _is_light(definition: Definition, properties: Mapping[str, Any], given: Feature) -> bool:
    """Whether monitoring fields alone are written."""
    monitored = monitoring_fields(definition)
    allowed = {*monitored, *monitored.values()}
    return bool(properties) and "geometry" not in given and set(properties) <= allowed


def _stated_now(
    definition: Definition, properties: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, datetime.datetime]:
    """When the monitored values were stated: now, unless it is said; also for a value that is stated again."""
    now = datetime.datetime.now(datetime.UTC)
    monitored = monitoring_fields(definition)
    return {
        stated_at: now for name, stated_at in monitored.items() if name in properties and stated_at not in properties
    }


def _check_rights(
    definition: Definition, before: Mapping[str, Any], after: Mapping[str, Any], changed: Iterable[str],
    editor: Editor, *, light: bool,
) -> None:  # fmt: skip
    """Refuse fields that the account may not write: an editor may write all, who may take a step those of the step."""
    if editor.may("edit") or (light and editor.may("monitor")):
        return
    if workflow.changes_state(definition, before, after):
        state = workflow.workflow_of(definition).state
        step = workflow.transition(definition, before.get(state), after.get(state))
        if step is not None and editor.may(step.right) and set(changed) <= workflow.fields_of_step(definition, step):
            return
    _need(editor, "monitor" if light else "edit")


def etag(change: int) -> str:
    """The entity tag of an item that a change wrote."""
    return f'"{change}"'


def _check_match(
    cursor: Cursor, definition: Definition, fid: int, change: int, if_match: str | None, sent: Feature | None, *,
    needed: bool,
) -> None:  # fmt: skip
    if if_match is None:
        if needed:
            raise PreconditionRequired(
                "a write needs the header If-Match", parameter="If-Match", expected="the item's ETag, or *"
            )
        return
    if if_match.strip() == "*" or etag(change) in [tag.strip() for tag in if_match.split(",")]:
        return
    current = json.loads(_written(cursor, definition, fid).text)
    raise EditConflict(
        "the item was changed meanwhile; nothing was written",
        parameter="If-Match",
        expected=etag(change),
        further={"current": current, "yours": sent, "etag": etag(change)},
    )


# --- reading


def _fid(item: Feature) -> int:
    fid = item.get("fid") if isinstance(item, Mapping) else None
    if not isinstance(fid, int) or isinstance(fid, bool) or not 0 <= fid <= LARGEST:
        raise InvalidValue("an item of the batch has no number", parameter="fid", expected="fid, a whole number")
    return fid


def _locked(cursor: Cursor, definition: Definition, fid: int) -> dict[str, Any] | None:
    """An item as it is, held until the transaction ends."""
    if not 0 <= fid <= LARGEST:
        return None
    names = [*definition.fields, "source", "flags", "unread", "change"]

    def composed() -> sql.Composable:
        shape = sql.SQL("ST_AsBinary(geom)") if definition.has_geometry else sql.SQL("NULL::bytea")
        return sql.SQL("SELECT {}, {} FROM {} WHERE fid = $1 FOR UPDATE").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), shape, table(definition)
        )

    found = _of_fid(cursor, definition, "locked", composed, fid)
    if not found:
        return None
    row = dict(zip([*names, "wkb"], found[0], strict=True))
    return row | {"wkb": bytes(row["wkb"]) if row["wkb"] is not None else None}


def _was_there(cursor: Cursor, definition: Definition, fid: int) -> bool:
    past = sql.Identifier(INTERNAL.past, definition.id)
    return bool(one(cursor, sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE fid = %s)").format(past), (fid,)))


def _written(cursor: Cursor, definition: Definition, fid: int) -> Written:
    def composed() -> sql.Composable:
        return sql.SQL("SELECT {}, change FROM {} AS i, {} WHERE i.fid = $1").format(
            feature(definition), view(definition, INTERNAL), properties_of(definition, None, INTERNAL)
        )

    ((text, change),) = _of_fid(cursor, definition, "written", composed, fid)
    return Written(fid, change, text)


_texts: dict[tuple[str, Definition], str] = {}


def _of_fid(
    cursor: Cursor, definition: Definition, name: str, compose: Callable[[], sql.Composable], fid: int
) -> list[tuple[Any, ...]]:
    """The rows of a query about an item, whose text is put together once for each layer."""
    text = _texts.get((name, definition))
    if text is None:
        if len(_texts) > TEXTS_AT_MOST:
            _texts.clear()
        text = _texts[name, definition] = str(compose().as_string(cursor))
    return prepared_rows(cursor, text, (fid,), "bigint")


# --- values


def _properties(given: Feature) -> Mapping[str, Any]:
    properties = given.get("properties") or {}
    if not isinstance(properties, Mapping):
        raise InvalidFeature("`properties` is no object", further={"errors": []})
    return {name: value for name, value in properties.items() if name not in READ_ONLY}


def _values(
    cursor: Cursor, known: Catalog, definition: Definition, properties: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Fault]]:
    """The values of the given properties in the types of their columns, and what is wrong with the others."""
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    stated = {"stated_at", *monitoring_fields(definition).values()}
    for name, value in properties.items():
        field = definition.fields.get(name)
        if field is None:
            faults.append(_fault(name, f"the layer {definition.id} has no field {name[:80]!r}", "a field of the layer"))
        elif not field.computed:
            try:
                values[name] = _value(cursor, known, definition, name, field, value)
                if name in stated:
                    _refuse_future(values[name])
            except InvalidValue as error:
                faults.append(_fault(name, error.detail, error.expected))
    return values, faults


def _fault(field: str, detail: str, expected: str | None) -> Fault:
    return {"field": field, "detail": detail, "expected": expected or ""}


def _value(cursor: Cursor, known: Catalog, definition: Definition, name: str, field: Field, value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if field.type in ("code", "codes"):
        return _code(known, definition, field, value)
    if field.type == "item":
        return _item(cursor, field, value)
    read: Callable[[Any], Any] = {
        "text": _text, "integer": _whole, "number": _number, "boolean": _boolean, "date": _date,
        "datetime": _moment,
    }[field.type]  # fmt: skip
    found = read(value)
    if field.minimum is not None and found < field.minimum:
        raise InvalidValue(f"{found} is less than {field.minimum:g}", expected=f"at least {field.minimum:g}")
    if field.maximum is not None and found > field.maximum:
        raise InvalidValue(f"{found} is more than {field.maximum:g}", expected=f"at most {field.maximum:g}")
    if field.pattern is not None and not re.search(field.pattern, found):
        raise InvalidValue(f"{found[:40]!r} has another form", expected=field.pattern)
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue("is no text", expected="a text")
    if "\0" in value or len(value) > TEXT_AT_MOST:
        raise InvalidValue("the text cannot be kept", expected=f"{TEXT_AT_MOST} characters at most, no NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue("the text holds half a character", expected="Unicode text") from None
    return value


def _whole(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
        raise InvalidValue(f"{str(value)[:40]!r} is not a whole number", expected="a whole number")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidValue(f"{str(value)[:40]!r} is not a number", expected="a finite number")
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(f"{str(value)[:40]!r} is neither true nor false", expected="true, false or null")
    return value


def _date(value: Any) -> datetime.date:
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidValue(f"{str(value)[:40]!r} is not a date", expected="a date such as 2026-11-20") from None


def _moment(value: Any) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except (TypeError, ValueError, OverflowError):
        expected = "a moment such as 2026-11-20T14:20:00+08:00"
        raise InvalidValue(f"{str(value)[:40]!r} is not a moment", expected=expected) from None


def _refuse_future(moment: datetime.datetime | None) -> None:
    """Refuse to state what is to come: it would never grow old."""
    if moment is not None and moment > datetime.datetime.now(datetime.UTC) + CLOCKS_DIFFER:
        raise InvalidValue(f"{moment.isoformat()} lies in the future", expected="a moment that has passed")


def _code(known: Catalog, definition: Definition, field: Field, value: Any) -> str | list[str] | None:
    codes = known.codes_of(definition, field)
    given = value if field.type == "codes" else [value]
    if not isinstance(given, list):
        raise InvalidValue("is no list", expected="a list of codes")
    for code in given:
        if not isinstance(code, str) or code not in codes:
            raise InvalidValue(f"there is no code {str(code)[:40]!r}", expected=", ".join(codes))
    return (list(dict.fromkeys(given)) or None) if field.type == "codes" else given[0]


def _item(cursor: Cursor, field: Field, value: Any) -> int:
    fid = _whole(value)
    pointed = sql.Identifier("layers", field.layer or "")
    if not one(cursor, sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE fid = %s)").format(pointed), (fid,)):
        raise InvalidValue(f"the layer {field.layer} has no item {fid}", expected=f"an item of {field.layer}")
    return fid


def _geometry(cursor: Cursor, definition: Definition, given: Any, faults: list[Fault]) -> bytes | None:
    """The geometry of a GeoJSON feature as WKB; what is wrong with it goes to the faults."""
    if not definition.has_geometry:
        if given is not None:
            faults.append(_fault("geometry", "the layer has no geometry", "null"))
        return None
    try:
        shape = shapely.from_geojson(json.dumps(given))
    except (shapely.errors.GEOSException, TypeError, ValueError, RecursionError):
        shape = None
    if shape is None:
        faults.append(_fault("geometry", "there is no geometry, or it cannot be read", definition.geometry))
        return None
    array = np.empty(1, dtype=object)
    array[0] = shape
    found = geometries.placed(definition, array, "EPSG:4326", settled_area(cursor))
    if found.wrong or 0 in found.flags:
        reason, proposal = found.wrong.get(0, (f"{shapely.is_valid_reason(shape)}", None))
        faults.append(_fault("geometry", reason, proposal or f"a valid {definition.geometry} in degrees, WGS 84"))
        return None
    wkb: bytes = shapely.to_wkb(found.geometries[0])
    return wkb


def _refuse(
    definition: Definition, values: Mapping[str, Any], faults: list[Fault], changed: Iterable[str] | None = None
) -> None:
    """Refuse what is wrong, and required fields that are unknown."""
    named = {fault["field"] for fault in faults}
    for name, field in definition.fields.items():
        if field.required and not field.computed and values.get(name) is None and name not in named:
            faults.append(_fault(name, f"{field.label.en} is missing", "a value"))
    time = definition.time
    if time is not None and time.end is not None and (changed is None or {time.start, time.end} & set(changed)):
        start, end = values.get(time.start), values.get(time.end)
        if start is not None and end is not None and end < start and time.end not in named:
            faults.append(_fault(time.end, "it ends before it starts", f"{start.isoformat()} or later"))
    for computed, grade in grades.unreasoned(definition, values):
        if changed is None or {computed.stated, computed.reason} & set(changed):
            standard = f"{computed.standard} gives {grade}"
            faults.append(
                _fault(computed.reason, f"the stated grade differs: {standard}", "why it counts all the same")
            )
    if faults:
        count = "1 field is" if len(faults) == 1 else f"{len(faults)} fields are"
        raise InvalidFeature(
            f"{count} not valid: {faults[0]['field']}: {faults[0]['detail']}",
            parameter=faults[0]["field"],
            expected=faults[0]["expected"] or None,
            further={"errors": faults},
        )


# --- writing


def _initials(definition: Definition, values: Mapping[str, Any]) -> dict[str, Any]:
    """The initials by which the item is found, when its name is among the values."""
    name = definition.name_field
    return {"name_initials": initials_of([values[name]])[0]} if name is not None and name in values else {}


def _flags(definition: Definition, values: Mapping[str, Any]) -> list[str]:
    """Flags that follow from the values alone."""
    zeros = [
        f"{name.split('_')[0]}_zero"
        for name, field in definition.fields.items()
        if field.flag_zero and values.get(name) == 0
    ]
    return [*zeros, *(["grade_differs"] if grades.unreasoned(definition, values) else [])]


def _doubt(
    cursor: Cursor, definition: Definition, values: Mapping[str, Any], shape: bytes | None, *, sample: bool
) -> list[str]:
    """The flag of an item that lies in another admin area than it declares."""
    declared = [name for name, field in definition.fields.items() if field.declares_area]
    if shape is None or not declared:
        return []
    texts = [sql.SQL("{}::text AS {}").format(sql.Literal(values.get(name)), sql.Identifier(name)) for name in declared]
    place = sql.SQL("ST_SetSRID({}::geometry, 4326) AS geom").format(sql.Literal(shape.hex()))
    source = sql.SQL("(SELECT 1 AS row_no, {})").format(sql.SQL(", ").join([place, *texts]))
    query = location_doubt(definition, source, declared, sample=sample)
    return ["location_doubt"] if query is not None and rows(cursor, query) else []


def _follows(
    cursor: Cursor, definition: Definition, before: Mapping[str, Any], values: Mapping[str, Any], shape: bytes | None
) -> dict[str, Any]:
    """The columns that follow from an edit: initials, what is doubtful, texts that could not be read."""
    after = {**before, **values}
    follows = _initials(definition, values)
    unread = {name: text for name, text in (before["unread"] or {}).items() if values.get(name) is None}
    gone = set(_flags(definition, before))
    gone |= set(PLACE_FLAGS) if shape is not None else set()
    gone |= {"unread"} if before["unread"] and not unread else set()
    flags = [flag for flag in before["flags"] if flag not in gone]
    declared = any(definition.fields[name].declares_area for name in values)
    if shape is not None or declared:
        place, sample = shape if shape is not None else before["wkb"], before["source"] == SAMPLE_SOURCE
        flags = [flag for flag in flags if flag != "location_doubt"]
        flags += _doubt(cursor, definition, after, place, sample=sample)
    flags = list(dict.fromkeys([*flags, *_flags(definition, after)]))
    if flags != before["flags"]:
        follows["flags"] = flags
    if unread != (before["unread"] or {}):
        follows["unread"] = json.dumps(unread, ensure_ascii=False) if unread else None
    return follows


def _insert(cursor: Cursor, definition: Definition, values: Mapping[str, Any], shape: bytes | None) -> int:
    names, forms = _assigned(definition, values, shape)
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING fid").format(
        table(definition), sql.SQL(", ").join(names), sql.SQL(", ").join(forms)
    )
    return int(one(cursor, query, [*values.values(), *([shape] if shape is not None else [])]))


def _update(cursor: Cursor, definition: Definition, fid: int, values: Mapping[str, Any], shape: bytes | None) -> None:
    names, forms = _assigned(definition, values, shape)
    pairs = [sql.SQL("{} = {}").format(name, form) for name, form in zip(names, forms, strict=True)]
    query = sql.SQL("UPDATE {} SET {} WHERE fid = %s").format(table(definition), sql.SQL(", ").join(pairs))
    cursor.execute(query, [*values.values(), *([shape] if shape is not None else []), fid])


def _assigned(
    definition: Definition, values: Mapping[str, Any], shape: bytes | None
) -> tuple[list[sql.Composable], list[sql.Composable]]:
    """The columns that are written, and the expressions of their values."""
    names: list[sql.Composable] = [sql.Identifier(name) for name in values]
    forms: list[sql.Composable] = [
        sql.SQL("%s::text[]") if isinstance(value, list) else sql.Placeholder() for value in values.values()
    ]
    if shape is not None:
        names.append(sql.Identifier("geom"))
        forms.append(sql.SQL("ST_GeomFromWKB(%s, 4326)"))
    return names, forms


def _restored_columns(definition: Definition) -> list[str]:
    """The columns that come back when an earlier state is restored."""
    fields = [name for name, field in definition.fields.items() if not field.computed]
    own = ["source", "flags", "unread", "name_initials", "import_id", "row_no"]
    return [*fields, *own, *(["geom"] if definition.has_geometry else [])]
