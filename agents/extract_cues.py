"""Node: note what is new in the history, on both sides of a pair.

Reads `user_id`, `item_id`, `as_of`; writes `cues`, `item_cues`, `spent`, `notes`, `exhausted`, `fingerprint`.
Model calls: one for each batch of interactions that were not cued before.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from langgraph.runtime import Runtime

from ..models import Cue
from ..records import Interaction, Usage
from ..tools.prompt import load_prompt
from .build_case import case_of
from .calling import Answer, ask_as, make_request, usage_of
from .case import Case
from .cue_drafts import CueList, cue_schema, extractive_cues, place_of, read_cues
from .fingerprint import fingerprint_of
from .standing import weigh
from .state import LENGTHS, Deps, State, Style

PROMPT = load_prompt("extract_cues")

TOKENS_PER_CUE = 45
"""Length allowed for one note."""

_TEMPERATURE = 0.3


class Update(TypedDict):
    """The keys this node may change."""

    cues: list[Cue]
    item_cues: list[Cue]
    spent: Usage
    notes: list[str]
    exhausted: bool
    fingerprint: str


class Noted(NamedTuple):
    """What one side's extraction gave."""

    cues: list[Cue]
    usage: Usage
    notes: list[str]
    exhausted: bool


async def extract_cues(state: State, runtime: Runtime[Deps]) -> Update:
    """Extract cues from interactions not cued before and load the others.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`. Raised before the model is paid for.
        UnknownItemError: The item of a pair is not in the catalogue.
    """
    deps = runtime.context
    case = await case_of(deps, state)
    user = await _note_side(deps, case, "a person's own entries show about the person's taste")
    item = Noted([], Usage(), [], user.exhausted)
    if case.item_side:
        item = await _note_side(deps, case.for_item(), "other people's entries show about one item")
    return {
        "cues": user.cues,
        "item_cues": item.cues,
        "spent": user.usage + item.usage,
        "notes": [*user.notes, *item.notes],
        "exhausted": user.exhausted or item.exhausted,
        "fingerprint": fingerprint_of(deps, case),
    }


async def _note_side(deps: Deps, case: Case, subject: str) -> Noted:
    known = await known_cues(deps, case)
    new = known.new
    batches = batches_to_read(deps, new)
    older = new[: len(new) - sum(map(len, batches))]
    answers = await asyncio.gather(*(_ask_batch(deps, case, batch, subject) for batch in batches))
    fresh, read, stand_in = extractive_cues(case, older, deps.lexicon), list(older), list[Cue]()
    for batch, answer in zip(batches, answers, strict=True):
        cues = _read_batch(deps, case, batch, answer)
        if answer.note:
            stand_in += cues  # a model that failed is asked again the next time
        else:
            fresh += cues
            read += batch
    if read:
        await deps.store.add_cues(shelf_of(deps, case.subject), fresh, [event.event_id for event in read])
        known = await known_cues(deps, case)
    return Noted(
        _standing(case, [*known.cues, *stand_in]),
        usage_of(answers),
        sorted({answer.note for answer in answers if answer.note}),
        any(answer.exhausted for answer in answers),
    )


def _standing(case: Case, cues: list[Cue]) -> list[Cue]:
    """Leave out what the user took back later; it stays in the store."""
    return weigh(cues, {event.event_id: event for event in case.visible}, case.language).standing


def batches_to_read(deps: Deps, new: Sequence[Interaction]) -> list[Sequence[Interaction]]:
    """Return what a model reads of new interactions, a call a batch; nothing for the plain style, which sees
    the history itself.
    """
    if deps.chat is None or deps.style == "plain":
        return []
    drafting = deps.settings.drafting
    read = new[-drafting.cue_history :]
    return [read[start : start + drafting.cue_batch] for start in range(0, len(read), drafting.cue_batch)]


async def _ask_batch(deps: Deps, case: Case, batch: Sequence[Interaction], subject: str) -> Answer[CueList]:
    schema = cue_schema(case, batch, deps.lexicon, deps.style)
    if not schema:
        return Answer()
    request = make_request(
        PROMPT,
        PROMPT.render(events=case.lines(batch, LENGTHS[deps.style]), language=case.language, subject=subject),
        schema=schema,
        max_tokens=TOKENS_PER_CUE * (len(batch) + 1),
        seed=deps.settings.drafting.seed,
        temperature=_TEMPERATURE,
        top_p=deps.settings.drafting.top_p,
    )
    return await ask_as(deps, request, CueList)


def _read_batch(deps: Deps, case: Case, batch: Sequence[Interaction], answer: Answer[CueList]) -> list[Cue]:
    """Read a model's notes; interactions it said nothing usable about are cued without it."""
    cues = read_cues(case, batch, answer.value) if answer.value else []
    covered = {event_id for cue in cues for event_id in cue.evidence}
    left = [event for event in batch if event.event_id not in covered]
    return cues + extractive_cues(case, left, deps.lexicon)


class Known(NamedTuple):
    """What a subject's cues say already, as far as a portrait of this moment may know."""

    cues: list[Cue]
    """Those whose writers had read visible interactions only, so that none tells what is held back."""

    new: list[Interaction]
    """Visible interactions to be cued: never read, or cited only by cues that may tell too much."""


def shelf_of(deps: Deps, subject: str) -> str:
    """Return where a subject's cues are kept: each writer has its own, so a better one starts afresh."""
    return shelf_name(subject, deps.chat.identity if deps.chat else None, deps.style)


def shelf_name(subject: str, identity: str | None, style: Style) -> str:
    """Return where what a model of this identity and style notes is kept; the plain style is noted without one."""
    writer = "none" if identity is None or style == "plain" else identity
    return f"{subject} by {writer}/{style}/v{PROMPT.version}"


async def known_cues(deps: Deps, case: Case) -> Known:
    """Load a subject's cues and tell which interactions they leave out."""
    return await cues_about(deps, case.subject, case.visible)


async def cues_about(deps: Deps, subject: str, history: Sequence[Interaction]) -> Known:
    """Load a subject's cues as far as who knows this history, oldest first, may know them."""
    done = await deps.store.cued_events(shelf_of(deps, subject))
    if not done or not history:
        return Known([], list(history))
    visible = {event.event_id for event in history}
    last = place_of(history[-1])
    cues: list[Cue] = []
    late: set[str] = set()
    for cue in await deps.store.cues(shelf_of(deps, subject)):
        if visible.issuperset(cue.evidence) and (cue.read_to is None or cue.read_to <= last):
            cues.append(cue)
        else:
            late.update(cue.evidence)
    cited = {event_id for cue in cues for event_id in cue.evidence}
    left = [event for event in history if event.event_id not in done or event.event_id in late - cited]
    return Known(cues, left)
