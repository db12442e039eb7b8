"""Who sits for fresh portraits: users of a split, with the texts that judges rank and compare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import ExamChangedError
from ...records import content_hash
from ...tools.chat import JsonSchema
from ..log.training_rows import PromptOnly
from ..rewards.exercise import Exercise
from ..rewards.reading import Opened, Reader


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """A prompt, and what portraits drawn from it are judged by. All texts are of items, as the encoder reads them."""

    row: PromptOnly
    """What is asked, of whom."""

    history: tuple[str, ...]
    """Recent items of the visible history that were not disliked, oldest first."""

    positives: tuple[str, ...]
    """The held-back items, which no draft has seen."""

    negatives: tuple[str, ...]
    """Items the user did not choose; the same ones that the critic ranks."""

    schema: JsonSchema | None = None
    """What an answer must fit where the writer can be held to it."""

    max_tokens: int = 320
    """Where an answer is cut."""


class Seating(NamedTuple):
    """Who can be judged."""

    sitters: list[Sitter]

    changed: list[str]
    """Users left out, because the store no longer gives what their prompt was drawn from."""


def sample_rows(rows: Iterable[PromptOnly], *, users: int | None, seed: int) -> list[PromptOnly]:
    """Return one prompt a user: the newest one for a first draft.

    Args:
        rows: Prompts of a split; those of revisions are passed over.
        users: How many users; absent for all. Who they are depends on the seed and their ids alone, so a smaller
            sample is part of a larger one.
        seed: Decides who.
    """
    newest: dict[str, PromptOnly] = {}
    for row in rows:
        known = newest.get(row.user_id)
        if row.round == 0 and (known is None or (row.as_of, row.group_key) > (known.as_of, known.group_key)):
            newest[row.user_id] = row
    order = sorted(newest, key=lambda user: content_hash("sitter", seed, user))
    return [newest[user] for user in order[:users]]


async def seat(reader: Reader, rows: Sequence[PromptOnly]) -> Seating:
    """Read what each row's portraits are judged by.

    Args:
        reader: Opens prompts through the store that the log comes from.
        rows: See `sample_rows`.

    Raises:
        InputError: No form is known for a prompt.
    """
    sitters: list[Sitter] = []
    changed: list[str] = []
    texts: dict[str, str] = {}
    for row in rows:
        try:
            opened = await reader.open(Exercise.of(row))
        except ExamChangedError:
            changed.append(row.user_id)
            continue
        case = opened.case
        wanted = [item for item in (*case.positives, *case.negatives) if item not in texts]
        found = await reader.deps.store.items(wanted)
        texts |= {item: found[item].describe() for item in wanted if item in found}
        sitters.append(_sitter(row, opened, texts, recent=reader.deps.settings.drafting.recent))
    return Seating(sitters, changed)


def _sitter(row: PromptOnly, opened: Opened, texts: Mapping[str, str], *, recent: int) -> Sitter:
    case = opened.case
    liked = [
        case.items[event.item_id].describe()
        for event in case.visible
        if event.item_id in case.items and event.item_id and case.polarity(event) != "dislike"
    ]
    return Sitter(
        row=row,
        history=tuple(liked[-recent:]),
        positives=tuple(texts[item] for item in case.positives if item in texts),
        negatives=tuple(texts[item] for item in case.negatives if item in texts),
        schema=opened.forms[0].schema(seed=row.neg_seed, best=None),
        max_tokens=opened.forms[0].max_tokens,
    )
