"""What an OpenStreetMap extract holds for the layers, with an account of every object that was read.

One extract gives roads (a noded, routable network), rivers, facilities, shelters, rescue teams, settlements and
administrative areas. Nothing is written here. What each layer takes, and how:

========================  ===========================================================================================
roads                     every way with ``highway`` whose value is a class or alias of the layer's ``road_class``, but
                          for areas (``area=yes``): a square is walked across, and its outline is no road
rivers                    every way with ``waterway`` whose value is a class or alias of ``river_class``
facilities                :data:`FACILITIES`; fire stations are teams and not facilities
shelters                  :data:`HUTS` (class ``hut``, not designated), ``emergency=assembly_point`` (class
                          ``emergency``), ``emergency:social_facility=shelter`` (designated, class unknown)
rescue_teams              :data:`TEAMS`
settlements               :data:`SETTLEMENTS`
admin_areas               relations with ``boundary=administrative``, by their ``admin_level``
========================  ===========================================================================================

An object may serve several layers (a school that becomes a shelter), and is accounted for in each of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import osmium
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from layers.catalog import catalog
from layers.definition import Source
from layers.errors import ImportRefused
from layers.noding import edges, merged

SOURCE = Source(
    name="OpenStreetMap",
    licence="ODbL 1.0",
    attribution="© OpenStreetMap contributors",
    url="https://www.openstreetmap.org/copyright",
)

GEOD = Geod(ellps="WGS84")

# The layer's level for each of OSM's admin_level. OSM's levels mean something else in every country: a caller gives
# the country's own where these do not fit.
ADMIN_LEVELS = {4: "province", 6: "county", 7: "township", 8: "township", 10: "village"}
LEVELS = ("province", "city", "county", "township", "village")

# Planning defaults in km/h where no legal limit is mapped: what a loaded rescue vehicle keeps up over a whole way, not
# what is allowed; paths are walked, so a limit for vehicles says nothing about them.
DEFAULT_SPEEDS_KM_H = {
    "motorway": 100.0,
    "trunk": 60.0,
    "primary": 50.0,
    "secondary": 45.0,
    "tertiary": 40.0,
    "minor": 30.0,
    "service": 20.0,
    "track": 15.0,
    "path": 4.0,
}
# The limits in km/h behind the words of maxspeed; zones stand after the country (``AD:urban``).
SPEED_WORDS_KM_H = {
    "none": 120.0,
    "walk": 5.0,
    "living_street": 20.0,
    "urban": 50.0,
    "rural": 80.0,
    "trunk": 100.0,
    "motorway": 120.0,
}
SPEED_UNITS = {"": 1.0, "km/h": 1.0, "kmh": 1.0, "kph": 1.0, "mph": 1.609344}
METRES = {"": 1.0, "m": 1.0, "cm": 0.01, "ft": 0.3048, "in": 0.0254, '"': 0.0254}
TONNES = {"": 1.0, "t": 1.0, "kg": 0.001, "lbs": 0.00045359237, "st": 0.90718474}
NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z/\"]*)")
FEET_AND_INCHES = re.compile(r"(\d+(?:\.\d+)?)'\s*(?:(\d+(?:\.\d+)?)\"?)?")
NO_LIMIT = {"none", "no", "default", "below_default", "unsigned", "no_sign"}

ONE_WAY = {"yes": "forward", "true": "forward", "1": "forward", "-1": "backward", "reverse": "backward"}
BOTH_WAYS = {"no", "false", "0"}
ACCESS_WORDS = {
    "designated": "public",
    "official": "public",
    "discouraged": "public",
    "residents": "destination",
    "permit": "private",
}
FROM_FREE_TO_BARRED = ("public", "destination", "agricultural", "private", "no")

FACILITIES = {
    ("amenity", "school"): "school",
    ("amenity", "kindergarten"): "kindergarten",
    ("amenity", "childcare"): "kindergarten",
    ("amenity", "college"): "college",
    ("amenity", "university"): "college",
    ("amenity", "hospital"): "hospital",
    ("amenity", "clinic"): "clinic",
    ("amenity", "doctors"): "clinic",
    ("amenity", "townhall"): "government",
    ("amenity", "public_building"): "government",
    ("amenity", "community_centre"): "community",
    ("amenity", "police"): "police",
    ("amenity", "place_of_worship"): "worship",
    ("leisure", "park"): "square",
    ("leisure", "sports_centre"): "stadium",
    ("leisure", "stadium"): "stadium",
    ("place", "square"): "square",
    ("office", "government"): "government",
    ("building", "public"): "government",
}
HUTS = (("tourism", "alpine_hut"), ("tourism", "wilderness_hut"))
TEAMS = {
    ("amenity", "fire_station"): "fire",
    ("emergency", "mountain_rescue"): "mountain",
    ("emergency", "water_rescue"): "water",
    ("emergency", "ambulance_station"): "medical",
}
SETTLEMENTS = {
    ("place", "city"): "county_seat",
    ("place", "town"): "township_seat",
    ("place", "village"): "village",
    ("place", "suburb"): "village",
    ("place", "hamlet"): "hamlet",
    ("place", "isolated_dwelling"): "hamlet",
}
# assembly_point:<word>=yes, where the word is not the hazard's code itself.
HAZARD_WORDS = {"fire": "building_fire", "hurricane": "typhoon", "lava": "volcano"}

FIELDS = {
    "roads": (
        "name",
        "ref",
        "class",
        "speed_km_h",
        "one_way",
        "access",
        "bridge",
        "tunnel",
        "layer_level",
        "width_m",
        "max_height_m",
        "max_weight_t",
        "surface",
        "length_m",
        "from_node",
        "to_node",
    ),
    "rivers": ("name", "class", "width_m"),
    "facilities": ("name", "name_en", "kind", "area_m2", "capacity_persons", "address", "phone"),
    "shelters": (
        "name",
        "class",
        "capacity_persons",
        "suitable_hazards",
        "unsuitable_hazards",
        "designated",
        "address",
        "area_m2",
        "indoor",
        "accessible",
        "water_supply",
        "power_supply",
        "manager",
    ),
    "rescue_teams": ("name", "speciality", "address", "duty_phone"),
    "settlements": ("name", "kind", "population_persons", "population_year"),
    "admin_areas": (
        "name",
        "name_en",
        "level",
        "parent_code",
        "parent_name",
        "population_persons",
        "population_year",
    ),
}
POINT_LAYERS = ("facilities", "shelters", "rescue_teams", "settlements")
DTYPES = {"integer": "Int64", "number": "float64", "boolean": "boolean"}

KEYS = (
    "highway",
    "waterway",
    "amenity",
    "leisure",
    "place",
    "office",
    "building",
    "tourism",
    "emergency",
    "emergency:social_facility",
    "boundary",
)
PROGRESS_STEP = 50_000

Tags = Mapping[str, str]
Row = dict[str, Any]
Kind = Literal["node", "way", "relation"]


@dataclass(frozen=True)
class Account:
    """What became of the objects read for one layer: ``read == imported + len(left_out)``.

    Attributes
    ----------
    read : int
        OSM objects whose tags fit the layer.
    imported : int
        Those that gave at least one row.
    rows : int
        The rows they gave.
    left_out : tuple of (str, str)
        The others: OSM id such as ``way/123``, and the reason in words.
    notes : dict of str to int
        What was changed or not understood on the way, with the number of times.
    """

    read: int
    imported: int
    rows: int
    left_out: tuple[tuple[str, str], ...]
    notes: dict[str, int]


@dataclass(frozen=True)
class OsmExtract:
    """The layers of an extract, and an account of every object in it.

    Attributes
    ----------
    layers : dict of str to GeoDataFrame
        By layer id, in EPSG:4326: ``source_id``, those fields of the layer that OSM can fill, ``geometry``. Integers
        are ``Int64``, truth values ``boolean``, numbers ``float64``; texts and codes are objects with None where
        nothing is known; lists of codes are lists.
    account : dict of str to Account
        By layer id.
    objects : dict of str to int
        All objects of the file, by node, way and relation.
    of_interest : int
        Objects read for at least one layer.
    no_interest : dict of str to int
        The others, in words; ``of_interest + sum(no_interest.values()) == sum(objects.values())``.
    stated_at : datetime, optional
        The state of OpenStreetMap that the extract was cut from, when its header says so.
    source : Source
        Whom to name, and the terms.
    """

    layers: dict[str, gpd.GeoDataFrame]
    account: dict[str, Account]
    objects: dict[str, int]
    of_interest: int
    no_interest: dict[str, int]
    stated_at: datetime | None
    source: Source = SOURCE


@dataclass(frozen=True)
class _Line:
    """A way: its nodes, and their coordinates in degrees (NaN where the file does not hold the node)."""

    osm_id: str
    tags: Tags
    nodes: tuple[int, ...]
    coordinates: NDArray[np.float64]


@dataclass(frozen=True)
class _Place:
    """An object that stands on the map as a point or an area; ``line`` is a way's, for want of a polygon."""

    osm_id: str
    tags: Tags
    type: str | None = None
    point: BaseGeometry | None = None
    line: BaseGeometry | None = None


