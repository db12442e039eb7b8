"""What is particular to Chroma: lasting, locking, damage, other processes."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from limner.errors import EncoderChangedError, SettingsError, StoreError
from limner.models import Facet
from limner.records import Item
from limner.tools.chroma import chroma_scrub
from limner.tools.chroma.chroma_catalogue import ChromaCatalogue, open_catalogue
from limner.tools.chroma.chroma_connection import ChromaConnection, connect
from limner.tools.chroma.chroma_shelf import PAGE, ChromaShelf, Encoder
from limner.tools.embedder import Embedder, FloatArray, HashingEmbedder
from limner.tools.encoders import CachedEmbedder
from limner.tools.sql.sql_store import open_store

ITEMS = [Item(item_id=f"i{number:04}", title=f"thing{number}") for number in range(8)]


class OtherEmbedder(HashingEmbedder):
    """The same vectors under another name."""

    name = "hashing-v2"


class FailingEmbedder(HashingEmbedder):
    """Gives up at the second batch."""

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Embed once."""
        if self.texts:
            raise ConnectionError("gone")
        return await super().embed(texts)


async def open_in(
    folder: Path, embedder: Embedder | None = None, *, tenant: str = "default", rebuild: bool = False
) -> ChromaCatalogue:
    return await open_catalogue(
        folder=folder,
        chroma_url=None,
        tenant=tenant,
        embedder=embedder or HashingEmbedder(),
        rebuild=rebuild,
        lock_wait=0.0,
    )


def shelf_on(connection: ChromaConnection, *, exact_limit: int = 100, encoder: str = "e") -> ChromaShelf:
    return ChromaShelf(
        connection, "limner-t-items", Encoder(encoder, 8), exact_limit=exact_limit, recheck=0.0
    )


async def eight(*texts: str) -> FloatArray:
    return await HashingEmbedder(dimension=8).embed(texts)


async def test_what_was_indexed_is_there_after_reopening(tmp_path: Path) -> None:
    first = await open_in(tmp_path)
    await first.upsert(ITEMS)
    await first.publish_facets("u1", [Facet(name="t", text="thing1")], await first.vectors(["i0001"]))
    await first.aclose()
    embedder = HashingEmbedder()

    again = await open_in(tmp_path, embedder)

    assert await again.upsert(ITEMS) == 0
    assert embedder.texts == []
    (hits,) = await again.similar_facets(await again.vectors(["i0001"]), 1, exclude_user="u2")
    assert (hits[0].user_id, hits[0].text, round(hits[0].score, 4)) == ("u1", "thing1", 1.0)
    await again.aclose()


async def test_finished_batches_survive_an_interrupted_import(tmp_path: Path) -> None:
    many = [Item(item_id=f"i{number:04}", title=f"thing{number}") for number in range(600)]
    broken = await open_in(tmp_path, FailingEmbedder())
    with pytest.raises(ConnectionError):
        await broken.upsert(many)
    await broken.aclose()

    again = await open_in(tmp_path)

    assert await again.upsert(many) == 600 - 512
    await again.aclose()


async def test_opening_with_another_encoder_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    first = await open_in(tmp_path, tenant="shop")
    await first.upsert(ITEMS)
    await first.aclose()

    with pytest.raises(EncoderChangedError) as caught:
        await open_in(tmp_path, OtherEmbedder(), tenant="shop")

    assert str(caught.value) == (
        "limner-shop-items was indexed with encoder 'hashing-v1 (64-d)', but 'hashing-v2 (64-d)' is "
        "configured; run `limner reindex`, or set `embedder` back"
    )
    await (await open_in(tmp_path, tenant="shop")).aclose()  # the failed one holds no lock


async def test_facets_of_another_encoder_are_noticed_without_items(tmp_path: Path) -> None:
    first = await open_in(tmp_path)
    await first.publish_facets("u1", [Facet(name="t", text="tea")], await HashingEmbedder().embed(["tea"]))
    await first.reset()
    await first.publish_facets("u1", [Facet(name="t", text="tea")], await HashingEmbedder().embed(["tea"]))
    await first.aclose()

    with pytest.raises(EncoderChangedError, match="hashing-v2"):
        await open_in(tmp_path, OtherEmbedder())


