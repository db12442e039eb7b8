"""What a ranking would cost, said before a model is asked."""

from math import ceil

from ...records import Message, Record
from ..pairing.batch_form import BatchForm, Member, shared_case
from ..pairing.batch_pass import as_batched, calls_for, noted_cues, open_pairs_of
from ..pairing.pair_judge import blank_calls
from ..pairing.pass_price import fewest_calls
from .choose_passes import wanted_passes
from .rank_state import Question, RankDeps, RankState
from .score_candidates import prior_of

_CHARACTERS_PER_TOKEN = 4


class RankEstimate(Record):
    """About what a ranking costs.

    Tokens are characters over four. Items that have to be asked for again alone, and failed calls that are sent again,
    are not foreseen.
    """

    candidates: int
    """How many are ranked."""

    promising: int
    """How many could change the top, as far as the scorer knows; `joint` pairs every one."""

    up_to_date: int
    """How many of those have a pair in the store that costs nothing."""

    calls: tuple[int, int]
    """Fewest calls, if the first round settles the top, and most, if every candidate is paired. Never above the
    budget."""

    prompt_tokens: int
    """Tokens read, at most calls."""

    completion_tokens: int
    """Tokens written, at most calls and full length."""


async def estimate_rank(rank: RankDeps, question: Question) -> RankEstimate:
    """Score the candidates and count calls and tokens; nothing is sent or written.

    Raises:
        InputError: The ranking itself would refuse the user or a candidate.
    """
    prior = await prior_of(rank, question)
    wanted = wanted_passes(rank, RankState(question=question, prior=prior, passes={}, tried=[]))
    if rank.deps.chat is None:
        return _nothing(question, len(wanted))
    return await (_joint if question.mode == "joint" else _factored)(rank, question, wanted)


def _nothing(question: Question, promising: int) -> RankEstimate:
    return RankEstimate(
        candidates=len(question.items),
        promising=promising,
        up_to_date=0,
        calls=(0, 0),
        prompt_tokens=0,
        completion_tokens=0,
    )


async def _factored(rank: RankDeps, question: Question, wanted: list[str]) -> RankEstimate:
    """Count batches; the price of one is that of the first."""
    size = rank.deps.settings.pairing.per_call
    found = await open_pairs_of(
        rank.drawing, rank.deps, question.user_id, question.items, as_of=question.as_of
    )
    still = [pair for pair in found.open if pair.item_id in wanted]
    none = _nothing(question, len(wanted)).model_copy(
        update={"up_to_date": sum(item_id in found.pairs for item_id in wanted)}
    )
    if not still:
        return none
    batch = (still + [pair for pair in found.open if pair not in still])[:size]
    deps = as_batched(rank.deps)
    shared = shared_case([pair.case for pair in batch]) or batch[0].case
    members = [Member(pair.case, await noted_cues(deps, pair.case.for_item())) for pair in batch]
    form = BatchForm(shared, await noted_cues(deps, shared), members, deps)
    first = calls_for(deps, min(len(still), ceil(question.top / size) * size))
    batches = ceil(len(found.open) / size)
    blank = await blank_calls(deps, found.open[0].case.scale)
    most = min(calls_for(deps, len(found.open)) + blank, rank.calls_left)
    return none.model_copy(
        update={
            "calls": (min(first, most), most),
            "prompt_tokens": min(batches, most) * _tokens(form.messages()),
            "completion_tokens": min(batches, most) * form.max_tokens,
        }
    )


async def _joint(rank: RankDeps, question: Question, wanted: list[str]) -> RankEstimate:
    """Count full drawings without revisions at fewest, with them at most."""
    prices = [
        await fewest_calls(rank.deps, question.user_id, item_id, as_of=question.as_of) for item_id in wanted
    ]
    drafting = rank.deps.settings.drafting
    due = sum(price > 0 for price in prices)
    fewest = min(sum(prices), rank.calls_left)
    scale = await rank.deps.store.rating_scale(as_of=question.as_of)
    blank = await blank_calls(rank.deps, scale) if due else 0
    revised = drafting.rounds * drafting.revisions * (1 if rank.deps.settings.pairing.paired else 2)
    most = min(sum(prices) + due * revised + blank, rank.calls_left)
    first = [item_id for item_id, price in zip(wanted, prices, strict=True) if price][:1]
    found = await open_pairs_of(rank.drawing, rank.deps, question.user_id, first, as_of=question.as_of)
    none = _nothing(question, len(wanted)).model_copy(update={"up_to_date": len(wanted) - due})
    if not found.open:
        return none.model_copy(update={"calls": (fewest, most)})
    [pair] = found.open
    cues = await noted_cues(rank.deps, pair.case)
    item_cues = await noted_cues(rank.deps, pair.case.for_item())
    form = BatchForm(pair.case, cues, [Member(pair.case, item_cues)], rank.deps).forms[0]
    prompt = _tokens(form.request(advice="", best=None).messages)
    return none.model_copy(
        update={
            "calls": (fewest, most),
            "prompt_tokens": most * prompt,
            "completion_tokens": most * form.max_tokens,
        }
    )


def _tokens(messages: tuple[Message, ...]) -> int:
    return sum(len(message.content) for message in messages) // _CHARACTERS_PER_TOKEN
