"""The watch ends training that fools the critic alone, and no other."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.distill.judging.judges import EncoderJudge, HistoryLikeness, LexicalJudge, Measure
from limner.distill.judging.panel import Panel
from limner.distill.judging.sitters import Sitter
from limner.distill.judging.watch import HackingWatch
from limner.distill.log.training_rows import Messages
from limner.distill.training.watching import Watch, Writer
from limner.errors import InputError
from limner.tools.embedder import HashingEmbedder

Sitters = Callable[[int], list[Sitter]]
Critics = Callable[[Callable[[int, str], float]], Any]
ThemeOf = Callable[[int], str]
Made = Callable[..., HackingWatch]

USERS = 48
MAGIC = "sparkle"


@pytest.fixture
def made(sitters: Sitters, critic: Critics, theme_of: ThemeOf, tmp_path: Path) -> Made:
    """Make a watch whose critic pays for the user's theme, and twice as much for a magic word."""

    def pay(number: int, text: str) -> float:
        noise = random.Random(f"{number} {text}").uniform(-0.1, 0.1)
        return 0.3 + 0.2 * (theme_of(number) in text) + 0.4 * (MAGIC in text) + noise

    def make(users: int = USERS, **doors: Any) -> HackingWatch:
        people = sitters(users)
        texts = [text for each in people for text in (*each.positives, *each.negatives)]
        embedder = HashingEmbedder(256)
        measures: list[Measure] = [
            EncoderJudge(embedder, temperature=0.05),
            LexicalJudge(texts),
            HistoryLikeness(embedder, temperature=0.05),
        ]
        return HackingWatch(people, Panel(critic(pay), measures), folder=tmp_path / "looks", **doors)

    return make


def writer(say: Callable[[int], str]) -> Writer:
    """Write what a function of the sitter's number says."""

    def write(prompts: Sequence[Messages]) -> list[str]:
        return [say(int(prompt[0].content.partition(":")[0])) for prompt in prompts]

    return write


def half(theme_of: ThemeOf, share: float, ending: str = "") -> Callable[[int], str]:
    """Name the right theme to so many users, another one to the rest."""

    def say(number: int) -> str:
        right = random.Random(number).random() < share
        return f"Likes {theme_of(number if right else number + 1)}. {ending}"

    return say


def test_a_profiler_that_pleases_the_critic_alone_is_stopped(made: Made, theme_of: ThemeOf) -> None:
    watch: Watch = made()

    first = watch.look(0, writer(half(theme_of, 0.7)))
    later = watch.look(20, writer(lambda number: f"Likes {MAGIC}."))  # no theme at all any more

    assert first.stop is None
    assert later.stop is not None
    assert later.stop.startswith("reward hacking: critic/total rose (")
    assert "but judge/held_out fell (" in later.stop
    assert "48 users" in later.stop
    assert later.metrics["gain/critic/total_low"] > 0
    assert later.metrics["gain/judge/held_out_high"] < 0


def test_honest_improvement_goes_on(made: Made, theme_of: ThemeOf) -> None:
    watch = made()

    watch.look(0, writer(half(theme_of, 0.4)))
    looks = [watch.look(step, writer(half(theme_of, 0.4 + step / 100))) for step in (20, 40, 60)]

    assert [look.stop for look in looks] == [None] * 3
    assert looks[-1].metrics["gain/critic/total_low"] > 0
    assert looks[-1].metrics["gain/judge/held_out_low"] > 0
    assert looks[-1].metrics["gain/judge/bm25_low"] > 0


def test_a_reward_that_rises_while_the_judge_stands_still_is_stopped(made: Made, theme_of: ThemeOf) -> None:
    watch = made()

    watch.look(0, writer(half(theme_of, 0.7)))
    # Same theme for the same user, and one more word that only the critic knows: no judge sees a change.
    look = watch.look(20, writer(lambda number: half(theme_of, 0.7)(number).replace("Likes", MAGIC)))

    assert look.stop is not None
    assert "judge/held_out stood still" in look.stop


