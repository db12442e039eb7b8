"""One suite for every `Catalogue`: the double, embedded Chroma with and without its copy, a Chroma server."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from math import sqrt
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from limner.errors import EncoderChangedError, StoreError, UnknownItemError
from limner.models import Facet
from limner.records import Item
from limner.tools.catalogue import Catalogue
from limner.tools.chroma.chroma_catalogue import ChromaCatalogue, open_catalogue
from limner.tools.chroma.chroma_connection import connect
from limner.tools.embedder import Embedder, FloatArray, HashingEmbedder
from limner.tools.memory_catalogue import MemoryCatalogue, MemoryIndex

Opener = Callable[[Embedder, str], Awaitable[Catalogue]]
"""Opens a tenant's catalogue over the same storage each time, whatever encoder was there before."""

SHELF = [
    Item(item_id="tea", title="green tea"),
    Item(item_id="pot", title="green teapot"),
    Item(item_id="saw", title="steel saw"),
]


class OtherEmbedder(HashingEmbedder):
    """The same vectors under another name."""

    name = "hashing-v2"


def facet(text: str) -> Facet:
    return Facet(name="theme", text=text)


async def embed(embedder: Embedder, *texts: str) -> FloatArray:
    return await embedder.embed(texts)


@contextmanager
def chroma_server(folder: Path) -> Generator[str]:
    """Run a Chroma server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-c", "from chromadb.cli.cli import app; app()"]
    options = ["run", "--path", str(folder / "data"), "--host", "127.0.0.1", "--port", port]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=folder) as server,
    ):
        try:
            deadline = time.monotonic() + 60
            while True:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "the Chroma server did not come up in a minute"
                with socket.socket() as knock:
                    if knock.connect_ex(("127.0.0.1", int(port))) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chroma_server(tmp_path_factory.mktemp("chroma-server")) as url:
        yield url


@pytest.fixture(params=["memory", "embedded", "embedded-searched-by-chroma", "server"])
async def open_(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    kind: str = request.param
    opened: list[Catalogue] = []
    index, run = MemoryIndex(), uuid4().hex[:12]
    url: str | None = request.getfixturevalue("chroma_url") if kind == "server" else None

    async def opener(embedder: Embedder, tenant: str) -> Catalogue:
        catalogue: Catalogue
        if kind == "memory":
            catalogue = MemoryCatalogue(embedder, tenant=tenant, index=index)
        elif kind == "embedded-searched-by-chroma":
            connection = await asyncio.to_thread(connect, tmp_path, None, wait=0.0, rebuild=True)
            catalogue = ChromaCatalogue(connection, tenant=tenant, embedder=embedder, exact_limit=0)
        else:
            catalogue = await open_catalogue(
                folder=tmp_path,
                chroma_url=url,
                tenant=f"{run}-{tenant}",
                embedder=embedder,
                rebuild=True,
            )
        opened.append(catalogue)
        return catalogue

    yield opener
    for catalogue in opened:
        await catalogue.aclose()


async def test_only_new_and_changed_texts_are_embedded(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue = await open_(embedder, "a")

    assert await catalogue.upsert(SHELF) == 3
    assert await catalogue.upsert(SHELF) == 0
    assert await catalogue.upsert([*SHELF[:2], Item(item_id="saw", title="hand saw")]) == 1
    assert embedder.texts == ["green tea", "green teapot", "steel saw", "hand saw"]


async def test_the_last_of_two_texts_for_one_item_counts(open_: Opener) -> None:
    catalogue = await open_(HashingEmbedder(), "a")

    assert await catalogue.upsert([SHELF[0], Item(item_id="tea", title="black coffee")]) == 1

    found = await catalogue.vectors(["tea"])
    np.testing.assert_allclose(found, await embed(HashingEmbedder(), "black coffee"), atol=1e-6)


async def test_search_ranks_by_cosine_and_leaves_out_what_is_excluded(open_: Opener) -> None:
    embedder = HashingEmbedder(dimension=512)
    catalogue = await open_(embedder, "a")
    await catalogue.upsert(SHELF)
    query = await embed(embedder, "green tea", "saw")

    tea, saw = await catalogue.search(query, 2)
    without = await catalogue.search(query, 9, exclude={"tea", "nothing"})

    # "green tea" shares one of two words with "green teapot": 1 / (sqrt(2) * sqrt(2)) = 1/2.
    assert [hit.id for hit in tea] == ["tea", "pot"]
    assert [hit.score for hit in tea] == pytest.approx([1.0, 0.5], abs=1e-5)
    # "saw" is one of the two words of "steel saw": 1 / sqrt(2).
    assert saw[0].id == "saw"
    assert saw[0].score == pytest.approx(1 / sqrt(2), abs=1e-5)
    assert [hit.id for hit in without[0]] == ["pot", "saw"]
    assert without[1][0].id == "saw"
    assert len(without[1]) == 2


async def test_vectors_come_in_the_order_asked_for(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue = await open_(embedder, "a")
    await catalogue.upsert(SHELF)

    found = await catalogue.vectors(["saw", "tea", "saw"])

    expected = await embed(embedder, "steel saw", "green tea", "steel saw")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
    assert (await catalogue.vectors([])).shape == (0, 64)


async def test_the_vector_of_an_item_that_is_not_there_is_an_error(open_: Opener) -> None:
    catalogue = await open_(HashingEmbedder(), "a")
    await catalogue.upsert(SHELF)

    with pytest.raises(UnknownItemError, match=r"^item_id='axe' is not in the catalogue"):
        await catalogue.vectors(["tea", "axe"])


async def test_ids_are_sorted(open_: Opener) -> None:
    catalogue = await open_(HashingEmbedder(), "a")
    await catalogue.upsert(SHELF)

    assert await catalogue.item_ids() == ["pot", "saw", "tea"]


async def test_an_empty_catalogue_answers_with_empty_lists(open_: Opener) -> None:
    catalogue = await open_(HashingEmbedder(), "a")
    query = await embed(HashingEmbedder(), "green", "tea")

    assert await catalogue.item_ids() == []
    assert await catalogue.upsert([]) == 0
    assert await catalogue.search(query, 3) == [[], []]
    assert await catalogue.similar_facets(query, 3, exclude_user="u1") == [[], []]
    assert await catalogue.forget_user("u1") == 0


async def test_zero_neighbours_are_none(open_: Opener) -> None:
    catalogue = await open_(HashingEmbedder(), "a")
    await catalogue.upsert(SHELF)
    query = await embed(HashingEmbedder(), "green")

    assert await catalogue.search(query, 0) == [[]]
    assert await catalogue.search(query, 3, exclude=["tea", "pot", "saw"]) == [[]]


async def test_publishing_replaces_a_users_facets(open_: Opener) -> None:
    embedder = HashingEmbedder(dimension=512)
    catalogue = await open_(embedder, "a")
    texts = ["drinks tea", "builds boats", "plays chess"]
    await catalogue.publish_facets("u1", [facet(t) for t in texts], await embed(embedder, *texts))
    await catalogue.publish_facets("u1", [facet("reads novels")], await embed(embedder, "reads novels"))
    query = await embed(embedder, "drinks tea", "reads novels")

    chat, books = await catalogue.similar_facets(query, 5, exclude_user="u2")

    assert [(hit.user_id, hit.text) for hit in chat] == [("u1", "reads novels")]
    assert books[0].score == pytest.approx(1.0, abs=1e-5)


async def test_similar_facets_are_those_of_others(open_: Opener) -> None:
    embedder = HashingEmbedder(dimension=512)
    catalogue = await open_(embedder, "a")
    mine = ["drinks green tea", "drinks black tea", "drinks tea"]
    await catalogue.publish_facets("u1", [facet(t) for t in mine], await embed(embedder, *mine))
    await catalogue.publish_facets("u2", [facet("builds boats")], await embed(embedder, "builds boats"))
    await catalogue.publish_facets("u#3", [facet("drinks milk")], await embed(embedder, "drinks milk"))

    (hits,) = await catalogue.similar_facets(await embed(embedder, "drinks tea"), 1, exclude_user="u1")

    # One of two words each: 1 / (sqrt(2) * sqrt(2)) = 1/2.
    assert [(hit.user_id, hit.text) for hit in hits] == [("u#3", "drinks milk")]
    assert hits[0].score == pytest.approx(0.5, abs=1e-5)


async def test_publishing_nothing_clears_a_user(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue = await open_(embedder, "a")
    await catalogue.publish_facets("u1", [facet("drinks tea")], await embed(embedder, "drinks tea"))
    await catalogue.publish_facets("u1", [], np.empty((0, 64), dtype=np.float32))

    assert await catalogue.forget_user("u1") == 0


async def test_facets_without_a_vector_each_are_refused(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue = await open_(embedder, "a")

    with pytest.raises(ValueError, match=r"^`vectors` \(1, 64\) must be \(2, 64\)"):
        await catalogue.publish_facets("u1", [facet("a"), facet("b")], await embed(embedder, "a"))


async def test_a_forgotten_user_leaves_no_facet_and_others_stay(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue = await open_(embedder, "a")
    for user in ("u1", "u2"):
        texts = [f"{user} drinks tea", f"{user} drinks milk"]
        await catalogue.publish_facets(user, [facet(t) for t in texts], await embed(embedder, *texts))

    assert await catalogue.forget_user("u1") == 2
    assert await catalogue.forget_user("u1") == 0

    (hits,) = await catalogue.similar_facets(await embed(embedder, "drinks"), 9, exclude_user="u9")
    assert {hit.user_id for hit in hits} == {"u2"}


async def test_forgotten_items_and_portraits_are_not_found_and_the_rest_is_after_rewriting(
    open_: Opener,
) -> None:
    embedder = HashingEmbedder()
    catalogue, theirs = await open_(embedder, "a"), await open_(embedder, "b")
    query = await embed(embedder, "green tea")
    for each in (catalogue, theirs):
        await each.upsert(SHELF)
        await each.publish_facets("u1", [facet("green tea")], query)

    assert await catalogue.forget_items(["tea", "never there"]) == 1
    assert await catalogue.forget_items([]) == 0
    assert await catalogue.forget_portraits() == 1
    await catalogue.scrub()

    assert await catalogue.item_ids() == ["pot", "saw"]
    assert [hit.id for hit in (await catalogue.search(query, 3))[0]] == ["pot", "saw"]
    assert await catalogue.similar_facets(query, 3, exclude_user="u9") == [[]]
    assert await catalogue.upsert(SHELF) == 1
    assert await theirs.item_ids() == ["pot", "saw", "tea"]
    assert len((await theirs.similar_facets(query, 3, exclude_user="u9"))[0]) == 1


async def test_who_is_portrayed_is_told_with_how_many_facets(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue, theirs = await open_(embedder, "a"), await open_(embedder, "b")
    vectors = await embed(embedder, "green tea", "iron pot")
    await catalogue.publish_facets("u#1", [facet("green tea"), facet("iron pot")], vectors)
    await catalogue.publish_facets("u2", [facet("green tea")], vectors[:1])
    await catalogue.publish_facets("u3", [facet("green tea")], vectors[:1])

    await catalogue.forget_user("u3")

    assert await catalogue.portrayed() == {"u#1": 2, "u2": 1}
    assert await theirs.portrayed() == {}


async def test_tenants_do_not_see_each_other(open_: Opener) -> None:
    embedder = HashingEmbedder()
    ours, theirs = await open_(embedder, "a"), await open_(embedder, "a-items")
    await ours.upsert(SHELF)
    query = await embed(embedder, "green tea")
    await ours.publish_facets("u1", [facet("green tea")], query)

    assert await theirs.item_ids() == []
    assert await theirs.search(query, 3) == [[]]
    assert await theirs.similar_facets(query, 3, exclude_user="u2") == [[]]
    assert await theirs.forget_user("u1") == 0
    await theirs.reset()
    assert await ours.item_ids() == ["pot", "saw", "tea"]


@pytest.mark.parametrize("other", [OtherEmbedder(), HashingEmbedder(dimension=32)], ids=["name", "dimension"])
async def test_vectors_of_another_encoder_are_never_used(open_: Opener, other: HashingEmbedder) -> None:
    first = await open_(HashingEmbedder(), "a")
    await first.upsert(SHELF)
    await first.publish_facets("u1", [facet("tea")], await embed(HashingEmbedder(), "tea"))
    changed = await open_(other, "a")
    query = await embed(other, "tea")

    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: changed.upsert(SHELF),
        lambda: changed.search(query, 1),
        lambda: changed.vectors(["tea"]),
        lambda: changed.item_ids(),
        lambda: changed.publish_facets("u2", [facet("tea")], query),
        lambda: changed.similar_facets(query, 1, exclude_user="u2"),
    ]
    for call in calls:
        with pytest.raises(EncoderChangedError, match="run `limner reindex`") as caught:
            await call()
        assert caught.value.indexed == "hashing-v1 (64-d)"
        assert caught.value.configured == f"{other.name} ({other.dimension}-d)"


async def test_after_a_reset_another_encoder_fills_the_index(open_: Opener) -> None:
    first = await open_(HashingEmbedder(), "a")
    await first.upsert(SHELF)
    await first.publish_facets("u1", [facet("tea")], await embed(HashingEmbedder(), "tea"))
    other = HashingEmbedder(dimension=32)
    changed = await open_(other, "a")

    await changed.reset()

    assert await changed.item_ids() == []
    assert await changed.upsert(SHELF) == 3
    assert (await changed.vectors(["tea"])).shape == (1, 32)
    await changed.publish_facets("u1", [facet("tea")], await embed(other, "tea"))
    (hits,) = await changed.similar_facets(await embed(other, "tea"), 1, exclude_user="u2")
    assert [hit.user_id for hit in hits] == ["u1"]


async def test_a_user_is_forgotten_whatever_the_encoder(open_: Opener) -> None:
    first = await open_(HashingEmbedder(), "a")
    await first.publish_facets("u1", [facet("tea")], await embed(HashingEmbedder(), "tea"))

    assert await (await open_(OtherEmbedder(), "a")).forget_user("u1") == 1


async def test_many_tasks_at_once_lose_nothing(open_: Opener) -> None:
    embedder = HashingEmbedder()
    catalogue = await open_(embedder, "a")
    await catalogue.upsert(SHELF)

    async def work(number: int) -> None:
        text = f"likes thing{number}"
        vector = await embed(embedder, text)
        await asyncio.gather(
            catalogue.publish_facets(f"u{number}", [facet(text)], vector),
            catalogue.upsert([Item(item_id=f"i{number:02}", title=text)]),
            catalogue.search(vector, 2),
            catalogue.vectors(["tea"]),
        )

    await asyncio.gather(*(work(number) for number in range(20)))

    assert await catalogue.item_ids() == [*(f"i{number:02}" for number in range(20)), "pot", "saw", "tea"]
    (hits,) = await catalogue.similar_facets(await embed(embedder, "likes"), 99, exclude_user="nobody")
    assert {hit.user_id for hit in hits} == {f"u{number}" for number in range(20)}


async def test_a_server_that_went_away_is_an_error(tmp_path: Path) -> None:
    with chroma_server(tmp_path) as url:
        catalogue = await open_catalogue(
            folder=tmp_path, chroma_url=url, tenant="default", embedder=HashingEmbedder()
        )

    with pytest.raises(StoreError, match="is the Chroma server up"):
        await catalogue.upsert(SHELF)

    await catalogue.aclose()
