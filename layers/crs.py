"""The coordinate reference systems in which features are given out and asked for, by URI.

Each names the stored column that bears its coordinates, so that nothing is transformed when features are read. CGCS2000
(EPSG:4490) lies within half a metre of WGS 84; the values stay, as everywhere here (see docs/methods/datums.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from layers.errors import InvalidValue

HALF_WORLD_M = math.pi * 6_378_137.0
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


@dataclass(frozen=True)
class Crs:
    """A coordinate reference system.

    Parameters
    ----------
    uri : str
        Its name.
    srid : int
        The one of the stored column.
    column : str
        The stored column.
    half_world : float
        The coordinate of the antimeridian, degrees or metres.
    decimals : int
        Digits after the point in GeoJSON: a centimetre.
    north_first : bool
        Whether latitude or northing stands first.
    """

    uri: str
    srid: int
    column: str
    half_world: float
    decimals: int
    north_first: bool = False

    @property
    def is_degrees(self) -> bool:
        """Whether coordinates are degrees."""
        return self.srid == 4326


CRS84 = Crs("http://www.opengis.net/def/crs/OGC/1.3/CRS84", 4326, "geom", 180.0, 7)
KNOWN = {
    crs.uri: crs
    for crs in (
        CRS84,
        Crs(f"{EPSG}4326", 4326, "geom", 180.0, 7, north_first=True),
        Crs(f"{EPSG}3857", 3857, "geom_3857", HALF_WORLD_M, 2),
        Crs(f"{EPSG}4490", 4326, "geom", 180.0, 7, north_first=True),
    )
}
SHORT = {f"EPSG:{uri.removeprefix(EPSG)}": crs for uri, crs in KNOWN.items() if uri.startswith(EPSG)}


def crs_of(name: str, parameter: str = "crs") -> Crs:
    """The CRS of a URI, or of ``EPSG:n``.

    Raises
    ------
    InvalidValue
        When it is none of those that are served.
    """
    found = KNOWN.get(name) or SHORT.get(name)
    if found is None:
        raise InvalidValue(f"no CRS {name[:100]!r} is served", parameter=parameter, expected=", ".join(KNOWN))
    return found