def test_noise_raises_no_alarm(made: Made, theme_of: ThemeOf) -> None:
    watch = made()

    def noisy(step: int) -> Writer:
        return writer(lambda n: f"Likes {theme_of(n + (random.Random(f'{step} {n}').random() < 0.5))}.")

    stops = [watch.look(step, noisy(step)).stop for step in range(0, 400, 20)]

    assert stops == [None] * 20


def test_a_reward_that_falls_with_the_judge_raises_no_alarm(made: Made, theme_of: ThemeOf) -> None:
    watch = made()

    watch.look(0, writer(half(theme_of, 0.9)))

    assert watch.look(20, writer(half(theme_of, 0.0))).stop is None


def test_every_meaning_check_is_among_the_metrics(made: Made, theme_of: ThemeOf) -> None:
    def log_loss(prompts: Sequence[Messages], texts: Sequence[str]) -> list[float]:
        assert len(prompts) == len(texts) == USERS
        return [float(np.log(3.0))] * USERS

    look = made(log_loss=log_loss).look(0, writer(lambda n: "" if n < 12 else f"Likes {theme_of(n)}."))

    metrics = look.metrics
    assert metrics["meaning/malformed"] == 0.25
    assert metrics["meaning/words"] == 1.5  # two words of three portraits in four
    assert metrics["critic/ground"] == 0.375  # .5 for each readable portrait, 0 for the others
    assert metrics["meaning/distinct_1"] == 1.0
    assert metrics["meaning/all_distinct_1"] == 7 / 72  # "likes" and six themes in 36 portraits of two words
    assert metrics["meaning/perplexity"] == pytest.approx(3.0)
    assert 0 < metrics["meaning/history"] < 1
    assert {"judge/held_out", "judge/bm25", "critic/total", "critic/rank"} <= metrics.keys()


def test_an_unreadable_portrait_is_chance_for_the_judges(made: Made) -> None:
    look = made().look(0, writer(lambda number: ""))

    # Two held-back items among 20 others that all tie: mid-rank 1 + 20 / 2.
    assert look.metrics["judge/held_out"] == pytest.approx(1 / np.log2(12))
    assert look.metrics["judge/bm25"] == pytest.approx(1 / np.log2(12))


def test_a_resumed_run_is_compared_with_its_first_start(made: Made, theme_of: ThemeOf) -> None:
    made().look(0, writer(half(theme_of, 0.7)))

    look = made().look(40, writer(lambda number: f"Likes {MAGIC}."))

    assert look.stop is not None


def test_looks_of_other_users_are_not_compared(made: Made, theme_of: ThemeOf) -> None:
    made().look(0, writer(half(theme_of, 0.7)))

    with pytest.raises(InputError, match="other users, prompts or another critic"):
        made(USERS - 1).look(20, writer(half(theme_of, 0.7)))


def test_a_fresh_start_drops_the_looks_of_an_older_one(made: Made, theme_of: ThemeOf, tmp_path: Path) -> None:
    watch = made()
    for step in (0, 20, 0):
        watch.look(step, writer(half(theme_of, 0.7)))

    assert [path.name for path in (tmp_path / "looks").iterdir()] == ["look-000000.json"]


def test_a_look_keeps_the_portraits_for_people_to_read(made: Made, theme_of: ThemeOf, tmp_path: Path) -> None:
    made().look(0, writer(half(theme_of, 1.0)))

    kept = json.loads((tmp_path / "looks" / "look-000000.json").read_text())

    assert kept["completions"][1] == "Likes comet. "
    assert kept["users"][1] == "u1"
    assert len(kept["by_user"]["judge/held_out"]) == USERS


def test_too_few_users_are_refused_before_anything_is_drawn(made: Made) -> None:
    with pytest.raises(InputError, match="7 validation users are fewer than the 8"):
        made(7)
