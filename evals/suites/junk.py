"""The suite `junk`: does what is noted of users rest on its own evidence?

Cues are drawn from all that the product stored, and each is held against the interactions it cites: by its words,
and by a model if one is named. The same cues with somebody else's evidence tell how far either verdict can be
trusted: what catches few of them says little about the rest.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import PositiveInt

from ...errors import SettingsError
from ...records import Record
from ...settings import NO_MODEL
from ..bills import Bill
from ..junk.collecting import Collected, card_of_data, collect
from ..junk.exhibits import Exhibit, draw_exhibits, plant
from ..junk.grounding import grounded_share, unsupported
from ..junk.judging import TURNS, Judged, judge_exhibits
from ..options import named, read_options, read_spec
from ..portraits.painters import EXTRACTIVE
from ..prepared import own_options
from ..proportions import agreement_beyond_chance, wilson_interval
from ..questions.answering import CHOICE_TOKENS
from ..questions.conditions import GivenProfile, writer_of
from ..results import Cost, DataCard, Measured, Probe, Values
from ..suite import Task

_SYSTEM = "limner"

_DOUBT = 0.5
"""Probability from which a judge calls a cue unsupported."""

_PROMPT_TOKENS = 250
"""Tokens of a judge's question, about."""


class JunkOptions(Record):
    """Options of the suite, as `--set` gives them."""

    cues: PositiveInt = 200
    """Cues drawn by seed from all that are stored."""

    planted: PositiveInt = 100
    """Cues that are held against somebody else's evidence, to see whether that is noticed."""

    judge: str = NO_MODEL
    """Chat model that reads each cue beside its evidence; `model` for the configured one, `none` for no judge."""


class Junk:
    """Stored cues against the interactions they cite."""

    name = "junk"
    together = False
    default_systems = (_SYSTEM,)

    def check(self, task: Task) -> None:
        """Refuse a spec or an option that cannot be.

        Raises:
            SettingsError: Says which.
        """
        own_options(task, JunkOptions)
        _writer(task)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Take people in, draw cues, and judge them."""
        options, (name, writer) = own_options(task, JunkOptions), _writer(task)
        collected = collect(task, writer)
        sample = draw_exhibits(collected.exhibits, options.cues, task.seed)
        planted = plant(sample, options.planted, task.seed)
        judged = judge_exhibits(task.workspace, _judge(task, options), sample, planted)
        return [_measured(name, collected, sample, planted, judged)]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        own_options(task, JunkOptions)
        return card_of_data(task)

    def bill(self, task: Task) -> Bill:
        """Count the judge's questions; nothing is asked or drawn."""
        options, (_, writer) = own_options(task, JunkOptions), _writer(task)
        left_out = "" if writer == EXTRACTIVE else f"what {writer} takes to listen and draw"
        if _judge(task, options) == NO_MODEL:
            return Bill(0, 0, 0, left_out)
        calls = TURNS * (options.cues + options.planted)
        return Bill(calls, calls * _PROMPT_TOKENS, calls * CHOICE_TOKENS, left_out)


class _Share(NamedTuple):
    """A share of independent verdicts, with its interval."""

    value: float
    ci: tuple[float, float]

    @classmethod
    def of(cls, verdicts: Sequence[bool]) -> "_Share":
        hits, n = sum(verdicts), len(verdicts)
        return cls(hits / n if n else 0.0, wilson_interval(hits, n))


def _measured(
    name: str, collected: Collected, sample: Sequence[Exhibit], planted: Sequence[Exhibit], judged: Judged
) -> Measured:
    shares = {**_by_words(sample, planted), **_by_judge(sample, planted, judged)}
    rows: dict[str, Values] = {
        "grounded words": np.array([grounded_share(exhibit) for exhibit in sample], dtype=np.float32),
        "repeated": np.array([exhibit.repeated for exhibit in sample], dtype=np.float32),
        "evidence missing": np.array([not exhibit.texts for exhibit in sample], dtype=np.float32),
    }
    if len(judged.doubts):
        rows["judge's doubt"] = judged.doubts.astype(np.float32)
    drawn = f"{len(sample)} of {len(collected.exhibits)} cues of {collected.people} people; a query is a cue."
    told = f"{len(planted)} planted; judge: {judged.judge}, {judged.usage.calls} calls beside the cost."
    usage = collected.usage
    return Measured(
        system=name,
        dataset=collected.dataset,
        split="stored cues",
        users=[exhibit.user_id for exhibit in sample],
        per_query=rows,
        whole={
            **{metric: share.value for metric, share in shares.items()},
            **_agreement(sample, planted, judged),
        },
        whole_ci={metric: share.ci for metric, share in shares.items()},
        cost=Cost(score_seconds=usage.seconds, queries=collected.people, usage=usage),
        complete=collected.complete and judged.complete,
        notes=(f"{drawn} {told}", *_weakness(judged), *collected.notes, *judged.notes),
    )


