"""The OpenAPI document, with what FastAPI cannot know: the key, and how errors look."""

from typing import Any

from fastapi import FastAPI

from .problems import MEDIA_TYPE

_KEY = {"type": "http", "scheme": "bearer", "description": "A key of `limner keys add`."}


def describe_fully(app: FastAPI) -> None:
    """Have an app's OpenAPI document name the key, and problem documents where errors are."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            document.setdefault("components", {})["securitySchemes"] = {"key": _KEY}
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _correct(operation, keyed=path.startswith("/v1/") or path == "/metrics")
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _correct(operation: dict[str, Any], *, keyed: bool) -> None:
    if keyed:
        operation["security"] = [{"key": []}]
    for response in operation["responses"].values():
        content = response.get("content", {})
        if MEDIA_TYPE in content:
            content.pop("application/json", None)
