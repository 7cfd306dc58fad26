"""What the environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from layers.errors import InvalidValue
from layers.settings import Settings, settings


@pytest.fixture(autouse=True)
def _anew() -> object:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("given", [None, "", "here", "./here"])
def test_home_is_absolute(given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEEWARD_HOME")
    if given is not None:
        monkeypatch.setenv("LEEWARD_HOME", given)
    assert settings().home == tmp_path / ("here" if given else ".leeward")


def test_host_is_loopback_unless_told_otherwise() -> None:
    assert Settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "datum"),
    [
        ("https://example.org/{z}/{x}/{y}.png", "GCJ-02"),
        ("https://example.org/{z}/{x}/{y}.png", "BD-09"),
        ("https://webrd01.is.autonavi.com/appmaptile?x={x}&y={y}&z={z}", "WGS84"),
    ],
)
def test_a_basemap_of_another_datum_is_refused(url: str, datum: str) -> None:
    chosen = Settings(basemap_url=url, basemap_datum=datum, basemap_attribution="somebody")
    with pytest.raises(InvalidValue, match="500 m"):
        chosen.checked_basemap()


def test_a_basemap_names_its_owner() -> None:
    chosen = Settings(basemap_url="https://example.org/{z}/{x}/{y}.png", basemap_datum="CGCS2000")
    with pytest.raises(InvalidValue, match="attribution"):
        chosen.checked_basemap()
    named = chosen.model_copy(update={"basemap_attribution": "somebody"})
    assert named.checked_basemap() is not None
