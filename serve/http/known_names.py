"""Names that no route knows are refused: one that is misspelt would otherwise be passed over without a word."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from .problems import Problem

_NEAR = 0.6
"""How alike a name must be to be the one that was meant, from 0 to 1."""


async def refuse_unknown(request: Request) -> None:
    """Refuse a request whose address has a parameter that its route does not take.

    Raises:
        Problem: 422, with the nearest name that there is.
    """
    if not request.query_params:
        return
    route: object = request.scope["route"]
    assert isinstance(route, APIRoute), "only routes of the API ask"
    check_names("query", request.query_params.keys(), set(_query_names(route.dependant)))


def check_names(where: str, given: Collection[str], known: Collection[str]) -> None:
    """Refuse names that are not known.

    Args:
        where: `query` or `body`, as problem documents call it.
        given: Names that came.
        known: Names that there are.

    Raises:
        Problem: 422, with the nearest name that there is.
    """
    faults = [
        {"at": f"{where}.{name[:100]}", "reason": _advice(name, known)}
        for name in sorted(set(given) - set(known))
    ]
    if faults:
        detail = f"`{faults[0]['at']}`: {faults[0]['reason']}"
        raise Problem(422, "unknown_parameter", detail, errors=faults[:20])


def _advice(name: str, known: Collection[str]) -> str:
    """Say what may have been meant.

    Examples:
        >>> _advice("maxtokens", {"max_tokens", "query"}), _advice("zzz", {"k", "as_of"}), _advice("a", set())
        ('is unknown; did you mean `max_tokens`?', 'is unknown; there are `as_of`, `k`', 'is unknown; there is none')
    """
    near = get_close_matches(name.lower(), sorted(known), n=1, cutoff=_NEAR)
    if near:
        return f"is unknown; did you mean `{near[0]}`?"
    all_of_them = ", ".join(f"`{each}`" for each in sorted(known))
    return f"is unknown; there are {all_of_them}" if known else "is unknown; there is none"


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _query_names(inner)
