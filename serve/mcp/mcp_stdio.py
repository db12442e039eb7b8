"""The MCP server over standard input and output: for assistants that start `limner mcp` themselves."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcp.server.stdio import stdio_server

from ...tools.keys import Role
from .mcp_server import Asked, build_server

if TYPE_CHECKING:
    from ...face import Limner


async def serve_stdio(limner: "Limner") -> None:
    """Answer until standard input ends. Whoever started the process owns the store and may do everything."""

    @asynccontextmanager
    async def desk(_asked: Asked, _role: Role) -> AsyncGenerator["Limner"]:
        yield limner

    server = build_server(desk, frank=True)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
