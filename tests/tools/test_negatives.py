"""Negatives, worked out by hand on small catalogues of directions in the plane."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import cos, radians, sin
from typing import cast

import numpy as np
import pytest

from limner.records import Interaction, Item
from limner.sections import CriticSettings
from limner.tools.embedder import Embedder, FloatArray
from limner.tools.memory_catalogue import MemoryCatalogue
from limner.tools.negatives import Negatives, sample_negatives
from limner.tools.store import Store

NOW = datetime(2024, 1, 1, tzinfo=UTC)


class CompassEmbedder:
    """A text is an angle in degrees, so cosines are known."""

    name = "compass"
    dimension = 2

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return the directions."""
        angles = [radians(float(text)) for text in texts]
        return np.array([[cos(angle), sin(angle)] for angle in angles], dtype=np.float32)

    async def aclose(self) -> None:
        """Hold nothing."""


class PopularStore:
    """Only what is asked of a store here: how often each item was met before a moment."""

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        events = [(item, rank) for item, n in (counts or {}).items() for rank in range(n)]
        self.events = [
            Interaction(user_id="u", item_id=item, kind="view", at=NOW - timedelta(seconds=rank + 1))
            for item, rank in events
        ]

    async def popular(self, *, as_of: datetime, limit: int = 1000) -> list[tuple[str, int]]:
        """Count meetings before the moment."""
        counts = Counter(event.item_id for event in self.events if event.item_id and event.at < as_of)
        return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:limit]


async def compass(**angles: float) -> MemoryCatalogue:
    embedder: Embedder = CompassEmbedder()
    catalogue = MemoryCatalogue(embedder)
    await catalogue.upsert([Item(item_id=name, title=str(angle)) for name, angle in angles.items()])
    return catalogue


async def circle(count: int) -> MemoryCatalogue:
    """Items `i000`, `i001`, … evenly around the compass."""
    return await compass(**{f"i{number:03}": 360.0 * number / count for number in range(count)})


async def sample(
    catalogue: MemoryCatalogue,
    *,
    history: Sequence[str],
    positives: Sequence[str] = (),
    popular: dict[str, int] | None = None,
    n: int = 4,
    hard: float = 1.0,
    popular_share: float = 0.0,
    seed: int = 7,
    as_of: datetime = NOW,
) -> Negatives:
    return await sample_negatives(
        store=cast(Store, PopularStore(popular)),  # nothing else of a store is used
        catalogue=catalogue,
        history_items=history,
        positives=positives,
        as_of=as_of,
        settings=CriticSettings(negatives=n, hard_share=hard, popular_share=popular_share),
        seed=seed,
    )


async def test_hard_ones_are_neighbours_of_each_history_item_in_turn() -> None:
    catalogue = await compass(old=0, new=90, o1=10, o2=25, n1=95, n2=110, far=200)

    drawn = await sample(catalogue, history=["old", "new"], n=4)

    # The newest item's nearest (5 degrees), the oldest's (10), then the second nearest of each (20 and 25).
    assert drawn == Negatives(item_ids=("n1", "o1", "n2", "o2"), kinds=("hard",) * 4)


async def test_a_neighbour_of_two_history_items_is_drawn_once() -> None:
    catalogue = await compass(a=0, b=20, between=10, next=40, far=180)

    drawn = await sample(catalogue, history=["a", "b"], n=3)

    assert drawn.item_ids == ("between", "next", "far")


async def test_only_the_last_ten_history_items_count() -> None:
    catalogue = await compass(**{f"h{n}": 90.0 + n for n in range(10)}, ancient=0, beside=1, near=120)

    drawn = await sample(catalogue, history=["ancient", *(f"h{n}" for n in range(10))], n=1)

    assert drawn.item_ids == ("near",)


async def test_twins_of_a_positive_are_never_drawn() -> None:
    # cos(11 degrees) = 0.9816 is a twin of the positive at 0, cos(12 degrees) = 0.9781 is not.
    catalogue = await compass(seen=5, liked=0, red=11, blue=-3, other=12, far=90)

    drawn = await sample(
        catalogue,
        history=["seen"],
        positives=["liked"],
        popular={"blue": 9},
        n=6,
        hard=0.5,
        popular_share=0.25,
    )

    assert sorted(drawn.item_ids) == ["far", "other"]


async def test_more_twins_than_one_search_finds_are_still_left_out() -> None:
    twins = {f"t{n:03}": 0.001 * n for n in range(60)}
    catalogue = await compass(seen=1, liked=0, far=90, farther=180, **twins)

    drawn = await sample(catalogue, history=["seen"], positives=["liked"], n=4)

    assert drawn.item_ids == ("far", "farther")


