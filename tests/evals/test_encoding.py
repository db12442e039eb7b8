"""Encoders by name: every text once, on disk from then on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from limner import Item, Settings
from limner.evals.encoding import BATCH, Encoding, key_of, label_of
from limner.evals.vector_files import VectorFiles
from limner.evals.workspace import Workspace
from limner.tools.embedder import FloatArray, HashingEmbedder
from limner.tools.waiting import wait_for


class Counting(HashingEmbedder):
    """Remembers what it was asked, and breaks after so many texts."""

    def __init__(self, breaks_after: int = 1_000_000) -> None:
        super().__init__()
        self._left = breaks_after

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Encode, or break."""
        self._left -= len(texts)
        if self._left < 0:
            raise KeyboardInterrupt
        return await super().embed(texts)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(
        folder=tmp_path / "work", seed=0, settings=Settings(embedder="hashing"), notice=lambda line: None
    )


def encoding_with(inner: HashingEmbedder, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Encoding:
    def give(name: str, **given: object) -> HashingEmbedder:
        return inner

    monkeypatch.setattr("limner.tools.encoders.open_embedder", give)
    return Encoding("hashing", workspace)


def test_a_text_is_encoded_once_and_stays_for_the_next_process(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Counting(), Counting()

    vectors = encoding_with(first, workspace, monkeypatch).encode(["tea", "snow", "tea"])
    again = encoding_with(second, workspace, monkeypatch).encode(["snow", "moss", "tea"])

    assert first.texts == ["tea", "snow"]
    assert second.texts == ["moss"]
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(again[[0, 2]], vectors[[1, 0]])
    assert vectors.dtype == np.float32 and np.allclose(np.linalg.norm(again, axis=1), 1.0)


def test_an_interrupted_run_keeps_whole_batches(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"text {number}" for number in range(BATCH + 3)]
    whole = Counting()
    with pytest.raises(KeyboardInterrupt):
        encoding_with(Counting(breaks_after=BATCH), workspace, monkeypatch).encode(texts)

    encoding_with(whole, workspace, monkeypatch).encode(texts)

    assert whole.texts == texts[BATCH:]


def test_encoders_do_not_share_vectors(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Counting(), Counting()
    two.name = "another"

    encoding_with(one, workspace, monkeypatch).encode(["tea"])
    encoding_with(two, workspace, monkeypatch).encode(["tea"])

    assert two.texts == ["tea"]


def test_a_catalogue_is_encoded_by_what_its_items_say(workspace: Workspace) -> None:
    items = (Item(item_id="a", title="green tea"), Item(item_id="b"), Item(item_id="c", title="green tea"))
    encoding = Encoding("hashing", workspace)

    matrix = encoding.encode_items(items)

    assert matrix.shape == (3, 64)
    assert np.array_equal(matrix[0], matrix[2])
    assert np.array_equal(matrix[1], encoding.encode([""])[0])
    assert encoding.encode_items(items) is matrix
    assert encoding.encode([]).shape == (0, 64)


async def test_it_works_below_a_running_event_loop(workspace: Workspace) -> None:
    assert Encoding("hashing", workspace).encode(["tea"]).shape == (1, 64)


def test_a_half_written_pair_of_files_is_not_seen(tmp_path: Path) -> None:
    files = VectorFiles(tmp_path)
    files.add([key_of("tea")], np.eye(2, dtype=np.float32)[:1])
    [keys] = tmp_path.glob("*.keys.npy")
    keys.rename(tmp_path / "gone")

    assert VectorFiles(tmp_path).find([key_of("tea")]) == {}
    (tmp_path / "gone").rename(keys)
    assert VectorFiles(tmp_path).find([key_of("tea")])[key_of("tea")].tolist() == [1.0, 0.0]


def test_a_label_hides_the_folder_of_weights() -> None:
    assert label_of("sentence-transformers//somewhere/private/mpnet") == "mpnet"
    assert label_of("openai/text-embedding-3-small") == "openai/text-embedding-3-small"


def test_errors_come_through_the_wait() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        wait_for(fail())
