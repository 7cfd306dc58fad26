"""Pages to be read, of what the OGC API tells as JSON: one template, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from layers.definition import Definition, Words

HTML = "text/html"
JSON = ("application/json", "application/geo+json")
ANYTHING = ("*/*", "application/*")
TEMPLATE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
).get_template("page.html")
FIRST_COLUMNS = 8


@dataclass(frozen=True)
class Cell:
    """A text of a table, and where it leads."""

    text: str
    href: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells under their headings."""

    heads: list[str]
    rows: list[list[Cell]]


def wants_html(request: Request, form: str | None) -> bool:
    """Whether a page is wanted: by the parameter ``f``, else where Accept puts HTML before JSON."""
    return form == "html" if form is not None else _preferred(request, HTML, *JSON, *ANYTHING) == HTML


def wants_json(request: Request, form: str | None) -> bool:
    """Whether JSON is asked for by name, where a page is the rule."""
    return form == "json" if form is not None else _preferred(request, HTML, *JSON) in JSON


def _preferred(request: Request, *offered: str) -> str | None:
    """Which of some media types the header Accept wants most, of equal ones the first; None when it names none."""
    best: tuple[float, str | None] = (0.0, None)
    for part in request.headers.get("accept", "").split(","):
        media_type, quality = _accepted(part)
        if quality > best[0] and media_type in offered:
            best = (quality, media_type)
    return best[1]


def _accepted(part: str) -> tuple[str, float]:
    """A media type of the header Accept and how much it is wanted."""
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    given = [parameter.removeprefix("q=") for parameter in parameters if parameter.startswith("q=")]
    try:
        return media_type, float(given[0]) if given else 1.0
    except ValueError:
        return media_type, 0.0


def negotiated(response: Response) -> Response:
    """A response that depends on the header Accept."""
    response.headers.add_vary_header("Accept")
    return response


def landing(told: dict[str, Any]) -> Response:
    """The landing page."""
    rows = [[Cell(link["title"], link["href"]), Cell(link["rel"])] for link in told["links"] if "templated" not in link]
    return _page(told["title"], told["description"], "/api", [Table(["资源 / Resource", "关系 / Relation"], rows)])


def conformance(classes: list[str]) -> Response:
    """The conformance classes."""
    rows = [[Cell(name)] for name in classes]
    return _page("符合性 / Conformance", "OGC API Features, CQL2", "/conformance", [Table(["类 / Class"], rows)])


def collections(told: list[dict[str, Any]]) -> Response:
    """The layers."""
    rows = [
        [
            Cell(_both(one["titles"]), f"/collections/{one['id']}?f=html"),
            Cell(str(sum(one["counts"].values()))),
            Cell(_both(one["abstracts"])),
        ]
        for one in told
    ]
    heads = ["图层 / Layer", "数量 / Items", "说明 / What it is"]
    return _page("图层 / Layers", "", "/collections", [Table(heads, rows)])


def collection(told: dict[str, Any]) -> Response:
    """One layer."""
    links = [[Cell(link["title"], link["href"]), Cell(link["type"])] for link in told["links"]]
    fields = [
        [Cell(field["name"]), Cell(_both(field["label"])), Cell(field["type"]), Cell(field["unit"] or "")]
        for field in told["layer"]["fields"]
    ]
    tables = [
        Table(["链接 / Link", "格式 / Form"], links),
        Table(["字段 / Field", "名称 / Label", "类型 / Type", "单位 / Unit"], fields),
    ]
    return _page(_both(told["titles"]), _both(told["abstracts"]), f"/collections/{told['id']}", tables)


def items(definition: Definition, features: list[dict[str, Any]], rest: dict[str, Any]) -> Response:
    """A page of items."""
    path = f"/collections/{definition.id}"
    names = list(features[0]["properties"])[:FIRST_COLUMNS] if features else []
    rows = [
        [
            Cell(str(feature["id"]), f"{path}/items/{feature['id']}?f=html"),
            *(Cell(_text(feature["properties"][name])) for name in names),
        ]
        for feature in features
    ]
    matched = rest.get("numberMatched") or f"约 / about {rest['numberMatchedEstimate']}" if features else 0
    words = f"{rest['numberReturned']} / {matched}"
    forth = next((f"{link['href']}&f=html" for link in rest["links"] if link["rel"] == "next"), None)
    heads = ["fid", *(_label(definition, name) for name in names)]
    return _page(_both(definition.title.model_dump()), words, f"{path}/items", [Table(heads, rows)], forth)


def item(definition: Definition, feature: dict[str, Any]) -> Response:
    """One item."""
    rows = [[Cell(_label(definition, name)), Cell(_text(value))] for name, value in feature["properties"].items()]
    rows.append([Cell("几何 / Geometry"), Cell(_text((feature["geometry"] or {}).get("coordinates")))])
    path = f"/collections/{definition.id}/items/{feature['id']}"
    title = f"{_both(definition.title.model_dump())} {feature['id']}"
    return _page(title, "", path, [Table(["字段 / Field", "值 / Value"], rows)])


def _page(title: str, words: str, path: str, tables: list[Table], forth: str | None = None) -> Response:
    """The template, filled in; ``path`` is the address of the same as JSON."""
    parts = path.strip("/").split("/")
    ways = [("/".join(["", *parts[:count]]), part) for count, part in enumerate(parts, 1)]
    text = TEMPLATE.render(title=title, words=words, path=path, ways=ways, tables=tables, forth=forth)
    response = HTMLResponse(text)
    return negotiated(response)


def _both(words: dict[str, str]) -> str:
    return f"{words['zh']} / {words['en']}"


def _label(definition: Definition, name: str) -> str:
    field = definition.fields.get(name)
    label: Words | None = field.label if field is not None else None
    return f"{label.zh} / {label.en}" if label is not None else name


def _text(value: Any) -> str:
    """A value as it is read: nothing where it is unknown."""
    return "" if value is None else str(value)[:2000]
