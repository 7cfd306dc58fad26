"""Columns that several layers fill in the same way: dates, made-up people and numbers, choices."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

LAYERS = Path(__file__).parents[1]

Objects = npt.NDArray[np.object_]


def dates(now: datetime, days_before: npt.ArrayLike, missing: npt.ArrayLike | None = None) -> Objects:
    """``datetime.date`` so many days before ``now``, None where ``missing``."""
    today = np.datetime64(now.date())
    days = np.asarray(days_before).astype("timedelta64[D]")
    result: Objects = (today - days).astype(object)
    if missing is not None:
        result[np.asarray(missing)] = None
    return result


def with_none(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in which texts, codes and dates that are unknown are None instead of NaN; equal texts are shared."""
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.StringDtype):
            number, texts = pd.factorize(column)
            values = np.array([*texts, None], dtype=object)[number]
            frame[name] = pd.Series(values, index=frame.index, dtype=object)
        elif column.dtype == object:
            values = column.to_numpy(dtype=object, copy=True)
            values[column.isna().to_numpy()] = None
            frame[name] = pd.Series(values, index=frame.index, dtype=object)
    return frame


def people(role: str, count: int, several: int = 1) -> Objects:
    """Plainly invented names; each serves ``several`` rows."""
    number = pd.Series(np.arange(count) // several + 1).astype(str).str.zfill(3)
    return np.asarray((f"示例{role}" + number).to_numpy(dtype=object))


def phones(count: int, start: int = 1, several: int = 1) -> Objects:
    """Telephone numbers that cannot be real: 000-0000-0001 and so on."""
    number = pd.Series(np.arange(count) // several + start).astype(str).str.zfill(8)
    return np.asarray(("000-" + number.str[:4] + "-" + number.str[4:]).to_numpy(dtype=object))


def chosen(weights: Mapping[str | None, float] | Mapping[str, float], count: int, rng: np.random.Generator) -> Objects:
    """Values drawn with the weights; None stands for unknown."""
    share = np.array(list(weights.values()))
    values = np.array(list(weights), dtype=object)
    return np.asarray(values[rng.choice(len(values), count, p=share / share.sum())])


def numbered(stems: npt.ArrayLike, ends: npt.ArrayLike) -> Objects:
    """Names of stem and end; a name that comes again has its number between them."""
    frame = pd.DataFrame({"stem": np.asarray(stems, dtype=object), "end": np.asarray(ends, dtype=object)})
    again = frame.groupby(["stem", "end"], sort=False).cumcount().to_numpy()
    number = np.where(again > 0, pd.Series(again + 1).astype(str).to_numpy(dtype=object) + "号", "")
    result: Objects = frame["stem"].to_numpy(dtype=object) + number + frame["end"].to_numpy(dtype=object)
    return result


def whole(values: npt.ArrayLike, missing: npt.ArrayLike | None = None) -> pd.Series:
    """Whole numbers, null where ``missing``."""
    series = pd.Series(np.asarray(values).astype(np.int64)).astype("Int64")
    return series if missing is None else series.mask(np.asarray(missing))


def lists(values: Sequence[Sequence[str]]) -> Objects:
    """A column that holds a list in each row."""
    column = np.empty(len(values), dtype=object)
    column[:] = [list(value) for value in values]
    return column


def field_names(layer: str) -> list[str]:
    """Names of the layer's fields in the order of its definition."""
    text = (LAYERS / "definitions" / f"{layer}.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["fields"])


def moments(now: datetime, minutes: npt.ArrayLike, missing: npt.ArrayLike) -> pd.api.extensions.ExtensionArray:
    """Moments so many minutes before ``now``, null where ``missing``."""
    moment = pd.Timestamp(now).tz_convert("UTC") - pd.to_timedelta(np.asarray(minutes), unit="min")
    return pd.Series(moment.as_unit("s")).mask(np.asarray(missing)).array


def stated_minutes(count: int, stale: float, stale_after_h: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Minutes since values were stated: a share of them ``stale``, older than the hours that are allowed."""
    longest = stale_after_h * 60
    fresh = np.exp(rng.uniform(np.log(5), np.log(0.9 * longest), count))
    old = longest * rng.uniform(1.2, 9, count)
    return np.asarray(np.where(rng.random(count) < stale, old, fresh).astype(np.int64))


def stated(layer: str, count: int, now: datetime, rng: np.random.Generator) -> pd.api.extensions.ExtensionArray:
    """When the rows were true: minutes to days ago for what changes quickly, up to a year for the rest; 3 % unknown."""
    quick = {"shelters": (5, 14_400), "rescue_teams": (5, 7_200), "incidents": (5, 20), "road_closures": (5, 300)}
    shortest, longest = quick.get(layer, (1_440, 525_600))
    minutes = np.round(np.exp(rng.uniform(np.log(shortest), np.log(longest), count))).astype(int)
    return moments(now, minutes, rng.random(count) < (0 if layer in ("incidents", "road_closures") else 0.03))