async def test_the_index_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from limner.tools.chroma.chroma_connection import connect\n"
        "from limner.errors import StoreError\n"
        "try: connect(Path(sys.argv[1]), None, wait=0.0, rebuild=False).close()\n"
        "except StoreError as error: print(error.reason.split(',')[0])\n"
        "else: print('opened')\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "chroma")]

    def from_another_process() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    here = await open_in(tmp_path)
    there = await open_in(tmp_path, tenant="other")  # the same process may
    assert await asyncio.to_thread(from_another_process) == "another process has it open"

    await here.aclose()
    await there.upsert(ITEMS)  # not closed by its neighbour
    await there.aclose()
    await there.aclose()
    assert await asyncio.to_thread(from_another_process) == "opened"


async def test_a_damaged_database_says_how_to_rebuild_and_rebuilding_works(tmp_path: Path) -> None:
    first = await open_in(tmp_path)
    await first.upsert(ITEMS)
    await first.aclose()
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"not a database" * 1000)

    with pytest.raises(StoreError, match="run `limner reindex` to rebuild it"):
        await open_in(tmp_path)

    fresh = await open_in(tmp_path, rebuild=True)
    await fresh.reset()
    assert await fresh.upsert(ITEMS) == len(ITEMS)
    await fresh.aclose()


async def test_lost_vector_files_say_how_to_rebuild(tmp_path: Path) -> None:
    first = await open_in(tmp_path)
    many = [Item(item_id=f"i{number:04}", title=f"thing{number}") for number in range(1100)]
    await first.upsert(many)  # more than Chroma keeps in its log before it writes vector files
    await first.aclose()
    segments = [path for path in (tmp_path / "chroma").iterdir() if path.is_dir()]
    assert segments
    for segment in segments:
        shutil.rmtree(segment)

    with pytest.raises(StoreError, match="run `limner reindex` to rebuild it"):
        await open_in(tmp_path)

    fresh = await open_in(tmp_path, rebuild=True)
    await fresh.reset()
    assert await fresh.upsert(ITEMS) == len(ITEMS)
    await fresh.aclose()


async def test_a_folder_deleted_under_an_open_index_is_an_error(tmp_path: Path) -> None:
    catalogue = await open_in(tmp_path)
    shutil.rmtree(tmp_path / "chroma")

    with pytest.raises(StoreError, match="run `limner reindex` to rebuild it"):
        await catalogue.upsert(ITEMS)

    await catalogue.aclose()


async def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "chroma").touch()

    with pytest.raises(StoreError, match="choose another folder with `store`"):
        await open_in(tmp_path)


async def test_a_server_that_is_not_there_is_an_error_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^store http://127\.0\.0\.1:9: .*Start it, or unset `chroma_url`"):
        await open_catalogue(
            folder=tmp_path,
            chroma_url="http://me:secret@127.0.0.1:9",
            tenant="default",
            embedder=HashingEmbedder(),
        )


async def test_an_address_that_is_no_url_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`chroma_url`: must look like"):
        await open_catalogue(
            folder=tmp_path, chroma_url="localhost:8000", tenant="default", embedder=HashingEmbedder()
        )


async def test_a_cancelled_publication_does_not_stop_the_others(tmp_path: Path) -> None:
    catalogue = await open_in(tmp_path)
    vector = await HashingEmbedder().embed(["tea"])
    tasks = [
        asyncio.create_task(catalogue.publish_facets(f"u{n}", [Facet(name="t", text="tea")], vector))
        for n in range(4)
    ]
    await asyncio.sleep(0)
    tasks[0].cancel()

    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(done[0], asyncio.CancelledError)
    assert done[1:] == [None, None, None]
    (hits,) = await catalogue.similar_facets(vector, 9, exclude_user="nobody")
    assert {"u1", "u2", "u3"} <= {hit.user_id for hit in hits}
    await catalogue.aclose()


async def test_a_shelf_sees_what_another_wrote_forgot_and_reset(tmp_path: Path) -> None:
    connection = await asyncio.to_thread(connect, tmp_path / "chroma", None, wait=0.0, rebuild=False)
    here, there = shelf_on(connection), shelf_on(connection)
    await asyncio.to_thread(here.check)

    there.write(["a"], await eight("tea"), [{"hash": "1"}])
    assert here.ids() == ["a"]
    assert here.rows(["a", "b"]) == {"a": {"hash": "1"}}
    there.delete(["a"])
    assert here.ids() == []
    here.write(["b"], await eight("tea"), [{"hash": "1"}])
    there.reset()
    assert here.ids() == []

    other = shelf_on(connection, encoder="f")
    other.reset()
    other.write(["c"], await eight("tea"), [{"hash": "1"}])
    with pytest.raises(EncoderChangedError):
        here.write(["d"], await eight("tea"), [{"hash": "1"}])
    assert other.ids() == ["c"]
    connection.close()


