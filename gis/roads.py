"""The road network of the database: read from the layer of roads, kept in this process, renewed when roads change.

One process builds the arrays in a folder of LEEWARD_HOME; the others map them. Nobody waits for a renewal: until it is
done, questions are answered from the network as it was, and say so.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import logging
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import pyarrow.csv
import shapely
from numpy.typing import NDArray

from gis.closures import Closure, Cuts, Mask, closing, closures
from gis.network import EDITION, ONE_WAYS, UNITS_A_DEGREE, Floats, Ints, Network, Pieces, build, whole_units
from gis.noding import node
from gis.profiles import DEFAULT, Profile, edge_times_s, profile
from gis.travel import Stops, Ways
from layers.catalog import Catalog, catalog
from layers.database import Readers, sql
from layers.definition import Definition
from layers.errors import InvalidValue, LeewardError, Unavailable
from layers.rasters import elevations, rasters
from layers.settings import settings
from layers.tables import view
from layers.times import moment_text

log = logging.getLogger("leeward")
ROWS_AT_ONCE = 50_000
FIRST_WAIT_S = 3.0
"""How long the first question waits for the network."""
KEPT_AT_MOST = 4
"""Ways with closures laid over them that are kept of each profile."""
AHEAD = timedelta(hours=12)
"""Closures that begin later than that are not looked at: a planning default."""
SNAP_AT_MOST_M = 2000.0
"""What lies further from any road is too far away, a planning default."""
NAMES = (
    "fid", "source", "from_node", "to_node", "road_class", "access", "one_way", "speed_km_h", "width_m", "height_m",
    "weight_t", "bridge", "tunnel", "level", "shape",
)  # fmt: skip
ROWS = """
SELECT fid, source, {from_node}, {to_node}, array_position({classes}::text[], {road_class}) - 1,
    array_position({accesses}::text[], {access}) - 1, {one_way}, {speed_km_h}, {width_m}, {height_m}, {weight_t},
    {bridge}, {tunnel}, {level}, encode(ST_AsBinary(geom), 'hex')
FROM {view} WHERE {which} AND fid BETWEEN {first} AND {last}
"""
TYPES = {
    "fid": pyarrow.int64(), "source": pyarrow.string(), "from_node": pyarrow.int64(), "to_node": pyarrow.int64(),
    "road_class": pyarrow.int16(), "access": pyarrow.int16(), "one_way": pyarrow.string(),
    "speed_km_h": pyarrow.float32(), "width_m": pyarrow.float32(), "height_m": pyarrow.float32(),
    "weight_t": pyarrow.float32(), "bridge": pyarrow.string(), "tunnel": pyarrow.string(), "level": pyarrow.int64(),
    "shape": pyarrow.string(),
}  # fmt: skip
VERSIONS = """
SELECT l.layer, (SELECT c.version FROM {log} AS c WHERE c.layer = l.layer ORDER BY c.version DESC LIMIT 1),
    (SELECT c.recorded_at FROM {log} AS c WHERE c.layer = l.layer ORDER BY c.version DESC LIMIT 1)
