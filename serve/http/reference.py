"""The API's own page: every route with its parameters and a line to try, made from the OpenAPI document."""

import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from jinja2 import Environment

from ..templates import encode_page, open_templates
from .gate import gate_of

FOLDER = Path(__file__).parent

router = APIRouter(include_in_schema=False)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
}


class Parameter(NamedTuple):
    """What a call takes beside its body."""

    name: str
    where: str
    what: str
    required: bool


class Call(NamedTuple):
    """One route."""

    method: str
    path: str
    summary: str
    told: str
    parameters: list[Parameter]
    curl: str


class CallGroup(NamedTuple):
    """Routes that belong together."""

    name: str
    anchor: str
    calls: list[Call]


@router.get("/")
async def start(request: Request) -> Response:
    """Lead to the gallery, where there is one, or to this page."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/gallery" if request.app.state.gallery else f"{root}/docs")


@router.get("/docs")
async def reference(request: Request) -> Response:
    """Show every route."""
    document = request.app.openapi()
    base = str(request.base_url).rstrip("/")
    keyed = not gate_of(request).open_to_all
    page = (
        _templates()
        .get_template("reference.html.jinja")
        .render(
            version=document["info"]["version"],
            root=request.scope.get("root_path", ""),
            keyed=keyed,
            groups=groups_of(document, base, keyed=keyed),
        )
    )
    return Response(encode_page(page), headers=_HEADERS, media_type="text/html; charset=utf-8")


@router.get("/docs/reference.css")
async def style() -> Response:
    """Send the page's stylesheet."""
    return Response((FOLDER / "reference.css").read_bytes(), media_type="text/css; charset=utf-8")


def groups_of(document: Mapping[str, Any], base: str, *, keyed: bool) -> list[CallGroup]:
    """Return the routes of an OpenAPI document by their first tag, in its order.

    Args:
        document: The document.
        base: Address of the server, without a slash at the end.
        keyed: Whether calls need a key.
    """
    found: dict[str, CallGroup] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation["tags"][0]
            group = found.setdefault(tag, CallGroup(tag, quote(tag.replace(" ", "-")), []))
            group.calls.append(_call(document, method, path, operation, base, keyed=keyed))
    return list(found.values())


def _call(
    document: Mapping[str, Any],
    method: str,
    path: str,
    operation: Mapping[str, Any],
    base: str,
    *,
    keyed: bool,
) -> Call:
    told = operation.get("description", "")
    summary, _, rest = told.partition("\n\n")
    parameters = [
        Parameter(
            name=given["name"],
            where=given["in"],
            what=given.get("description", ""),
            required=given.get("required", False),
        )
        for given in operation.get("parameters", [])
        if given["name"].lower() != "authorization"
    ]
    curl = _curl(document, method, f"{base}{_filled(path, operation)}", operation, keyed=keyed)
    return Call(method.upper(), path, summary, rest, parameters, curl)


def _filled(path: str, operation: Mapping[str, Any]) -> str:
    """Put examples into a path, and what else is needed behind it."""
    needed = ""
    for given in operation.get("parameters", []):
        examples = given["schema"].get("examples") or ["1"]
        word = quote(str(examples[0]), safe="")
        if given["in"] == "path":
            path = path.replace(f"{{{given['name']}}}", word)
        elif given.get("required"):
            needed += f"{'&' if needed else '?'}{given['name']}={word}"
    return path + needed


def _curl(
    document: Mapping[str, Any], method: str, url: str, operation: Mapping[str, Any], *, keyed: bool
) -> str:
    words = ["curl", *([] if method == "get" else ["-X", method.upper()]), url]
    if keyed:
        words += ["-H", "Authorization: Bearer KEY"]
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        words += ["-F", "file=@events.jsonl"]
    elif "application/json" in content:
        example = example_of(document, content["application/json"]["schema"])
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(example, ensure_ascii=False)]
    return shlex.join(words)


def example_of(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """Return an example of a schema: its own, or one put together of those of its parts that are needed."""
    if "$ref" in schema:
        named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return example_of(document, named)
    if schema.get("examples"):
        return schema["examples"][0]
    for choice in ("oneOf", "anyOf"):
        if schema.get(choice):
            return example_of(document, schema[choice][0])
    if schema.get("type") == "array":
        return [example_of(document, schema["items"])]
    if "properties" in schema:
        needed = schema.get("required", [])
        return {name: example_of(document, schema["properties"][name]) for name in needed}
    return {"string": "…", "integer": 1, "number": 1.0, "boolean": True}.get(schema.get("type", ""), {})


@cache
def _templates() -> Environment:
    return open_templates(FOLDER)
