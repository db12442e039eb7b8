"""What a torture does, step by step: decided by its seed alone, before anything runs."""

import random
from dataclasses import dataclass, replace
from typing import Literal

Act = Literal["record", "import", "profile", "work", "refresh", "prepare", "export", "forget", "encoder"]
Weather = Literal[
    "fair", "slow", "hang", "drop", "cut", "busy", "broken", "garbled", "short", "empty", "refusing", "mixed"
]
Way = Literal["point", "moment", "opening"]
Index = Literal["kept", "deleted", "damaged"]

ACTS: dict[Act, int] = {
    "record": 30,
    "import": 12,
    "profile": 20,
    "work": 10,
    "refresh": 6,
    "prepare": 6,
    "export": 6,
    "forget": 8,
    "encoder": 2,
}
"""How often each act comes, of a hundred."""

ASKING: frozenset[Act] = frozenset({"profile", "work"})
"""Acts that ask the model."""

BRINGING: frozenset[Act] = frozenset({"record", "import"})
"""Acts that bring events."""

WEATHERS: tuple[Weather, ...] = (
    *("slow", "hang", "drop", "cut", "busy", "broken", "garbled", "short", "empty", "refusing", "mixed"),
)
STEPS_A_KILL = 2.5
FEWEST_STEPS = 24
_JUMPS = (-86_400.0 * 30, -3_600.0, 3_600.0, 86_400.0 * 30)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A process's end by SIGKILL."""

    way: Way
    """`point`: by itself, before or after a statement or a file operation; `moment`: from outside, after a share of the
    time that the act takes; `opening`: at a point while the store is being opened."""

    where: float
    """Share of the points, or of the time, from 0 to 1."""

    clerk: bool = False
    """Whether it hits the second process instead, where there is one."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One act, and what goes wrong meanwhile."""

    number: int
    act: Act
    user: int
    """Whom it is about, where it is about somebody."""

    events: int = 0
    """New events that it brings."""

    beside: int = 0
    """Events that a second process records in the same store at the same time."""

    draw: bool = False
    """Whether drawings are queued with the events."""

    kill: Kill | None = None
    weather: Weather = "fair"
    calls: int = 6
    """Budget of model calls."""

    jump: float = 0.0
    """Seconds that the clock is off."""

    full: bool = False
    """Whether the disk is full."""

    index: Index = "kept"
    """What happens to the index's folder before."""

    reader: bool = False
    """Whether somebody reads slowly, in a transaction of their own."""

    stop: bool = False
    """Whether the database is stopped at once and started again meanwhile."""


def make_plan(seed: int, *, events: int, kills: int, users: int, stops: bool = False) -> list[Step]:
    """Return the steps of a torture.

    Args:
        seed: Of everything.
        events: Events recorded and imported in all.
        kills: Processes killed; each step has at most one.
        users: Users there are.
        stops: Whether the database can be stopped.
    """
    draw = random.Random(f"plan {seed}")
    count = max(FEWEST_STEPS, round(kills * STEPS_A_KILL))
    acts = _acts(draw, count)
    killed = set(draw.sample(range(1, count), kills))
    shares = _shares(draw, [number for number, act in enumerate(acts) if act in BRINGING], events)
    return [
        _step(
            draw, number, act, users=users, events=shares.get(number, 0), killed=number in killed, stops=stops
        )
        for number, act in enumerate(acts)
    ]


def _acts(draw: random.Random, count: int) -> list[Act]:
    """Return acts by their weights: each at least once, recording first."""
    rest: list[Act] = [act for act in ACTS if act != "record"]
    rest += draw.choices(list(ACTS), list(ACTS.values()), k=count - 1 - len(rest))
    draw.shuffle(rest)
    return ["record", *rest]


def _shares(draw: random.Random, numbers: list[int], events: int) -> dict[int, int]:
    """Deal events out to steps, unevenly."""
    weights = [draw.uniform(0.3, 1.7) for _ in numbers]
    whole = [int(events * weight / sum(weights)) for weight in weights]
    for place in range(events - sum(whole)):
        whole[place % len(whole)] += 1
    return dict(zip(numbers, whole, strict=True))


def _step(
    draw: random.Random, number: int, act: Act, *, users: int, events: int, killed: bool, stops: bool
) -> Step:
    step = Step(number=number, act=act, user=draw.randrange(users), events=events)
    if act in BRINGING and number and draw.random() < 0.4:
        beside = events // 3
        step = replace(step, events=events - beside, beside=beside)
    if act == "encoder":
        step = replace(step, weather="mixed")
    step = replace(step, draw=act == "record" and draw.random() < 0.3, calls=draw.randint(1, 12))
    if act in ASKING and draw.random() < 0.6:
        step = replace(step, weather=draw.choice(WEATHERS))
    if number and act not in ("forget", "encoder") and draw.random() < 0.1:
        step = replace(step, jump=draw.choice(_JUMPS))
    if number and draw.random() < 0.04:
        step = replace(step, full=True)
    if number and draw.random() < 0.04:
        step = replace(step, index="damaged" if draw.random() < 0.5 else "deleted")
    step = replace(step, reader=draw.random() < 0.06)
    if stops and number and draw.random() < 0.25:
        step = replace(step, stop=True)
    return replace(step, kill=_kill(draw, step)) if killed else step


def _kill(draw: random.Random, step: Step) -> Kill:
    way: Way = draw.choices(("point", "moment", "opening"), (55, 30, 15))[0]
    return Kill(way=way, where=draw.random(), clerk=bool(step.beside) and draw.random() < 0.4)
