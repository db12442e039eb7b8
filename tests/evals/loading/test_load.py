"""Loading: every form, random numbers, shuffled ties, and bad rows counted."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import UnknownFormatError
from limner.evals.dataset import Dataset
from limner.evals.loading.load import load

T = 1_600_000_000
"""A moment in seconds; ours are microseconds."""


def _jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def _told(dataset: Dataset) -> dict[str, list[tuple[str, int, float, str]]]:
    """Return each user's events in source ids: item, time, rating (-1 for none), text."""
    events = dataset.events
    told: dict[str, list[tuple[str, int, float, str]]] = {user: [] for user in dataset.user_ids}
    for row in range(len(events)):
        rating = float(events.rating[row])
        told[dataset.user_ids[int(events.user[row])]].append(
            (
                dataset.items[int(events.item[row])].item_id,
                int(events.at[row]),
                -1.0 if np.isnan(rating) else rating,
                "" if events.text is None else events.text[row],
            )
        )
    return told


def test_interactions_and_items_become_columns_and_a_catalogue(tmp_path: Path) -> None:
    _jsonl(
        tmp_path / "interactions.jsonl.gz",
        [
            {
                "user_id": "ann",
                "item_id": "b",
                "rating": 4,
                "timestamp": T + 2,
                "title": "Nice",
                "text": "I like it",
            },
            {"user_id": "bob", "item_id": "a", "timestamp": T},
            {"user_id": "ann", "item_id": "a", "rating": 1.5, "timestamp": T + 1},
            {"user_id": "ann", "item_id": "b", "timestamp": T + 3},
        ],
    )
    _jsonl(
        tmp_path / "items.jsonl.gz", [{"item_id": "a", "title": "Apple"}, {"item_id": "c", "title": "Cherry"}]
    )

    dataset = load(tmp_path, seed=0, name="fruit")

    at = T * 1_000_000
    assert _told(dataset) == {
        "ann": [
            ("a", at + 1_000_000, 1.5, ""),
            ("b", at + 2_000_000, 4.0, "Nice. I like it"),
            ("b", at + 3_000_000, -1.0, ""),  # a repeat is kept
        ],
        "bob": [("a", at, -1.0, "")],
    }
    assert {item.item_id: item.title for item in dataset.items} == {"a": "Apple", "b": "", "c": "Cherry"}
    card = dataset.card
    assert (card.name, card.users, card.items, card.events, card.clock) == ("fruit", 2, 3, 4, "timestamps")
    assert (card.source, card.text_by_model) == ("unknown", None)
    assert "1 items of 2 events are in no item file: they have no text" in card.notes


def test_items_without_an_event_can_be_left_out(tmp_path: Path) -> None:
    _jsonl(tmp_path / "interactions.jsonl", [{"user_id": "ann", "item_id": "b", "timestamp": T}])
    _jsonl(tmp_path / "items.jsonl", [{"item_id": "a", "title": "A"}, {"item_id": "b", "title": "B"}])

    assert [item.title for item in load(tmp_path, seed=0, catalogue="chosen").items] == ["B"]


def test_sequences_have_places_and_the_order_clock(tmp_path: Path) -> None:
    _jsonl(
        tmp_path / "sequences.jsonl",
        [{"user_id": "ann", "item_ids": ["c", "a", "b"]}, {"user_id": "bob", "item_ids": ["b"]}],
    )

    dataset = load(tmp_path, seed=3)

    assert _told(dataset) == {
        "ann": [("c", 0, -1.0, ""), ("a", 1, -1.0, ""), ("b", 2, -1.0, "")],
        "bob": [("b", 0, -1.0, "")],
    }
    assert dataset.card.clock == "order"
    assert dataset.events.text is None


@pytest.mark.parametrize("name", ["Beauty.txt", "Beauty.txt.gz"])
def test_a_line_of_user_and_items_is_a_sequence(tmp_path: Path, name: str) -> None:
    text = b"1 1 2 3\n2 3 1\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (tmp_path / "README.md").write_text("Two users and 3 items.\nMade for a test.\n", encoding="utf-8")

    dataset = load(tmp_path, seed=3)

    assert [[item for item, *_ in events] for _, events in sorted(_told(dataset).items())] == [
        ["1", "2", "3"],
        ["3", "1"],
    ]


def test_amazon_2023_reviews_and_items(tmp_path: Path) -> None:
    _jsonl(
        tmp_path / "Gifts.jsonl",
        [
            {
                "user_id": "ann",
                "asin": "variant",
                "parent_asin": "parent",
                "rating": 5.0,
                "timestamp": T * 1000 + 7,
                "title": "Good!",
                "text": "Yes",
            }
        ],
    )
    _jsonl(
        tmp_path / "meta_Gifts.jsonl",
        [
            {
                "parent_asin": "parent",
                "title": "Box",
                "store": "Maker",
                "main_category": "Gifts",
                "categories": [],
            }
        ],
    )

    dataset = load(tmp_path, seed=0)

    assert _told(dataset) == {"ann": [("parent", (T * 1000 + 7) * 1000, 5.0, "Good! Yes")]}
    assert (dataset.items[0].title, dataset.items[0].brand) == ("Box", "Maker")
    assert dataset.card.source.startswith("Amazon Reviews 2023")