async def test_growing_past_the_copy_changes_no_answer(tmp_path: Path) -> None:
    connection = await asyncio.to_thread(connect, tmp_path / "chroma", None, wait=0.0, rebuild=False)
    shelf = shelf_on(connection, exact_limit=3)
    vectors = await eight("a b", "a c", "b c", "x y", "x z")
    ids, rows = ["1", "2", "3", "4", "5"], [{"hash": str(n)} for n in range(5)]
    shelf.write(ids[:3], vectors[:3], rows[:3])
    small = shelf.search(vectors[:1], 2, exclude=["3"])

    shelf.write(ids[3:], vectors[3:], rows[3:])

    large = shelf.search(vectors[:1], 5, exclude=["3", "4", "5"])
    assert [[hit.id for hit in hits] for hits in (small[0], large[0])] == [["1", "2"], ["1", "2"]]
    assert [hit.score for hit in large[0]] == pytest.approx([hit.score for hit in small[0]], abs=1e-5)
    assert shelf.ids() == ids
    assert shelf.vectors(["5", "1", "5"]) == pytest.approx(vectors[[4, 0, 4]], abs=1e-6)
    assert shelf.rows(["2"]) == {"2": {"hash": "1"}}
    connection.close()


async def test_a_collection_of_several_pages_is_read_whole(tmp_path: Path) -> None:
    count = PAGE + 1
    ids = [f"{number:05}" for number in range(count)]
    vectors = await eight(*(f"word{number}" for number in range(count)))
    connection = await asyncio.to_thread(connect, tmp_path / "chroma", None, wait=0.0, rebuild=False)
    shelf_on(connection, exact_limit=count).write(ids, vectors, [{"hash": key} for key in ids])

    for limit in (count, 0):
        shelf = shelf_on(connection, exact_limit=limit)
        assert shelf.ids() == ids
        assert shelf.vectors(ids) == pytest.approx(vectors, abs=1e-6)
    connection.close()


