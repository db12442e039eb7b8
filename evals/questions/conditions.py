"""Conditions: what a chat model is given before it is asked, which is what the suite `qa` compares.

As specs: `nothing`, `history`, `history:last=10`, `profile:writer=model`, and what the product tells an assistant
for the question, within so many tokens: `limner@200`, `limner@200:writer=model`.
"""

import re
import time
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import PositiveInt

from ...errors import SettingsError
from ...records import FEWEST_TOKENS, Record, Usage
from ...tools.rating_levels import ShownScale
from ..options import NoOptions, named, read_options, read_spec
from ..portraits.painters import EXTRACTIVE
from ..portraits.portraits import Portraits
from ..results import Probe
from ..splits import Past, Queries
from ..workspace import Workspace
from .context_probes import budget_probe
from .describe_history import describe_history
from .windows import Window, newest_that_fit, open_window

NOTHING = "nothing"
HISTORY = "history"
PROFILE = "profile"
LIMNER = "limner"
CONDITIONS = (NOTHING, HISTORY, f"{LIMNER}@TOKENS", PROFILE)
MEASURED = (NOTHING, HISTORY, *(f"{LIMNER}@{tokens}" for tokens in (100, 200, 400)))
"""What is needed to judge a context by its length."""

THE_MODEL = "model"
"""Writer that stands for the model that also answers."""


_PORTRAIT = 200
"""Tokens of a portrait at most, about."""

_BUDGETED = re.compile(rf"{LIMNER}@([1-9]\d*)")


class GivenHistory(Record):
    """How much of the raw history is shown."""

    last: PositiveInt | None = None
    """Last interactions; absent for the whole history, as far as the model's window holds it."""


class GivenProfile(Record):
    """Whose portrait is shown."""

    writer: str = EXTRACTIVE
    """`extractive`, `model` for the one that answers, or a LiteLLM model string."""


class Condition(NamedTuple):
    """What the model is given."""

    name: str
    """Name in tables."""

    given: str
    """`nothing`, `history`, `limner` or `profile`."""

    last: int | None = None
    writer: str = EXTRACTIVE

    tokens: int = 0
    """Most tokens of `limner`."""

    @property
    def beside(self) -> int:
        """Tokens that a context has at most which is not there before something was drawn."""
        return {PROFILE: _PORTRAIT, LIMNER: self.tokens}.get(self.given, 0)

    @property
    def foreseen(self) -> "Condition":
        """The condition as far as its contexts are there before something is drawn."""
        return Condition(NOTHING, NOTHING) if self.beside else self

    @property
    def left_out(self) -> str:
        """What a bill of questions does not say; empty if nothing."""
        drawn = self.beside and self.writer != EXTRACTIVE
        return f"what {self.writer} takes to listen and draw, once for all budgets" if drawn else ""


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

    probes: tuple[Probe, ...] = ()
    """What was found in the contexts."""


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
    if budget := _BUDGETED.fullmatch(name):
        profile = read_options(GivenProfile, name, options)
        writer = writer_of(profile.writer, workspace)
        tokens = int(budget[1])
        if tokens < FEWEST_TOKENS:
            raise SettingsError("--system", f"{name!r} must give at least {FEWEST_TOKENS} tokens")
        return Condition(named(name, profile), LIMNER, writer=writer, tokens=tokens)
    raise SettingsError(
        "--system", f"{name!r} is none of {', '.join(CONDITIONS)}, which suite `qa` asks with"
    )


def contexts_for(
    condition: Condition,
    past: Past,
    queries: Queries,
    scale: ShownScale | None,
    workspace: Workspace,
    *,
    asked: Sequence[str] = (),
    window: Window | None = None,
) -> Told:
    """Return what a condition tells about each query; portraits are drawn as of the query's moment.

    Args:
        condition: What the model is given.
        past: What portraits may rest on beside the histories, and the catalogue.
        queries: Whose histories.
        scale: To show ratings in histories; absent to leave them out.
        workspace: Where portraits are kept.
        asked: What each user says next, for `limner`; nothing if absent.
        window: Of the model that answers; that of the workspace's model if absent.
    """
    window = window or open_window(workspace.settings)
    if condition.given == HISTORY:
        return _tell_histories(history_lines(past, queries, scale, condition.last), window)
    if condition.given not in (PROFILE, LIMNER):
        return Told([""] * len(queries))
    started = time.perf_counter()
    portraits = Portraits(workspace, writer=condition.writer)
    portraits.fit(past)
    drawn = portraits.draw(queries)
    missing = sum(profile is None for profile in drawn)
    notes = (f"{missing} of {len(drawn)} users have no portrait",) if missing else ()
    notes = (*notes, *portraits.caveats)
    contexts, probes = [profile.text if profile else "" for profile in drawn], tuple[Probe, ...]()
    if condition.given == LIMNER:
        told = portraits.tell(queries, asked, condition.tokens)
        contexts = [context.text for context in told]
        most = [condition.tokens] * len(told)
        probes = (budget_probe(told, most, window.count, past.card.name),)
    kept = portraits.kept_seconds
    seconds = time.perf_counter() - started + kept
    return Told(contexts, portraits.usage, seconds, notes, kept, portraits.complete, probes)


def history_lines(
    past: Past, queries: Queries, scale: ShownScale | None, last: int | None = None
) -> list[list[str]]:
    """Return each query's history, one line an interaction, oldest first; only the last ones if `last` is given."""
    return [
        describe_history(queries.history_of(ix), past.items, scale, last).split("\n")
        for ix in range(len(queries))
    ]


def _tell_histories(histories: Sequence[Sequence[str]], window: Window) -> Told:
    told = [newest_that_fit(lines, window) for lines in histories]
    return Told([text for text, _ in told], notes=cut_note(sum(cut for _, cut in told), len(told), window))


def cut_note(cut: int, total: int, window: Window) -> tuple[str, ...]:
    """Say how many histories were cut where the model's window ends, if any were."""
    if not cut:
        return ()
    return (
        f"{cut} of {total} histories were cut to the newest {window.room} tokens, where the model's window ends",
    )


def writer_of(name: str, workspace: Workspace) -> str:
    """Return who writes portraits: `model` stands for the model that also answers."""
    return workspace.settings.model if name == THE_MODEL else name
