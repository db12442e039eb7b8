"""Command `mcp`: Limner as tools of a chat assistant."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import MissingExtraError
from ..face import Limner
from ..settings import Settings
from .common import ModelOption, StoreOption, note, run, settings_for


def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Listen for streamable HTTP instead of standard input.")
    ] = False,
    host: Annotated[
        str | None, typer.Option("--host", help="Address for --http; off loopback it needs keys.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port for --http; 0 for any.")
    ] = None,
    model: ModelOption = None,
    store: StoreOption = None,
) -> None:
    """Serve five tools to chat assistants by the Model Context Protocol.

    Without options it speaks on standard input and output, which is how desktop assistants start it; what to put
    into their configuration is printed on standard error.

    Example:  limner mcp --http --port 8322
    """
    settings = settings_for(store, model=model)

    async def work() -> None:
        _need_mcp()
        if http:
            from ..serve.mcp.mcp_http import serve_http

            await serve_http(settings, host=host, port=port, notice=note)
        else:
            await _serve_stdio(settings, model)

    run(work, as_json=False)


async def _serve_stdio(settings: Settings, model: str | None) -> None:
    from ..serve.mcp.mcp_stdio import serve_stdio

    async with Limner(settings) as limner:
        note(
            f"Limner speaks MCP on standard input; tenant {settings.tenant!r}. Configure your assistant with"
        )
        note(json.dumps(stdio_entry(settings, model), indent=2))
        await serve_stdio(limner)


def stdio_entry(settings: Settings, model: str | None) -> dict[str, Any]:
    """Return what a client's configuration needs to start this server."""
    program = str(Path(sys.executable).with_name("limner"))  # an assistant's PATH need not be this one
    words = ["mcp", "--store", str(settings.store.resolve()), *(["--model", model] if model else [])]
    return {"mcpServers": {"limner": {"command": program, "args": words}}}


def _need_mcp() -> None:
    """Say which extra is missing.

    Raises:
        MissingExtraError: The MCP SDK is not installed.
    """
    try:
        import mcp as sdk  # noqa: F401  # pyright: ignore[reportUnusedImport] - only to see whether it is there
    except ImportError as error:
        raise MissingExtraError("the MCP server", "serve") from error