def _part(folder: Path, part: str, rows: str) -> None:
    (folder / f"Gifts.{part}.csv").write_text(
        f"user_id,parent_asin,rating,timestamp,history\n{rows}", "utf-8"
    )


def test_a_published_split_tells_its_moments_and_takes_the_words_of_the_reviews(tmp_path: Path) -> None:
    _part(tmp_path, "train", f"ann,a,5.0,{T}000,\nbob,b,1.0,{T + 1}000,\n")
    _part(tmp_path, "valid", f"ann,b,4.0,{T + 5}000,a\n")
    _part(tmp_path, "test", f"ann,c,3.0,{T + 9}000,a b\n")
    review = {
        "user_id": "ann",
        "parent_asin": "b",
        "rating": 4.0,
        "timestamp": (T + 5) * 1000,
        "text": "Fine",
    }
    _jsonl(tmp_path / "Gifts.jsonl", [review, review | {"user_id": "eve"}])

    dataset = load(tmp_path, seed=0)

    assert dataset.boundaries == ((T + 5) * 1_000_000, (T + 9) * 1_000_000)
    assert [(item, text) for item, _, _, text in _told(dataset)["ann"]] == [
        ("a", ""),
        ("b", "Fine"),
        ("c", ""),
    ]
    assert "eve" not in dataset.user_ids
    assert "1 of 2 reviews used as text; the others belong to no event of the split" in dataset.card.notes


def test_parts_that_overlap_in_time_have_no_moments(tmp_path: Path) -> None:
    _part(tmp_path, "train", f"ann,a,5.0,{T}000,\nbob,b,1.0,{T + 7}000,\n")
    _part(tmp_path, "valid", f"ann,b,4.0,{T + 5}000,a\n")
    _part(tmp_path, "test", f"ann,c,3.0,{T + 9}000,a b\n")

    dataset = load(tmp_path, seed=0)

    assert dataset.boundaries is None
    assert "the publisher's split is not one by moments; its parts were joined" in dataset.card.notes


def test_google_local_reviews_and_places(tmp_path: Path) -> None:
    _jsonl(
        tmp_path / "review.jsonl",
        [
            {
                "user_id": "1",
                "name": "Ann",
                "time": T * 1000,
                "rating": 4,
                "text": "Nice",
                "gmap_id": "0x1:0x2",
            }
        ],
    )
    _jsonl(
        tmp_path / "meta.jsonl",
        [
            {
                "gmap_id": "0x1:0x2",
                "name": "Cafe",
                "category": ["Coffee shop"],
                "description": None,
                "avg_rating": 4,
            }
        ],
    )

    dataset = load(tmp_path, seed=0)

    assert _told(dataset) == {"1": [("0x1:0x2", T * 1_000_000, 4.0, "Nice")]}  # the user's name is left out
    assert (dataset.items[0].title, dataset.items[0].categories) == ("Cafe", ("Coffee shop",))
    assert dataset.card.source.startswith("Google Local")


def test_a_movielens_folder_and_only_tags_from_before_the_rating(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(
        f"userId,movieId,rating,timestamp\n1,10,3.5,{T}\n1,11,4,{T + 5}\n", "utf-8"
    )
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n10,Up (2009),Comedy|Drama\n11,Her,Drama\n", "utf-8"
    )
    tags = (
        f"userId,movieId,tag,timestamp\n1,10,funny,{T}\n1,10,sad,{T - 1}\n1,11,slow,{T + 6}\n2,10,old,{T}\n"
    )
    (tmp_path / "tags.csv").write_text(tags, "utf-8")
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n10,1,2\n", "utf-8")

    dataset = load(tmp_path, seed=0)

    assert _told(dataset) == {
        "1": [("10", T * 1_000_000, 3.5, "funny, sad"), ("11", (T + 5) * 1_000_000, 4.0, "")]
    }
    assert {item.title: item.categories for item in dataset.items} == {
        "Up (2009)": ("Comedy", "Drama"),
        "Her": ("Drama",),
    }
    assert (
        "2 of 4 tags used as text; the others were given after the event, or without one"
        in dataset.card.notes
    )


def test_undated_words_of_users_do_not_enter_the_catalogue(tmp_path: Path) -> None:
    _jsonl(tmp_path / "interactions.jsonl", [{"user_id": "1", "item_id": "a", "timestamp": T}])
    _jsonl(
        tmp_path / "items.jsonl",
        [{"item_id": "a", "title": "Up", "user_tags": ["sad"], "tmdb_keywords": ["age"]}],
    )

    dataset = load(tmp_path, seed=0)

    assert dataset.items[0].tags == ("age",)
    assert any(note.startswith("`user_tags` of 1 items left out") for note in dataset.card.notes)


