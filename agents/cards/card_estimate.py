"""What describing items would cost, said before a model is asked."""

from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from datetime import datetime

from ...records import Record
from ...tools.chat import ChatRequest
from ...tools.prices import Price
from ..state import Deps
from .card_form import batch_request, chain_request, extractive_draft
from .card_material import CHAIN
from .describe_items import Batch, Describing

_CHARACTERS_PER_TOKEN = 4


class CardEstimate(Record):
    """About what a batch of cards costs.

    Tokens are characters over four. Failed calls that are sent again, and items that an answer misses, are not
    foreseen.
    """

    items: int
    """Cards that would be written."""

    up_to_date: int
    """Items whose card is there already."""

    shared: int
    """Items that would take the card of a near-duplicate."""

    skipped: int
    """Items that are unknown or have no text."""

    calls: int
    """Requests; three for each of `items` is what asking step by step would take."""

    prompt_tokens: int
    """Tokens read."""

    completion_tokens: int
    """Tokens written at full length."""

    cost: float | None
    """About how many US dollars; absent if the model's price is unknown."""


async def estimate_cards(
    deps: Deps,
    item_ids: Iterable[str] | AsyncIterable[str],
    *,
    as_of: datetime,
    price: Price | None,
) -> CardEstimate:
    """Read the items and their reviews and count calls and tokens; nothing is sent.

    Args:
        deps: What a run may touch.
        item_ids: Which items.
        as_of: Exclusive bound of the reviews.
        price: What tokens cost; `None` if unknown.
    """
    describing = Describing(deps, as_of, dry=True)
    up_to_date = skipped = 0
    written = prompt_tokens = completion_tokens = calls = 0
    async with aclosing(describing.jobs(item_ids)) as jobs:
        async for job in jobs:
            if not isinstance(job, Batch):
                up_to_date += sum(outcome.card is not None for outcome in job)
                skipped += sum(outcome.error is not None for outcome in job)
                continue
            requests = _requests(deps, job)
            written += len(job.materials)
            calls += len(requests)
            prompt_tokens += sum(map(_tokens_read, requests))
            completion_tokens += sum(request.max_tokens for request in requests)
    return CardEstimate(
        items=written,
        up_to_date=up_to_date,
        shared=describing.waiting - written,
        skipped=skipped,
        calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost=price(prompt_tokens, completion_tokens) if price else None,
    )


def _requests(deps: Deps, batch: Batch) -> list[ChatRequest]:
    """Return what would be sent; what one answer of a chain says is not known to the next question yet."""
    if deps.chat is None:
        return []
    if deps.settings.cards.form == "batched":
        return [batch_request(deps, batch.materials)]
    return [
        chain_request(deps, material, step, extractive_draft(material))
        for material in batch.materials
        for step in range(len(CHAIN))
    ]


def _tokens_read(request: ChatRequest) -> int:
    return sum(len(message.content) for message in request.messages) // _CHARACTERS_PER_TOKEN
