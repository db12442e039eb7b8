"""Fresh completions, read with the form that their prompt asks for, and embedded together."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...agents.build_form import form_of
from ...agents.case import Case
from ...agents.critic import Read, read_drafts
from ...agents.cue_drafts import extractive_cues
from ...agents.extract_cues import known_cues
from ...agents.form import DraftRequest, Form
from ...agents.sampling import read_answer
from ...agents.state import LENGTHS, Deps, Draft, State, Style
from ...errors import ExamChangedError, InputError
from ...models import Cue
from ...records import Usage
from ...tools.chat import ChatResult
from ...tools.gathered_embedder import GatheredEmbedder
from ...tools.prompt import load_prompt
from ..log.reopened_case import reopen_case
from .exercise import Exercise

_CASES = 512
_STYLES: Mapping[str, tuple[Style, ...]] = {
    "draft_profile": ("free", "lexicon"),
    "revise_profile": ("free", "lexicon"),
    "draft_plain": ("plain",),
}
_SHOWN: Mapping[Style, int] = {"free": 20, "lexicon": 4, "plain": 12}
"""Newest interactions that the prompts of each style show."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An exercise with everything that reading and grading its completions takes."""

    case: Case
    """The material."""

    forms: tuple[Form, ...]
    """How completions are read, the likeliest first; histories too short to tell styles apart leave two."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One completion after reading."""

    exercise: Exercise
    """What it answers."""

    case: Case
    """What it is graded against."""

    draft: Draft | None
    """Its sentences; absent if it holds none."""

    vectors: Read | None
    """Its vectors; absent with the draft."""

    @property
    def text(self) -> str:
        """The portrait; empty if it could not be read."""
        return self.draft.text if self.draft else ""


class Reader:
    """Reads completions through a store; material is kept, and every batch is embedded in one call.

    Args:
        deps: What the graph may touch; the catalogue must be indexed.
        cases: Exercises whose material is kept, about half a megabyte each.
    """

    def __init__(self, deps: Deps, *, cases: int = _CASES) -> None:
        self.deps = replace(deps, embedder=GatheredEmbedder(deps.embedder))
        """What rewards may touch: the encoder puts together what tasks ask at the same time."""

        self._most = cases
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._last: dict[tuple[str, str], Reading] = {}
        self._turn = asyncio.Lock()

    async def open(self, exercise: Exercise) -> Opened:
        """Return the material of an exercise.

        Raises:
            ExamChangedError: History, held-back events or negatives are no longer those of the log.
            InputError: No form is known for its prompt.
        """
        key = exercise.key
        if key not in self._opened:
            case = await reopen_case(
                self.deps,
                exercise.user_id,
                as_of=exercise.as_of,
                held=exercise.held,
                neg_seed=exercise.neg_seed,
            )
            self._opened[key] = Opened(case=case, forms=await self._forms(exercise, case))
        self._opened.move_to_end(key)
        while len(self._opened) > self._most:
            self._opened.popitem(last=False)
        return self._opened[key]

    async def read(self, exercises: Sequence[Exercise], completions: Sequence[str]) -> list[Reading]:
        """Read completions, one for each exercise; several rewards of one batch share the work.

        Raises:
            ExamChangedError: An exercise can no longer be graded alike.
        """
        keys = [(each.key, text) for each, text in zip(exercises, completions, strict=True)]
        async with self._turn:
            missing = {key: each for key, each in zip(keys, exercises, strict=True) if key not in self._last}
            fresh = await self._read(missing)
            self._last = {key: fresh.get(key) or self._last[key] for key in keys}
            return [self._last[key] for key in keys]

    async def _read(self, wanted: Mapping[tuple[str, str], Exercise]) -> dict[tuple[str, str], Reading]:
        drafts: dict[tuple[str, str], tuple[Case, Draft]] = {}
        for place, (key, exercise) in enumerate(wanted.items()):
            opened = await self.open(exercise)
            drafts[key] = opened.case, self._draft(opened.forms, exercise, key[1], place)
        whole = [key for key, (_, draft) in drafts.items() if draft.facets]
        reads = await read_drafts(self.deps, [drafts[key][1] for key in whole]) if whole else []
        vectors = dict(zip(whole, reads, strict=True))
        return {
            key: Reading(
                exercise=wanted[key],
                case=case,
                draft=draft if draft.facets else None,
                vectors=vectors.get(key),
            )
            for key, (case, draft) in drafts.items()
        }

    def _draft(self, forms: Sequence[Form], exercise: Exercise, completion: str, place: int) -> Draft:
        request = DraftRequest(prompt=load_prompt(exercise.prompt_id), messages=exercise.prompt, best=None)
        said = ChatResult(text=completion, finish_reason="unknown", model="policy", usage=Usage())
        drafts = [
            read_answer(self.deps, form, request, said, round_=0, draft_ix=place, seed=0) for form in forms
        ]
        return next((draft for draft in drafts if draft.facets), drafts[0])

    async def _forms(self, exercise: Exercise, case: Case) -> tuple[Form, ...]:
        styles = styles_of(exercise, case, preferred=self.deps.style)
        return tuple([await self._form(exercise, case, style) for style in styles])

    async def _form(self, exercise: Exercise, case: Case, style: Style) -> Form:
        deps = replace(self.deps, style=style)
        cues: list[Cue] = []
        if style == "lexicon":  # its sentences are told apart by themes, and themes come from cues
            known = await known_cues(deps, case)
            cues = [*known.cues, *extractive_cues(case, known.new, deps.lexicon)]
        state = State(user_id=exercise.user_id, item_id=None, as_of=exercise.as_of, run_id="", cues=cues)
        return form_of(case, state, deps)


def styles_of(exercise: Exercise, case: Case, *, preferred: Style) -> list[Style]:
    """Return the styles in which a prompt may have been written: those whose lines of the history it holds.

    Args:
        exercise: With the prompt.
        case: The history as the store gives it.
        preferred: Comes first where several fit, as they do for short histories of short titles.

    Raises:
        ExamChangedError: The prompt shows another history than the store.
        InputError: No form is known for the prompt.
    """
    if exercise.prompt_id not in _STYLES:
        known = ", ".join(sorted(_STYLES))
        raise InputError(f"prompt_id={exercise.prompt_id!r} is not graded; prepare drafts of {known}")
    shown = "\n".join(message.content for message in exercise.prompt if message.role == "user")
    styles: list[Style] = sorted(_STYLES[exercise.prompt_id], key=lambda style: style != preferred)
    found: list[Style] = [style for style in styles if _shows(shown, case, style)]
    if not found:
        reason = "the prompt shows another history than the store gives"
        raise ExamChangedError(exercise.user_id, exercise.as_of.isoformat(), reason)
    return found


def _shows(prompt: str, case: Case, style: Style) -> bool:
    """Whether a prompt holds every line that it would hold today; lines whose marks were broken up count."""
    lines = case.lines(case.visible[-_SHOWN[style] :], LENGTHS[style])
    told = (f"{ref}: {line}" if style != "plain" else line for ref, line in lines)
    return all(line in prompt for line in told if "<|" not in line and "|>" not in line)
