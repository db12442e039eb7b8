"""How likely the model finds what the critic likes best, on users it does not train on."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..log.training_set import TrainingSet
from .batches import Collator, score_completions
from .config import TrainingSettings
from .encoding import ChatEncoder, Example

LOGPROB = "validation_logprob"
"""Mean log-probability of a token of the best drafts, in nats; higher is better."""

GAP = "validation_gap"
"""The same for the best drafts less that for the worst ones, both of pairs; higher is better."""


class Validation(NamedTuple):
    """Rows of the validation split as tokens."""

    best: list[Example]
    """Best drafts."""

    chosen: list[Example]
    """Better drafts of pairs."""

    rejected: list[Example]
    """Their worse drafts."""


NOTHING = Validation([], [], [])
"""For runs that are not to be measured."""


def read_validation(settings: TrainingSettings, training: TrainingSet, chat: ChatEncoder) -> Validation:
    """Return the first rows of the validation split, without those too long."""
    most = settings.eval_rows or None

    def short(example: Example) -> bool:
        return example.size <= settings.max_tokens

    best = (chat.example(row.prompt, row.completion) for row in training.best("validation"))
    pairs = (
        (chat.example(row.prompt, row.chosen), chat.example(row.prompt, row.rejected))
        for row in training.preferences("validation")
    )
    kept = list(islice((pair for pair in pairs if short(pair[0]) and short(pair[1])), most))
    return Validation(
        list(islice(filter(short, best), most)), [good for good, _ in kept], [bad for _, bad in kept]
    )


def validate(model: Any, validation: Validation, *, batch: int, pad: int) -> dict[str, float]:
    """Return the metrics of a model; none where the validation split has no rows.

    Args:
        model: A causal language model; its mode is put back.
        validation: Rows to look at.
        batch: Rows at once.
        pad: Token that fills up.
    """
    # The best draft of a group is the better one of its pair too, and is asked about once.
    scores = row_scores(
        model, {*validation.best, *validation.chosen, *validation.rejected}, batch=batch, pad=pad
    )
    found: dict[str, float] = {}
    if validation.best:
        found[LOGPROB] = _mean(scores, validation.best)
    if validation.chosen:
        found[GAP] = _mean(scores, validation.chosen) - _mean(scores, validation.rejected)
    return found


def row_scores(model: Any, rows: Iterable[Example], *, batch: int, pad: int) -> dict[Example, float]:
    """Return the log-probability of each row's completion, in nats."""
    import torch

    collate = Collator(pad)
    training = model.training
    model.eval()
    found: dict[Example, float] = {}
    try:
        with torch.no_grad():
            for part in _alike(rows, batch):
                tensors = {name: value.to(model.device) for name, value in collate(part).items()}
                sums: Any = score_completions(model, tensors).logprobs.sum(dim=1)
                found |= zip(part, sums.tolist(), strict=True)
    finally:
        model.train(training)
    return found


def _mean(scores: Mapping[Example, float], rows: Sequence[Example]) -> float:
    """Return the mean log-probability of the rows' completion tokens, in nats."""
    return sum(scores[row] for row in rows) / sum(len(row.completion) for row in rows)


def _alike(rows: Iterable[Example], batch: int) -> Iterable[list[Example]]:
    """Yield batches of rows of like length, so that little of the work is filling."""
    ordered = sorted(rows, key=lambda row: (row.size, row.prompt, row.completion))
    return (ordered[start : start + batch] for start in range(0, len(ordered), batch))
