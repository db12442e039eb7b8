"""How sure a share of independent yes-or-no answers is."""

import math

_NORMAL = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share; it stays sensible where all or none hit.

    Args:
        hits: Yeses.
        n: Answers; without any, the interval is everything.

    Source:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Examples:
        >>> [round(end, 4) for end in wilson_interval(0, 200)]  # upper end z² / (n + z²)
        [0.0, 0.0188]
        >>> wilson_interval(0, 0)
        (0.0, 1.0)
    """
    if n == 0:
        return 0.0, 1.0
    share, square = hits / n, _NORMAL**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = _NORMAL * math.sqrt(share * (1 - share) / n + square / (4 * n**2)) / (1 + square / n)
    low, high = (0.0 if hits == 0 else centre - half), (1.0 if hits == n else centre + half)
    return max(low, 0.0), min(high, 1.0)


def agreement_beyond_chance(one: list[bool], two: list[bool]) -> float:
    """Return Cohen's kappa of two judges of the same cases: 1 agree always, 0 as by chance; NaN without a choice.

    Source:
        Cohen 1960, "A coefficient of agreement for nominal scales".

    Examples:
        >>> agreement_beyond_chance([True, True, False, False], [True, False, False, False])  # (.75 - .5) / .5
        0.5
    """
    n = len(one)
    if n == 0:
        return math.nan
    alike = sum(a == b for a, b in zip(one, two, strict=True)) / n
    first, second = sum(one) / n, sum(two) / n
    expected = first * second + (1 - first) * (1 - second)
    return (alike - expected) / (1 - expected) if expected < 1 else math.nan
