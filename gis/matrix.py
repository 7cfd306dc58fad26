"""Travel times by road between many places and many others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from gis.journey import Journey, Passage
from gis.network import Floats
from gis.roads import SNAP_AT_MOST_M, Situation
from gis.travel import FOREVER_S, Stops
from layers.errors import InvalidValue

PAIRS_AT_MOST, SEARCHES_AT_MOST = 10_000_000, 200
FEW, FIRST_LIMIT_S = 100, 900.0


def matrix_s(here: Situation, origins: Floats, destinations: Floats, limit_s: float = FOREVER_S) -> Floats:
    """Travel times from origins to destinations, in seconds; infinite where there is no way within the limit.

    Parameters
    ----------
    here : Situation
        The network as it may be used.
    origins : array of float, shape (N, 2)
        Longitude and latitude, WGS 84, degrees.
    destinations : array of float, shape (M, 2)
        The same.
    limit_s : float
        How far to look, seconds.

    Returns
    -------
    array of float, shape (N, M)

    Notes
    -----
    One search for each place of the shorter side, in the direction of travel or against it. The walks between places
    and roads are counted. Closures that begin later are not looked at.

    Raises
    ------
    InvalidValue
        When there are more than 10⁷ pairs, or more than 200 places on the shorter side: each is a search.
    """
    if min(len(origins), len(destinations)) > SEARCHES_AT_MOST:
        expected = f"{SEARCHES_AT_MOST} at most on the shorter side"
        raise InvalidValue("too many places on both sides", parameter="destinations", expected=expected)
    if len(origins) * len(destinations) > PAIRS_AT_MOST:
        raise InvalidValue("too many pairs", parameter="destinations", expected=f"{PAIRS_AT_MOST} pairs at most")
    towards = len(destinations) < len(origins)
    few, many = (destinations, origins) if towards else (origins, destinations)
    stops = here.open_ways.stops(numpy.asarray(many, dtype=float).reshape(-1, 2), SNAP_AT_MOST_M)
    rows = [_row(here, lon, lat, stops, towards=towards, limit_s=limit_s) for lon, lat in few]
    table = numpy.array(rows).reshape(len(few), len(many))
    return table.T if towards else table


def _row(here: Situation, lon: float, lat: float, stops: Stops, *, towards: bool, limit_s: float) -> Floats:
    stop = here.ways.stop(lon, lat, SNAP_AT_MOST_M)
    journey = Journey(here.ways, Passage.of(here.ways, here.mask, stop), stops, towards=towards)
    reach = FIRST_LIMIT_S if stops.count <= FEW else limit_s
    while True:  # a few others may all be near: then the rest of the network need not be visited
        reach = min(reach, limit_s)
        journey.found(here.ways, journey.search(reach, ways_wanted=False))
        if reach >= limit_s or (journey.seconds <= reach).all():
            return numpy.where(journey.seconds <= reach, journey.seconds, numpy.inf)
        reach = reach * 4 if reach < 60_000 else limit_s


def matrix(here: Situation, origins: Sequence[Sequence[float]], destinations: Sequence[Sequence[float]],
           max_s: float | None = None) -> dict[str, Any]:  # fmt: skip
    """The same with what it rests on: ``travel_time_s``, rows by origin; None where there is no way."""
    limit = FOREVER_S if max_s is None else max_s
    seconds = matrix_s(here, numpy.array(origins, dtype=float), numpy.array(destinations, dtype=float), limit)
    rows = [[round(one, 1) if numpy.isfinite(one) else None for one in row] for row in seconds.tolist()]
    return {"travel_time_s": rows, "network": here.told()}
