"""Which of two cards describes an item better: a judge's preference over both orders, and the encoder's view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...agents.cards.card_material import CardMaterial
from ...cards import ItemCard
from ...errors import ModelUnavailableError
from ...records import Usage
from ...settings import NO_MODEL
from ...tools.card_scores import card_text
from ...tools.late_interaction import mid_ranks
from ...tools.prompt import load_prompt
from ...tools.waiting import wait_for
from ..dataset import FloatArray
from ..encoding import Encoding
from ..questions.answering import open_questioner
from ..questions.choices import Choice
from ..results import Values
from ..workspace import Workspace

JUDGE = load_prompt("compare_cards")

TURNS = 2
"""Orders of the two cards; what a judge thinks of a place is averaged away."""


@dataclass(frozen=True, kw_only=True)
class CardVerdicts:
    """What a judge said of pairs of cards."""

    judge: str = NO_MODEL
    """LiteLLM model string; `none` if nobody judged."""

    rows: Mapping[str, Values] = field(default_factory=dict[str, Values])
    """Name of the measure to one value an item, NaN without an answer; empty if nobody judged."""

    usage: Usage = field(default_factory=Usage)
    complete: bool = True


def judge_cards(
    workspace: Workspace,
    judge: str,
    materials: Sequence[CardMaterial],
    ours: Mapping[str, ItemCard],
    theirs: Mapping[str, ItemCard],
) -> CardVerdicts:
    """Ask a model which card describes each item better, in both orders, averaging its probabilities.

    What its word is worth is told by a second question about each item: its card beside that of another drawn item,
    both of the other form.

    Args:
        workspace: Budget, and where answers are kept.
        judge: LiteLLM model string, or `none`.
        materials: What the cards rest on; each item has a card in both forms.
        ours: Cards of one form by item id.
        theirs: Cards of the other.
    """
    if judge == NO_MODEL or not materials:
        return CardVerdicts(judge=judge)
    asked = replace(workspace, settings=workspace.settings.model_copy(update={"model": judge}))
    ids = [material.item.item_id for material in materials]
    others = [*ids[1:], *ids[:1]]
    questions = [
        *(_question(one, ours[one], theirs[one]) for one in ids),
        *(
            _question(f"planted {one}", theirs[one], theirs[other])
            for one, other in zip(ids, others, strict=True)
        ),
    ]
    contexts = [_shown(material) for material in materials]

    async def ask() -> CardVerdicts:
        async with open_questioner(asked) as questioner:
            try:
                answered = await questioner.choose(
                    JUDGE, questions, contexts * 2, label="judge", rotations=TURNS
                )
            except ModelUnavailableError:
                return CardVerdicts(judge=judge, complete=False)
        right, probability = answered.values["accuracy"], answered.values["probability"]
        return CardVerdicts(
            judge=judge,
            rows={
                "judge prefers": right[: len(ids)],
                "judge's probability": probability[: len(ids)],
                "judge tells items apart": right[len(ids) :],
            },
            usage=Usage.total(answered.usage),
            complete=answered.complete,
        )

    return wait_for(ask())


def _question(name: str, right: ItemCard, wrong: ItemCard) -> Choice:
    return Choice(id=name, options=(_words(right), _words(wrong)), right=0)


def _words(card: ItemCard) -> str:
    return " ".join(f"{card.liked_by} {card.disliked_by} {card.feature}".split())


def _shown(material: CardMaterial) -> str:
    entries = [f"- {line.line}" for line in material.lines] or ["- nobody has written about it yet"]
    return "\n".join([material.text, *entries])


def embedding_agreement(
    ours: Sequence[ItemCard], theirs: Sequence[ItemCard], encoding: Encoding
) -> tuple[FloatArray, FloatArray]:
    """Compare two forms' cards of the same items in an encoder's view.

    Returns:
        Cosine of the two cards of each item, shape `(N,)`; and the mid-rank, from 1, of the item's own card of the
        other form among all N of them: (N + 1) / 2 if cards said nothing about their items.
    """
    matrix = (
        encoding.encode([card_text(card) for card in ours])
        @ encoding.encode([card_text(card) for card in theirs]).T
    )
    ranks = [
        mid_ranks(row[[place]], np.delete(row, place))[0]
        for place, row in enumerate(matrix.astype(np.float32))
    ]
    return np.diagonal(matrix).astype(np.float32), np.array(ranks, dtype=np.float32)
