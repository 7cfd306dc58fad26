"""The analyses over HTTP, as OGC API Processes has them: listed, described, run."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.access import InView
from api.bodies import json_object
from api.context import InContext
from api.links import link
from api.routes.collections import refuse_query
from gis.processes import PROCESSES, process
from gis.roads import report
from layers.errors import InvalidValue

router = APIRouter(tags=["Processes"])
BYTES_AT_MOST = 16 << 20
EXPECTED = '{"inputs": {…}}'
INPUTS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {"inputs": {"type": "object", "description": "See /processes/{process}"}},
                },
                "example": {"inputs": {"places": [[105.55, 27.31]], "bands_s": [300, 600, 900]}},
            }
        },
    }
}


@router.get("/processes", summary="The analyses that can be run")
def processes(request: Request) -> Response:
    """Id, title and description of each."""
    refuse_query(request)
    told = [
        {name: value for name, value in one.described().items() if name not in ("inputs", "outputs")}
        | {"links": [link(f"/processes/{one.id}", "self", one.title.en)]}
        for one in PROCESSES.values()
    ]
    return _json({"processes": told, "links": [link("/processes", "self", "Processes")]})


@router.get("/processes/{process_id}", summary="One analysis and its inputs")
def described(request: Request, process_id: str) -> Response:
    """What the analysis takes, as JSON Schema."""
    refuse_query(request)
    found = process(process_id)
    execute = link(
        f"/processes/{found.id}/execution", "http://www.opengis.net/def/rel/ogc/1.0/execute", "Run it"
    )  # fmt: skip
    return _json(found.described() | {"links": [link(f"/processes/{found.id}", "self", found.title.en), execute]})


@router.get("/network", summary="The road network, and what is noteworthy about it")
def network(request: Request, context: InContext, view: InView) -> Response:
    """Islands, one-way streets that trap, ends that nearly meet, rows that are there twice."""
    refuse_query(request)
    return _json(report(context.roads.situation(view.readers, None, None, None, wait=False)))


@router.post("/processes/{process_id}/execution", summary="Run an analysis", openapi_extra=INPUTS)
async def execution(request: Request, context: InContext, view: InView, process_id: str) -> Response:
    """The answer, as soon as it is there: `{"inputs": {…}}` is what it is asked."""
    refuse_query(request)
    found = process(process_id)
    inputs = await _inputs(request)
    answer = await context.run(lambda: found.run(view.readers, context.roads, inputs, wait=False))
    return _json(answer)


async def _inputs(request: Request) -> dict[str, Any]:
    inputs = (await json_object(request, BYTES_AT_MOST, EXPECTED)).get("inputs")
    if not isinstance(inputs, dict):
        raise InvalidValue("the body has no inputs", parameter="inputs", expected=EXPECTED)
    return inputs


def _json(told: dict[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})
