"""Tuning a whole encoder, on one that is made here: two layers, eight words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.distill.space.full import TuneSettings, contrast, tune_encoder
from limner.errors import InputError, TooFewLessonsError
from limner.tools.lessons import Words

WORDS = ("kite", "tea", "moss", "jazz", "snow", "clay", "soup", "train")


class Table:
    """An encoder whose vectors are rows of a table: the loss can be worked out by hand."""

    def __init__(self, rows: dict[str, Sequence[float]]) -> None:
        self.rows = rows

    def tokenize(self, texts: list[str]) -> Any:
        """Pass texts on."""
        return texts

    def __call__(self, texts: list[str]) -> dict[str, Any]:
        """Look texts up."""
        torch = pytest.importorskip("torch")
        return {"sentence_embedding": torch.tensor([self.rows[text] for text in texts])}


def test_the_loss_leaves_out_what_was_had_and_copies_of_the_answer() -> None:
    table = Table({"q": [1.0, 0.0], "r": [0.0, 1.0], "a": [1.0, 0.0], "b": [0.0, 1.0]})

    # Each query lies on its own answer (cosine 1) and at right angles to the other: -log(e / (e + 1)).
    both = float(contrast(table, [Words("q", "a"), Words("r", "b")], temperature=1.0))
    assert both == pytest.approx(np.log(1 + np.exp(-1)), abs=1e-6)
    # The first had `b`, so nothing is left to confuse it with; the second is as before.
    had = float(contrast(table, [Words("q", "a", ("b",)), Words("r", "b")], temperature=1.0))
    assert had == pytest.approx(np.log(1 + np.exp(-1)) / 2, abs=1e-6)
    copies = float(contrast(table, [Words("q", "a"), Words("r", "a")], temperature=1.0))
    assert copies == pytest.approx(0.0, abs=1e-6)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A sentence-transformers folder with random weights."""
    library: Any = pytest.importorskip("sentence_transformers")
    transformers: Any = pytest.importorskip("transformers")
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    tokenizer.save_pretrained(folder)
    transformers.BertModel(config).save_pretrained(folder)
    model = library.SentenceTransformer(str(folder), device="cpu")  # a bare transformer gets mean pooling
    model.save(str(tmp_path / "tiny"))
    return tmp_path / "tiny"


def readings() -> list[Words]:
    """Each word is followed by the next."""
    return [Words(word, WORDS[(place + 1) % 8]) for place, word in enumerate(WORDS)] * 4


def _reads(folder: Path) -> int:
    """Return how many tokens of a text an encoder reads."""
    library: Any = pytest.importorskip("sentence_transformers")
    return int(library.SentenceTransformer(str(folder), device="cpu").max_seq_length)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
async def test_a_tuned_encoder_learns_what_follows_and_opens_as_any_other(
    encoder: Path, tmp_path: Path
) -> None:
    from limner.tools.sentence_transformers_embedder import SentenceTransformersEmbedder

    quick = TuneSettings(steps=40, batch=8, rate=1e-3, tokens=4)

    tuned = tune_encoder(encoder, readings(), tmp_path / "tuned", seed=0, settings=quick)

    assert len(tuned.losses) == 40
    assert np.mean(tuned.losses[-5:]) < np.mean(tuned.losses[:5]) - 0.3
    before, after = (SentenceTransformersEmbedder(str(folder)) for folder in (encoder, tmp_path / "tuned"))
    assert before.name != after.name
    vectors = await after.embed(WORDS)
    assert vectors.shape == (8, 16)
    limits = [_reads(folder) for folder in (encoder, tmp_path / "tuned")]
    assert limits[0] == limits[1]
    assert not np.allclose(vectors, await before.embed(WORDS), atol=1e-3)
    assert not list(tmp_path.glob(".tuned*"))


def test_a_folder_that_holds_something_and_too_few_readings_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        tune_encoder(tmp_path, readings(), tmp_path / "full", seed=0)
    with pytest.raises(TooFewLessonsError, match=r"^32 users"):
        tune_encoder(tmp_path, readings(), tmp_path / "new", seed=0)
