"""Cards of some items of a past, by each form, and what both forms were shown."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ...agents.cards.card_material import CardMaterial, read_material
from ...agents.colophon import INCOMPLETE
from ...agents.vectors import item_vectors
from ...cards import ItemCard
from ...errors import ModelError, NoTextError
from ...face import Limner
from ...records import content_hash
from ...settings import Settings
from ..portraits.portraits import alone_in, hash_of, settings_of_store
from ..portraits.studio import fill_store
from ..splits import Past
from ..workspace import Workspace

FORMS = ("batched", "chain", "extractive")
"""Many items a call, three calls an item, and no model."""


class WrittenCards(NamedTuple):
    """What one form wrote."""

    cards: Mapping[str, ItemCard]
    """By item id; an item without text, or that the budget refused, has none."""

    complete: bool
    """False if a model or the budget failed somewhere."""


class Shown(NamedTuple):
    """Cards by form, and what they were written from."""

    written: Mapping[str, WrittenCards]
    materials: Mapping[str, CardMaterial]


async def write_forms(
    workspace: Workspace, past: Past, item_ids: Sequence[str], *, forms: Sequence[str], as_of: datetime
) -> Shown:
    """Write cards of the same items by several forms, in a store of the past that outlives the run.

    Args:
        workspace: Models, budget, and where the store lies.
        past: What reviews are taken from.
        item_ids: Which items.
        forms: Of `FORMS`.
        as_of: Exclusive bound of the reviews.
    """
    folder = workspace.folder / "cards" / _name_of_store(workspace.settings, past)
    written: dict[str, WrittenCards] = {}
    materials: dict[str, CardMaterial] = {}
    with alone_in(folder, workspace):
        for form in forms:
            workspace.notice(f"{past.card.name}: {len(item_ids)} cards, {form}")
            settings = _settings(workspace.settings, form, folder)
            async with Limner(settings) as limner:
                await fill_store(limner, past, workspace)
                written[form] = await _write(limner, item_ids, workspace, as_of)
                materials = materials or await _materials(limner, item_ids, as_of)
    return Shown(written, materials)


async def _write(
    limner: Limner, item_ids: Sequence[str], workspace: Workspace, as_of: datetime
) -> WrittenCards:
    cards: dict[str, ItemCard] = {}
    complete = True
    async with aclosing(limner.cards(item_ids, as_of=as_of, budget=workspace.budget)) as outcomes:
        async for outcome in outcomes:
            if outcome.card is None:
                complete &= not isinstance(outcome.error, ModelError)
                continue
            cards[outcome.item_id] = outcome.card
            complete &= not outcome.card.fingerprint.startswith(INCOMPLETE)
    return WrittenCards(cards, complete)


async def _materials(limner: Limner, item_ids: Sequence[str], as_of: datetime) -> dict[str, CardMaterial]:
    deps = (await limner.prepare()).deps
    items = list((await deps.store.items(item_ids)).values())
    scale = await deps.store.rating_scale(as_of=as_of)
    found: dict[str, CardMaterial] = {}
    for item, vector in zip(items, await item_vectors(deps.catalogue, items), strict=True):
        try:
            found[item.item_id] = await read_material(deps, item, vector, as_of=as_of, scale=scale)
        except NoTextError:
            continue
    return found


def _settings(settings: Settings, form: str, folder: Path) -> Settings:
    """Let every item have a card of its own: a near-duplicate outside the sample would hide what its card cost."""
    writer = "extractive" if form == "extractive" else settings.model
    chosen = settings_of_store(settings, folder, writer)
    asked = {"share": False} if form == "extractive" else {"share": False, "form": form}
    return chosen.model_copy(update={"cards": settings.cards.model_copy(update=asked)})


def _name_of_store(settings: Settings, past: Past) -> str:
    return f"{past.card.name}-{hash_of(past)[:8]}{content_hash(settings.embedder)[:8]}".replace("/", "-")
