"""Read the material of one run from the doors."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from ..errors import EmptyHistoryError, NoTextError, UnknownItemError, UnknownUserError
from ..records import Interaction, Item, content_hash
from ..tools.embedder import FloatArray
from ..tools.negatives import sample_negatives
from ..tools.reward import Exam
from ..tools.store import RatingScale
from .case import MOST_EVENTS, Case, ItemSide, Split, event_text, mean_vector, polarity_of, split_history
from .lexicon import item_phrases
from .spoken_language import language_of_history
from .state import Deps, State
from .vectors import item_vectors

_ITEM_EVENTS = 20


async def case_of(deps: Deps, state: State) -> Case:
    """Return the run's material, read at most once while the run stays in memory.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`.
        UnknownItemError: The item of a pair is not in the catalogue.
        NoTextError: Neither the catalogue nor the user says anything about what is visible.
    """
    run_id = state["run_id"]
    if run_id not in deps.cases:
        deps.keep_case(run_id, await build_case(deps, state))
    return deps.cases[run_id]


async def build_case(deps: Deps, state: State) -> Case:
    """Read the run's material; see `case_of`."""
    user_id, as_of = state["user_id"], state["as_of"]
    recorded = await deps.store.history(user_id, as_of=as_of, last=MOST_EVENTS)
    # What the user thinks of a pair's own item is what the pair is to tell, so no draft may see it.
    events = [event for event in recorded if event.item_id is None or event.item_id != state.get("item_id")]
    if not events:
        if await deps.store.has_user(user_id):
            raise EmptyHistoryError(user_id, as_of.isoformat())
        raise UnknownUserError(user_id)
    items = await deps.store.items(_item_ids(events))
    scale = await deps.store.rating_scale(as_of=as_of)
    split = split_history(events, items, scale, holdout=deps.settings.drafting.holdout)
    seed = int(content_hash(deps.settings.drafting.seed, user_id)[:8], 16)
    vectors = await _vectors(deps, items)
    had = await _had(deps, state, recorded)
    negatives = await _negatives(deps, split, had, as_of, seed)
    frozen = Exam(
        positives=_rows(vectors, split.positives, deps.embedder.dimension),
        negatives=await deps.catalogue.vectors(negatives),
        own=_rows(
            vectors, _item_ids(split.visible[-deps.settings.drafting.recent :]), deps.embedder.dimension
        ),
        others=await deps.audience.others(user_id, as_of=as_of),
        targets=await _secret_titles(deps, state, split, items),
        known=" ".join(event_text(event, items) for event in split.visible),
    )
    case = Case(
        subject=f"user:{user_id}",
        as_of=as_of,
        visible=split.visible,
        held=split.held,
        items=items,
        language=language_of_history(split.visible, [item.describe() for item in _seen(split, items)]),
        scale=scale,
        vectors=vectors,
        exam=frozen.mapped(deps.space),
        frozen=None if deps.space.is_identity else frozen,
        positives=split.positives,
        negatives=negatives,
        neg_seed=seed,
        item_side=await _item_side(deps, state, scale),
    )
    for side in [case, case.for_item()] if case.item_side else [case]:
        if not _says_anything(side):
            raise NoTextError(side.subject)
    return case


def _seen(split: Split, items: Mapping[str, Item]) -> list[Item]:
    return [items[item_id] for item_id in _item_ids(split.visible) if item_id in items]


def _says_anything(case: Case) -> bool:
    """Whether any phrase can be said about the history; a cold item has its own labels."""
    cold = not case.visible and any(item_phrases(item) for item in case.items.values())
    return cold or any(case.phrases(event) for event in case.visible)


async def _had(deps: Deps, state: State, recorded: Sequence[Interaction]) -> list[str]:
    """Return every item that must not be a negative, oldest first: all the user had, and a pair's own."""
    newest = _item_ids(recorded)
    if len(recorded) == MOST_EVENTS:
        older = await deps.store.had_items(state["user_id"], as_of=state["as_of"])
        newest = [*(item_id for item_id in older if item_id not in set(newest)), *newest]
    target = state.get("item_id")
    return [target, *newest] if target and target not in newest else newest


