"""The door to sentence-transformers, as far as it opens without the library's weights."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from limner.tools.checksums import revision_of
from limner.tools.sentence_transformers_embedder import SentenceTransformersEmbedder


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the extra is installed; nothing here loads it."""

    def find(name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def test_an_encoder_in_a_folder_is_named_by_its_weights_and_not_by_where_it_lies(tmp_path: Path) -> None:
    folders = [tmp_path / place / "mpnet" for place in ("home", "elsewhere")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"weights")

    one, two = (SentenceTransformersEmbedder(f"{folder}/") for folder in folders)

    revision = revision_of(folders[0] / "model.safetensors")
    assert one.name == two.name == f"sentence-transformers/mpnet-{revision}"

    (folders[1] / "model.safetensors").write_bytes(b"other weights")
    assert SentenceTransformersEmbedder(str(folders[1])).name != one.name


def test_an_encoder_of_the_library_keeps_its_name() -> None:
    assert SentenceTransformersEmbedder("org/some-encoder").name == "sentence-transformers/org/some-encoder"