@dataclass
class _Found:
    """What the one pass over the file found, before anything is built from it."""

    lines: dict[str, list[_Line]] = field(default_factory=lambda: defaultdict(list))
    places: dict[str, list[_Place]] = field(default_factory=lambda: defaultdict(list))
    left_out: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    polygons: dict[str, BaseGeometry | None] = field(default_factory=dict)
    objects: Counter[str] = field(default_factory=Counter)
    no_interest: Counter[str] = field(default_factory=Counter)
    stated_at: datetime | None = None


@dataclass
class _Built:
    """The rows of one layer, their geometries, and what was left out on the way."""

    rows: list[Row] = field(default_factory=list)
    geometries: list[BaseGeometry] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, osm_id: str, geometry: BaseGeometry, row: Row) -> None:
        self.rows.append({"source_id": osm_id, **row})
        self.geometries.append(geometry)


def read(
    path: Path, progress: Callable[[int], None] | None = None, admin_levels: Mapping[int, str] = ADMIN_LEVELS
) -> OsmExtract:
    """The layers that an OpenStreetMap extract holds, in EPSG:4326, and an account of every object in it.

    Parameters
    ----------
    path : Path
        A file that osmium reads (``.osm.pbf``, ``.osm``, ``.osm.bz2`` …), nodes before ways before relations.
    progress : callable, optional
        Called now and then with the number of objects read so far.
    admin_levels : mapping of int to str, optional
        The layer's level for each ``admin_level`` of the country; areas of other levels are left out.

    Raises
    ------
    ImportRefused
        When the file cannot be opened or is damaged.

    Notes
    -----
    The file is streamed; node locations, the lines of roads and rivers and the places stay in memory. Objects drawn
    twice, as a node inside an area or as an area inside an area, give one row (:func:`_twice`). Turn restrictions,
    gates and bollards, opening hours and conditional limits are not read.
    """
    found = _found(path, progress)
    built = {"roads": _roads(found.lines["roads"]), "rivers": _rivers(found.lines["rivers"])}
    makers = {"facilities": _facility, "shelters": _shelter, "rescue_teams": _team, "settlements": _settlement}
    for layer, make in makers.items():
        built[layer] = _points(found.places[layer], found.polygons, make, nodes_first=layer == "settlements")
    built["admin_areas"] = _admin_areas(found.places["admin_areas"], found.polygons, admin_levels)
    return OsmExtract(
        layers={layer: _frame(layer, part) for layer, part in built.items()},
        account={layer: _account(found, layer, part) for layer, part in built.items()},
        objects=dict(found.objects),
        of_interest=found.objects.total() - found.no_interest.total(),
        no_interest=dict(found.no_interest),
        stated_at=found.stated_at,
    )


