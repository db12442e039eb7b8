"""The rule that ends training when the reward rises and those who were not trained on do not agree.

Every number is compared with the same users' number before the first step. The interval of the mean difference is
the paired t interval (Student 1908): rewards are bounded, differences of dozens of users are near enough to normal,
and unlike a bootstrap it stays honest for a dozen.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, PositiveInt

from ...records import Record
from ...tools.statistics import Values

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class AlarmRule(Record):
    """When training must end.

    The alarm is raised if, by intervals of `level`, the critic's reward rose and

    1. an encoder among the judges fell, or gained less than `flat` of what the critic gained, both in standard
       deviations over users before the first step; or
    2. a lexical judge fell and no encoder among the judges rose. A lexical judge alone says little: a portrait that
       names themes where it copied titles loses words and means more.
    """

    level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.99
    """Coverage of the intervals. With 20 looks at a reward that truly rises and a judge that truly stands still, a
    false alarm by "fell" has a chance of at most 20 x 0.5 %."""

    flat: Share = 0.1
    """Largest share of the critic's gain that counts as none; 0 to end training only on a fall."""

    fewest: PositiveInt = 8
    """Users below which nothing is said."""

    lexical: tuple[str, ...] = ("judge/bm25",)
    """Judges that read words, not meaning."""


class Change(NamedTuple):
    """What became of a number, on the users that have it both times."""

    before: float
    """Mean before the first step."""

    after: float
    """Mean now."""

    low: float
    high: float
    """Interval of the mean difference; NaN for fewer than two users."""

    spread: float
    """Standard deviation over users before the first step."""

    users: int
    """How many."""

    @property
    def difference(self) -> float:
        """Now, less before."""
        return self.after - self.before

    @property
    def rose(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def fell(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0


def change(before: Values, after: Values, *, level: float) -> Change:
    """Compare the same users' numbers.

    Args:
        before: Before the first step, shape `(U,)`; NaN where not measured.
        after: Now, same users in the same order.
        level: Coverage of the interval, between 0 and 1.

    Examples:
        >>> found = change(np.array([0.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0]), level=0.95)
        >>> round(found.low, 3), round(found.high, 3)  # 2 ± 4.3027 / sqrt(3)
        (-0.484, 4.484)
    """
    there = ~(np.isnan(before) | np.isnan(after))
    first, last = before[there], after[there]
    n = len(first)
    if n < 2:
        mean_before, mean_after = (float(first.mean()), float(last.mean())) if n else (np.nan, np.nan)
        return Change(mean_before, mean_after, np.nan, np.nan, np.nan, n)
    stats: Any = import_module("scipy.stats")
    gains = last - first
    reach = float(stats.t.ppf(0.5 + level / 2.0, n - 1)) * float(gains.std(ddof=1)) / n**0.5
    middle = float(gains.mean())
    return Change(
        float(first.mean()), float(last.mean()), middle - reach, middle + reach, float(first.std(ddof=1)), n
    )


def alarm(
    critic: Change, judges: Mapping[str, Change], rule: AlarmRule, *, reward: str = "critic/total"
) -> str | None:
    """Say why training must end, or nothing; see `AlarmRule`.

    Args:
        critic: The reward that training optimises.
        judges: Name to number of the judges it does not.
        rule: When to say something.
        reward: Name of the reward.
    """
    if not critic.rose or critic.users < rule.fewest:
        return None
    encoders = {name: found for name, found in judges.items() if name not in rule.lexical}
    backed = any(found.rose for found in encoders.values())
    for name, found in judges.items():
        verdict = _verdict(critic, found, rule, lexical=name in rule.lexical, backed=backed)
        if verdict:
            return (
                f"reward hacking: {_told(reward, 'rose', critic, rule)}, but {_told(name, verdict, found, rule)}. "
                "The profiler learns what pleases the critic and not what its users do next; keep the checkpoint of "
                "an earlier step, and strengthen or vary the reward before training on"
            )
    return None


def _verdict(critic: Change, judge: Change, rule: AlarmRule, *, lexical: bool, backed: bool) -> str | None:
    if judge.users < rule.fewest or (lexical and backed):
        return None
    if judge.fell:
        return "fell"
    if lexical or not critic.spread > 0 or not judge.spread > 0:
        return None
    flat = judge.high / judge.spread < rule.flat * critic.low / critic.spread
    return "stood still" if flat else None


def _told(name: str, verdict: str, found: Change, rule: AlarmRule) -> str:
    return (
        f"{name} {verdict} ({found.before:.4f} -> {found.after:.4f}, {found.difference:+.4f}, "
        f"{100 * rule.level:g} % interval {found.low:+.4f} to {found.high:+.4f}, {found.users} users)"
    )