@pytest.mark.parametrize("killed_at", ["_copy", "delete", "rename"])
async def test_rewriting_goes_on_after_a_kill_and_loses_nothing(
    tmp_path: Path, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = HashingEmbedder()
    items = [Item(item_id=f"i{number}", title=f"thing {number}") for number in range(5)]

    def killed(*_args: object, **_named: object) -> None:
        raise KeyboardInterrupt

    async with closing_catalogue(tmp_path, embedder) as catalogue:
        await catalogue.upsert(items)
        await catalogue.forget_items(["i3"])
        with monkeypatch.context() as patched:
            if killed_at == "_copy":
                patched.setattr(chroma_scrub, "_copy", killed)
            elif killed_at == "delete":
                patched.setattr("chromadb.api.client.Client.delete_collection", killed)
            else:
                _fail_second_change(patched)
            with pytest.raises(KeyboardInterrupt):
                await catalogue.scrub()

    async with closing_catalogue(tmp_path, embedder) as catalogue:
        await catalogue.scrub()
        assert await catalogue.item_ids() == ["i0", "i1", "i2", "i4"]


def _fail_second_change(patched: pytest.MonkeyPatch) -> None:
    """Let a copy be marked as whole, and fail where it takes the name."""
    from chromadb.api.models.Collection import Collection

    change = Collection.modify

    def modify(self: Any, *, name: str | None = None, **named: Any) -> None:
        if name is not None:
            raise KeyboardInterrupt
        change(self, **named)

    patched.setattr(Collection, "modify", modify)


async def test_scrubbing_opens_chromas_database_in_another_process_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second SQLite in Chroma's process would drop its locks when it closes the file."""

    def opened(*args: object, **named: object) -> None:
        raise AssertionError(f"opened {args} {named}")

    embedder = HashingEmbedder()
    async with closing_catalogue(tmp_path, embedder) as catalogue:
        await catalogue.upsert([Item(item_id="i", title="thing"), Item(item_id="j", title="oddity")])
        await catalogue.forget_items(["j"])
        monkeypatch.setattr("sqlite3.connect", opened)
        await catalogue.scrub()
        assert await catalogue.item_ids() == ["i"]

    assert b"oddity" not in (tmp_path / "chroma" / "chroma.sqlite3").read_bytes()


async def test_a_database_that_cannot_be_scrubbed_says_what_is_left(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    async with closing_catalogue(tmp_path, embedder) as catalogue:
        await catalogue.upsert([Item(item_id="i", title="thing")])
        await catalogue.forget_items(["i"])
        (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"not a database" * 1000)
        with pytest.raises(StoreError, match=r"chroma: deleted bytes are still in it: .*not a database"):
            chroma_scrub.vacuum(tmp_path / "chroma")


async def test_empty_slots_of_an_index_hold_nothing(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    async with closing_catalogue(tmp_path, embedder) as catalogue:
        await catalogue.upsert([Item(item_id="i", title="thing")])
    [data] = (tmp_path / "chroma").glob("*/data_level0.bin")
    data.write_bytes(b"words of somebody".ljust(data.stat().st_size, b"!"))

    chroma_scrub.blank_unused_slots(tmp_path / "chroma")

    assert set(data.read_bytes()) == {
        0
    }  # a new index of fewer than 1000 vectors has none of them in this file
    async with closing_catalogue(tmp_path, embedder) as catalogue:
        assert (await catalogue.search(await embedder.embed(["thing"]), 1))[0][0].id == "i"


@asynccontextmanager
async def closing_catalogue(folder: Path, embedder: HashingEmbedder) -> AsyncGenerator[ChromaCatalogue]:
    catalogue = await open_catalogue(folder=folder, chroma_url=None, tenant="t", embedder=embedder)
    try:
        yield catalogue
    finally:
        await catalogue.aclose()


class LateEmbedder(HashingEmbedder):
    """Shows the length of its vectors with the first of them, as a remote encoder does."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length, self.dimension = length, 0

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Embed, and know from then on."""
        self.dimension = self.length
        return await super().embed(texts)


async def test_an_encoder_that_shows_its_length_late_fills_an_index_that_opens_again(tmp_path: Path) -> None:
    catalogue = await open_in(tmp_path, LateEmbedder(16))
    await catalogue.upsert(ITEMS)
    await catalogue.aclose()

    embedder = LateEmbedder(16)
    catalogue = await open_in(tmp_path, embedder)

    [hits] = await catalogue.search(await embedder.embed([ITEMS[3].describe()]), 1)
    assert [hit.id for hit in hits] == ["i0003"]
    await catalogue.aclose()
    with pytest.raises(EncoderChangedError, match=r"16-d.*24-d"):
        await open_in(tmp_path, LateEmbedder(24))


async def test_vectors_that_changed_their_length_are_refused_and_nothing_is_mixed(tmp_path: Path) -> None:
    embedder = LateEmbedder(16)
    catalogue = await open_in(tmp_path, embedder)
    await catalogue.upsert(ITEMS[:4])
    embedder.length = 24  # the model behind the name was replaced

    with pytest.raises(EncoderChangedError, match=r"16-d.*24-d"):
        await catalogue.upsert(ITEMS)
    with pytest.raises(EncoderChangedError, match=r"16-d.*24-d"):
        await catalogue.search(await embedder.embed(["tea"]), 1)

    assert await catalogue.item_ids() == [item.item_id for item in ITEMS[:4]]
    await catalogue.aclose()


async def test_a_model_that_was_replaced_under_its_name_is_indexed_anew(tmp_path: Path) -> None:
    store = await open_store(folder=tmp_path, database_url=None, tenant="default")
    catalogue = await open_in(tmp_path, CachedEmbedder(LateEmbedder(16), store))
    await catalogue.upsert(ITEMS[:4])
    await catalogue.aclose()

    embedder = CachedEmbedder(LateEmbedder(24), store)
    catalogue = await open_in(tmp_path, embedder, rebuild=True)
    await catalogue.reset()
    await catalogue.upsert(ITEMS)

    [hits] = await catalogue.search(await embedder.embed([ITEMS[3].describe()]), 1)
    assert [hit.id for hit in hits] == ["i0003"]
    await catalogue.aclose()
    await store.aclose()