def _account(found: _Found, layer: str, part: _Built) -> Account:
    left_out = (*found.left_out[layer], *part.left_out)
    return Account(
        read=len(found.lines[layer]) + len(found.places[layer]) + len(found.left_out[layer]),
        imported=len({row["source_id"].partition("#")[0] for row in part.rows}),
        rows=len(part.rows),
        left_out=left_out,
        notes=dict(part.notes),
    )


def _frame(layer: str, part: _Built) -> gpd.GeoDataFrame:
    fields = catalog()[layer].fields
    columns: dict[str, pd.Series[Any]] = {"source_id": pd.Series([row["source_id"] for row in part.rows], dtype=object)}
    for name in FIELDS[layer]:
        values = [row.get(name) for row in part.rows]
        columns[name] = pd.Series(values, dtype=DTYPES.get(fields[name].type, "object"))
    return gpd.GeoDataFrame(columns, geometry=part.geometries, crs="EPSG:4326")


@cache
def _codes(layer: str, name: str) -> dict[str, str]:
    """The code behind each word of one of a layer's code lists: the codes themselves and their aliases."""
    codes = catalog()[layer].codes[name]
    return {word: code for code, entry in codes.items() for word in (*entry.aliases, code)}


# --- the one pass over the file


class _Uninteresting:
    """Counts the objects that bear none of the keys, as osmium passes them by."""

    def __init__(self, found: _Found, tell: Callable[[], None]) -> None:
        self.found, self.tell = found, tell

    def node(self, item: osmium.osm.Node) -> None:
        self._count("node", item)

    def way(self, item: osmium.osm.Way) -> None:
        self._count("way", item)

    def relation(self, item: osmium.osm.Relation) -> None:
        self._count("relation", item)

    def _count(self, kind: Kind, item: Any) -> None:
        self.found.objects[kind] += 1
        self.found.no_interest[f"{kind} with other tags" if item.tags else f"{kind} without tags"] += 1
        self.tell()


def _found(path: Path, progress: Callable[[int], None] | None) -> _Found:
    found = _Found()
    passed = 0

    def tell() -> None:
        nonlocal passed
        passed += 1
        if progress is not None and passed % PROGRESS_STEP == 0:
            progress(passed)

    try:
        processor = osmium.FileProcessor(path).with_areas(osmium.filter.KeyFilter(*KEYS))
        processor = processor.with_filter(osmium.filter.KeyFilter(*KEYS))
        processor = processor.handler_for_filtered(_Uninteresting(found, tell))
        stated_at = processor.header.get("osmosis_replication_timestamp")
        found.stated_at = datetime.fromisoformat(stated_at) if stated_at else None
        for item in processor:
            if isinstance(item, osmium.osm.Area):
                _keep_polygon(item, found)
            else:
                _sort(item, found)
                tell()
    except RuntimeError as error:
        reason = str(error).replace(str(path), path.name)
        raise ImportRefused(f"{path.name} is not a whole OpenStreetMap file: {reason}", parameter="path") from None
    if progress is not None:
        progress(passed)
    return found


