"""The settings: the only reader of the environment."""

from __future__ import annotations

import ipaddress
import os
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from layers.errors import InvalidValue

GCJ_02_HOSTS = ("autonavi", "amap.com", "gtimg", "map.qq.com", "baidu", "bdimg", "google.cn", "googleapis.cn")


class Settings(BaseModel):
    """What the environment says, each with a default; names are LEEWARD_ and the field in capitals."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    home: Path = Field(default=Path(".leeward"), description="Where Leeward keeps its data")
    database_url: str | None = Field(default=None, description="Another PostGIS; unset: the embedded one")
    served_database_url: str | None = Field(default=None, description="Set by `leeward serve` for its workers")
    definitions: str | None = Field(default=None, description="Folders of further layer definitions")
    area: str | None = Field(default=None, description="An admin area's code, or west,south,east,north")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    forwarded_allow_ips: str = Field(default="127.0.0.1,::1", description="Proxies whose X-Forwarded headers count")
    workers: int = Field(default=min(2, os.cpu_count() or 1), ge=1, le=64)
    pool_size: int = Field(default=8, ge=1, le=200, description="Database connections of one worker")
    tile_cache_mb: int = Field(default=128, ge=0, description="Tiles that one worker keeps; 0: none")
    statement_timeout_ms: int = Field(default=15_000, ge=100)
    basemap_url: str | None = Field(default=None, description="An online raster basemap, {z}/{x}/{y} template")
    basemap_attribution: str = ""
    basemap_datum: str = "WGS84"
    web: Path = Field(default=Path(__file__).parent.parent / "web" / "dist", description="The built web app")

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @property
    def is_loopback(self) -> bool:
        """Whether the service listens where only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def checked_basemap(self) -> dict[str, object] | None:
        """The online basemap, or None when none is set.

        Raises
        ------
        InvalidValue
            When its datum is not WGS 84 or CGCS2000: on GCJ-02 or BD-09 tiles every point would
            stand some 500 to 1100 m off.
        """
        if self.basemap_url is None:
            return None
        datum = self.basemap_datum.upper().replace("-", "").replace(" ", "")
        if datum not in ("WGS84", "CGCS2000") or any(host in self.basemap_url.lower() for host in GCJ_02_HOSTS):
            raise InvalidValue(
                "the basemap is not in WGS 84 or CGCS2000: points would stand some 500 m off on it",
                parameter="LEEWARD_BASEMAP_URL",
                expected="a basemap such as Tianditu (CGCS2000), with LEEWARD_BASEMAP_DATUM to say so",
            )
        if not self.basemap_attribution:
            raise InvalidValue(
                "the basemap has no attribution",
                parameter="LEEWARD_BASEMAP_ATTRIBUTION",
                expected="the words its owner asks for",
            )
        return {"url": self.basemap_url, "attribution": self.basemap_attribution, "tile_size": 256, "max_zoom": 18}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    given = {name: os.environ.get(f"LEEWARD_{name.upper()}") for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: text for name, text in given.items() if text})
    except ValidationError as error:
        first = error.errors()[0]
        name = f"LEEWARD_{first['loc'][0]}".upper()
        raise InvalidValue(f"{first['input']!r} will not do", parameter=name, expected=first["msg"]) from None
