"""Who travels: how fast on which road, what they may not use; one TOML file a profile in ``profiles/``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy
from numpy.typing import NDArray

from gis.network import Floats, Network
from layers.definition import Model, Words
from layers.errors import InvalidValue

FOLDER = Path(__file__).parent / "profiles"
DEFAULT = "fire_engine"


class Slope(Model):
    """How much slower it is on a slope: ratios of speed at grades (rise by run, uphill positive), linear in between."""

    grades: tuple[float, ...]
    ratios: tuple[float, ...]


class Profile(Model):
    """A vehicle or a walker.

    Parameters
    ----------
    speeds_km_h : dict
        By class of road; 0 bars the class.
    default_speed_km_h : float
        Where the class is unknown.
    stated_speed_ratio : float
        How much of the speed stated for a road it keeps up; 0: what is stated is for others.
    speed_at_most_km_h : float
        Never faster.
    one_way : bool
        Whether it keeps to one-way streets.
    barred_access : tuple of str
        Codes of access that keep it out.
    turn_restrictions : str
        ``left_out``: they are not looked at, and the answer says so; ``not_for_walkers``: there are none for it.
    width_m, height_m, weight_t : float, optional
        What it needs; roads with a lower limit are barred, roads without a known limit are not.
    slope : Slope, optional
        How slopes slow it down; without it, not at all.
    """

    title: Words
    note: Words
    speeds_km_h: dict[str, float]
    default_speed_km_h: float
    stated_speed_ratio: float
    speed_at_most_km_h: float
    one_way: bool
    barred_access: tuple[str, ...]
    turn_restrictions: Literal["left_out", "not_for_walkers"]
    width_m: float | None = None
    height_m: float | None = None
    weight_t: float | None = None
    slope: Slope | None = None


@lru_cache(maxsize=1)
def profiles() -> dict[str, Profile]:
    """The profiles by id."""
    return {
        path.stem: Profile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")), strict=False)
        for path in sorted(FOLDER.glob("*.toml"))
    }


def profile(name: str) -> Profile:
    """A profile by id.

    Raises
    ------
    InvalidValue
        When there is none of that name.
    """
    known = profiles()
    if name not in known:
        raise InvalidValue(f"there is no profile {name[:80]!r}", parameter="profile", expected=", ".join(known))
    return known[name]


def edge_times_s(
    network: Network, who: Profile, classes: Sequence[str], accesses: Sequence[str], rise_m: Floats | None = None
) -> Floats:
    """How long each edge takes along it and against it, in seconds; infinite where it is barred.

    Parameters
    ----------
    network : Network
        With E edges.
    who : Profile
        Who travels.
    classes, accesses : sequence of str
        The code lists that the network's numbers point into.
    rise_m : array of float, shape (E,), optional
        How much higher the last node lies than the first, metres; NaN where it is unknown, which counts as level.

    Returns
    -------
    array of float, shape (E, 2)

    Notes
    -----
    Length by speed. The speed is the one stated for the road times ``stated_speed_ratio``, or that of its class, at
    most ``speed_at_most_km_h``; times the ratio of the slope between both ends. Ups and downs within an edge are not
    seen; bridges and tunnels count as level.
    """
    of_class = numpy.array([who.speeds_km_h.get(name, who.default_speed_km_h) for name in classes])
    speed = numpy.append(of_class, who.default_speed_km_h)[network.edge_class]
    stated = network.edge_speed_km_h * who.stated_speed_ratio
    speed = numpy.where((speed > 0) & (stated > 0), stated, speed)
    speed = numpy.minimum(speed, who.speed_at_most_km_h)
    speed[_barred(network, who, accesses) | (numpy.append(of_class, 1.0)[network.edge_class] <= 0)] = 0.0
    both = numpy.stack([speed, speed], axis=1)
    if who.slope is not None and rise_m is not None:
        length = numpy.maximum(network.edge_length_m, 1.0)
        grade = numpy.where(network.edge_raised | numpy.isnan(rise_m), 0.0, rise_m / length)
        for column, way in ((0, grade), (1, -grade)):
            both[:, column] *= numpy.interp(way, who.slope.grades, who.slope.ratios)
    if who.one_way:
        both[network.edge_one_way < 0, 0] = 0.0
        both[network.edge_one_way > 0, 1] = 0.0
    with numpy.errstate(divide="ignore", invalid="ignore"):
        times: Floats = network.edge_length_m[:, None] / both * 3.6
    times[both <= 0] = numpy.inf
    return times


def _barred(network: Network, who: Profile, accesses: Sequence[str]) -> NDArray[numpy.bool_]:
    """The edges that a profile may not use at all, or does not fit."""
    shut = numpy.append(numpy.array([name in who.barred_access for name in accesses], dtype=bool), False)
    barred: NDArray[numpy.bool_] = shut[network.edge_access]
    for column, needed in enumerate((who.width_m, who.height_m, who.weight_t)):
        if needed is not None:
            barred |= network.edge_limits[:, column] < needed  # of an unknown limit: false
    return barred