def _keep_polygon(area: Any, found: _Found) -> None:
    """Keep the polygon of an area that a layer may take; None where its rings cannot make one."""
    tags = dict(area.tags)
    if not _place_layers(tags) and tags.get("boundary") != "administrative":
        return
    osm_id = f"{'way' if area.from_way() else 'relation'}/{area.orig_id()}"
    try:
        found.polygons[osm_id] = shapely.from_wkb(osmium.geom.WKBFactory().create_multipolygon(area))
    except RuntimeError:
        found.polygons[osm_id] = None


def _sort(item: Any, found: _Found) -> None:
    """Put one object into every layer that its tags fit, or count it as of no interest."""
    kind: Kind = "node" if item.is_node() else "way" if item.is_way() else "relation"
    found.objects[kind] += 1
    tags, osm_id = dict(item.tags), f"{kind}/{item.id}"
    layers = [*_place_layers(tags), *_line_layers(tags, kind)]
    if kind == "relation" and tags.get("boundary") == "administrative":
        layers.append("admin_areas")
    if not layers:
        found.no_interest[f"{kind} with {next(key for key in KEYS if key in tags)}, of another kind"] += 1
        return
    line = _line(osm_id, tags, item) if kind == "way" else None
    for layer in layers:
        if layer not in ("roads", "rivers"):
            found.places[layer].append(_place(osm_id, tags, item, line))
        elif layer == "roads" and (reason := _no_road(tags)):
            found.left_out[layer].append((osm_id, reason))
        elif line is not None:
            found.lines[layer].append(line)


def _no_road(tags: Tags) -> str | None:
    """Why a way with ``highway`` is no road; None when it is one."""
    if tags["highway"] not in _codes("roads", "road_class"):
        return f"highway={tags['highway']} is not a way to travel on"
    return "an area (area=yes), walked across and not along" if tags.get("area") == "yes" else None


def _place_layers(tags: Tags) -> list[str]:
    """The layers of points that the tags fit, each once."""
    pairs = set(_pairs(tags))
    fits = {
        "facilities": any(pair in FACILITIES for pair in pairs),
        "shelters": _shelter_class(pairs) is not None,
        "rescue_teams": any(pair in TEAMS for pair in pairs),
        "settlements": any(pair in SETTLEMENTS for pair in pairs),
    }
    return [layer for layer, fit in fits.items() if fit]


def _line_layers(tags: Tags, kind: Kind) -> list[str]:
    if kind != "way":
        return []
    rivers = tags.get("waterway") in _codes("rivers", "river_class")
    return (["roads"] if "highway" in tags else []) + (["rivers"] if rivers else [])


def _pairs(tags: Tags) -> Iterator[tuple[str, str]]:
    """Key and value, in the order of KEYS; several values parted by semicolons count each."""
    for key in KEYS:
        for value in tags.get(key, "").split(";"):
            yield key, value.strip()


def _first(tags: Tags, codes: Mapping[tuple[str, str], str]) -> tuple[tuple[str, str], str]:
    return next((pair, codes[pair]) for pair in _pairs(tags) if pair in codes)


def _line(osm_id: str, tags: Tags, way: Any) -> _Line:
    known = [(n.lon, n.lat) if n.location.valid() else (np.nan, np.nan) for n in way.nodes]
    return _Line(osm_id, tags, tuple(n.ref for n in way.nodes), np.array(known, dtype=float).reshape(-1, 2))


def _place(osm_id: str, tags: Tags, item: Any, line: _Line | None) -> _Place:
    if line is not None:
        known = line.coordinates[~np.isnan(line.coordinates[:, 0])]
        return _Place(osm_id, tags, line=shapely.LineString(known) if len(known) > 1 else None)
    if item.is_node():
        return _Place(osm_id, tags, point=shapely.Point(item.lon, item.lat) if item.location.valid() else None)
    return _Place(osm_id, tags, type=tags.get("type", "unknown"))


# --- roads and rivers


@dataclass(frozen=True)
class _Piece:
    """A run of a way's nodes that the file holds, without repeats: at least two, no two neighbours at one place."""

    line: _Line
    nodes: tuple[int, ...]
    coordinates: NDArray[np.float64]


def _runs(line: _Line, notes: Counter[str]) -> list[_Piece]:
    """The parts of a way that the file holds; a way that leaves the extract and comes back has several."""
    held = ~np.isnan(line.coordinates[:, 0])
    if not held.all():
        notes["ways cut where the file lacks their nodes"] += 1
        notes["nodes that the file lacks"] += int((~held).sum())
    pieces = []
    for run in np.split(np.arange(len(held)), np.flatnonzero(np.diff(held)) + 1):
        if len(run) and held[run[0]]:
            pieces.append(_Piece(line, tuple(line.nodes[i] for i in run), line.coordinates[run]))
    return pieces


