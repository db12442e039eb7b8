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

    Example:  limner serve --port 8321 --open
    """
    settings = settings_for(store, model=model, serve=given(host=host, port=port, workers=workers))

    async def work() -> None:
        need_server()
        from ..serve.http.serving import check_workers, serve_here

        if settings.serve.workers == 1:
            await serve_here(settings, note, browse=browse)
        else:
            await check_workers(settings)

    run(work, as_json=False)
    if settings.serve.workers > 1:
        from ..serve.http.serving import serve_with_workers

        serve_with_workers(settings, note, browse=browse)


def need_server() -> None:
    """Say which extra is missing.

    Raises:
        MissingExtraError: FastAPI and its server are not installed.
    """
    needed = ("fastapi", "uvicorn", "prometheus_client", "sse_starlette", "python_multipart")
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise MissingExtraError("the HTTP API", "serve")
