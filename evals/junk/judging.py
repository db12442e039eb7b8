"""A model's verdict on cues beside their evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...records import Usage
from ...settings import NO_MODEL
from ...tools.prompt import load_prompt
from ...tools.waiting import wait_for
from ..questions.answering import open_questioner
from ..questions.choices import Choice
from ..results import Values
from ..workspace import Workspace
from .exhibits import Exhibit

JUDGE = load_prompt("judge_cue")

TURNS = 2
"""Orders of the two options, so that no letter is favoured."""

_SHOWS, _SHOWS_NOT = "Yes, the entries show it.", "No, the entries do not show it."


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a model said of cues with their own evidence, and of planted ones."""

    judge: str = NO_MODEL
    """LiteLLM model string; `none` if nobody judged."""

    doubts: Values = field(default_factory=lambda: np.empty(0))
    """Probability that a cue's evidence does not show it, one each; NaN without an answer."""

    planted: Values = field(default_factory=lambda: np.empty(0))
    """The same of planted cues."""

    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    complete: bool = True


def judge_exhibits(
    workspace: Workspace, judge: str, sample: Sequence[Exhibit], planted: Sequence[Exhibit]
) -> Judged:
    """Ask a model of each cue whether its evidence shows it, in both orders of the options.

    Args:
        workspace: Budget, and where answers are kept.
        judge: LiteLLM model string, or `none`.
        sample: Cues with their own evidence.
        planted: Cues with somebody else's.

    Raises:
        ModelUnavailableError: Not one question could be answered.
    """
    if judge == NO_MODEL or not sample:
        return Judged()
    asked = replace(workspace, settings=workspace.settings.model_copy(update={"model": judge}))
    exhibits = [*sample, *planted]
    questions = [
        *(question_of(exhibit) for exhibit in sample),
        *(replace(question_of(exhibit), id=f"planted {exhibit.id}") for exhibit in planted),
    ]

    async def ask() -> Judged:
        async with open_questioner(asked) as questioner:
            contexts = [evidence_shown(exhibit) for exhibit in exhibits]
            answered = await questioner.choose(JUDGE, questions, contexts, label="judge", rotations=TURNS)
        doubts = 1.0 - answered.values["probability"]
        return Judged(
            judge=judge,
            doubts=doubts[: len(sample)],
            planted=doubts[len(sample) :],
            usage=Usage.total(answered.usage),
            notes=answered.notes,
            complete=answered.complete,
        )

    return wait_for(ask())


def question_of(exhibit: Exhibit) -> Choice:
    """Return the question about one cue; the right answer is that its evidence shows it."""
    return Choice(id=exhibit.id, text=exhibit.note(), options=(_SHOWS, _SHOWS_NOT), right=0)


def evidence_shown(exhibit: Exhibit) -> str:
    """Return the entries as a judge reads them."""
    return "\n".join(f"- {line}" for line in exhibit.lines) or "- (none)"
