"""Taught spaces: what they do to vectors, their names, and their files."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import SpaceFileError, WrongSpaceError
from limner.tools.embedder import FloatArray
from limner.tools.space import ENCODERS_OWN, Side, Space, load_space, open_space, save_space

VECTORS: FloatArray = np.array([[0.6, 0.8], [1.0, 0.0]], dtype=np.float32)


def swapped(**changes: Any) -> Space:
    """A space that swaps the two axes on the user's side, and stretches the first on the item side."""
    fields: dict[str, Any] = {
        "encoder": "hashing-v1",
        "user": Side.of(np.array([[0.0, 1.0], [1.0, 0.0]])),
        "item": Side.of(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0])),
    }
    return Space(**(fields | changes))


def test_the_encoders_own_space_changes_no_bit() -> None:
    assert ENCODERS_OWN.users(VECTORS) is VECTORS
    assert ENCODERS_OWN.items(VECTORS) is VECTORS
    assert (ENCODERS_OWN.name, ENCODERS_OWN.is_identity) == ("identity", True)


def test_each_side_has_its_own_map_and_returns_unit_vectors() -> None:
    space = swapped()

    assert np.allclose(space.users(VECTORS), [[0.8, 0.6], [0.0, 1.0]], atol=1e-6)
    # (0.6, 0.8) -> (1.2, 0.8 + 1) and (1, 0) -> (2, 0 + 1), each at unit length.
    expected = [[1.2 / np.hypot(1.2, 1.8), 1.8 / np.hypot(1.2, 1.8)], [2 / np.sqrt(5), 1 / np.sqrt(5)]]
    assert np.allclose(space.items(VECTORS), expected, atol=1e-6)
    assert space.items(VECTORS).dtype == np.float32


def test_a_saved_space_comes_back_with_name_facts_and_the_very_same_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    space = Space(
        encoder="hashing-v1",
        user=Side.of(rng.normal(size=(8, 8)), rng.normal(size=8)),
        item=Side.of(rng.normal(size=(8, 8))),
        decay=0.77,
        temperature=0.04,
        share=0.3,
        taught={"source": "games", "seed": 3},
    )
    save_space(space, tmp_path / "new" / "games.space")

    found = load_space(tmp_path / "new" / "games.space", encoder="hashing-v1")

    vectors = rng.normal(size=(5, 8)).astype(np.float32)
    assert found.name == space.name
    assert (found.decay, found.temperature, found.share) == (0.77, 0.04, 0.3)
    assert found.taught == {"source": "games", "seed": 3}
    assert found.users(vectors).tobytes() == space.users(vectors).tobytes()
    assert found.items(vectors).tobytes() == space.items(vectors).tobytes()
    save_space(space, tmp_path / "again.space")
    assert (tmp_path / "again.space").read_bytes() == (tmp_path / "new" / "games.space").read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["again.space", "games.space", "new"]


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "other"},
        {"decay": 0.5},
        {"temperature": 0.1},
        {"share": 0.1},
        {"user": Side.of(np.eye(2))},
        {"item": Side.of(np.eye(2))},
    ],
)
def test_whatever_changes_a_score_changes_the_name(changes: dict[str, Any]) -> None:
    assert swapped(**changes).name != swapped().name


def test_where_a_space_comes_from_is_no_part_of_its_name() -> None:
    assert swapped(taught={"seed": 1}).name == swapped().name


def test_a_space_of_another_encoder_is_refused(tmp_path: Path) -> None:
    save_space(swapped(), tmp_path / "a.space")

    with pytest.raises(
        WrongSpaceError, match=r"taught on encoder 'hashing-v1', but 'minilm-1' is configured"
    ):
        load_space(tmp_path / "a.space", encoder="minilm-1")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _rewrite(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in parts.items():
            archive.writestr(each, content)


def _spoil(path: Path) -> None:
    """Break the compressed bytes of the first part, behind its header of 30 bytes and its name."""
    content = bytearray(path.read_bytes())
    content[30 + len("space.json")] = 0xFF
    path.write_bytes(content)


def _remove(path: Path) -> None:
    path.unlink()


def _overwrite(path: Path) -> None:
    path.write_text("hello")


def _other_weight(path: Path) -> None:
    _rewrite(path, "user_weights.npy", lambda content: content[:-2] + b"\x00\x3c")


def _other_decay(path: Path) -> None:
    _rewrite(path, "space.json", lambda content: json.dumps(json.loads(content) | {"decay": 0.9}).encode())


def _newer(path: Path) -> None:
    _rewrite(path, "space.json", lambda content: json.dumps(json.loads(content) | {"format": 99}).encode())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_cut, "cannot be read"),
        (_spoil, "cannot be read"),
        (_other_weight, "is damaged"),
        (_other_decay, "is damaged"),
        (_newer, "has format 99"),
        (_remove, "cannot be read"),
        (_overwrite, "cannot be read"),
    ],
)
def test_a_harmed_file_is_refused_by_name(harm: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.space"
    save_space(swapped(), path)
    harm(path)

    with pytest.raises(SpaceFileError, match=rf"a\.space: {said}.*`limner distill embed`$"):
        load_space(path)


def test_no_file_means_the_encoders_own_space_which_has_none(tmp_path: Path) -> None:
    assert open_space(None, encoder="any") is ENCODERS_OWN
    with pytest.raises(ValueError, match="has no file"):
        save_space(ENCODERS_OWN, tmp_path / "own.space")


def test_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="together"):
        replace(swapped(), item=None)
    with pytest.raises(ValueError, match="one shape"):
        replace(swapped(), item=Side.of(np.eye(3)))


def test_whoever_may_read_other_new_files_may_read_a_space(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save_space(swapped(), tmp_path / "a.space")

    assert (tmp_path / "a.space").stat().st_mode == (tmp_path / "other").stat().st_mode