def _without_repeats(piece: _Piece, stands_for: Mapping[int, int], notes: Counter[str]) -> _Piece:
    nodes = [stands_for.get(node, node) for node in piece.nodes]
    keep = [i for i, node in enumerate(nodes) if i == 0 or node != nodes[i - 1]]
    if len(keep) < len(nodes):
        notes["nodes dropped that repeat the place before them"] += len(nodes) - len(keep)
    return _Piece(piece.line, tuple(nodes[i] for i in keep), piece.coordinates[keep])


def _pieces(lines: Sequence[_Line], built: _Built) -> list[_Piece]:
    """The parts of the ways that can be drawn; ways without one are left out.

    Neighbouring nodes of a way at the very same place become one node, so that no edge has length zero and what
    meets at either of them stays joined.
    """
    runs = [piece for line in lines for piece in _runs(line, built.notes)]
    stands_for = merged(pair for piece in runs for pair in _same_place(piece))
    pieces = [_without_repeats(piece, stands_for, built.notes) for piece in runs]
    pieces = [piece for piece in pieces if len(piece.nodes) > 1]
    drawn = {piece.line.osm_id for piece in pieces}
    short = [line.osm_id for line in lines if line.osm_id not in drawn]
    built.left_out += [(osm_id, "the file holds fewer than two of its places") for osm_id in short]
    return pieces


def _same_place(piece: _Piece) -> list[tuple[int, int]]:
    same = np.flatnonzero((piece.coordinates[1:] == piece.coordinates[:-1]).all(axis=1))
    return [(piece.nodes[i], piece.nodes[i + 1]) for i in same]


def _roads(lines: Sequence[_Line]) -> _Built:
    built = _Built()
    pieces = _pieces(lines, built)
    network = edges([piece.nodes for piece in pieces])
    ways = {piece.line.osm_id: piece.line for piece in pieces}
    rows = {osm_id: _road(way.tags, built.notes) for osm_id, way in ways.items()}
    parts = Counter(pieces[edge.chain].line.osm_id for edge in network)
    done: Counter[str] = Counter()
    for edge in network:
        piece = pieces[edge.chain]
        osm_id = piece.line.osm_id
        source_id = f"{osm_id}#{done[osm_id]}" if parts[osm_id] > 1 else osm_id
        done[osm_id] += 1
        ends = {"from_node": piece.nodes[edge.start], "to_node": piece.nodes[edge.end]}
        geometry = shapely.LineString(piece.coordinates[edge.start : edge.end + 1])
        built.add(source_id, geometry, {**rows[osm_id], **ends})
    for row, length_m in zip(built.rows, _lengths_m(built.geometries), strict=True):
        row["length_m"] = float(length_m)
    return built


def _rivers(lines: Sequence[_Line]) -> _Built:
    built = _Built()
    parts: dict[str, list[_Piece]] = defaultdict(list)
    for piece in _pieces(lines, built):
        parts[piece.line.osm_id].append(piece)
    for osm_id, pieces in parts.items():
        tags = pieces[0].line.tags
        width_m = _measure(tags, ("width",), METRES, built.notes)
        row = {"name": tags.get("name"), "class": _codes("rivers", "river_class")[tags["waterway"]], "width_m": width_m}
        built.add(osm_id, shapely.MultiLineString([piece.coordinates for piece in pieces]), row)
    return built


def _lengths_m(lines: Sequence[BaseGeometry]) -> NDArray[np.float64]:
    """Geodesic lengths on WGS84 in metres of lines in EPSG:4326."""
    coordinates, line = shapely.get_coordinates(lines, return_index=True)
    within = line[1:] == line[:-1]
    (lon, lat), (next_lon, next_lat) = coordinates[:-1][within].T, coordinates[1:][within].T
    _, _, metres = GEOD.inv(lon, lat, next_lon, next_lat)
    return np.bincount(line[1:][within], weights=metres, minlength=len(lines)).astype(np.float64)


def _road(tags: Tags, notes: Counter[str]) -> Row:
    code = _codes("roads", "road_class")[tags["highway"]]
    return {
        "name": tags.get("name"),
        "ref": tags.get("ref"),
        "class": code,
        "speed_km_h": _speed_km_h(tags, code, notes),
        "one_way": _one_way(tags, notes),
        "access": _access(tags, code, notes),
        "bridge": tags.get("bridge", "no") != "no",
        "tunnel": tags.get("tunnel", "no") != "no",
        "layer_level": _level(tags, notes),
        "width_m": _measure(tags, ("width", "maxwidth"), METRES, notes),
        "max_height_m": _measure(tags, ("maxheight",), METRES, notes),
        "max_weight_t": _measure(tags, ("maxweight",), TONNES, notes),
        "surface": tags.get("surface"),
    }