FROM unnest(%s) AS l (layer)
"""
PLACES = """
SELECT fid, ST_X(place), ST_Y(place), persons FROM (SELECT fid, {} AS place, {} AS persons FROM {}) AS i ORDER BY fid
"""
Stamp = tuple[int, datetime] | None
"""The last version of the log about a layer, and when it was recorded; None when there is none."""
Progress = Callable[[float], None]


def road_layer(known: Catalog) -> Definition:
    """The layer of roads.

    Raises
    ------
    InvalidValue
        When no definition says that it is one.
    """
    for definition in known.values():
        if definition.ways is not None:
            return definition
    raise InvalidValue("no layer is a road network", parameter="by", expected="line")


# --- reading


@dataclass(frozen=True)
class Rows:
    """Rows of the layer of roads, N of them."""

    fid: NDArray[numpy.int64]
    source: NDArray[numpy.int64]
    ends: NDArray[numpy.int64]
    road_class: NDArray[numpy.int16]
    access: NDArray[numpy.int16]
    one_way: NDArray[numpy.int8]
    speed_km_h: NDArray[numpy.float32]
    limits: NDArray[numpy.float32]
    bridge: NDArray[numpy.bool_]
    tunnel: NDArray[numpy.bool_]
    level: NDArray[numpy.int64]
    shapes: NDArray[numpy.object_]

    def only(self, which: NDArray[Any]) -> Rows:
        """Some of the rows."""
        return Rows(**{name: getattr(self, name)[which] for name in self.__dataclass_fields__})


def read(readers: Readers, known: Catalog, progress: Progress | None = None) -> tuple[Pieces, dict[str, Any]]:
    """The roads of the database as pieces that meet at their ends, and what noding them found.

    Rows that bear the numbers of both end nodes meet where these are the same, within one source. Others are cut where
    they cross (``gis.noding``), also by those that bear numbers.
    """
    roads = road_layer(known)
    sources: dict[str, int] = {}
    with readers.snapshot() as cursor:
        cursor.execute(
            sql.SQL("SELECT min(fid), max(fid), count(*) FILTER (WHERE NOT {noded}), count(*) FROM {view}").format(
                noded=_noded(roads), view=view(roads, readers.scope)
            )
        )
        first, last, loose, count = cursor.fetchone() or (None, None, 0, 0)
        if first is None or last is None:
            return _together_pieces([]), {"noded_rows": 0, "crossings": 0, "near_misses": {"count": 0, "examples": []}}
        unnoded = list(_chunks(cursor, readers, known, roads, sources, "loose", first, last)) if loose else []
        tree = shapely.STRtree(numpy.concatenate([rows.shapes for rows in unnoded])) if unnoded else None
        parts: list[Pieces] = []
        met: list[Rows] = []
        for rows in _chunks(cursor, readers, known, roads, sources, "noded", first, last):
            if tree is not None:
                hit = numpy.unique(tree.query(rows.shapes, predicate="intersects")[0])
                met.append(rows.only(hit))
                rows = rows.only(numpy.setdiff1d(numpy.arange(len(rows.fid)), hit))
            parts.append(_noded_pieces(rows))
            if progress is not None:
                progress(0.8 * sum(len(p.fid) for p in parts) / max(count, 1))
    return _joined(parts, unnoded, met)


def _noded(roads: Definition) -> sql.Composable:
    assert roads.ways is not None
    return sql.SQL("({} IS NOT NULL AND {} IS NOT NULL)").format(
        sql.Identifier(roads.ways.from_node), sql.Identifier(roads.ways.to_node)
    )


def _chunks(
    cursor: Any, readers: Readers, known: Catalog, roads: Definition, sources: dict[str, int], which: str, first: int,
    last: int,
) -> Iterator[Rows]:  # fmt: skip
    ways = roads.ways
    assert ways is not None
    condition = _noded(roads) if which == "noded" else sql.SQL("NOT {}").format(_noded(roads))
    for start in range(first, last + 1, ROWS_AT_ONCE):
        query = sql.SQL(ROWS).format(
            **{part: sql.Identifier(name) for part, name in ways},
            classes=sql.Literal(list(known.codes_of(roads, roads.fields[ways.road_class]))),
            accesses=sql.Literal(list(known.codes_of(roads, roads.fields[ways.access]))),
            view=view(roads, readers.scope),
            which=condition,
            first=sql.Literal(start),
            last=sql.Literal(start + ROWS_AT_ONCE - 1),
        )
        content = readers.lines(query, cursor)
        if content:
            yield _parsed(content, sources)


def _parsed(content: bytes, sources: dict[str, int]) -> Rows:
    table = pyarrow.csv.read_csv(
        io.BytesIO(content),
        read_options=pyarrow.csv.ReadOptions(column_names=NAMES, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(delimiter="\x1f", quote_char="\x1e"),
        convert_options=pyarrow.csv.ConvertOptions(column_types=TYPES, null_values=[""], strings_can_be_null=True),
    )

    def numbers(name: str, missing: Any) -> NDArray[Any]:
        found: NDArray[Any] = table[name].fill_null(missing).to_numpy()
        return found

    one_way = table["one_way"].to_numpy()
    return Rows(
        fid=numbers("fid", 0),
        source=_codes_of(table["source"], sources),
        ends=numpy.stack([numbers("from_node", 0), numbers("to_node", 0)], axis=1),
        road_class=numbers("road_class", -1),
        access=numbers("access", -1),
        one_way=numpy.array([ONE_WAYS.get(word, 0) for word in one_way], dtype=numpy.int8),
        speed_km_h=numbers("speed_km_h", numpy.nan),
        limits=numpy.stack([numbers(name, numpy.nan) for name in ("width_m", "height_m", "weight_t")], axis=1),
        bridge=table["bridge"].to_numpy() == "t",
        tunnel=table["tunnel"].to_numpy() == "t",
        level=numbers("level", 0),
        shapes=shapely.from_wkb(table["shape"].to_numpy()),
    )


def _codes_of(column: pyarrow.ChunkedArray, known: dict[str, int]) -> NDArray[numpy.int64]:
    """Texts as numbers, the same for the same text."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers = [known.setdefault(str(text), len(known)) for text in encoded.dictionary.to_pylist()]
    codes: NDArray[numpy.int64] = numpy.array(numbers, dtype=numpy.int64)[encoded.indices.to_numpy()]
    return codes


