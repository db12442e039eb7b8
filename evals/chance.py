"""How high a share may rise by chance alone."""

import numpy as np


def upper_share(asked: int, share: float, *, level: float) -> float:
    """Return the share of `asked` independent questions that chance exceeds with probability `1 - level` at most.

    Examples:
        Of two questions with an even chance both succeed once in four times, so that 3/4 is not exceeded by one
        success, and all higher levels by two.

        >>> upper_share(2, 0.5, level=0.75), upper_share(2, 0.5, level=0.76)
        (0.5, 1.0)
    """
    if not asked or not 0.0 < share < 1.0:
        return min(max(share, 0.0), 1.0)
    successes = np.arange(1, asked + 1)
    steps = np.log((asked - successes + 1) / successes) + np.log(share / (1.0 - share))
    probability = np.exp(asked * np.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)]))
    within = np.cumsum(probability) >= level - 1e-12
    return float(np.argmax(within)) / asked if within.any() else 1.0
