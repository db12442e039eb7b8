"""What a server would cost that does nothing but read a row: `python -m limner.evals.bench.serve_plain '{"…": …}'`.

One FastAPI handler, no keys, no checks, no logging; the row goes out as it is stored. With SQLite the handler asks the
file right in the event loop, which for one indexed row is the fastest way there is. With PostgreSQL it takes a
connection from a pool of as many as Limner's.
"""

import json
import sqlite3
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from ...sections import DatabaseSettings
from ...tools.sql.sql_server import server_url
from ...tools.sql.sql_store import FILE_NAME

_NEWEST = (
    "SELECT data FROM profiles WHERE tenant = :tenant AND user_id = :user_id "
    "ORDER BY as_of DESC, version DESC LIMIT 1"
)


def local_app(file: Path, tenant: str) -> FastAPI:
    """Return an app that reads from SQLite."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
    app = FastAPI()

    @app.get("/rows/{user_id}")
    async def row(user_id: str) -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        return _answer(connection.execute(_NEWEST, {"tenant": tenant, "user_id": user_id}).fetchone())

    return app


def remote_app(database_url: str, tenant: str) -> FastAPI:
    """Return an app that reads from PostgreSQL."""
    engine = create_async_engine(
        server_url(database_url),
        pool_size=DatabaseSettings().pool,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
    )
    query = text(_NEWEST)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=running)

    @app.get("/rows/{user_id}")
    async def row(user_id: str) -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        async with engine.connect() as connection:
            found = await connection.execute(query, {"tenant": tenant, "user_id": user_id})
            return _answer(found.one_or_none())

    return app


def _answer(row: Any) -> Response:
    if row is None:
        raise HTTPException(404)
    return Response(row[0], media_type="application/json")


def main(given: Mapping[str, Any]) -> None:
    """Serve until stopped."""
    if given["database_url"]:
        app = remote_app(given["database_url"], given["tenant"])
    else:
        app = local_app(Path(given["folder"]) / FILE_NAME, given["tenant"])
    uvicorn.run(app, host="127.0.0.1", port=given["port"], log_level="warning", access_log=False)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
