"""Tasks that ask at the same time are answered by one call, each with its own rows."""

import asyncio
from collections.abc import Sequence

import numpy as np

from limner.errors import ModelUnavailableError
from limner.tools.embedder import FloatArray, HashingEmbedder
from limner.tools.gathered_embedder import GatheredEmbedder


class Seen(HashingEmbedder):
    """Remembers what each call asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Encode unless told to break."""
        self.asked.append(list(texts))
        if "broken" in texts:
            raise ModelUnavailableError("m", 1, "broken")
        return await super().embed(texts)


async def test_texts_of_one_turn_are_encoded_in_one_call_and_each_once() -> None:
    inner = Seen()
    gathered = GatheredEmbedder(inner)
    asked: list[list[str]] = [["b", "a"], ["a", "c", "a"], []]

    found = await asyncio.gather(*(gathered.embed(texts) for texts in asked))
    later = await gathered.embed(["a"])

    assert inner.asked == [["b", "a", "c"]]
    plain = HashingEmbedder()
    for texts, vectors in zip(asked, found, strict=True):
        np.testing.assert_array_equal(vectors, await plain.embed(texts))
    np.testing.assert_array_equal(later, found[0][1:])
    assert (gathered.name, gathered.dimension) == (inner.name, inner.dimension)


async def test_no_more_vectors_are_kept_than_wanted() -> None:
    inner = Seen()
    gathered = GatheredEmbedder(inner, keep=2)

    for text in ("a", "b", "c", "c", "a"):
        await gathered.embed([text])

    assert inner.asked == [["a"], ["b"], ["c"], ["a"]]


async def test_a_failure_reaches_everybody_who_asked_and_nobody_later() -> None:
    gathered = GatheredEmbedder(Seen())

    found = await asyncio.gather(gathered.embed(["broken"]), gathered.embed(["a"]), return_exceptions=True)

    assert [type(each) for each in found] == [ModelUnavailableError] * 2
    assert (await gathered.embed(["a"])).shape == (1, 64)


async def test_one_that_gives_up_does_not_take_the_others_along() -> None:
    gathered = GatheredEmbedder(HashingEmbedder())
    given_up = asyncio.create_task(gathered.embed(["a"]))
    waiting = asyncio.create_task(gathered.embed(["b"]))
    await asyncio.sleep(0)
    given_up.cancel()

    assert (await waiting).shape == (1, 64)