def _speed_km_h(tags: Tags, code: str, notes: Counter[str]) -> float:
    """The legal limit in km/h, or the class's planning default; the lowest of several limits."""
    text = tags.get("maxspeed")
    if text is None or code == "path":
        notes["speeds by default of the class"] += 1
        return DEFAULT_SPEEDS_KM_H[code]
    limits = [_limit_km_h(part.strip()) for part in text.split(";")]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits):
        notes[f"maxspeed={text} not understood"] += 1
    if known:
        return min(known)
    notes["speeds by default of the class"] += 1
    return DEFAULT_SPEEDS_KM_H[code]


def _limit_km_h(text: str) -> float | None:
    """One limit in km/h: ``50``, ``30 mph``, ``walk``, ``AD:urban``, ``DE:zone:30``; None if not understood."""
    word = text.rsplit(":", 1)[-1].removeprefix("zone")
    if word in SPEED_WORDS_KM_H:
        return SPEED_WORDS_KM_H[word]
    number = _quantity(word, SPEED_UNITS)
    return number if number is not None and 0 < number <= 200 else None


def _quantity(text: str, units: Mapping[str, float]) -> float | None:
    """A number with its unit, in the unit that counts as 1; lengths also in feet and inches (``6'7"``)."""
    if units is METRES and (feet := FEET_AND_INCHES.fullmatch(text)):
        metres: float = float(feet[1]) * 0.3048 + float(feet[2] or 0) * 0.0254
        return round(metres, 6)
    found = NUMBER_AND_UNIT.fullmatch(text)
    if found is None or found[2] not in units:
        return None
    return round(float(found[1]) * units[found[2]], 6)


def _measure(tags: Tags, keys: Sequence[str], units: Mapping[str, float], notes: Counter[str]) -> float | None:
    """The first of the keys that is tagged, in metres or tonnes; None where there is no limit or no number."""
    key = next((key for key in keys if key in tags), None)
    if key is None or tags[key] in NO_LIMIT:
        return None
    value = _quantity(tags[key].strip(), units)
    if value is None:
        notes[f"{key}={tags[key]} not understood"] += 1
    return value


def _one_way(tags: Tags, notes: Counter[str]) -> str:
    """The direction of travel; roundabouts and motorways run one way unless they say otherwise.

    A way whose direction changes with the hour (``reversible``, ``alternating``) can be travelled both ways.
    """
    text = tags.get("oneway")
    if text in ONE_WAY:
        return ONE_WAY[text]
    if text in ("reversible", "alternating"):
        notes["ways of changing direction, kept as both ways"] += 1
        return "no"
    if text is not None and text not in BOTH_WAYS:
        notes[f"oneway={text} not understood"] += 1
    implied = tags.get("junction") in ("roundabout", "circular") or tags["highway"] == "motorway"
    return "forward" if implied and text not in BOTH_WAYS else "no"


def _access(tags: Tags, code: str, notes: Counter[str]) -> str | None:
    """Who may pass: people on foot on a path, motor vehicles elsewhere; the most specific key that is tagged.

    Nothing tagged is public (a busway: no); of several values the strictest counts; None when not understood.
    """
    keys = ("foot", "access") if code == "path" else ("motorcar", "motor_vehicle", "vehicle", "access")
    key = next((key for key in keys if key in tags), None)
    if key is None:
        return "no" if tags["highway"] == "busway" else "public"
    words = {**_codes("roads", "access"), **ACCESS_WORDS}
    found = [words[word.strip()] for word in tags[key].split(";") if word.strip() in words]
    if not found:
        notes[f"{key}={tags[key]} not understood"] += 1
        return None
    return max(found, key=FROM_FREE_TO_BARRED.index)


def _level(tags: Tags, notes: Counter[str]) -> int | None:
    return _integer(tags, "layer", notes, low=-10, high=10)


def _integer(tags: Tags, key: str, notes: Counter[str], low: int = 0, high: int | None = None) -> int | None:
    text = tags.get(key)
    if text is None:
        return None
    value = int(text) if re.fullmatch(r"-?\d{1,15}", text) else None
    if value is None or value < low or (high is not None and value > high):
        notes[f"{key}={text} not understood"] += 1
        return None
    return value


# --- points


@dataclass(frozen=True)
class _Spot:
    """A place with its point, and its polygon if it is drawn as an area; ``tag`` and ``code`` say what it is."""

    place: _Place
    point: BaseGeometry
    polygon: BaseGeometry | None
    row: Row
    tag: tuple[str, str]
    code: str

    @property
    def name(self) -> str | None:
        return name.casefold() if (name := self.row["name"]) else None


Made = tuple[Row, tuple[str, str], str] | str


