"""Write the pairs of one user with several items in one call; what cannot be read is asked for again alone.

Each pair is criticised, grounded, published and logged as one that was written alone. Cues that are in the store
serve both sides; what nobody noted yet is noted without a model, so that every call goes into a pass.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import Any, NamedTuple

from ...errors import BudgetExceededError, InputError
from ...models import Cue
from ...pairings import Pair
from ...records import Message, Usage, content_hash
from ...tools.chat import ChatResult
from ...tools.structured import read_as
from ..build_case import build_case
from ..calling import Answer, ask, make_request
from ..case import Case
from ..cue_drafts import extractive_cues
from ..drawing import Drawing
from ..extract_cues import known_cues
from ..fingerprint import fingerprint_of
from ..form import DraftRequest
from ..sampling import sample_drafts, unread_draft
from ..state import Deps, Draft, State
from .batch_form import PROMPT, BatchForm, Member, shared_case
from .finish_pair import finish_pair
from .pair_form import PairForm
from .pair_judge import asks_judge, blank_calls


class Passed(NamedTuple):
    """What came of one or several passes."""

    pairs: dict[str, Pair]
    """By item; items that nothing can be written about are left out."""

    usage: Usage
    notes: list[str]
    exhausted: bool
    """Whether the budget refused a call."""


class Open(NamedTuple):
    """A pair that is still to be written."""

    item_id: str
    case: Case
    state: State


class Found(NamedTuple):
    """What the store says of several pairs."""

    pairs: dict[str, Pair]
    open: list[Open]
    notes: list[str]


class _Unread(NamedTuple):
    """What a batch gave for an item whose part could not be read."""

    draft: Draft
    messages: tuple[Message, ...]


class _Together(NamedTuple):
    """What one batched call gave."""

    pairs: dict[str, Pair]
    unread: dict[str, _Unread]
    lost: Usage
    """What was spent and is in no pair."""

    notes: list[str]


def as_batched(deps: Deps) -> Deps:
    """Return the doors under the settings that batched pairs are written with: unjudged, unless told otherwise."""
    settings = deps.settings
    if settings.pairing.judge_ranked or settings.reward.rating == 0:
        return deps
    reward = settings.reward.model_copy(update={"rating": 0.0})
    return replace(deps, settings=settings.model_copy(update={"reward": reward}))


async def pass_items(
    drawing: Drawing, deps: Deps, user_id: str, item_ids: Sequence[str], *, as_of: datetime
) -> Passed:
    """Pair a user with items: what is in the store as it should be, and the rest several a call, all calls at once.

    Args:
        drawing: Names runs.
        deps: The doors on behalf of the user, with the budget.
        user_id: The user.
        item_ids: Items.
        as_of: Exclusive bound.
    """
    found = await open_pairs_of(drawing, deps, user_id, item_ids, as_of=as_of)
    batched, size = as_batched(deps), deps.settings.pairing.per_call
    due = found.open[: await _affordable(batched, found.open)]
    batches = [due[start : start + size] for start in range(0, len(due), size)]

    async def write(batch: Sequence[Open]) -> Passed:
        async with drawing.concerning(user_id, *(pair.item_id for pair in batch)):
            return await _write(batched, batch)

    written = await asyncio.gather(*map(write, batches))
    return joined([Passed(found.pairs, Usage(), found.notes, len(due) < len(found.open)), *written])


def calls_for(deps: Deps, count: int) -> int:
    """Return the calls that so many pairs take, and the verdicts on them; those on blank profiles are left out.

    Args:
        deps: The doors, as batched pairs are written with.
        count: Pairs that are not in the store.
    """
    pairing = deps.settings.pairing
    written = ceil(count / pairing.per_call) if pairing.paired else count * len(("user", "item"))
    return written + count * asks_judge(deps)


async def _affordable(deps: Deps, open_pairs: Sequence[Open]) -> int:
    """Return how many of the first pairs the calls left pay for with their verdicts: one without is worth nothing.

    Without a judge the budget itself refuses the batch that does not fit.
    """
    limit, taken = deps.budget.limits.calls, deps.budget.spent.calls + deps.budget.open
    count = len(open_pairs)
    if limit is None or count == 0 or not asks_judge(deps):
        return count
    blank = await blank_calls(deps, open_pairs[0].case.scale)
    left = limit - taken - blank
    allowed = next((fewer for fewer in range(count, 0, -1) if calls_for(deps, fewer) <= left), 0)
    if not allowed:
        with suppress(BudgetExceededError):  # recorded, as the refusal of a call is
            deps.budget.require(calls=calls_for(deps, 1) + blank)
    return allowed


def joined(parts: Sequence[Passed]) -> Passed:
    """Put together what came of several passes."""
    return Passed(
        {item_id: pair for part in parts for item_id, pair in part.pairs.items()},
        Usage.total(part.usage for part in parts),
        [note for part in parts for note in part.notes],
        any(part.exhausted for part in parts),
    )


async def open_pairs_of(
    drawing: Drawing, deps: Deps, user_id: str, item_ids: Sequence[str], *, as_of: datetime
) -> Found:
    """Tell which pairs are in the store as they should be and which are to be written; no model call."""
    found = Found({}, [], [])
    for item_id in item_ids:
        state = State(user_id=user_id, item_id=item_id, as_of=as_of, run_id="")
        try:
            looked = await _look_up(drawing, deps, state)
        except InputError as error:  # nothing of the history is left without the item itself
            found.notes.append(f"{item_id} was not paired: {error}")
            continue
        if isinstance(looked, Pair):
            found.pairs[item_id] = looked
        else:
            found.open.append(looked)
    return found


async def _look_up(drawing: Drawing, deps: Deps, state: State) -> Pair | Open:
    """Return the pair that is in the store and up to date, or what is needed to write it."""
    case = await build_case(deps, state)
    item_id = state.get("item_id") or ""
    alone = fingerprint_of(deps, case)
    batched = content_hash(PROMPT.id, PROMPT.version, fingerprint_of(as_batched(deps), case))
    newest = await deps.store.pair(state["user_id"], item_id)
    if newest and newest.fingerprint in (alone, batched) and newest.as_of <= state["as_of"]:
        return newest
    run_id = drawing.run_id(batched, newest)
    return Open(item_id, case, State(**{**state, "run_id": run_id, "fingerprint": batched}))


async def _write(deps: Deps, open_pairs: Sequence[Open]) -> Passed:
    """Ask for all in one call, then for each that could not be read."""
    batch = await _write_together(deps, open_pairs)
    pairs, lost, notes = dict(batch.pairs), batch.lost, list(batch.notes)
    for pair in open_pairs:
        if pair.item_id in pairs:
            continue
        if _refused(deps):
            break
        single = await _write_alone(deps, pair, batch.unread.get(pair.item_id))
        notes += single.notes
        pairs |= single.pairs
        if not single.pairs:
            lost += single.usage
            break  # whoever does not answer for one item will not for the next
    lost += Usage.total(one.draft.usage for item_id, one in batch.unread.items() if item_id not in pairs)
    spent = Usage.total([lost, *(pair.usage for pair in pairs.values())])
    return Passed(pairs, spent, notes, _refused(deps))


def _refused(deps: Deps) -> bool:
    """Whether the budget refused a call."""
    try:
        deps.budget.check()
    except BudgetExceededError:
        return True
    return False


async def _write_together(deps: Deps, open_pairs: Sequence[Open]) -> _Together:
    """Ask for all items in one call; nothing for a single one, for items that share no visible history, or where
    neither side is to see the other.
    """
    shared = shared_case([pair.case for pair in open_pairs])
    if shared is None or len(open_pairs) < 2 or not deps.settings.pairing.paired:
        return _Together({}, {}, Usage(), [])
    cues = await noted_cues(deps, shared)
    item_cues = [await noted_cues(deps, pair.case.for_item()) for pair in open_pairs]
    members = [Member(pair.case, noted) for pair, noted in zip(open_pairs, item_cues, strict=True)]
    form = BatchForm(shared, cues, members, deps)
    asked = DraftRequest(prompt=PROMPT, messages=form.messages(), best=None)
    answer = await _ask(deps, form, asked)
    notes = [answer.note] if answer.note else []
    if answer.value is None:
        return _Together({}, {}, answer.usage, notes)
    drafts = _read(deps, form, asked, answer.value)
    pairs: dict[str, Pair] = {}
    unread: dict[str, _Unread] = {}
    for place, (pair, draft) in enumerate(zip(open_pairs, drafts, strict=True)):
        if not draft.facets:
            unread[pair.item_id] = _Unread(draft, asked.messages)
            continue
        drawn = [form.forms[place].floor(deps.clock.now()), draft]
        pairs[pair.item_id] = await _finish(
            deps, pair, drawn, {0: asked.messages}, cues, item_cues[place], notes
        )
    return _Together(pairs, unread, Usage(), notes)


async def _write_alone(deps: Deps, pair: Open, unread: _Unread | None) -> Passed:
    """Ask for one pair by itself; what a batch gave for it stays in its log as an earlier round."""
    cues, item_cues = await noted_cues(deps, pair.case), await noted_cues(deps, pair.case.for_item())
    form = PairForm(pair.case, cues, item_cues, deps)
    request = form.request(advice="", best=None)
    round_ = 1 if unread else 0
    sampled = await sample_drafts(deps, form, request, count=1, round_=round_)
    if not sampled.drafts:
        return Passed({}, sampled.usage, sampled.notes, sampled.exhausted)
    drafts = [form.floor(deps.clock.now()), *([unread.draft] if unread else []), *sampled.drafts]
    prompts = {round_: request.messages} | ({0: unread.messages} if unread else {})
    written = await _finish(deps, pair, drafts, prompts, cues, item_cues, sampled.notes)
    return Passed({pair.item_id: written}, sampled.usage, sampled.notes, False)


async def noted_cues(deps: Deps, case: Case) -> list[Cue]:
    """Return what is noted already, and the rest noted without a model."""
    known = await known_cues(deps, case)
    return [*known.cues, *extractive_cues(case, known.new, deps.lexicon)]


async def _ask(deps: Deps, form: BatchForm, asked: DraftRequest) -> Answer[ChatResult]:
    drafting = deps.settings.drafting
    return await ask(
        deps,
        make_request(
            asked.prompt,
            asked.messages,
            schema=form.schema(seed=drafting.seed),
            max_tokens=form.max_tokens,
            seed=drafting.seed,
            temperature=drafting.temperature,
            top_p=drafting.top_p,
            top_logprobs=int(deps.logprobs),
        ),
    )


def _read(deps: Deps, form: BatchForm, asked: DraftRequest, result: ChatResult) -> list[Draft]:
    """Read each item's part; a draft keeps the whole completion and its share of the price."""
    read = read_as(result.text, dict[str, Any])
    answer: Mapping[str, Any] = read[0] if isinstance(read, tuple) else {}
    drafts: list[Draft] = []
    for place, share in enumerate(shares_of(result.usage, len(form.forms))):
        empty = unread_draft(
            deps, asked, result, round_=0, draft_ix=place, seed=deps.settings.drafting.seed
        ).model_copy(update={"usage": share})
        try:
            drafts.append(form.fill(empty, answer, place))
        except ValueError:  # pydantic's ValidationError is one
            drafts.append(empty)
    return drafts


async def _finish(
    deps: Deps,
    pair: Open,
    drafts: list[Draft],
    prompts: dict[int, tuple[Message, ...]],
    cues: list[Cue],
    item_cues: list[Cue],
    notes: Sequence[str],
) -> Pair:
    deps.keep_case(pair.state["run_id"], pair.case)
    state: State = {
        **pair.state,
        "cues": cues,
        "item_cues": item_cues,
        "drafts": drafts,
        "prompts": prompts,
        "round": max(prompts),
        "spent": Usage.total(draft.usage for draft in drafts),
        "notes": list(notes),
        "exhausted": False,
    }
    return await finish_pair(deps, state)


def shares_of(usage: Usage, count: int) -> list[Usage]:
    """Divide what one call cost among its items; the shares add up to it.

    Examples:
        >>> [share.prompt_tokens for share in shares_of(Usage(calls=1, prompt_tokens=7), 3)]
        [3, 2, 2]
    """

    def part(whole: float, place: int) -> float:
        if not isinstance(whole, int):
            return whole / count
        return whole // count + (place < whole % count)

    values = usage.model_dump()
    return [Usage(**{name: part(whole, place) for name, whole in values.items()}) for place in range(count)]