async def _negatives(
    deps: Deps, split: Split, had: Sequence[str], as_of: datetime, seed: int
) -> tuple[str, ...]:
    if not split.positives:
        return ()
    chosen = await sample_negatives(
        store=deps.store,
        catalogue=deps.catalogue,
        history_items=had,
        positives=split.positives,
        as_of=as_of,
        settings=deps.settings.critic,
        seed=seed,
    )
    return chosen.item_ids


async def _secret_titles(
    deps: Deps, state: State, split: Split, items: Mapping[str, Item]
) -> tuple[str, ...]:
    """Titles of held-back items, of a pair's item and of the one chosen instead: no draft may spell them."""
    secret = [items[item_id].title for item_id in _item_ids(split.held) if item_id in items]
    outcome = state.get("outcome")
    targets = [item_id for item_id in (state.get("item_id"), outcome and outcome.item_id) if item_id]
    found = await deps.store.items(targets) if targets else {}
    return tuple(title for title in (*secret, *(item.title for item in found.values())) if title)


async def _item_side(deps: Deps, state: State, scale: RatingScale | None) -> ItemSide | None:
    """Read the item of a pair and split its users like a history."""
    item_id = state.get("item_id")
    if not item_id:
        return None
    as_of, user_id = state["as_of"], state["user_id"]
    found = await deps.store.items([item_id])
    if item_id not in found:
        raise UnknownItemError(item_id)
    events = await deps.store.item_history(item_id, as_of=as_of, exclude_user=user_id, last=_ITEM_EVENTS)
    held_count = min(deps.settings.drafting.holdout, len(events) // 3)
    visible, held = events[: len(events) - held_count], events[len(events) - held_count :]
    fans = dict.fromkeys(event.user_id for event in held if polarity_of(event, scale) != "dislike")
    seen = {event.user_id for event in visible}
    means = [await _user_vector(deps, state, fan, without=item_id) for fan in fans if fan not in seen]
    others = await deps.audience.others(user_id, as_of=as_of, without={event.user_id for event in events})
    dimension = deps.embedder.dimension
    return ItemSide(
        item=found[item_id],
        vector=(await item_vectors(deps.catalogue, [found[item_id]]))[0],
        events=tuple(visible),
        held_users=deps.space.users(_stack([mean for mean in means if mean is not None], dimension)),
        other_users=deps.space.users(_stack([mean_vector(other) for other in others], dimension)),
    )


async def _user_vector(deps: Deps, state: State, user_id: str, *, without: str) -> FloatArray | None:
    last = deps.settings.drafting.recent
    events = await deps.store.history(user_id, as_of=state["as_of"], last=last + 1)
    items = await deps.store.items([item_id for item_id in _item_ids(events) if item_id != without])
    if not items:
        return None
    return mean_vector(await item_vectors(deps.catalogue, list(items.values())))


async def _vectors(deps: Deps, items: Mapping[str, Item]) -> dict[str, FloatArray]:
    if not items:
        return {}
    matrix = await item_vectors(deps.catalogue, list(items.values()))
    return dict(zip(items, matrix, strict=True))


def _item_ids(events: Sequence[Interaction]) -> list[str]:
    return list(dict.fromkeys(event.item_id for event in events if event.item_id))


def _rows(vectors: Mapping[str, FloatArray], ids: Sequence[str], dimension: int) -> FloatArray:
    """Stack the vectors that exist, shape `(n, D)`."""
    return _stack([vectors[item_id] for item_id in ids if item_id in vectors], dimension)


def _stack(rows: Sequence[FloatArray], dimension: int) -> FloatArray:
    if not rows:
        return np.zeros((0, dimension), dtype=np.float32)
    stacked: FloatArray = np.stack(rows).astype(np.float32)
    return stacked