def _of_rows(rows: Rows, ends: NDArray[numpy.int64], coordinates: Ints, sizes: NDArray[numpy.int64]) -> Pieces:
    """Rows as pieces, with the numbers of their ends."""
    starts = numpy.concatenate([[0], numpy.cumsum(sizes)]).astype(numpy.int64)
    return Pieces(
        rows.fid, ends, coordinates, starts, rows.road_class, rows.access, rows.one_way, rows.speed_km_h, rows.limits,
        rows.bridge | rows.tunnel,
    )  # fmt: skip


def _noded_pieces(rows: Rows) -> Pieces:
    """Rows that bear the numbers of their nodes."""
    sizes = shapely.get_num_coordinates(rows.shapes).astype(numpy.int64)
    return _of_rows(rows, _numbered(rows), whole_units(shapely.get_coordinates(rows.shapes)), sizes)


def _joined(parts: list[Pieces], unnoded: list[Rows], met: list[Rows]) -> tuple[Pieces, dict[str, Any]]:
    """All rows as pieces, their ends numbered."""
    if not unnoded:
        return _together_pieces(parts), {
            "noded_rows": 0, "crossings": 0, "near_misses": {"count": 0, "examples": []},
        }  # fmt: skip
    loose, cut = _together(unnoded), _together(met)
    both = _together([loose, cut])
    known = numpy.arange(len(both.fid)) >= len(loose.fid)
    noded = node(both.shapes, both.level * 4 + both.bridge * 2 + both.tunnel, known)
    coordinates = whole_units(noded.coordinates)
    every = [*parts, _noded_pieces(cut)]
    ends = _numbered_by_place(every, noded.line - len(loose.fid), coordinates, noded.starts)
    further = _of_rows(both.only(noded.line), ends, coordinates, numpy.diff(noded.starts))
    missed = [int(loose.fid[number]) for number in noded.near_misses]
    return _together_pieces([*parts, further]), {
        "noded_rows": len(loose.fid),
        "crossings": noded.crossings,
        "near_misses": {"count": len(missed), "examples": missed[:10]},
    }


def _together_pieces(parts: Sequence[Pieces]) -> Pieces:
    """Pieces of several parts, one after another."""
    every = parts or [_noded_pieces(_parsed_nothing())]
    shift = numpy.cumsum([0, *(part.starts[-1] for part in every)])
    starts = [numpy.zeros(1, numpy.int64), *(p.starts[1:] + at for p, at in zip(every, shift, strict=False))]
    names = [field.name for field in fields(Pieces) if field.name != "starts"]
    return Pieces(
        starts=numpy.concatenate(starts),
        **{name: numpy.concatenate([getattr(part, name) for part in every]) for name in names},
    )


def _together(rows: Sequence[Rows]) -> Rows:
    names = Rows.__dataclass_fields__
    if not rows:
        return _parsed_nothing()
    return Rows(**{name: numpy.concatenate([getattr(one, name) for one in rows]) for name in names})


def _parsed_nothing() -> Rows:
    none = numpy.zeros(0)
    return Rows(
        none.astype(numpy.int64), none.astype(numpy.int64), numpy.zeros((0, 2), numpy.int64), none.astype(numpy.int16),
        none.astype(numpy.int16), none.astype(numpy.int8), none.astype(numpy.float32),
        numpy.zeros((0, 3), numpy.float32), none.astype(bool), none.astype(bool), none.astype(numpy.int64),
        none.astype(object),
    )  # fmt: skip


