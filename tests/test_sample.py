"""The invented sample: complete, well formed, and declared as invented."""

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import limner
from limner.records import Interaction, Item

SAMPLE = Path(limner.__file__).parent / "sample"


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def items() -> dict[str, Item]:
    return {item.item_id: item for item in map(Item.model_validate, read("items.jsonl"))}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return read("interactions.jsonl")


@pytest.fixture(scope="module")
def by_user(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    users: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        users[row["user_id"]].append(row)
    return users


def sentences(rows: list[dict[str, Any]]) -> list[str]:
    texts = [str(row[name]) for row in rows for name in ("title", "text") if name in row]
    return [part.strip(" .!?").casefold() for text in texts for part in re.split(r"(?<=[.!?])\s+", text)]


def test_items_cover_three_domains_with_text_in_every_field(items: dict[str, Item]) -> None:
    domains = Counter(item.categories[0] for item in items.values())

    assert domains == {"Board games": 42, "Kitchen": 42, "Novels": 42}
    assert len({item.title for item in items.values()}) == 126
    assert all(item.brand and item.tags and item.description for item in items.values())


def test_every_user_has_twelve_to_twenty_five_interactions(by_user: dict[str, list[dict[str, Any]]]) -> None:
    assert len(by_user) >= 24
    assert all(12 <= len(history) <= 25 for history in by_user.values())


def test_every_interaction_is_a_valid_event_on_an_item_of_the_sample(
    rows: list[dict[str, Any]], items: dict[str, Item]
) -> None:
    for row in rows:
        at = datetime.fromtimestamp(row["timestamp"], tz=UTC)
        kind = "review" if "text" in row else "rating" if "rating" in row else "purchase"
        event = Interaction(
            user_id=row["user_id"],
            item_id=row["item_id"],
            kind=kind,
            at=at,
            rating=row.get("rating"),
            text=row.get("text"),
        )

        assert event.item_id in items
        assert 2023 <= event.at.year <= 2025
        assert event.rating is None or event.rating in (1, 2, 3, 4, 5)
        assert row.keys() <= {"user_id", "item_id", "rating", "timestamp", "title", "text"}


def test_a_users_times_are_distinct_and_no_item_comes_twice(by_user: dict[str, list[dict[str, Any]]]) -> None:
    for history in by_user.values():
        assert all(first["timestamp"] < second["timestamp"] for first, second in pairwise(history))
        assert len({row["item_id"] for row in history}) == len(history)


def test_most_are_rated_and_about_half_reviewed_without_two_equal_sentences(
    rows: list[dict[str, Any]],
) -> None:
    said = Counter(sentences(rows))

    assert sum("rating" in row for row in rows) / len(rows) > 0.9
    assert 0.4 < sum("text" in row for row in rows) / len(rows) < 0.7
    assert [sentence for sentence, count in said.items() if count > 1] == []


def test_reviews_come_in_four_languages(rows: list[dict[str, Any]]) -> None:
    marks = {"en": " the ", "de": " und ", "es": " pero ", "fr": " les "}
    texts = [f" {row['text']} ".casefold() for row in rows if "text" in row]

    assert all(any(mark in text for text in texts) for mark in marks.values())


def test_every_user_tells_what_they_dislike(by_user: dict[str, list[dict[str, Any]]]) -> None:
    for history in by_user.values():
        ratings = [row["rating"] for row in history if "rating" in row]

        assert min(ratings) <= 2
        assert max(ratings) == 5


def test_the_past_points_at_what_a_user_likes_next(
    by_user: dict[str, list[dict[str, Any]]], items: dict[str, Item]
) -> None:
    # Themes are the two broadest categories. If tastes said nothing, the last liked item would share a
    # theme with the liked past as often as any item does; 42 items a domain make 21 or fewer of 126.
    hits: list[bool] = []
    chance: list[float] = []
    for history in by_user.values():
        liked = [row["item_id"] for row in history if row.get("rating", 0) >= 4]
        past = {items[item_id].categories[:2] for item_id in liked[:-1]}
        hits.append(items[liked[-1]].categories[:2] in past)
        rest = items.keys() - {row["item_id"] for row in history} | {liked[-1]}
        chance.append(sum(items[item_id].categories[:2] in past for item_id in rest) / len(rest))

    assert sum(hits) / len(hits) > 2 * sum(chance) / len(chance)


def test_the_order_of_ids_means_nothing(items: dict[str, Item]) -> None:
    ordered = [items[item_id].categories[0] for item_id in sorted(items)]
    same = sum(first == second for first, second in pairwise(ordered))

    # 125 neighbours, one in three of the same domain by chance: 41 expected, standard deviation 5.2.
    assert 26 <= same <= 57


def test_the_sample_says_that_it_is_invented(rows: list[dict[str, Any]]) -> None:
    first_fields = [next(iter(row.values())) for row in read("items.jsonl")]

    assert "invented from end to end" in (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert all(next(iter(row.values())).startswith("invented-") for row in rows)
    assert all(value.startswith("inv-") for value in first_fields)


def test_the_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 200_000
