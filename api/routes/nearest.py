"""The items nearest to an incident."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter
from fastapi import Query as QueryParameters
from pydantic import Field
from starlette.responses import Response

from api.access import InView
from api.context import InContext
from api.parameters import Number, Query, moment_of, names_of, unknown_parameter
from gis.nearest import K_AT_MOST, Question, nearest_json
from gis.nearest_by_road import nearest_by_road
from gis.roads import Roads
from layers.database import Readers

router = APIRouter(tags=["Nearest"])
GEOJSON = "application/geo+json"
BY_ROAD = ("max_s", "route", "profile", "at")
EXAMPLE: dict[str, Any] = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "shelters.81",
            "geometry": {"type": "Point", "coordinates": [105.5512, 27.3044]},
            "properties": {
                "name": "马鞍中学避难场所", "class": "short", "status": "open", "capacity_persons": 600,
                "occupancy_persons": 180, "layer": "shelters", "fid": 81, "rank": 1, "distance_m": 812.406,
                "bearing_deg": 141.2, "places_persons": 420, "suitability": "suitable", "age_s": 5400, "sample": True,
            },
        }
    ],
    "skipped": [
        {
            "id": "shelters.7", "layer": "shelters", "fid": 7, "name": "李家湾活动室", "distance_m": 390.118,
            "bearing_deg": 12.9, "geometry": {"type": "Point", "coordinates": [105.549, 27.3134]},
            "reason": "inside_hazard", "also": [], "sample": True,
            "evidence": {
                "zone_id": "risk_zones.3", "zone_name": "李家湾危险区", "hazard": "landslide", "risk_class": "high",
            },
        }
    ],
    "place": [{"id": "admin_areas.1", "level": "county", "name": "云岭县", "sample": True}],
    "hazards_here": [],
    "skipped_counts": {"shelters": 1},
    "query": {"lon": 105.55, "lat": 27.31, "layers": ["shelters"], "by": "line", "hazard": "landslide"},
    "answered_at": "2026-11-20T06:20:00.000Z",
}  # fmt: skip


class NearestQuery(Query):
    """What is asked for: where, of which layers, and what an item must offer."""

    lon: Annotated[Number, Field(description="The incident: degrees east, WGS 84", examples=[105.55])]
    lat: Annotated[Number, Field(description="The incident: degrees north, WGS 84", examples=[27.31])]
    layers: Annotated[
        str | None,
        Field(max_length=2000, description="Layers, parted by commas; without it: shelters, teams and depots"),
    ] = None
    k: Annotated[int | None, Field(ge=1, le=K_AT_MOST, description="Items a layer; without it: as the layer says")] = (
        None
    )
    by: Annotated[
        Literal["line", "road"], Field(description="`line`: how far in a straight line; `road`: how long by road")
    ] = "line"
    hazard: Annotated[str | None, Field(max_length=100, description="The hazard's code", examples=["landslide"])] = None
    places: Annotated[int | None, Field(ge=0, le=10**9, description="Places needed, persons")] = None
    open: Annotated[bool, Field(description="Rank only what is stated to be open")] = False
    level: Annotated[str | None, Field(max_length=1000, description="Codes of level, parted by commas")] = None
    class_: Annotated[
        str | None, Field(alias="class", max_length=1000, description="Codes of class, parted by commas")
    ] = None
    speciality: Annotated[str | None, Field(max_length=1000, description="Codes of speciality, parted by commas")] = (
        None
    )
    item: Annotated[
        str | None,
        Field(max_length=200, description="Depots that hold this: start of an item's code or part of its name"),
    ] = None
    max_m: Annotated[Number | None, Field(description="The greatest distance, metres")] = None
    include: Annotated[Literal["all"] | None, Field(description="`all` ranks everything and skips nothing")] = None
    as_of: Annotated[str | None, Field(max_length=50, description="What was recorded at that moment; by line only")] = (
        None
    )
    profile: Annotated[
        str | None, Field(max_length=50, description="Who travels: `fire_engine` (without it), `car`, `foot`; by road")
    ] = None
    max_s: Annotated[Number | None, Field(description="The longest travel time, seconds; by road")] = None
    at: Annotated[str | None, Field(max_length=50, description="The moment for which closures are judged; by road")] = (
        None
    )
    route: Annotated[bool, Field(description="Whether the way to each item is told; by road")] = False

    def question(self) -> Question:
        """The question as the analysis understands it."""
        return Question(
            lon=self.lon, lat=self.lat, layers=names_of(self.layers or ""), k=self.k, hazard=self.hazard or None,
            places=self.places, open=self.open, level=names_of(self.level or ""), class_=names_of(self.class_ or ""),
            speciality=names_of(self.speciality or ""), item=self.item or None, max_m=self.max_m,
            include_all=self.include == "all", by=self.by, profile=self.profile or None, max_s=self.max_s,
            at=moment_of(self.at, "at") if self.at else None, route=self.route,
        )  # fmt: skip


def answer(readers: Readers, roads: Roads, given: dict[str, str]) -> Response:
    """The response to the parameters of a request."""
    if given.get("by", "line") == "line":
        for name in BY_ROAD:
            if name in given:
                raise unknown_parameter(name, "by=road")
    return _response(readers, roads, NearestQuery.model_validate(given))


def _response(readers: Readers, roads: Roads, query: NearestQuery) -> Response:
    if query.as_of is not None:
        readers = readers.at(moment_of(query.as_of, "as_of"))
    question = query.question()
    if question.by == "road":
        body = orjson.dumps(nearest_by_road(readers, roads, question, wait=False))
    else:
        body = nearest_json(readers, question)
    return Response(body, media_type=GEOJSON, headers={"Cache-Control": "no-store"})


@router.get(
    "/nearest",
    summary="The items nearest to an incident, and those left out",
    responses={200: {"content": {GEOJSON: {"example": EXAMPLE}}}},
)
def nearest(context: InContext, view: InView, query: Annotated[NearestQuery, QueryParameters()]) -> Response:
    """Items in rank order: each has its distance on the WGS 84 spheroid in metres, and its bearing.

    A shelter that is closed, full, unsuitable for the hazard, inside a danger zone of that hazard, or a hut never
    designated as a shelter is not ranked; it stands in `skipped` with the reason and the evidence. What is not known
    is ranked, and stays unknown (null).
    """
    return _response(view.readers, context.roads, query)