def _points(
    places: Sequence[_Place],
    polygons: Mapping[str, BaseGeometry | None],
    make: Callable[[_Place, float | None, Counter[str]], Made],
    nodes_first: bool,
) -> _Built:
    """One row for each place that stands somewhere and is not drawn twice.

    Parameters
    ----------
    places : sequence of _Place
        The objects that fit the layer.
    polygons : mapping of str to polygon
        The areas by OSM id, in EPSG:4326; None where the rings make none.
    make : callable
        From a place and its area in m² its row, its tag and its code, or the reason why it has none.
    nodes_first : bool
        Whether a node counts more than an area of the same name around it.
    """
    built = _Built()
    spots = []
    for place in places:
        polygon = polygons.get(place.osm_id)
        point = _point(place, polygon, built.notes)
        made = make(place, _area_m2(polygon), built.notes) if point is not None else _why_nowhere(place, polygons)
        if isinstance(made, str):
            built.left_out.append((place.osm_id, made))
        elif point is not None:
            spots.append(_Spot(place, point, polygon, *made))
    twice = _twice(spots, nodes_first)
    built.left_out += twice.items()
    for spot in spots:
        if spot.place.osm_id not in twice:
            built.add(spot.place.osm_id, spot.point, spot.row)
    return built


def _point(place: _Place, polygon: BaseGeometry | None, notes: Counter[str]) -> BaseGeometry | None:
    if polygon is not None:
        return polygon.point_on_surface()
    if place.line is not None:
        notes["ways placed on their line, as they make no polygon"] += 1
        return place.line.point_on_surface()
    return place.point


def _why_nowhere(place: _Place, polygons: Mapping[str, BaseGeometry | None]) -> str:
    if place.osm_id in polygons:
        return "its rings do not make a polygon"
    if place.type not in (None, "multipolygon", "boundary"):
        return f"a relation of type {place.type} has no area"
    return "its outline is not whole in the file" if place.type is not None else "the file lacks its place"


def _area_m2(polygon: BaseGeometry | None) -> float | None:
    """The geodesic area on WGS84 in m², holes taken out; None without a polygon."""
    if polygon is None:
        return None
    area_m2, _ = GEOD.geometry_area_perimeter(shapely.orient_polygons(polygon))
    return float(abs(area_m2))


def _twice(spots: Sequence[_Spot], nodes_first: bool) -> dict[str, str]:
    """Places drawn twice: which to leave out, and the reason.

    A place inside an area is the same when both are of one kind and bear one name, or have one tag and the inner one
    has no name, or have one tag and the inner one is a node that alone has a name. The area stays, unless only the
    node has a name or nodes count more. Places of one kind and different names are different places.
    """
    areas = [spot for spot in spots if spot.polygon is not None]
    if not areas:
        return {}
    tree = shapely.STRtree([spot.polygon for spot in areas if spot.polygon is not None])
    inside, around = tree.query([spot.point for spot in spots], predicate="intersects")
    pairs = [(spots[i], areas[a]) for i, a in zip(inside, around, strict=True) if spots[i] is not areas[a]]
    pairs.sort(key=lambda pair: (-shapely.area(pair[1].polygon), pair[1].place.osm_id, pair[0].place.osm_id))
    left_out: dict[str, str] = {}
    for inner, outer in pairs:
        pair = {inner.place.osm_id, outer.place.osm_id}
        if pair & left_out.keys() or not _same(inner, outer, nodes_first):
            continue
        keep_node = inner.polygon is None and inner.name is not None and (nodes_first or outer.name is None)
        if keep_node:
            left_out[outer.place.osm_id] = f"drawn twice: {inner.place.osm_id} inside it is the same"
        else:
            left_out[inner.place.osm_id] = f"drawn twice: {outer.place.osm_id} around it is the same"
    return left_out


def _same(inner: _Spot, outer: _Spot, any_kind: bool) -> bool:
    if inner.name is not None and inner.name == outer.name:
        return any_kind or inner.code == outer.code
    if inner.tag != outer.tag:
        return False
    return inner.name is None or (outer.name is None and inner.polygon is None)


def _facility(place: _Place, area_m2: float | None, notes: Counter[str]) -> Made:
    tags = place.tags
    tag, code = _first(tags, FACILITIES)
    row = {
        "name": tags.get("name"),
        "name_en": tags.get("name:en"),
        "kind": code,
        "area_m2": area_m2,
        "capacity_persons": _integer(tags, "capacity", notes),
        "address": _address(tags),
        "phone": _phone(tags),
    }
    return row, tag, code


def _shelter_class(pairs: set[tuple[str, str]]) -> str | None:
    """``emergency``, ``hut``, ``unknown`` (a building named as shelter, of no class), or None: not a shelter."""
    if ("emergency", "assembly_point") in pairs:
        return "emergency"
    if ("emergency:social_facility", "shelter") in pairs:
        return "unknown"
    return "hut" if any(pair in pairs for pair in HUTS) else None


