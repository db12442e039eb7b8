"""Supervised training with weights, and GRPO on logged drafts: one trainer, two losses.

A plain `transformers.Trainer` and not TRL's for supervised training, which computes its loss inside and drops
columns it does not know.
"""

from typing import TYPE_CHECKING, Any

from transformers import Trainer

from .adapters import as_reference
from .batches import Scored, score_completions
from .config import OfflineGrpoSettings
from .losses import clipped_surrogate, weighted_nll

if TYPE_CHECKING:
    from torch import Tensor


class OfflineTrainer(Trainer):
    """Trains on rows of tokens with a weight each.

    Args:
        surrogate: Use GRPO's loss with these settings; absent for weighted likelihood.
        kwargs: Those of `transformers.Trainer`; batches are those of `Collator`.
    """

    def __init__(self, *, surrogate: OfflineGrpoSettings | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._surrogate = surrogate
        # Makes the trainer count the completion tokens of a whole step, and leave the loss as it is.
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: "Tensor | int | None" = None,
    ) -> Any:
        """Return the loss of a batch as its share of the optimiser step's."""
        scored = score_completions(model, inputs)
        tokens = scored.mask.sum() if num_items_in_batch is None else num_items_in_batch
        if self._surrogate is None:
            loss = weighted_nll(scored.logprobs, scored.mask, inputs["weight"], tokens)
        else:
            loss = self._surrogate_loss(model, inputs, scored, tokens, self._surrogate)
        # Gradients are averaged over processes, while `tokens` counts those of all of them.
        loss = loss * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

    def _surrogate_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        scored: Scored,
        tokens: "Tensor | float",
        settings: OfflineGrpoSettings,
    ) -> "Tensor":
        import torch

        accelerator: Any = self.accelerator
        bare: Any = accelerator.unwrap_model(model)
        with torch.no_grad(), as_reference(bare):
            reference = score_completions(bare, inputs).logprobs
        logged = inputs["logged"][:, scored.start :]
        anchor = torch.where(logged.isnan(), reference, logged)
        return clipped_surrogate(
            scored.logprobs,
            anchor,
            reference,
            scored.mask,
            inputs["weight"],
            tokens,
            clip=settings.clip,
            max_ratio=settings.max_ratio,
            kl=settings.kl,
        )
