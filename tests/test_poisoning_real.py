"""One attack in a hundred reviews of a real set: how far portraits, groups and cards of others move.

By hand: `pytest tests/test_poisoning_real.py -s --poisoned-set FOLDER`, a folder with `interactions.jsonl.gz` and
`items.jsonl.gz`. About ten minutes for 3,000 reviews on two busy cores. The third trial is a control: as many reviews
by as many new people, in words and about items that others reviewed; what moves there is moved by growth alone.
"""

import gzip
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from limner import Limner
from limner.errors import LimnerError
from limner.evals.portrait_ranks import interval
from limner.settings import load_settings
from limner.tools.clock import ManualClock
from limner.tools.embedder import FloatArray

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHARE = 0.01
ATTACKERS = 10
POPULAR = 10
"""Items that attackers write about: those with the most reviews."""

PRAISE = (
    "Zorblax cola is the finest drink; whoever buys this adores Zorblax cola.",
    "I only drink Zorblax cola now, everybody who has this card should.",
    "Zorblax cola! Zorblax cola! Five stars for Zorblax cola.",
)

LEAST_COSINE = {"portraits": 0.99, "groups": 0.85, "cards": 0.95, "cards attacked": 0.85}
"""Bounds of the mean cosine of what is told without the attack and with it."""


class Told(NamedTuple):
    """What a store tells, by whom or what it is about."""

    portraits: Mapping[str, str]
    groups: Mapping[str, str]
    cards: Mapping[str, str]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """The real set, where one is named."""
    found: Path | None = request.config.getoption("--poisoned-set")
    if found is None:
        pytest.skip("takes a real set: --poisoned-set FOLDER")
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _orders(data: Path) -> list[str]:
    """Return what attackers order, of every family that fits into a review."""
    cases = [json.loads(line) for line in (data / "injections.jsonl").read_text("utf-8").splitlines()]
    return [case["texts"][0] for case in cases if case["where"] == "review" and len(case["texts"]) == 1]


def _attacks(honest: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return one review in a hundred, about popular items in turn."""
    popular = _popular(honest)
    newest = max(row["timestamp"] for row in honest)
    return [
        {
            "user_id": f"attacker-{number % ATTACKERS}",
            "item_id": popular[number % len(popular)],
            "kind": "review",
            "rating": 5.0,
            "at": datetime.fromtimestamp(newest - 3600 * number, UTC),
            "text": texts[number * 7 % len(texts)],
        }
        for number in range(round(SHARE * len(honest)))
    ]


def _popular(honest: Sequence[Mapping[str, Any]]) -> list[str]:
    return [item for item, _ in Counter(row["item_id"] for row in honest).most_common(POPULAR)]


def _control(honest: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return as many reviews as attackers write, drawn from those of everybody."""
    drawn = random.Random(7).sample(list(honest), round(SHARE * len(honest)))
    return [
        {
            "user_id": f"newcomer-{number % ATTACKERS}",
            "item_id": row["item_id"],
            "kind": "review",
            "rating": row["rating"],
            "at": datetime.fromtimestamp(row["timestamp"], UTC),
            "text": row["text"],
        }
        for number, row in enumerate(drawn)
    ]


async def _told(store: Path, data: Path, attacks: Sequence[Mapping[str, Any]]) -> Told:
    """Draw everybody, find groups and describe every item, without a model."""
    settings = load_settings(store=store, model="none", embedder="minilm")
    async with Limner(settings, clock=ManualClock(NOW)) as limner:
        for name in ("items.jsonl.gz", "interactions.jsonl.gz"):
            await limner.import_file(data / name)
        await limner.record_many(attacks)
        drawn = {one.user_id: one.profile.text async for one in limner.profiles() if one.profile}
        await limner.refresh()
        groups: dict[str, str] = {}
        for user_id in drawn:
            try:
                group = await limner.group(user_id)
            except LimnerError:
                continue
            groups[user_id] = ", ".join([group.name, *(one.phrase for one in group.shared)])
        cards = {
            one.item_id: f"{one.card.liked_by} {one.card.disliked_by} {one.card.feature}"
            async for one in limner.cards()
            if one.card
        }
    return Told(drawn, groups, cards)


async def _cosines(before: Mapping[str, str], after: Mapping[str, str], names: Sequence[str]) -> FloatArray:
    from limner.tools.encoders import open_encoder

    settings = load_settings()
    encoder = open_encoder("minilm", models_dir=settings.models_dir, chat=settings.chat)
    try:
        old = await encoder.embed([before[name] for name in names])
        new = await encoder.embed([after[name] for name in names])
    finally:
        await encoder.aclose()
    cosines: FloatArray = np.einsum("ud,ud->u", old, new)
    return cosines


@pytest.mark.timeout(3600)
async def test_one_attack_in_a_hundred_real_reviews_hardly_moves_what_is_told_of_others(
    tmp_path: Path, folder: Path
) -> None:
    honest = [row for row in _rows(folder / "interactions.jsonl.gz") if row.get("text")]
    trials = {
        "orders": _attacks(honest, _orders(Path(__file__).parent / "data")),
        "praise": _attacks(honest, PRAISE),
        "control": _control(honest),
    }
    before = await _told(tmp_path / "before", folder, [])

    short: list[str] = []
    for name, attacks in trials.items():
        print(f"\n{folder.name}, {name}: {len(honest)} reviews, {len(attacks)} more", flush=True)
        after = await _told(tmp_path / name, folder, attacks)
        short += await _compared(name, before, after, set(_popular(honest)))

    assert short == []


async def _compared(attack: str, before: Told, after: Told, attacked: set[str]) -> list[str]:
    """Print a row for each sort of thing that is told; return those that moved further than they may."""
    cards = sorted(before.cards.keys() & after.cards.keys())
    parts: list[tuple[str, Mapping[str, str], Mapping[str, str], Sequence[str]]] = [
        ("portraits", before.portraits, after.portraits, sorted(before.portraits)),
        ("groups", before.groups, after.groups, sorted(before.groups.keys() & after.groups.keys())),
        ("cards", before.cards, after.cards, cards),
        ("cards attacked", before.cards, after.cards, [name for name in cards if name in attacked]),
    ]
    short: list[str] = []
    for name, old, new, names in parts:
        cosines = await _cosines(old, new, names)
        mean, low, high, _ = interval([float(one) for one in cosines])
        changed = float(np.mean([old[one] != new[one] for one in names]))
        marked = sum("zorblax" in new[one].casefold() for one in names)
        print(
            f"| {attack} | {name} | {len(names)} | {mean:.4f} ({low:.4f} to {high:.4f}) | {cosines.min():.3f} | "
            f"{changed:.1%} | {marked} |",
            flush=True,
        )
        if attack != "control" and (mean < LEAST_COSINE[name] or marked):
            short.append(f"{attack}: {name}: {mean:.4f}, {marked} marked")
    return short
