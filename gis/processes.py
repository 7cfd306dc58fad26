"""The analyses that can be run: each is declared once, and reached by notebook, command line and HTTP.

``PROCESSES[id].run(readers, roads, inputs)`` is what all three call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gis.access import access
from gis.matrix import matrix
from gis.nearest import Question, nearest
from gis.nearest_by_road import nearest_by_road
from gis.roads import Roads, Situation
from gis.service_area import BANDS_S, service_area
from layers.catalog import catalog
from layers.database import Readers
from layers.definition import Words
from layers.errors import InvalidValue, NotFound

PLACES_AT_MOST = 100_000


def _on_earth(place: list[float]) -> list[float]:
    lon, lat = place
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise ValueError("a place lies outside the world: [longitude, latitude] in degrees")
    return place


Place = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_on_earth)]


class Inputs(BaseModel):
    """What every analysis by road takes; other names are refused."""

    model_config = ConfigDict(extra="forbid")

    profile: str | None = Field(None, max_length=50, description="Who travels: fire_engine (without it), car, foot")
    at: AwareDatetime | None = Field(None, description="The moment for which closures are judged; without it: now")
    hazard: str | None = Field(None, max_length=50, description="The hazard whose danger zones close roads")

    def situation(self, readers: Readers, roads: Roads, layers: list[str], wait: bool) -> Situation:
        """The network as it may be used."""
        moment: datetime | None = self.at
        return roads.situation(readers, self.profile, moment, self.hazard, layers, wait=wait)


class NearestInputs(Inputs):
    """Where, and of which layers."""

    lon: float = Field(description="The incident: degrees east, WGS 84")
    lat: float = Field(description="The incident: degrees north, WGS 84")
    layers: list[str] = Field([], max_length=32, description="Layers; without any: shelters, teams and depots")
    k: int | None = Field(None, description="Items a layer")
    by: Literal["line", "road"] = Field("road", description="By road, or in a straight line")
    places: int | None = Field(None, description="Places needed, persons")
    open: bool = Field(False, description="Rank only what is stated to be open")
    max_s: float | None = Field(None, description="The longest travel time, seconds")
    max_m: float | None = Field(None, description="The greatest distance, metres")
    route: bool = Field(False, description="Whether the ways are told")

    def run(self, readers: Readers, roads: Roads, wait: bool) -> dict[str, Any]:
        """The answer."""
        question = Question(
            lon=self.lon, lat=self.lat, layers=tuple(self.layers), k=self.k, hazard=self.hazard, places=self.places,
            open=self.open, max_m=self.max_m, by=self.by, profile=self.profile, max_s=self.max_s, at=self.at,
            route=self.route,
        )  # fmt: skip
        if self.by == "road":
            return nearest_by_road(readers, roads, question, wait=wait)
        return nearest(readers, question)


class MatrixInputs(Inputs):
    """Between which places."""

    origins: list[Place] = Field(min_length=1, max_length=PLACES_AT_MOST, description="[[lon, lat], …], WGS 84")
    destinations: list[Place] = Field(min_length=1, max_length=PLACES_AT_MOST, description="[[lon, lat], …], WGS 84")
    max_s: float | None = Field(None, gt=0, description="The longest travel time, seconds")

    def run(self, readers: Readers, roads: Roads, wait: bool) -> dict[str, Any]:
        """The answer."""
        return matrix(self.situation(readers, roads, [], wait), self.origins, self.destinations, self.max_s)


class ServiceAreaInputs(Inputs):
    """From where, how far."""

    places: list[Place] = Field(min_length=1, max_length=200, description="[[lon, lat], …], WGS 84")
    bands_s: list[float] = Field(list(BANDS_S), max_length=10, description="The upper ends of the bands, seconds")
    travel: Literal["from_place", "to_place"] = Field("from_place", description="From the places, or to them")

    def run(self, readers: Readers, roads: Roads, wait: bool) -> dict[str, Any]:
        """The answer."""
        people = [definition.id for definition in catalog().values() if definition.demand is not None]
        return service_area(self.situation(readers, roads, people, wait), self.places, self.bands_s, self.travel)


class AccessInputs(Inputs):
    """To what."""

    layer: str = Field("shelters", max_length=50, description="The layer of the items that are travelled to")

    def run(self, readers: Readers, roads: Roads, wait: bool) -> dict[str, Any]:
        """The answer."""
        people = [definition.id for definition in catalog().values() if definition.demand is not None]
        known = [self.layer] if self.layer in catalog() else []
        return access(self.situation(readers, roads, [*people, *known], wait), self.layer)


@dataclass(frozen=True)
class Process:
    """An analysis that can be run.

    Parameters
    ----------
    inputs : type
        What it takes; its method ``run`` is the analysis.
    """

    id: str
    title: Words
    description: str
    inputs: type[NearestInputs | MatrixInputs | ServiceAreaInputs | AccessInputs]

    def run(self, readers: Readers, roads: Roads, given: Mapping[str, Any], *, wait: bool = True) -> dict[str, Any]:
        """What the analysis answers.

        Raises
        ------
        InvalidValue
            When an input is missing, unknown or not valid.
        """
        try:
            inputs = self.inputs.model_validate(given)
        except ValidationError as error:
            # a name that there is not explains one that is missing
            first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
            name = ".".join(str(part) for part in first["loc"]) or "inputs"
            words = str(first["msg"]).removeprefix("Value error, ")
            raise InvalidValue(f"{name}: {words}", parameter=name, expected=_expected(self, first)) from None
        return inputs.run(readers, roads, wait)

    def described(self) -> dict[str, Any]:
        """Id, titles, and the schema of the inputs."""
        schema = self.inputs.model_json_schema()
        required = schema.get("required", [])
        return {
            "id": self.id,
            "title": self.title.en,
            "title_zh": self.title.zh,
            "description": self.description,
            "version": "1.0.0",
            "jobControlOptions": ["sync-execute"],
            "inputs": {
                name: {
                    "title": name,
                    "description": one.get("description", ""),
                    "minOccurs": int(name in required),
                    "schema": one,
                }
                for name, one in schema["properties"].items()
            },
            "outputs": {"answer": {"title": "The answer", "schema": {"type": "object"}}},
        }


def _expected(process: Process, error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return ", ".join(process.inputs.model_fields)
    field = process.inputs.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    return field.description or "" if field is not None else "the inputs of /processes/" + process.id


PROCESSES: Mapping[str, Process] = {
    process.id: process
    for process in (
        Process(
            "nearest", Words(zh="最近的避难场所、队伍与物资", en="Nearest shelters, teams and depots"),
            "The items nearest to an incident by road or in a straight line, and why not the nearer ones",
            NearestInputs,
        ),
        Process(
            "matrix", Words(zh="道路时间矩阵", en="Travel time matrix"),
            "Travel times by road between many places and many others", MatrixInputs,
        ),
        Process(
            "service-area", Words(zh="服务范围", en="Service area"),
            "The ground that is reached by road within some minutes, and the people who live there", ServiceAreaInputs,
        ),
        Process(
            "access", Words(zh="居民点到最近场所的时间", en="Time of each settlement to the nearest"),
            "How long each settlement needs by road to the nearest item that is open", AccessInputs,
        ),
    )
}  # fmt: skip


def process(process_id: str) -> Process:
    """A process by id.

    Raises
    ------
    NotFound
        When there is none of that name.
    """
    found = PROCESSES.get(process_id)
    if found is None:
        expected = ", ".join(PROCESSES)
        raise NotFound(f"there is no process {process_id[:80]!r}", parameter="process", expected=expected)
    return found
