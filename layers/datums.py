"""Which datum the points of a file are in, told by the roads and buildings that the store holds.

Chinese map services give coordinates in GCJ-02 or BD-09, hundreds of metres from WGS 84, and files seldom say so.
Points read in the right datum lie at roads and buildings; read in another one, they lie beside them. The method stands
in docs/methods/datums.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.catalog import Catalog, catalog
from layers.coordinates import DATUMS, HALF, Floats, from_wgs84, in_china, points_to_wgs84
from layers.database import Cursor, rows, sql, statement
from layers.definition import Definition
from layers.tables import table

WGS84 = "WGS 84"
READINGS = (WGS84, *DATUMS)
NEAR_M, REFERENCE_M = 50, 2000
POINTS_AT_MOST, POINTS_AT_LEAST = 1000, 20
MARGIN, ODDS, SIGNIFICANCE = 0.15, 3.0, 0.005
SAME_PLACE = 6  # decimals of a degree, a tenth of a metre
# where map services do not shift what they show: Taiwan, Penghu, Kinmen, Matsu, Dongyin
UNSHIFTED = (
    (119.95, 21.7, 122.2, 25.4),
    (119.2, 23.1, 119.8, 23.9),
    (118.205, 24.38, 118.5, 24.53),
    (119.9, 25.93, 120.0, 26.26),
    (120.45, 26.34, 120.52, 26.4),
)
SQL = Path(__file__).parent / "sql" / "datum_fit.sql"
COLUMNS = ("lon", "lat", "wgs_lon", "wgs_lat", "gcj_lon", "gcj_lat", "bd_lon", "bd_lat")
OPTIONS = {WGS84: "EPSG:4326", **{datum: datum for datum in DATUMS}}


class Sample:
    """Every k-th point of a file of any size, k a power of two, 1000 at most."""

    def __init__(self) -> None:
        self.points: NDArray[np.float64] = np.empty((0, 2))
        self._every = 1
        self._seen = 0

    def add(self, geometries: NDArray[Any]) -> None:
        """Take note of the points among further geometries of the file, in EPSG:4326."""
        points = shapely.get_coordinates(geometries[shapely.get_type_id(geometries) == 0])
        self.points = np.concatenate([self.points, points[-self._seen % self._every :: self._every]])
        self._seen += len(points)
        while len(self.points) > POINTS_AT_MOST:
            self.points = self.points[::2]
            self._every *= 2


@dataclass(frozen=True)
class Fit:
    """How well points fit roads and buildings under each datum.

    Parameters
    ----------
    read_as : str
        The datum in which they were read.
    shares : dict of datum to float
        The share of points within 50 m of a road or building; empty when none could be judged.
    n : int
        Points with a road or building within 2 km: only these are judged.
    verdict : str
        ``fits``, ``better:`` and the datum, or ``cannot tell``.
    """

    read_as: str
    shares: dict[str, float]
    n: int
    verdict: str

    def report(self) -> dict[str, Any]:
        """The members, for a report."""
        return asdict(self)

    def notes(self) -> list[str]:
        """A sentence for the one who imports; none when the points fit."""
        if self.verdict == "fits":
            return []
        shares = {datum: f"{100 * share:.0f} %" for datum, share in self.shares.items()}
        if self.verdict == "cannot tell":
            if self.n < POINTS_AT_LEAST:
                why = f"{self.n} of its places have roads or buildings within 2 km, {POINTS_AT_LEAST} are needed"
            else:
                why = "within 50 m of roads and buildings are " + ", ".join(f"{s} as {d}" for d, s in shares.items())
            return [f"whether the file is in {', '.join(READINGS[:-1])} or {READINGS[-1]} cannot be told: {why}"]
        better = self.verdict.removeprefix("better:")
        return [
            f"the points fit roads and buildings better as {better} ({shares[better]} within {NEAR_M} m) "
            f"than as {self.read_as} ({shares[self.read_as]}): is --crs {OPTIONS[better]} right?"
        ]


def fit(cursor: Cursor, definition: Definition, points: NDArray[np.float64], crs: str | None) -> Fit | None:
    """How well the points of a file fit roads and buildings; None when most lie where no map service shifts them.

    Parameters
    ----------
    cursor : Cursor
    definition : Definition
        The layer that the points are for. What it holds itself is no evidence: it may come from the same file.
    points : ndarray of float, shape (n, 2)
        Longitude and latitude in WGS 84, as they were read.
    crs : str or None
        The CRS in which they were read.
    """
    places = np.unique(points.round(SAME_PLACE), axis=0)
    shifted = shifted_there(places[:, 0], places[:, 1])
    if not len(places) or shifted.mean() < HALF:
        return None
    places = places[shifted]
    read_as = crs if crs in DATUMS else WGS84
    near = _near(cursor, references(catalog(), definition), places, read_as)
    n = len(near)
    shares = (
        {datum: round(float(share), 4) for datum, share in zip(READINGS, near.mean(axis=0), strict=True)} if n else {}
    )
    return Fit(read_as, shares, n, verdict(near, read_as))


def shifted_there(lon: Floats, lat: Floats) -> NDArray[np.bool_]:
    """Whether map services shift what they show at points in WGS 84."""
    inside = in_china(lon, lat)
    for west, south, east, north in UNSHIFTED:
        inside &= ~((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))
    return inside


def references(book: Catalog, definition: Definition) -> list[Definition]:
    """The layers with roads (lines of the base map) and buildings (points where people are), less the one given."""
    kinds = {("basemap", "LineString"), ("people", "Point")}
    return [
        one for one in book.values() if one.map and (one.map.group, one.geometry) in kinds and one.id != definition.id
    ]


def verdict(near: NDArray[np.bool_], read_as: str) -> str:
    """What points say of their datum, given whether each lies near a road or building under each of ``READINGS``.

    The best datum is taken when it is clearly better than each of the others, and there are points enough.
    """
    if len(near) < POINTS_AT_LEAST:
        return "cannot tell"
    best = int(np.argmax(near.sum(axis=0)))
    others = [number for number in range(len(READINGS)) if number != best]
    if not all(_clearly_better(near[:, best], near[:, other]) for other in others):
        return "cannot tell"
    return "fits" if READINGS[best] == read_as else f"better:{READINGS[best]}"


def _clearly_better(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Whether more points are near under one reading than under the other: by much, and not by chance.

    By much: a share greater by 0.15, and odds three times as great. Not by chance: McNemar's exact test, one-sided, on
    the points that are near under one reading only.
    """
    share, other_share = float(one.mean()), float(other.mean())
    by_much = share - other_share >= MARGIN and share * (1 - other_share) >= ODDS * other_share * (1 - share)
    gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
    return by_much and _tail(gained, gained + lost) <= SIGNIFICANCE


def _tail(heads: int, throws: int) -> float:
    """The chance of so many heads or more."""
    more: int = sum(comb(throws, number) for number in range(heads, throws + 1))
    return more / (1 << throws)


def _near(cursor: Cursor, layers: list[Definition], places: NDArray[np.float64], read_as: str) -> NDArray[np.bool_]:
    """Whether each place that can be judged is near roads or buildings under each of ``READINGS``."""
    read = (places[:, 0], places[:, 1])
    written = from_wgs84(*read, read_as)
    columns = np.array([*read, *(part for datum in READINGS for part in points_to_wgs84(OPTIONS[datum], *written))])
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    if not layers or not columns.size:
        return np.empty((0, len(READINGS)), bool)
    known = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT geom::geography AS place FROM {} WHERE NOT sample").format(table(layer)) for layer in layers
    )
    values = dict(zip(COLUMNS, columns.tolist(), strict=True)) | {"near_m": NEAR_M, "reference_m": REFERENCE_M}
    found = np.array(rows(cursor, sql.SQL(statement(SQL)).format(known=known), values), bool)
    return found[found[:, 0], 1:]
