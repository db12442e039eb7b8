"""The two axes of the map, and how they are kept."""

from pathlib import Path

import numpy as np
import pytest

from limner.serve.gallery.projection import (
    Projection,
    fit_projection,
    keep_projection,
    read_projection,
    sample_ids,
)


def cloud() -> np.ndarray:
    """A thousand points that differ most along the third direction and next along the first."""
    rng = np.random.default_rng(7)
    return (rng.normal(size=(1000, 5)) * [3.0, 0.1, 9.0, 0.2, 0.1] + 5.0).astype(np.float32)


def fitted() -> Projection:
    return fit_projection(cloud(), encoder="e", items=1000)


def test_the_axes_are_the_directions_of_greatest_difference() -> None:
    axes = np.abs(fitted().axes)

    assert axes.argmax(axis=1).tolist() == [2, 0]
    assert axes.max(axis=1) == pytest.approx([1.0, 1.0], abs=0.01)
    assert np.linalg.norm(axes, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


def test_an_axis_does_not_flip_when_the_catalogue_is_shuffled() -> None:
    shuffled = np.random.default_rng(1).permutation(cloud())

    assert fit_projection(shuffled, encoder="e", items=1000).axes == pytest.approx(fitted().axes, abs=1e-3)


def test_everything_is_placed_on_the_page_and_the_middle_in_the_middle() -> None:
    places = fitted().place(np.concatenate([cloud(), np.full((1, 5), 1e6, np.float32)]))

    assert places.min() >= 0.0
    assert places.max() <= 1.0
    assert np.median(places, axis=0) == pytest.approx([0.5, 0.5], abs=0.05)


def test_equal_vectors_are_placed_without_dividing_by_nothing() -> None:
    same = np.ones((4, 3), np.float32)

    places = fit_projection(same, encoder="e", items=4).place(same)

    assert np.isfinite(places).all()


def test_a_kept_projection_is_read_back_as_it_was(tmp_path: Path) -> None:
    keep_projection(tmp_path / "gallery" / "map.npz", fitted())

    kept = read_projection(tmp_path / "gallery" / "map.npz")

    assert kept is not None
    assert (kept.encoder, kept.items) == ("e", 1000)
    assert np.array_equal(kept.place(cloud()), fitted().place(cloud()))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_a_damaged_file_is_no_projection(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "map.npz").write_bytes(content)

    assert read_projection(tmp_path / "map.npz") is None


def test_a_projection_fits_until_the_catalogue_doubles_or_halves_or_has_another_encoder() -> None:
    one = fitted()

    assert one.fits("e", 501)
    assert one.fits("e", 1999)
    assert not one.fits("e", 500)
    assert not one.fits("e", 2000)
    assert not one.fits("f", 1000)


def test_a_sample_stays_when_an_item_comes() -> None:
    ids = [f"i{number}" for number in range(500)]

    before, after = sample_ids(ids, 50), sample_ids([*ids, "new"], 50)

    assert len(before) == len(after) == 50
    assert len(set(before) & set(after)) >= 49  # at most the newcomer takes a place
    assert before == sorted(before)