def _shelter(place: _Place, area_m2: float | None, notes: Counter[str]) -> Made:
    tags = place.tags
    pairs = list(_pairs(tags))
    code = _shelter_class(set(pairs)) or "unknown"
    own = {"emergency": ("emergency", "assembly_point"), "unknown": ("emergency:social_facility", "shelter")}
    tag = own.get(code) or next(pair for pair in pairs if pair in HUTS)
    row = {
        "name": tags.get("name"),
        "class": None if code == "unknown" else code,
        "capacity_persons": _integer(tags, "capacity", notes),
        "suitable_hazards": _hazards_marked(tags, "yes", notes),
        "unsuitable_hazards": _hazards_marked(tags, "no", notes),
        "designated": code != "hut",
        "address": _address(tags),
        "area_m2": area_m2,
        "indoor": True if code == "hut" else None,
        "accessible": _yes_no(tags, "wheelchair"),
        "water_supply": _yes_no(tags, "drinking_water"),
        "power_supply": _yes_no(tags, "electricity"),
        "manager": tags.get("operator"),
    }
    return row, tag, code


def _hazards_marked(tags: Tags, mark: str, notes: Counter[str]) -> list[str] | None:
    """The hazards whose ``assembly_point:<hazard>`` bears the mark; None without any."""
    found = []
    for key, value in tags.items():
        if not key.startswith("assembly_point:") or value != mark:
            continue
        word = key.removeprefix("assembly_point:")
        if (code := HAZARD_WORDS.get(word, word)) in catalog().codes["hazard"]:
            found.append(code)
        else:
            notes[f"{key} not understood"] += 1
    return sorted(set(found)) or None


def _team(place: _Place, area_m2: float | None, notes: Counter[str]) -> Made:
    """A team; one without a name goes by its operator or its OSM id, as a station must not be lost for it."""
    tags = place.tags
    tag, code = _first(tags, TEAMS)
    name = tags.get("name")
    if name is None:
        notes["teams named by operator or OSM id"] += 1
        name = tags.get("operator", place.osm_id)
    return {"name": name, "speciality": [code], "address": _address(tags), "duty_phone": _phone(tags)}, tag, code


def _settlement(place: _Place, area_m2: float | None, notes: Counter[str]) -> Made:
    tags = place.tags
    tag, code = _first(tags, SETTLEMENTS)
    if "name" not in tags:
        return "it has no name"
    return {"name": tags["name"], "kind": code, **_population(tags, notes)}, tag, code


def _population(tags: Tags, notes: Counter[str]) -> Row:
    year = re.match(r"(19|20)\d\d", tags.get("population:date", ""))
    persons = _integer(tags, "population", notes)
    return {"population_persons": persons, "population_year": int(year[0]) if year and persons is not None else None}


def _address(tags: Tags) -> str | None:
    """``addr:full``, or street and number, postcode and town; None when nothing is tagged."""
    if full := tags.get("addr:full"):
        return full
    street = " ".join(filter(None, (tags.get("addr:street") or tags.get("addr:place"), tags.get("addr:housenumber"))))
    town = " ".join(filter(None, (tags.get("addr:postcode"), tags.get("addr:city"))))
    return ", ".join(filter(None, (street, town))) or None


def _phone(tags: Tags) -> str | None:
    return tags.get("phone") or tags.get("contact:phone")


def _yes_no(tags: Tags, key: str) -> bool | None:
    """False for ``no``, None when absent or only in part, else True (``electricity=solar``)."""
    text = tags.get(key)
    return None if text in (None, "limited", "unknown") else text != "no"


# --- administrative areas


def _admin_areas(
    places: Sequence[_Place], polygons: Mapping[str, BaseGeometry | None], admin_levels: Mapping[int, str]
) -> _Built:
    built = _Built()
    for place in places:
        made = _admin_area(place, polygons, admin_levels, built.notes)
        if isinstance(made, str):
            built.left_out.append((place.osm_id, made))
        else:
            polygon = polygons[place.osm_id]
            parts = shapely.get_parts(polygon)
            built.add(place.osm_id, shapely.MultiPolygon(list(parts)), made)
    _add_parents(built)
    return built


def _admin_area(
    place: _Place, polygons: Mapping[str, BaseGeometry | None], admin_levels: Mapping[int, str], notes: Counter[str]
) -> Row | str:
    tags = place.tags
    text = tags.get("admin_level")
    if text is None:
        return "it has no admin_level"
    if not text.isdecimal() or int(text) not in admin_levels:
        return f"admin_level={text} is no level of this layer"
    if polygons.get(place.osm_id) is None:
        return _why_nowhere(place, polygons)
    if "name" not in tags:
        return "it has no name"
    names = {"name": tags["name"], "name_en": tags.get("name:en"), "level": admin_levels[int(text)]}
    return {**names, **_population(tags, notes)}


def _add_parents(built: _Built) -> None:
    """Give each area the nearest coarser one of this extract that covers a point on its surface."""
    if not built.rows:
        return
    tree = shapely.STRtree(built.geometries)
    inside, around = tree.query([g.point_on_surface() for g in built.geometries], predicate="intersects")
    for child, parent in sorted(zip(inside, around, strict=True)):
        row, above = built.rows[child], built.rows[parent]
        rank = LEVELS.index(above["level"])
        if rank < LEVELS.index(row["level"]) and rank > row.get("parent_rank", -1):
            row |= {"parent_code": above["source_id"], "parent_name": above["name"], "parent_rank": rank}
