"""Rows as tensors, and the log-probabilities of their completions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .encoding import Example

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
"""Label of tokens that are read and not learnt: prompt and filling. transformers counts all others."""


class Collator:
    """Fills rows up on the right and puts them together.

    Args:
        pad: Token that fills up.
    """

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Example]) -> dict[str, "Tensor"]:
        """Return `input_ids`, `attention_mask`, `labels`, `logged`, each `(B, L)`, and `weight`, `(B,)`.

        `logged` is NaN where nothing was logged.
        """
        import torch

        longest = max(row.size for row in rows)

        def filled(values: Sequence[Sequence[float]], filling: float, kind: Any) -> "Tensor":
            return torch.tensor([[*row, *[filling] * (longest - len(row))] for row in values], dtype=kind)

        whole = [(*row.prompt, *row.completion) for row in rows]
        labels = [(*[IGNORED] * len(row.prompt), *row.completion) for row in rows]
        unknown = float("nan")
        logged = [
            (*[unknown] * len(row.prompt), *(row.logged or [unknown] * len(row.completion))) for row in rows
        ]
        return {
            "input_ids": filled(whole, self._pad, torch.long),
            "attention_mask": filled([[1] * row.size for row in rows], 0, torch.long),
            "labels": filled(labels, IGNORED, torch.long),
            "logged": filled(logged, unknown, torch.float32),
            "weight": torch.tensor([row.weight for row in rows], dtype=torch.float32),
        }


class Scored(NamedTuple):
    """Completion tokens under a model, from the first one of the batch on."""

    logprobs: "Tensor"
    """In nats, shape `(B, T)`; 0 where `mask` is 0."""

    mask: "Tensor"
    """1 for a completion's tokens, 0 elsewhere, shape `(B, T)`."""

    start: int
    """Place of the first of the `T` tokens in the row."""


def score_completions(model: Any, batch: dict[str, "Tensor"]) -> Scored:
    """Return how likely a model finds the completions of a batch.

    The output layer, the dearest one of a small model, is computed from the first completion token on only.
    """
    from torch.nn.functional import cross_entropy

    ids, labels = batch["input_ids"], batch["labels"]
    start = int((labels != IGNORED).any(dim=0).nonzero()[0])
    wanted = labels[:, start:]
    # What predicts the token at `start` is the output one place before it.
    answer = model(
        input_ids=ids,
        attention_mask=batch["attention_mask"],
        use_cache=False,
        logits_to_keep=ids.shape[1] - start + 1,
    )
    logits = answer.logits[:, -(wanted.shape[1] + 1) : -1].float()
    losses = cross_entropy(logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    return Scored(-losses, (wanted != IGNORED).to(losses.dtype), start)