def test_bad_rows_are_left_out_counted_and_the_first_one_named(tmp_path: Path) -> None:
    (tmp_path / "interactions.jsonl").write_text(
        f'{{"user_id": "ann", "item_id": "a", "rating": 1, "timestamp": {T}}}\n'
        f'{{"user_id": "ann", "item_id": "a", "rating": "much", "timestamp": {T}}}\n'
        "{nonsense\n",
        encoding="utf-8",
    )

    dataset = load(tmp_path, seed=0)

    assert len(dataset.events) == 1
    assert dataset.card.notes[-1].startswith(
        "interactions.jsonl: 2 bad rows left out; line 2, `rating`: must be"
    )


def test_a_file_without_a_usable_row_is_an_error_that_says_why(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "a.jsonl", [{"user_id": "ann", "item_id": "", "timestamp": T}])

    with pytest.raises(UnknownFormatError, match=r"has no usable row; line 1, `item_id`: is missing"):
        load(path, seed=0)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"notes.md": "# Notes\n\nNothing here.\n"}, "holds no file of a known form"),
        ({"items.jsonl": '{"item_id": "a", "title": "A"}\n'}, "has no file of interactions or sequences"),
        (
            {
                "a.jsonl": f'{{"user_id": "1", "item_id": "a", "timestamp": {T}}}\n',
                "b.jsonl": '{"user_id": "1", "item_ids": ["a"]}\n',
            },
            "lacks times, unlike",
        ),
    ],
)
def test_a_folder_of_no_use_is_an_error(tmp_path: Path, files: Mapping[str, str], reason: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(UnknownFormatError, match=reason):
        load(tmp_path, seed=0)


def test_numbers_depend_on_the_seed_and_not_on_first_appearance(tmp_path: Path) -> None:
    _jsonl(tmp_path / "s.jsonl", [{"user_id": f"u{ix}", "item_ids": [f"i{ix}"]} for ix in range(100)])

    one, again, other = (load(tmp_path, seed=seed) for seed in (1, 1, 2))

    assert [item.item_id for item in one.items] == [item.item_id for item in again.items]
    assert one.user_ids == again.user_ids
    assert [item.item_id for item in one.items] != [item.item_id for item in other.items]
    # Of 100 numbers drawn at random about one stays; that more than ten do has a chance below 1e-7.
    assert sum(item.item_id == f"i{ix}" for ix, item in enumerate(one.items)) <= 10
    assert sum(user == f"u{ix}" for ix, user in enumerate(one.user_ids)) <= 10


def _first_items(tmp_path: Path, shuffle: str) -> set[str]:
    orders: set[str] = set()
    for seed in range(12):
        dataset = load(tmp_path, seed=seed, tie_shuffle=shuffle)  # type: ignore[arg-type]  # one of the three
        orders.add(" ".join(item for item, *_ in _told(dataset)["ann"]))
    return orders


def test_events_of_one_moment_are_shuffled_and_no_others(tmp_path: Path) -> None:
    moments = {"a": T, "b": T, "c": T + 1}
    _jsonl(
        tmp_path / "i.jsonl",
        [{"user_id": "ann", "item_id": key, "timestamp": at} for key, at in moments.items()],
    )

    assert _first_items(tmp_path, "moments") == {"a b c", "b a c"}  # by chance one order alone: 2 in 4096
    assert _first_items(tmp_path, "none") == {"a b c"}


def test_rising_runs_are_shuffled_only_on_request(tmp_path: Path) -> None:
    _jsonl(
        tmp_path / "s.jsonl", [{"user_id": "ann", "item_ids": ["9", "10", "2"]}]
    )  # as numbers, 10 is above 9

    assert _first_items(tmp_path, "moments") == {"9 10 2"}
    assert _first_items(tmp_path, "rising-ids") == {"9 10 2", "10 9 2"}


def test_an_order_by_item_ids_is_noted(tmp_path: Path) -> None:
    _jsonl(tmp_path / "s.jsonl", [{"user_id": "ann", "item_ids": ["a", "b", "c", "d", "a"]}])

    # Three of four neighbours rise.
    assert any(
        note.startswith("75% of neighbouring events rise") for note in load(tmp_path, seed=0).card.notes
    )


EVENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=40)


@given(events=EVENTS, seed=st.integers(0, 1000))
def test_loading_keeps_every_event_and_orders_it(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int]], seed: int
) -> None:
    path = tmp_path_factory.mktemp("set") / "i.jsonl"
    rows = [{"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": T + at} for user, item, at in events]

    dataset = load(_jsonl(path, rows), seed=seed)

    told = [(user, item, at // 1_000_000 - T) for user, own in _told(dataset).items() for item, at, *_ in own]
    assert sorted(told) == sorted((f"u{user}", f"i{item}", at) for user, item, at in events)
    user, at = dataset.events.user, dataset.events.at
    assert np.array_equal(np.lexsort((at, user)), np.arange(len(user)))  # stable: already in order
