"""On whose behalf work is done: whose words its prompts and texts may hold, and since when.

Caches and the log are written deep inside a run, often for texts that several people had a part in. What they keep is
marked with everybody concerned, so that a forget finds it; and a run that began before a forget may not bring back
what is gone. The mark follows the tasks of a run, as a context variable does, and touches nothing else.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

NOBODY: frozenset[str] = frozenset()

CATALOGUE = "catalogue"
"""Whose the publisher's texts are: no user's, so that a forget leaves their vectors."""


@dataclass(frozen=True)
class Behalf:
    """Who is concerned by what is being done."""

    subjects: frozenset[str] = NOBODY
    """`user:ID` and `item:ID`; an item stands for everybody who wrote about it."""

    since: int | None = None
    """How many forgets the tenant had when the work began; absent if nobody looked."""


_PRESENT: ContextVar[Behalf] = ContextVar("limner_behalf", default=Behalf())  # noqa: B039 - it is frozen


def behalf() -> Behalf:
    """Return on whose behalf the present task works."""
    return _PRESENT.get()


@contextmanager
def on_behalf(*subjects: str, since: int | None = None) -> Generator[None]:
    """Work for these subjects besides those that are concerned already; an earlier `since` stays."""
    now = _PRESENT.get()
    token = _PRESENT.set(Behalf(now.subjects.union(subjects), now.since if now.since is not None else since))
    try:
        yield
    finally:
        _PRESENT.reset(token)


@contextmanager
def on_nobodys_behalf() -> Generator[None]:
    """Work for whoever it may be: what is kept has no owner, and the next forget of anybody removes it."""
    token = _PRESENT.set(Behalf())
    try:
        yield
    finally:
        _PRESENT.reset(token)
