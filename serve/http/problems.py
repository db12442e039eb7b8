"""What goes wrong, as RFC 9457 problem documents: https://www.rfc-editor.org/rfc/rfc9457.html."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from ...errors import (
    BadRowError,
    BudgetExceededError,
    EmptyHistoryError,
    ForgottenMeanwhileError,
    InputError,
    LimnerError,
    ModelError,
    NoGroupsError,
    NoPortraitError,
    NoTextError,
    PriceUnknownError,
    SettingsError,
    StoreError,
    TooFewUsersError,
    UnknownClaimError,
    UnknownItemError,
    UnknownUserError,
)

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("limner.serve")

_STATUS: tuple[tuple[type[LimnerError], int], ...] = (
    (UnknownUserError, 404),
    (UnknownItemError, 404),
    (NoPortraitError, 404),
    (UnknownClaimError, 404),
    (ForgottenMeanwhileError, 409),
    (EmptyHistoryError, 409),
    (NoTextError, 409),
    (NoGroupsError, 409),
    (TooFewUsersError, 409),
    (SettingsError, 500),
    (InputError, 422),
    (BudgetExceededError, 402),
    (PriceUnknownError, 500),
    (ModelError, 503),
    (StoreError, 503),
)
"""The first class that an error belongs to decides."""

_OURS = "something on the server's side is wrong; its log says what, under this request's id"


class ProblemDocument(BaseModel):
    """What went wrong, by RFC 9457."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str
    """`urn:limner:problem:` and the code."""

    title: str
    """The status in words."""

    status: int
    """The HTTP status."""

    detail: str
    """What was wrong, and what to do."""

    code: str
    """Stable: to be counted and switched on."""

    request_id: str | None = None
    """Finds the request in the server's log."""


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body cannot be read."},
    401: {"description": "No valid key."},
    402: {"description": "The budget is spent."},
    403: {"description": "The key's role does not allow it, or the server is not called so."},
    404: {"description": "There is no such user, item, portrait or job."},
    409: {"description": "Not as things are: an empty history, no text, no groups yet."},
    413: {"description": "The body is too large."},
    422: {"description": "The request is not valid."},
    429: {"description": "The key asks too often."},
    503: {"description": "Store, index or model cannot be used for the moment."},
}
"""Problems that any route may answer with, for the OpenAPI document."""

for _told in PROBLEMS.values():
    _told |= {"model": ProblemDocument, "content": _CONTENT}


class Problem(HTTPException):
    """A request that is refused, with the document to answer with.

    FastAPI lets an `HTTPException` through where a body is being read, and turns anything else into its own.
    """

    headers: dict[str, str]

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.status, self.code, self.more = status, code, more


def status_of(error: LimnerError) -> int:
    """Return the HTTP status that an error stands for."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem_of(error: LimnerError) -> Problem:
    """Return what a caller is told of an error.

    Of what is wrong on the server's side nothing is told but its kind: paths and addresses are not the caller's.
    """
    status = status_of(error)
    if isinstance(error, BadRowError):
        return Problem(
            status, error.code, f"row {error.line}: `{error.field}`: {error.reason}", row=error.line
        )
    return Problem(status, error.code, str(error) if status < 500 else _OURS)


def response_of(problem: Problem, request_id: str | None) -> Response:
    """Return a problem as an answer."""
    document: dict[str, Any] = {
        "type": f"urn:limner:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **({"request_id": request_id} if request_id else {}),
        **problem.more,
    }
    return JSONResponse(document, problem.status, problem.headers, MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Have an app answer every error with a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return response_of(error, _id_of(request))

    async def typed(request: Request, error: Exception) -> Response:
        assert isinstance(error, LimnerError)
        problem = problem_of(error)
        if problem.status >= 500:
            _log.error("request %s: %s: %s", _id_of(request), error.code, error)
        return response_of(problem, _id_of(request))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [
            {"at": ".".join(map(str, fault["loc"])), "reason": fault["msg"]} for fault in error.errors()[:20]
        ]
        first = faults[0] if faults else {"at": "body", "reason": "cannot be read"}
        detail = f"`{first['at']}`: {first['reason']}"
        return response_of(Problem(422, "invalid", detail, errors=faults), _id_of(request))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).name.lower()
        detail = "there is nothing at this address" if error.status_code == 404 else str(error.detail)
        return response_of(Problem(error.status_code, code, detail, headers=error.headers), _id_of(request))

    app.add_exception_handler(Problem, refused)
    app.add_exception_handler(LimnerError, typed)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _id_of(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)