async def test_nothing_the_user_met_is_drawn() -> None:
    catalogue = await circle(40)
    history = [f"i{number:03}" for number in range(0, 20, 2)]
    positives = ["i021", "i023"]
    counts = {f"i{number:03}": 5 for number in range(40)}

    drawn = await sample(
        catalogue, history=history, positives=positives, popular=counts, n=128, hard=0.4, popular_share=0.2
    )

    # A positive's neighbours lie 9 degrees away, and cos(9 degrees) = 0.9877: twins, drawn by no share.
    twins = {"i020", "i022", "i024"}
    expected = {f"i{number:03}" for number in range(40)} - {*history, *positives} - twins
    assert set(drawn.item_ids) == expected
    assert len(drawn.item_ids) == len(expected)


async def test_shares_are_kept() -> None:
    catalogue = await circle(400)
    counts = {f"i{number:03}": 1 + number % 3 for number in range(400)}

    drawn = await sample(catalogue, history=["i200"], popular=counts, n=100, hard=0.4, popular_share=0.2)

    assert len(set(drawn.item_ids)) == 100
    assert drawn.kinds == ("hard",) * 40 + ("popular",) * 20 + ("random",) * 40


async def test_a_small_catalogue_gives_fewer_in_the_same_shares() -> None:
    catalogue = await circle(51)
    counts = {f"i{number:03}": 1 for number in range(51)}

    drawn = await sample(catalogue, history=["i025"], popular=counts, n=128, hard=0.4, popular_share=0.2)

    # 50 items are left: 0.4 * 50 = 20 hard, 0.2 * 50 = 10 popular, the other 20 at random.
    assert len(set(drawn.item_ids)) == 50
    assert drawn.kinds == ("hard",) * 20 + ("popular",) * 10 + ("random",) * 20


async def test_random_ones_fill_what_popularity_cannot_give() -> None:
    catalogue = await circle(30)

    drawn = await sample(catalogue, history=["i000"], popular={"i015": 3}, n=10, hard=0.0, popular_share=0.5)

    assert drawn.kinds == ("popular",) + ("random",) * 9
    assert drawn.item_ids[0] == "i015"


async def test_popular_ones_come_in_proportion_to_their_counts() -> None:
    catalogue = await circle(3)
    first = [
        (
            await sample(
                catalogue,
                history=["i000"],
                popular={"i001": 3, "i002": 1},
                n=1,
                hard=0,
                popular_share=1,
                seed=s,
            )
        )
        for s in range(400)
    ]

    share = sum(drawn.item_ids == ("i001",) for drawn in first) / 400

    # 3 of 4, with a standard deviation of sqrt(0.75 * 0.25 / 400) = 0.022.
    assert share == pytest.approx(0.75, abs=0.08)


async def test_popularity_at_or_after_the_moment_does_not_count() -> None:
    catalogue = await circle(9)

    drawn = await sample(
        catalogue,
        history=["i000"],
        popular={"i001": 1},
        n=4,
        hard=0.0,
        popular_share=0.5,
        as_of=NOW - timedelta(seconds=1),
    )

    assert drawn.kinds == ("random",) * 4


async def test_the_seed_decides() -> None:
    catalogue = await circle(300)
    counts = {f"i{number:03}": 1 for number in range(300)}

    async def draw(seed: int) -> Negatives:
        return await sample(
            catalogue, history=["i000"], popular=counts, n=50, hard=0.2, popular_share=0.4, seed=seed
        )

    assert await draw(1) == await draw(1)
    assert await draw(-1) != await draw(1)


@pytest.mark.parametrize("history", [(), ("gone", "away")], ids=["none", "unknown"])
async def test_a_history_the_catalogue_does_not_know_gives_random_ones(history: tuple[str, ...]) -> None:
    catalogue = await circle(12)

    drawn = await sample(
        catalogue, history=history, positives=["lost"], popular={"gone": 4}, n=5, popular_share=1
    )

    assert drawn.kinds == ("random",) * 5


async def test_there_may_be_nothing_to_draw() -> None:
    empty = Negatives(item_ids=(), kinds=())

    assert await sample(await circle(0), history=[]) == empty
    assert await sample(await circle(2), history=["i000"], positives=["i001"], popular={"i000": 2}) == empty


async def test_uniform_ones_reach_every_item() -> None:
    catalogue = await circle(10)
    seen = {
        item
        for seed in range(60)
        for item in (await sample(catalogue, history=["i000"], n=2, hard=0.0, seed=seed)).item_ids
    }

    # An item misses one draw with chance 7/9, and all 60 with chance 3e-7.
    assert seen == {f"i{number:03}" for number in range(1, 10)}
