"""What is looked for in contexts before they are shown to a model."""

from collections.abc import Sequence

from ...contexts import Context
from ..results import Probe
from .windows import Count


def budget_probe(contexts: Sequence[Context], tokens: Sequence[int], count: Count, dataset: str) -> Probe:
    """Probe whether any context is longer than was asked for.

    Args:
        contexts: What the product told.
        tokens: Most tokens asked for, one each.
        count: The tokens of a text to the model that answers.
        dataset: Name in results.
    """
    over = [count(context.text) > most for context, most in zip(contexts, tokens, strict=True)]
    return Probe(
        name="context budget",
        dataset=dataset,
        passed=not any(over),
        value=sum(over) / max(len(over), 1),
        limit=0.0,
        detail="share of contexts that are longer than was asked for",
    )
