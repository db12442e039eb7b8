"""Near-duplicates: which items are alike enough to share what is said about one of them."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pytest

from limner.records import Item
from limner.tools.catalogue import Hit
from limner.tools.embedder import FloatArray, HashingEmbedder
from limner.tools.memory_catalogue import MemoryCatalogue
from limner.tools.near_duplicates import Alike, titles_match
from limner.tools.sql.sql_store import open_store


class WatchedCatalogue(MemoryCatalogue):
    """Counts the rows it was asked for."""

    rows = 0
    most = 0

    async def search(self, vectors: FloatArray, k: int, *, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """Search, and remember how much was asked for."""
        self.rows += len(vectors)
        self.most = max(self.most, k)
        return await super().search(vectors, k, exclude=exclude)


async def opened(tmp_path: Path, items: Sequence[Item]) -> tuple[Alike, WatchedCatalogue]:
    store = await open_store(folder=tmp_path, database_url=None, tenant="default")
    catalogue = WatchedCatalogue(HashingEmbedder())
    await store.put_items(items)
    await catalogue.upsert(items)
    return Alike(store=store, catalogue=catalogue, cosine=0.8, words=0.6), catalogue


def item(item_id: str, title: str) -> Item:
    return Item(item_id=item_id, title=title)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Green Tea, Vol. 1", "Green Tea, Vol. 2"),
        ("Green Tea Part One", "Green Tea Part Two"),
        ("Green Tea Louis XIV", "Green Tea Louis XV"),
        ("Green Tea 100 g", "Green Tea 250 g"),
        ("Green Tea", "Green Tea 12 pack"),
        ("Green Tea Shirt XL", "Green Tea Shirt M"),
        ("Grüner Tee Band drei", "Grüner Tee Band vier"),
        ("Thé vert, petite boîte", "Thé vert, grande boîte"),
        ("Green Tea Cup, Black", "Green Tea Cup, White"),
        ("Green Tea", "Black Coffee"),
        ("", "Green Tea"),
    ],
)
def test_other_numbers_parts_sizes_and_names_are_other_things(one: str, two: str) -> None:
    assert not titles_match(one, two, share=0.5)
    assert not titles_match(two, one, share=0.5)


@pytest.mark.parametrize(
    ("one", "two"),
    [("Green Tea, Vol. 2", "green tea vol 2"), ("Fine Green Tea Leaves", "Fine Green Tea Leaves Organic")],
)
def test_order_case_marks_and_a_word_more_are_the_same_thing(one: str, two: str) -> None:
    assert titles_match(one, two, share=0.8)


async def test_whoever_is_asked_about_the_first_that_represents_itself_is_chosen(tmp_path: Path) -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    # Each title loses one word more. Neighbours share 9/10, 8/9…; a and c share 8/10, a and e 6/10.
    chain = [item(name, " ".join(words[: 10 - lost])) for lost, name in enumerate("abcde")]
    alike, _ = await opened(tmp_path, chain)
    together = await Alike(
        store=alike.store, catalogue=alike.catalogue, cosine=0.7, words=0.75
    ).representatives(chain)

    # b (.9) and c (.8) match a; d (7/10) does not match a, nor may it join b or c, which are represented themselves;
    # e (6/7) matches d.
    assert together == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
    for one in chain:
        single = Alike(store=alike.store, catalogue=alike.catalogue, cosine=0.7, words=0.75)
        assert await single.representatives([one]) == {one.item_id: together[one.item_id]}
    backwards = await Alike(
        store=alike.store, catalogue=alike.catalogue, cosine=0.7, words=0.75
    ).representatives(chain[::-1])
    assert backwards == together


async def test_the_same_words_far_apart_in_the_index_are_not_enough(tmp_path: Path) -> None:
    same = [
        Item(item_id="a", title="Green Tea", description="one two three four five six seven eight"),
        Item(item_id="b", title="Green Tea", description="red blue white black brown pink grey gold"),
    ]
    alike, _ = await opened(tmp_path, same)

    assert await alike.representatives(same) == {"a": "a", "b": "b"}


async def test_the_index_is_asked_a_bounded_number_of_neighbours_an_item(tmp_path: Path) -> None:
    many = [item(f"i{number:03}", f"word{number} thing{number}") for number in range(300)]
    alike, catalogue = await opened(tmp_path, many)

    found = await alike.representatives(many)

    assert found == {one.item_id: one.item_id for one in many}
    assert catalogue.rows == 300 and catalogue.most < 50
    assert np.isfinite(await catalogue.vectors(["i000"])).all()
