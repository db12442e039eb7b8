"""The HTTP API as one app."""

import importlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from ... import __version__
from ...settings import Settings
from ...tools.jobs import JobBook
from . import (
    chat_routes,
    choice_routes,
    estimate_routes,
    group_routes,
    health_routes,
    job_routes,
    portrait_routes,
    privacy_routes,
    record_routes,
    reference,
)
from .body_limits import BodyLimits
from .frame import GALLERY, Frame
from .gate import open_gate
from .health_routes import Readiness
from .keyed import Keyed
from .known_names import refuse_unknown
from .openapi import describe_fully
from .problems import PROBLEMS, answer_problems
from .rooms import Rooms
from .workshop import Workshop

_ABOUT = """Readable portraits of users, drawn from what they did, graded by what they do next.

A key stands for one tenant and one role: `read`, `write` or `admin`, each of which may do what those before it may.
Errors are problem documents by RFC 9457, with a stable `code`."""

_VERSIONED: tuple[ModuleType, ...] = (
    record_routes,
    portrait_routes,
    chat_routes,
    choice_routes,
    group_routes,
    estimate_routes,
    privacy_routes,
    job_routes,
)


def create_app(settings: Settings, *, rooms: Rooms | None = None) -> FastAPI:
    """Return the app; it opens what it needs when it starts and closes it when it stops.

    Args:
        settings: What is configured.
        rooms: Tenants that are open already, which stay the caller's to close; absent to open them.

    Raises:
        SettingsError: From the app's start: it could be reached from other machines, and there is no key.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            opened = rooms if rooms else await stack.enter_async_context(Rooms(settings))
            workshop = Workshop(JobBook(opened.shared.store.engine, opened.clock), opened)
            app.state.gate = await open_gate(settings, opened)
            app.state.rooms, app.state.workshop = opened, workshop
            app.state.readiness = Readiness(opened)
            await stack.enter_async_context(workshop.open())
            yield

    app = FastAPI(
        title="Limner",
        description=_ABOUT,
        version=__version__,
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its spans hold whole addresses, which name users and repeat their words; ours hold the route.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    answer_problems(app)
    describe_fully(app)
    _attach(app)
    _surround(app, settings)
    return app


def _attach(app: FastAPI) -> None:
    """Put up the routes."""
    for module in _VERSIONED:
        app.include_router(module.router, responses=PROBLEMS, dependencies=[Depends(refuse_unknown)])
    app.include_router(health_routes.router)
    app.include_router(reference.router)
    gallery = _gallery()
    app.state.gallery = gallery is not None
    if gallery:
        app.include_router(gallery, prefix=GALLERY)


def _surround(app: FastAPI, settings: Settings) -> None:
    """Put up what requests pass through, from the inside out."""
    app.add_middleware(BodyLimits, settings=settings.serve)
    app.add_middleware(Keyed)
    if settings.serve.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.serve.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Frame)


def _gallery() -> APIRouter | None:
    """Return the routes of the page, if this installation has it."""
    try:
        module = importlib.import_module("..gallery.routes", __package__)
    except ModuleNotFoundError:
        return None
    router: APIRouter = module.router
    return router
