"""Conditions: what a chat model is given before it is asked, which is what the suite `qa` compares.

As specs: `nothing`, `history:last=10`, `profile:writer=extractive`, `profile:writer=model`.
"""

import time
from typing import NamedTuple

from pydantic import PositiveInt

from ...errors import SettingsError
from ...records import Record, Usage
from ...tools.rating_levels import ShownScale
from ..options import NoOptions, named, read_options, read_spec
from ..portraits.painters import EXTRACTIVE
from ..portraits.portraits import Portraits
from ..splits import Past, Queries
from ..workspace import Workspace
from .describe_history import RECENT, describe_history

NOTHING = "nothing"
HISTORY = "history"
PROFILE = "profile"
CONDITIONS = (NOTHING, HISTORY, PROFILE)

THE_MODEL = "model"
"""Writer that stands for the model that also answers."""


class GivenHistory(Record):
    """How much of the raw history is shown."""

    last: PositiveInt = RECENT
    """Last interactions; conversations are cut to `room` instead."""


class GivenProfile(Record):
    """Whose portrait is shown."""

    writer: str = EXTRACTIVE
    """`extractive`, `model` for the one that answers, or a LiteLLM model string."""


class Condition(NamedTuple):
    """What the model is given."""

    name: str
    """Name in tables."""

    given: str
    """`nothing`, `history` or `profile`."""

    last: int = RECENT
    writer: str = EXTRACTIVE


class Told(NamedTuple):
    """What the model is told of each query, and what that took."""

    contexts: list[str]
    usage: Usage = Usage()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    kept_seconds: float = 0.0
    """Part of `seconds`: what calls of an earlier run took, whose portraits were kept."""

    complete: bool = True
    """Whether no portrait is missing, or stood in for, because a model or the budget failed."""


def read_condition(spec: str, workspace: Workspace) -> Condition:
    """Read what a spec gives the model.

    Raises:
        SettingsError: There is no such condition, or an option is wrong.
    """
    name, options = read_spec(spec)
    if name == NOTHING:
        read_options(NoOptions, name, options)
        return Condition(NOTHING, NOTHING)
    if name == HISTORY:
        history = read_options(GivenHistory, name, options)
        return Condition(named(name, history), HISTORY, last=history.last)
    if name == PROFILE:
        profile = read_options(GivenProfile, name, options)
        return Condition(named(name, profile), PROFILE, writer=writer_of(profile.writer, workspace))
    raise SettingsError(
        "--system", f"{name!r} is none of {', '.join(CONDITIONS)}, which suite `qa` asks with"
    )


def contexts_for(
    condition: Condition, past: Past, queries: Queries, scale: ShownScale | None, workspace: Workspace
) -> Told:
    """Return what a condition tells about each query; portraits are drawn as of the query's moment.

    Args:
        condition: What the model is given.
        past: What portraits may rest on beside the histories, and the catalogue.
        queries: Whose histories.
        scale: To show ratings in histories; absent to leave them out.
        workspace: Where portraits are kept.
    """
    if condition.given == HISTORY:
        histories = (queries.history_of(ix) for ix in range(len(queries)))
        return Told([describe_history(events, past.items, scale, condition.last) for events in histories])
    if condition.given != PROFILE:
        return Told([""] * len(queries))
    started = time.perf_counter()
    portraits = Portraits(workspace, writer=condition.writer)
    portraits.fit(past)
    drawn = portraits.draw(queries)
    missing = sum(profile is None for profile in drawn)
    notes = (f"{missing} of {len(drawn)} users have no portrait",) if missing else ()
    notes = (*notes, *portraits.caveats)
    contexts = [profile.text if profile else "" for profile in drawn]
    kept = portraits.kept_seconds
    seconds = time.perf_counter() - started + kept
    return Told(contexts, portraits.usage, seconds, notes, kept, portraits.complete)


def writer_of(name: str, workspace: Workspace) -> str:
    """Return who writes portraits: `model` stands for the model that also answers."""
    return workspace.settings.model if name == THE_MODEL else name
