"""What drawing would cost, said before a model is asked."""

from collections.abc import AsyncIterable, Iterable
from datetime import datetime

from ..errors import InputError
from ..records import Message, Record
from ..tools.prices import Price
from .build_case import build_case
from .build_form import form_of
from .case import Case
from .cue_drafts import extractive_cues
from .extract_cues import PROMPT as CUES
from .extract_cues import TOKENS_PER_CUE, batches_to_read, known_cues
from .fingerprint import fingerprint_of
from .state import LENGTHS, Deps, State

_CHARACTERS_PER_TOKEN = 4


class Estimate(Record):
    """About what a batch costs.

    Tokens are characters over four. Failed calls that are sent again, and answers that have to be asked for
    again, are not foreseen.
    """

    users: int
    """Users that would be drawn."""

    up_to_date: int
    """Users whose portrait would be left as it is."""

    skipped: int
    """Users without a usable history."""

    calls: tuple[int, int]
    """Fewest (no revision) and most calls."""

    prompt_tokens: int
    """Tokens read, at most calls."""

    completion_tokens: int
    """Tokens written, at most calls and full length."""

    cost: float | None
    """About how many US dollars; absent if the model's price is unknown."""


async def estimate_profiles(
    deps: Deps,
    user_ids: Iterable[str] | AsyncIterable[str],
    *,
    as_of: datetime,
    price: Price | None,
) -> Estimate:
    """Read the histories and count calls and tokens; nothing is sent or written.

    Args:
        deps: What a run may touch.
        user_ids: Who would be drawn.
        as_of: Exclusive bound.
        price: What tokens cost; `None` if unknown.
    """
    total = Estimate(
        users=0, up_to_date=0, skipped=0, calls=(0, 0), prompt_tokens=0, completion_tokens=0, cost=None
    )
    async for user_id in _each(user_ids):
        total = _add(total, await _estimate_one(deps, user_id, as_of))
    if price is None:
        return total
    return total.model_copy(update={"cost": price(total.prompt_tokens, total.completion_tokens)})


async def _estimate_one(deps: Deps, user_id: str, as_of: datetime) -> Estimate:
    none = Estimate(
        users=0, up_to_date=0, skipped=0, calls=(0, 0), prompt_tokens=0, completion_tokens=0, cost=None
    )
    state = State(user_id=user_id, item_id=None, as_of=as_of, run_id="", cues=[], item_cues=[])
    try:
        case = await build_case(deps, state)
    except InputError:
        return none.model_copy(update={"skipped": 1})
    newest = await deps.store.profile(user_id, as_of=as_of)
    if newest and newest.fingerprint == fingerprint_of(deps, case):
        return none.model_copy(update={"up_to_date": 1})
    if deps.chat is None:
        return none.model_copy(update={"users": 1})
    return await _count(deps, case, state)


async def _count(deps: Deps, case: Case, state: State) -> Estimate:
    drafting = deps.settings.drafting
    known = await known_cues(deps, case)
    batches = batches_to_read(deps, known.new)
    cue_prompts = [
        CUES.render(
            events=case.lines(batch, LENGTHS[deps.style]),
            language=case.language,
            subject="a person's own entries show",
        )
        for batch in batches
    ]
    state["cues"] = [*known.cues, *extractive_cues(case, known.new, deps.lexicon)]
    form = form_of(case, state, deps)
    draft = form.request(advice="", best=None).messages
    drafts = drafting.drafts if case.has_exam else 1
    revisions = drafting.rounds * drafting.revisions if case.has_exam else 0
    return Estimate(
        users=1,
        up_to_date=0,
        skipped=0,
        calls=(len(batches) + drafts, len(batches) + drafts + revisions),
        prompt_tokens=sum(_tokens(prompt) for prompt in cue_prompts) + (drafts + revisions) * _tokens(draft),
        completion_tokens=TOKENS_PER_CUE * sum(len(batch) + 1 for batch in batches)
        + (drafts + revisions) * form.max_tokens,
        cost=None,
    )


def _tokens(messages: tuple[Message, ...]) -> int:
    return sum(len(message.content) for message in messages) // _CHARACTERS_PER_TOKEN


def _add(one: Estimate, two: Estimate) -> Estimate:
    return Estimate(
        users=one.users + two.users,
        up_to_date=one.up_to_date + two.up_to_date,
        skipped=one.skipped + two.skipped,
        calls=(one.calls[0] + two.calls[0], one.calls[1] + two.calls[1]),
        prompt_tokens=one.prompt_tokens + two.prompt_tokens,
        completion_tokens=one.completion_tokens + two.completion_tokens,
        cost=None,
    )


async def _each(user_ids: Iterable[str] | AsyncIterable[str]) -> AsyncIterable[str]:
    if isinstance(user_ids, AsyncIterable):
        async for user_id in user_ids:
            yield user_id
    else:
        for user_id in user_ids:
            yield user_id
