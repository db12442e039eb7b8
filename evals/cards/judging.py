"""Which of two cards describes an item better: a judge's preference in both orders, and the encoder's view."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...agents.cards.card_judge import Preference, preference_request
from ...agents.cards.card_material import CardMaterial
from ...cards import ItemCard
from ...errors import ModelError, PriceUnknownError
from ...records import Usage
from ...streaming import bounded
from ...tools.card_scores import card_text
from ...tools.chat import ChatModel, ChatRequest
from ...tools.late_interaction import mid_ranks
from ...tools.structured import complete_as
from ..dataset import FloatArray
from ..encoding import Encoding
from ..workspace import Workspace

_POINTS: dict[str, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
_AT_ONCE = 4


class Verdicts:
    """What a judge said of pairs of cards.

    Args:
        chat: The judge.
        workspace: Its budget, and who is told.
    """

    def __init__(self, chat: ChatModel, workspace: Workspace) -> None:
        self._chat, self._workspace = chat, workspace
        self.usage = Usage()
        self.complete = True

    async def compare(
        self, materials: Sequence[CardMaterial], ours: Mapping[str, ItemCard], theirs: Mapping[str, ItemCard]
    ) -> tuple[FloatArray, FloatArray]:
        """Ask about each item in both orders.

        Returns:
            Our points, shape `(N,)`: 1 if ours is preferred in both orders, 0 if theirs is, ½ if the orders
            contradict each other or the judge sees a tie; and whether the two orders agree. NaN without an answer.
        """
        points = np.full(len(materials), np.nan, dtype=np.float32)
        agreed = np.full(len(materials), np.nan, dtype=np.float32)

        async def one(place: int) -> None:
            material = materials[place]
            own, other = ours[material.item.item_id], theirs[material.item.item_id]
            first = await self._ask(preference_request(material, own, other))
            second = await self._ask(preference_request(material, other, own))
            if first is not None and second is not None:
                points[place] = (first + 1.0 - second) / 2
                agreed[place] = first == 1.0 - second

        async for _ in bounded(range(len(materials)), one, _AT_ONCE):
            pass
        return points, agreed

    async def _ask(self, request: ChatRequest) -> float | None:
        """Return the points of whatever was shown first."""
        try:
            answer = await complete_as(self._chat, request, Preference, self._workspace.budget)
        except PriceUnknownError:
            raise
        except ModelError as error:
            self.usage += getattr(error, "usage", Usage())
            self.complete = False
            return None
        self.usage += answer.usage
        return _POINTS[answer.value.better]


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
