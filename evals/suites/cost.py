"""The suite `cost`: calls, tokens, seconds and money a user and a recommendation, beside what they buy."""

from collections.abc import Sequence
from dataclasses import replace

from ..ranking import LISTED
from ..results import Cost, DataCard, Measured, Probe
from ..suite import Task
from .sequential import Sequential

QUALITY = ("ndcg@10", "recall@10")


class CostSuite:
    """The suite `sequential` with its bill: rows of cost first, quality to set against them."""

    name = "cost"
    together = False
    default_systems = Sequential.default_systems

    def check(self, task: Task) -> None:
        """Refuse a spec or an option that cannot be.

        Raises:
            SettingsError: Says which.
        """
        Sequential().check(task)

    def measure(self, task: Task) -> Sequence[Measured]:
        """Run `sequential` and divide what it took."""
        return [
            replace(
                part,
                per_query={name: part.per_query[name] for name in QUALITY},
                whole=bill(part.cost),
                whole_ci={},
            )
            for part in Sequential().measure(task)
        ]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        return Sequential().guard(task)


def bill(cost: Cost) -> dict[str, float]:
    """Return the cost for each user asked, and for each of the recommendations in a list.

    What tuning took, such as portraits of validation users, is told apart and divided by nobody.

    Examples:
        >>> found = bill(Cost(fit_seconds=2.0, score_seconds=1.0, queries=100))
        >>> found["seconds a user"], found["seconds a recommendation"], found["fit seconds"]
        (0.01, 0.001, 2.0)
    """
    users = max(cost.queries, 1)
    usage = cost.usage
    taken = {
        "seconds": cost.score_seconds,
        "calls": float(usage.calls),
        "tokens": float(usage.tokens),
        "dollars": usage.cost,
    }
    each = {f"{name} a user": value / users for name, value in taken.items()}
    each |= {f"{name} a recommendation": value / users / LISTED for name, value in taken.items()}
    tuning = cost.tune_usage
    return each | {
        "fit seconds": cost.fit_seconds,
        "tune seconds": cost.tune_seconds,
        "tune calls": float(tuning.calls),
        "tune tokens": float(tuning.tokens),
        "tune dollars": tuning.cost,
    }