def _by_words(sample: Sequence[Exhibit], planted: Sequence[Exhibit]) -> dict[str, _Share]:
    found = {"unsupported": _Share.of(unsupported(sample))}
    return found | ({"planted found": _Share.of(unsupported(planted))} if planted else {})


def _by_judge(sample: Sequence[Exhibit], planted: Sequence[Exhibit], judged: Judged) -> dict[str, _Share]:
    """Return the judge's verdicts; its false alarms are those on cues whose every word stands in the evidence."""
    doubts = {
        "unsupported by judge": _answered(judged.doubts),
        "planted found by judge": _answered(judged.planted),
    }
    verbatim = np.array([grounded_share(exhibit) == 1.0 and not exhibit.contradicted for exhibit in sample])
    if len(judged.doubts):
        doubts["false alarms of judge"] = _answered(judged.doubts[verbatim])
    return {name: _Share.of(verdicts) for name, verdicts in doubts.items() if verdicts}


def _agreement(sample: Sequence[Exhibit], planted: Sequence[Exhibit], judged: Judged) -> dict[str, float]:
    """Return how far the two verdicts agree, over cues with their own and with others' evidence."""
    if not len(judged.doubts):
        return {}
    doubts = np.concatenate([judged.doubts, judged.planted])
    answered = ~np.isnan(doubts)
    by_judge = (doubts[answered] > _DOUBT).tolist()
    verdicts = [*unsupported(sample), *unsupported(planted)]
    by_words = [verdict for verdict, there in zip(verdicts, answered.tolist(), strict=True) if there]
    alike = [one == two for one, two in zip(by_judge, by_words, strict=True)]
    kappa = agreement_beyond_chance(by_judge, by_words)
    found = {"agreement": sum(alike) / len(alike)} if alike else {}
    found |= {} if math.isnan(kappa) else {"kappa": kappa}
    apart = _told_apart(judged)
    return found if math.isnan(apart) else {**found, "told apart by judge": apart}


def _told_apart(judged: Judged) -> float:
    """Return the chance that a planted cue is doubted more than one with its own evidence; ties count half."""
    own, planted = (doubts[~np.isnan(doubts)] for doubts in (judged.doubts, judged.planted))
    if not len(own) or not len(planted):
        return math.nan
    more, same = planted[:, None] > own[None, :], planted[:, None] == own[None, :]
    return float((more + 0.5 * same).mean())


def _weakness(judged: Judged) -> tuple[str, ...]:
    """Say so if a judge misses most of what was planted."""
    verdicts = _answered(judged.planted)
    if not verdicts or 2 * sum(verdicts) >= len(verdicts):
        return ()
    return (
        f"the judge found {sum(verdicts)} of {len(verdicts)} planted cues: its share of unsupported ones says nothing",
    )


def _answered(doubts: Values) -> list[bool]:
    there: list[bool] = (doubts[~np.isnan(doubts)] > _DOUBT).tolist()
    return there


def _judge(task: Task, options: JunkOptions) -> str:
    return writer_of(options.judge, task.workspace)


def _writer(task: Task) -> tuple[str, str]:
    """Return the system's name in tables, and who writes.

    Raises:
        SettingsError: It is no system of this suite.
    """
    name, options = read_spec(task.system)
    if name != _SYSTEM:
        raise SettingsError("--system", f"{name!r} is unknown; suite `junk` measures `{_SYSTEM}:writer=…`")
    given = read_options(GivenProfile, name, options)
    return named(name, given), writer_of(given.writer, task.workspace)
