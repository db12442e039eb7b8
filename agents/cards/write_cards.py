"""Write cards: ask the model, ask again for what it missed, fall back to fixed sentences, ground, sign."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ...cards import ItemCard
from ...records import Usage
from ...tools.prompt import load_prompt
from ..calling import ask_as
from ..colophon import INCOMPLETE
from ..state import Deps
from .card_form import (
    CardDraft,
    CardDrafts,
    batch_request,
    chain_request,
    extractive_draft,
    read_batch,
)
from .card_grounding import Grounded, ground_cards
from .card_material import CHAIN, CardMaterial, prompt_names

_MISSED = "describe_items: the answer left this item out"


class _Written(NamedTuple):
    """What a model wrote about one item."""

    draft: CardDraft | None
    usage: Usage
    note: str | None = None


async def write_cards(deps: Deps, batch: Sequence[CardMaterial], *, as_of: datetime) -> list[ItemCard]:
    """Describe items of one language; nothing is stored.

    An item that the model keeps missing gets fixed sentences, a note, and a fingerprint that the next run does not
    take for finished.

    Raises:
        PriceUnknownError: The budget limits money and the model's price is unknown.
    """
    if deps.chat is None:
        written = [_Written(None, Usage()) for _ in batch]
    elif deps.settings.cards.form == "chain":
        written = [await _ask_three(deps, material) for material in batch]
    else:
        written = await _ask_batch(deps, batch)
    drafts = [
        (material, one.draft or extractive_draft(material))
        for material, one in zip(batch, written, strict=True)
    ]
    grounded = await ground_cards(deps, drafts, fixed=deps.chat is None or deps.style != "free")
    return [
        _card(deps, material, one, words, as_of)
        for material, one, words in zip(batch, written, grounded, strict=True)
    ]


async def _ask_batch(deps: Deps, batch: Sequence[CardMaterial]) -> list[_Written]:
    answer = await ask_as(deps, batch_request(deps, batch), CardDrafts)
    drafts = read_batch(batch, answer.value or {})
    shares = split_usage(answer.usage, len(batch))
    written = [
        _Written(draft, share, None if draft else answer.note or _MISSED)
        for share, draft in zip(shares, map(drafts.get, (one.fingerprint for one in batch)), strict=True)
    ]
    if answer.exhausted or len(batch) == 1:
        return written
    return list(await asyncio.gather(*map(_again, [deps] * len(batch), batch, written)))


async def _again(deps: Deps, material: CardMaterial, first: _Written) -> _Written:
    """Ask alone for an item that the batch's answer missed."""
    if first.draft:
        return first
    alone = (await _ask_batch(deps, [material]))[0]
    return alone._replace(usage=first.usage + alone.usage)


async def _ask_three(deps: Deps, material: CardMaterial) -> _Written:
    """Ask who would like an item, then who would not, then what sets it apart."""
    draft, spent = CardDraft(), Usage()
    for step in range(len(CHAIN)):
        answer = await ask_as(deps, chain_request(deps, material, step, draft), CardDraft)
        spent += answer.usage
        if answer.value is None:
            return _Written(None, spent, answer.note)
        draft = draft.model_copy(update=answer.value.model_dump(exclude_unset=True))
    draft = draft.tidy()
    return _Written(draft if draft.is_whole else None, spent, None if draft.is_whole else _MISSED)


def split_usage(usage: Usage, parts: int) -> list[Usage]:
    """Share what one call cost among what it wrote; whole numbers go to the first, and all shares add up.

    Examples:
        >>> [share.calls for share in split_usage(Usage(calls=1, cost=3.0), 3)]
        [1, 0, 0]
        >>> sum(share.cost for share in split_usage(Usage(calls=1, cost=3.0), 3))
        3.0
    """
    shares: list[dict[str, float]] = [{} for _ in range(parts)]
    for name, value in usage.model_dump().items():
        for place, share in enumerate(shares):
            whole = isinstance(value, int)
            share[name] = value // parts + (place < value % parts) if whole else value / parts
    return [Usage.model_validate(share) for share in shares]


def _card(
    deps: Deps, material: CardMaterial, written: _Written, words: Grounded, as_of: datetime
) -> ItemCard:
    own = written.draft is not None and not {"liked_by", "disliked_by", "feature"} <= set(words.repaired)
    failed = deps.chat is not None and written.draft is None
    notes = [written.note] if written.note else []
    if written.draft is not None and not own:
        notes.append("nothing supports what the model wrote; fixed sentences stand in its place")
    evidence = dict.fromkeys(event_id for claim in words.claims for event_id in claim.evidence)
    return ItemCard(
        item_id=material.item.item_id,
        **words.draft.model_dump(),
        claims=words.claims,
        evidence=tuple(evidence),
        read=tuple(event.event_id for event in material.reviews),
        grounding=words.share,
        repaired=words.repaired if written.draft else (),
        as_of=as_of,
        read_to=material.read_to,
        language=material.case.language,
        source="model" if own else "extractive",
        notes=tuple(notes),
        model=deps.chat.name if deps.chat and own else None,
        prompt_versions={name: load_prompt(name).version for name in prompt_names(deps)},
        fingerprint=f"{INCOMPLETE}{material.fingerprint}" if failed else material.fingerprint,
        usage=written.usage,
        created_at=deps.clock.now(),
    )