def _numbered(rows: Rows) -> NDArray[numpy.int64]:
    """The numbers of the rows' end nodes, apart for each source: digests of both, never negative."""
    salt = rows.source.astype(numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
    digest = (rows.ends.astype(numpy.uint64) ^ salt[:, None]) & numpy.uint64(2**63 - 1)
    return digest.astype(numpy.int64)


def _numbered_by_place(
    known: Sequence[Pieces], of_cut: NDArray[numpy.int64], coordinates: Ints, starts: NDArray[numpy.int64]
) -> NDArray[numpy.int64]:
    """Numbers for the ends of pieces: of a node that bears one, when an end lies there; else a number of the place.

    Parameters
    ----------
    known : sequence of Pieces
        All that bear numbers; last of all those that were cut.
    of_cut : array of int64, shape (P,)
        Which of the last each piece is a part of, in their order; negative for the others.
    coordinates, starts
        The pieces, P of them.
    """
    places = numpy.stack([coordinates[starts[:-1]], coordinates[starts[1:] - 1]], axis=1).tolist()
    wanted = {(x, y) for pair in places for x, y in pair}
    by_place: dict[tuple[int, int], int] = {}
    for part in known:
        for side, at in ((0, part.starts[:-1]), (1, part.starts[1:] - 1)):
            for place, number in zip(part.coordinates[at].tolist(), part.ends[:, side].tolist(), strict=True):
                if (place[0], place[1]) in wanted:
                    by_place.setdefault((place[0], place[1]), number)
    # places that bear no number get negative ones, which no node bears
    numbers = [
        [by_place.get((x, y), -1 - ((x + 1_800_000_000) * 4_000_000_000 + y)) for x, y in pair] for pair in places
    ]
    found = numpy.array(numbers, dtype=numpy.int64).reshape(-1, 2)
    ends = known[-1].ends
    firsts = numpy.flatnonzero((of_cut >= 0) & (numpy.diff(of_cut, prepend=-1) != 0))
    lasts = numpy.flatnonzero((of_cut >= 0) & (numpy.diff(of_cut, append=len(ends)) != 0))
    found[firsts, 0] = ends[of_cut[firsts], 0]
    found[lasts, 1] = ends[of_cut[lasts], 1]
    return found


# --- keeping


@dataclass
class Known:
    """A network in this process, and what was derived from it."""

    network: Network
    stamp: Stamp
    rise_m: Floats
    cuts: Cuts
    ways: dict[str, OrderedDict[tuple[Any, ...], tuple[Ways, Mask]]] = field(default_factory=dict)
    times: dict[str, Floats] = field(default_factory=dict)
    stops: dict[tuple[str, str, str], Places] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """The items of a layer as places beside the network, and how many people live there, NaN where that is unknown."""

    stamp: Stamp
    fid: NDArray[numpy.int64]
    at: Floats
    stops: Stops
    persons: Floats


@dataclass(frozen=True)
class Situation:
    """The network as somebody may use it at a moment, as far as the readers may see what closes it.

    Parameters
    ----------
    laid : list of Closure
        What closes or slows it.
    later_s : dict of Closure to float
        What begins within twelve hours: in how many seconds.
    ways, mask, open_ways
        The network with that laid over it, what is where, and the network as if nothing were closed.
    stamps : dict
        The last version of the log about each layer that counts.
    """

    roads: Roads
    readers: Readers
    known: Known
    is_last: bool
    profile_id: str
    who: Profile
    at: datetime
    laid: list[Closure]
    later_s: dict[Closure, float]
    ways: Ways
    mask: Mask
    open_ways: Ways
    stamps: dict[str, Stamp]

    def places(self, definition: Definition) -> Places:
        """The items of a layer as places beside the network."""
        return self.roads.places(
            self.known, self.readers, definition, self.open_ways, self.profile_id, self.stamps[definition.id]
        )

    def told(self) -> dict[str, Any]:
        """What an answer says that it rests on."""
        assert self.known.stamp is not None
        return {
            "profile": self.profile_id,
            "roads_version": self.known.stamp[0],
            "is_last": self.is_last,
            "left_out": ["turn_restrictions"] if self.who.turn_restrictions == "left_out" else [],
            "at": moment_text(self.at, "seconds"),
            "closures": len(self.laid),
            "closures_later": len(self.later_s),
        }


class Roads:
    """The road network of one database as this process knows it.

    Parameters
    ----------
    readers : Readers
        Connections to the database.
    folder : Path, optional
        Where networks lie; ``network`` in LEEWARD_HOME without it.
    progress : callable, optional
        Is told how much of a network has been read, 0 to 1.
    """

    def __init__(self, readers: Readers, folder: Path | None = None, progress: Progress | None = None) -> None:
        self._readers = readers
        self._progress = progress
        self._folder = folder if folder is not None else settings().home / "network"
        self._lock = threading.Lock()
        self._keeping = threading.RLock()
        self._renewing: threading.Thread | None = None
        self._known: Known | None = None
        self._failed: LeewardError | None = None
        self._closures: dict[tuple[str, str | None], tuple[tuple[Stamp, ...], list[Closure]]] = {}

    def known(self, stamp: Stamp, *, wait: bool = False) -> tuple[Known, bool]:
        """The network, and whether it is that of the last version of the roads.

        Parameters
        ----------
        stamp : Stamp
            The last version about roads.
        wait : bool
            Whether to wait until it is; else what was there before is used, if there was anything.

        Raises
        ------
        InvalidValue
            When there are no roads.
        Unavailable
            When there is no network yet.
        """
        if stamp is None:
            raise _no_roads()
        known = self._known
        if known is not None and known.stamp == stamp:
            if known.network.edges == 0:
                raise _no_roads()
            return known, True
        with self._lock:
            if self._renewing is None or not self._renewing.is_alive():
                self._failed = None
                self._renewing = threading.Thread(target=self._renew, args=(stamp,), name="roads", daemon=True)
                self._renewing.start()
            thread = self._renewing
        if wait or known is None:
            thread.join(None if wait else FIRST_WAIT_S)
            known = self._known
        if known is None:
            if self._failed is not None:
                raise self._failed
            raise Unavailable("the road network is being read", parameter="by", expected="by=line meanwhile")
        if known.network.edges == 0:
            raise _no_roads()
        return known, known.stamp == stamp

    def _renew(self, stamp: Stamp) -> None:
        try:
            network, rise = load(self._readers, self._folder, stamp, self._progress)
            known = Known(network, stamp, rise, Cuts(network))
            self._prepare(known)
            self._known = known
        except LeewardError as error:
            self._failed = error
        except Exception:
            log.exception("the road network cannot be read")
            self._failed = Unavailable("the road network cannot be read; the service's log says why")

    def _prepare(self, known: Known) -> None:
        """Derive what the network before was asked for, so that the first question about the new one need not wait."""
        before = self._known
        if before is None:
            return
        for name in list(before.ways):
            ways, _ = self._ways(known, name, profile(name), ())
            for derived in ("forward", "backward", "in_main_part"):
                getattr(ways, derived)
            for key, places in list(before.stops.items()):
                if key[2] == name:
                    known.stops[key] = replace(places, stops=ways.stops(places.at, SNAP_AT_MOST_M))

    # --- what is asked of it

    def situation(
        self, readers: Readers, profile_id: str | None, at: datetime | None, hazard: str | None,
        layers: Sequence[str] = (), *, wait: bool,
    ) -> Situation:  # fmt: skip
        """The network as a profile may use it at a moment.

        Parameters
        ----------
        profile_id : str, optional
            Who travels; None: a fire engine.
        at : datetime, optional
            The moment for which closures are judged; None: now.
        hazard : str, optional
            Code of the hazard whose zones close roads; None: none does.
        layers : sequence of str
            Further layers of which the last version is asked.
        wait : bool
            As for ``known``.

        Raises
        ------
        InvalidValue
            When there are no roads, or there is no such profile or hazard, or the readers look back.
        Unavailable
            When there is no network yet, or the database is away.
        """
        book = catalog()
        if readers.scope.then:
            raise InvalidValue("as_of is answered by line only", parameter="as_of", expected="by=line")
        if hazard is not None and hazard not in book.codes["hazard"]:
            expected = ", ".join(book.codes["hazard"])
            raise InvalidValue(f"there is no hazard {hazard[:80]!r}", parameter="hazard", expected=expected)
        name = profile_id or DEFAULT
        who, moment = profile(name), at or datetime.now(UTC)
        roads, closing_layers = road_layer(book).id, [d.id for d in closing(book, hazard)]
        seen = stamps(readers, list(dict.fromkeys([roads, *closing_layers, *layers])))
        known, is_last = self.known(seen[roads], wait=wait)
        everything = self.closures(readers, book, seen, hazard)
        laid = [closure for closure in everything if closure.is_on(moment)]
        later = {
            closure: (closure.starts_at - moment).total_seconds()
            for closure in everything
            if closure.starts_at is not None and moment < closure.starts_at <= moment + AHEAD
        }
        ways, mask = self.ways(known, name, who, laid)
        open_ways, _ = self.ways(known, name, who, ())
        return Situation(self, readers, known, is_last, name, who, moment, laid, later, ways, mask, open_ways, seen)

    def closures(
        self, readers: Readers, catalog: Catalog, stamps: dict[str, Stamp], hazard: str | None
    ) -> list[Closure]:
        """The closures of all times, read anew when their layers have changed."""
        layers = closing(catalog, hazard)
        seen = tuple(stamps[definition.id] for definition in layers)
        key = (readers.scope.schema, hazard)
        known = self._closures.get(key)
        if known is None or known[0] != seen:
            known = (seen, closures(readers, catalog, hazard))
            if len(self._closures) > 64:
                self._closures.clear()
            self._closures[key] = known
        return known[1]

    def ways(self, known: Known, name: str, who: Profile, laid: Sequence[Closure]) -> tuple[Ways, Mask]:
        """The network as a profile may use it, with closures laid over it."""
        with self._keeping:
            return self._ways(known, name, who, laid)

    def _ways(self, known: Known, name: str, who: Profile, laid: Sequence[Closure]) -> tuple[Ways, Mask]:
        kept = known.ways.setdefault(name, OrderedDict())
        key = tuple((closure.layer, closure.fid, closure.change) for closure in laid)
        found = kept.get(key)
        if found is None:
            mask = known.cuts.mask(laid)
            found = (Ways(known.network, self._times(known, name, who), mask.closed, mask.slowed), mask)
            bare = kept.get(())
            if bare is not None:  # what does not depend on closures is computed once
                found[0].__dict__.update({n: getattr(bare[0], n) for n in ("usable", "in_main_part")})
            kept[key] = found
            if len(kept) > KEPT_AT_MOST:
                kept.pop(next(key for key in kept if key))
        elif key:
            kept.move_to_end(key)
        return found

    def _times(self, known: Known, name: str, who: Profile) -> Floats:
        times = known.times.get(name)
        if times is None:
            roads = road_layer(catalog())
            assert roads.ways is not None
            classes, accesses = (
                tuple(catalog().codes_of(roads, roads.fields[field]))
                for field in (roads.ways.road_class, roads.ways.access)
            )
            times = known.times[name] = edge_times_s(known.network, who, classes, accesses, known.rise_m)
        return times

    def places(
        self, known: Known, readers: Readers, definition: Definition, ways: Ways, name: str, stamp: Stamp
    ) -> Places:
        """The items of a layer as places beside the network; those that have moved are placed anew."""
        with self._keeping:
            return self._places(known, readers, definition, ways, name, stamp)

    def _places(
        self, known: Known, readers: Readers, definition: Definition, ways: Ways, name: str, stamp: Stamp
    ) -> Places:  # fmt: skip
        key = (readers.scope.schema, definition.id, name)
        before = known.stops.get(key)
        if before is not None and before.stamp == stamp:
            return before
        query = sql.SQL(
            "SELECT fid, ST_X(p), ST_Y(p), persons FROM (SELECT fid, {} AS p, {} AS persons FROM {}) AS i ORDER BY fid"
        )
        query = query.format(
            sql.SQL("geom" if definition.dimension == 0 else "ST_PointOnSurface(geom)"),
            sql.SQL("NULL::float8") if definition.demand is None else sql.Identifier(definition.demand),
            view(definition, readers.scope),
        )
        table = numpy.array(readers.rows(query), dtype=float).reshape(-1, 4)
        fid, at = table[:, 0].astype(numpy.int64), table[:, 1:3]
        stops = _placed(ways, fid, at, before)
        known.stops[key] = Places(stamp, fid, at, stops, table[:, 3])
        return known.stops[key]


def _no_roads() -> InvalidValue:
    return InvalidValue("there are no roads", parameter="by", expected="line; or roads: leeward import roads FILE")


def _placed(ways: Ways, fid: NDArray[numpy.int64], at: Floats, before: Places | None) -> Stops:
    """Items beside the network; what lies where it lay before is not searched again."""
    if before is None or not len(before.fid):
        return ways.stops(at, SNAP_AT_MOST_M)
    where = numpy.searchsorted(before.fid, fid).clip(0, len(before.fid) - 1)
    same = (before.fid[where] == fid) & (before.at[where] == at).all(axis=1)
    new = numpy.flatnonzero(~same)
    found = ways.stops(at[new], SNAP_AT_MOST_M)
    old = before.stops
    now = numpy.full(len(before.fid), -1, dtype=numpy.int64)
    now[where[same]] = numpy.flatnonzero(same)
    keep = now[old.place] >= 0
    place = numpy.concatenate([now[old.place[keep]], new[found.place]])
    order = numpy.argsort(place, kind="stable")
    return Stops(
        len(fid),
        place[order],
        numpy.concatenate([old.edge[keep], found.edge])[order],
        numpy.concatenate([old.offset_m[keep], found.offset_m])[order],
        numpy.concatenate([old.walk_m[keep], found.walk_m])[order],
    )


def report(here: Situation) -> dict[str, Any]:
    """What is noteworthy about the network, each with its number and the rows of up to ten examples.

    Returns
    -------
    dict
        ``edges nodes length_km``; ``islands`` (parts that no road joins to the rest), ``duplicates`` (edges between
        the same nodes of the same length), ``without_length``, ``nodes_apart`` (ends that bear the same number and lie
        more than 20 m apart), ``noded_rows crossings near_misses`` (rows without numbers), ``seconds`` (of the build).
        For the profile: ``barred`` (edges it may not use), ``traps`` (usable edges that cannot be reached from most of
        the network, or from which it cannot be reached: one-way streets, what is barred, islands).
    """
    network, ways = here.known.network, here.open_ways
    usable = ways.usable
    trapped = numpy.flatnonzero(usable & ~ways.in_main_part)
    told: dict[str, Any] = dict(network.report)
    for name, edges in (("barred", numpy.flatnonzero(~usable)), ("traps", trapped)):
        told[name] = {"count": len(edges), "examples": [int(fid) for fid in network.edge_fid[edges[:10]]]}
    return {"report": told, "network": here.told()}


def stamps(readers: Readers, layers: Sequence[str]) -> dict[str, Stamp]:
    """The last version of the log about each layer."""
    query = sql.SQL(VERSIONS).format(log=sql.Identifier(readers.scope.schema, "changes"))
    return {
        layer: None if version is None else (version, at) for layer, version, at in readers.rows(query, (list(layers),))
    }


def load(
    readers: Readers, folder: Path, stamp: Stamp, progress: Progress | None = None
) -> tuple[Network, Floats]:  # fmt: skip
    """The network of a version of the roads, and how much each edge rises: mapped, after it was built if need be."""
    known = catalog()
    relief = [(raster.id, raster.version) for raster in _reliefs()]
    digest = road_layer(known).model_dump_json() + readers.url + repr(stamp) + repr(relief) + EDITION
    target = folder / hashlib.blake2b(digest.encode(), digest_size=12).hexdigest()
    with _alone(folder):
        if not (target / "report.json").exists():
            started = time.monotonic()
            network = build(*read(readers, known, progress))
            new = folder / f".new-{os.getpid()}-{threading.get_ident()}"
            rise = _rise_m(network)
            numpy.save(_made(new) / "rise_m.npy", rise)
            seconds = round(time.monotonic() - started, 3)
            replace(network, report={**network.report, "seconds": seconds}).save(new)
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)
            _tidy(folder, keep=target)
        os.utime(target)
        return Network.mapped(target), numpy.load(target / "rise_m.npy")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: the others wait, and then find what it made."""
    with open(_made(folder) / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tidy(folder: Path, keep: Path) -> None:
    """Take networks away that nobody has looked at for a day, and half-made ones."""
    old = time.time() - 86_400
    for path in folder.iterdir():
        if path.is_dir() and path != keep and (path.name.startswith(".new-") or path.stat().st_mtime < old):
            shutil.rmtree(path, ignore_errors=True)


def _reliefs() -> list[Any]:
    """The rasters of elevation, real ones first."""
    found = [raster for raster in rasters().values() if raster.id.endswith("elevation")]
    return sorted(found, key=lambda raster: (raster.sample, raster.id))


def _rise_m(network: Network) -> Floats:
    """How much higher the last node of each edge lies than the first, metres; NaN where that is unknown."""
    places = network.node_places / UNITS_A_DEGREE
    height = numpy.full(len(places), numpy.nan)
    for raster in _reliefs():
        missing = numpy.flatnonzero(numpy.isnan(height))
        height[missing] = elevations(raster.id, places[missing])
    rise: Floats = height[network.edge_nodes[:, 1]] - height[network.edge_nodes[:, 0]]
    return rise
