"""Conditions: what a chat model is given before it is asked, which is what the suite `qa` compares.

As specs: `nothing`, `history:last=10`, `profile:writer=extractive`, `profile:writer=model`.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, PositiveInt

from ..errors import SettingsError
from ..records import Record, Usage
from .contexts import HISTORY, NOTHING, PROFILE, RECENT, describe_history
from .options import named, read_options
from .painters import EXTRACTIVE
from .portraits import Portraits
from .rating_questions import ShownScale
from .splits import Past, Queries
from .suite import Task
from .workspace import Workspace

THE_MODEL = "model"
"""Writer that stands for the model that also answers."""

CONDITIONS = (NOTHING, HISTORY, PROFILE)


class NothingOptions(Record):
    """Nothing can be chosen about nothing."""


class HistoryOptions(Record):
    """How much of the raw history is shown."""

    last: PositiveInt = RECENT
    """Last interactions; conversations are cut to `room` instead."""


class ProfileOptions(Record):
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


class QaOptions(Record):
    """Options of the suite, as `--set` gives them."""

    rotations: Annotated[int, Field(ge=1, le=4)] = 1
    """Turns of the options that each question is asked in and averaged over."""

    form: Literal["persona", "choice", "explicit"] = "persona"
    """PrefEval: how the preference was let slip."""

    room: PositiveInt = 2800
    """LoCoMo: tokens of the raw conversation that are shown."""

    near: Literal["users", "text"] = "users"
    """Next item: whether near options are found by users who had both, or by text."""


def read_condition(spec: str, workspace: Workspace) -> Condition:
    """Read what a spec gives the model.

    Raises:
        SettingsError: There is no such condition, or an option is wrong.
    """
    name, options = parse_spec(spec)
    if name == NOTHING:
        read_options(NothingOptions, name, options)
        return Condition(NOTHING, NOTHING)
    if name == HISTORY:
        history = read_options(HistoryOptions, name, options)
        return Condition(named(name, history), HISTORY, last=history.last)
    if name == PROFILE:
        profile = read_options(ProfileOptions, name, options)
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
    contexts = [profile.text if profile else "" for profile in drawn]
    return Told(contexts, portraits.usage, time.perf_counter() - started, notes)


def writer_of(name: str, workspace: Workspace) -> str:
    """Return who writes portraits: `model` stands for the model that also answers."""
    return workspace.settings.model if name == THE_MODEL else name


def parse_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Take a spec apart.

    Raises:
        SettingsError: An option has no value.

    Examples:
        >>> parse_spec("profile:writer=ollama/llama3:8b")
        ('profile', {'writer': 'ollama/llama3:8b'})
    """
    name, _, rest = spec.partition(":")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, found, value = part.partition("=")
        if not found:
            raise SettingsError("--system", f"{part!r} in {spec!r} is not `key=value`")
        options[key.strip()] = value.strip()
    return name.strip(), options


def read_qa_options(task: Task, others: Mapping[str, object]) -> QaOptions:
    """Read the suite's options; `others` are read elsewhere.

    Raises:
        SettingsError: A name is unknown or a value is out of range.
    """
    return read_options(
        QaOptions, "--set", {key: value for key, value in task.options.items() if key not in others}
    )
