"""Command `serve`: the HTTP API and the gallery."""

import importlib.util
from typing import Annotated

import typer

from ..errors import MissingExtraError
from .common import ModelOption, StoreOption, given, note, run, settings_for


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; off loopback it needs keys.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes; several need PostgreSQL and a Chroma server."),
    ] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open the gallery in a browser.")] = False,
    model: ModelOption = None,
    store: StoreOption = None,
) -> None:
    """Serve the HTTP API and the gallery until Ctrl-C, to this machine alone unless told otherwise.

    Examples:  limner serve --open  ·  limner serve --store limner-demo/store  ·  limner serve --port 0 --model none

    Others reach it only with a key:  limner keys add  ·  limner serve --host 0.0.0.0

    Several processes, with PostgreSQL and a Chroma server:  limner serve --workers 4
    """
    settings = settings_for(store, model=model, serve=given(host=host, port=port, workers=workers))

    need_server()
    from ..serve.http.serving import check_workers, serve_here, serve_with_workers

    if settings.serve.workers == 1:
        run(lambda: serve_here(settings, note, browse=browse), as_json=False)
    else:
        found = run(lambda: check_workers(settings), as_json=False)
        serve_with_workers(settings, found, note, browse=browse)


def need_server() -> None:
    """Say which extra is missing.

    Raises:
        MissingExtraError: FastAPI and its server are not installed.
    """
    needed = ("fastapi", "uvicorn", "prometheus_client", "sse_starlette", "python_multipart")
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise MissingExtraError("the HTTP API", "serve")
