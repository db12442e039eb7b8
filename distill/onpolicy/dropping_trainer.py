"""TRL's GRPO, with groups of equal rewards left out as if they had never been drawn."""

import math
from typing import Any

import torch
from trl.trainer.grpo_trainer import GRPOTrainer

_MEANS = ("grpo", "dr_grpo")
"""Losses that are means over completions; the others are means over tokens."""


class GroupDroppingTrainer(GRPOTrainer):
    """Drops groups whose rewards tell nothing: no gradient, no KL, no share in the average.

    TRL gives such a group advantage 0, but its KL still pulls and its completions still count in the average, so the
    fewer groups tell something, the smaller the step. Here the average is over completions (or tokens) that have
    a gradient; completions that were cut and masked do not count either.

    It overrides `_calculate_rewards`, `_generate_and_score_completions` and `_compute_loss`, which are TRL's own
    affair: hence the pinned minor version, and the tests.

    Source:
        BLUE drops groups of equal rewards; so does DAPO's dynamic sampling, https://arxiv.org/abs/2503.14476, eq. 11,
        which draws new prompts in their place. Differs: the step is taken on the groups that are left.

    Args:
        equal_within: Groups whose rewards differ by no more are dropped.
        kwargs: Those of `GRPOTrainer`.
    """

    def __init__(self, *, equal_within: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._equal_within = equal_within
        self._graded = torch.zeros(0)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return rewards of shape `(completions, rewards)`; a completion that lacks one others have has none."""
        rewards: torch.Tensor = _untyped(super())._calculate_rewards(*args, **kwargs)
        groups = rewards.view(-1, self._group_size, rewards.shape[1])
        lacking = groups.isnan() & ~groups.isnan().all(dim=1, keepdim=True)
        groups = groups.masked_fill(lacking.any(dim=2, keepdim=True), torch.nan)
        self._graded = groups.view_as(rewards)
        return self._graded

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        trl = _untyped(self)
        batch: dict[str, Any] = _untyped(super())._generate_and_score_completions(inputs)
        if not self._learns:
            return batch
        weights: torch.Tensor = trl.reward_weights
        dropped = equal_groups(
            self._graded, weights.to(self._graded.device), self._group_size, self._equal_within
        )
        mask: torch.Tensor = batch["completion_mask"]
        first = int(trl.accelerator.process_index) * len(mask)
        own = dropped[first : first + len(mask)].to(mask.device)
        mask = mask * (~own).to(mask.dtype)[:, None]
        learning: torch.Tensor = trl.accelerator.gather(mask.any(dim=1).sum())
        tokens: torch.Tensor = trl.accelerator.gather(mask.sum())
        batch["completion_mask"] = mask
        batch["num_items_in_batch"] = tokens.sum()
        batch["learning_share"] = learning.sum() / float(len(dropped))
        trl._metrics["train"]["frac_groups_dropped"].append(float(dropped.float().mean()))
        return batch

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        loss: torch.Tensor = _untyped(super())._compute_loss(model, inputs)
        share: torch.Tensor | None = inputs.get("learning_share")
        if share is not None and self.loss_type in _MEANS and share > 0:
            loss = loss / share
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log what there is: a mean over nothing, as of the ratios of dropped groups, is left out."""
        gathered: dict[str, list[float]] = _untyped(self)._metrics["train" if self._learns else "eval"]
        for name, values in list(gathered.items()):
            if all(math.isnan(value) for value in values):
                del gathered[name]
        super().log(logs, *args, **kwargs)

    @property
    def _learns(self) -> bool:
        """Whether a training step is under way, as TRL tells it."""
        return bool(_untyped(self).model.training)

    @property
    def _group_size(self) -> int:
        trl = _untyped(self)
        return int(trl.num_generations if self._learns else trl.num_generations_eval)


def _untyped(trl: Any) -> Any:
    """Return TRL's part of a trainer without its types, half of which it does not give."""
    return trl


def equal_groups(rewards: torch.Tensor, weights: torch.Tensor, size: int, within: float) -> torch.Tensor:
    """Tell which completions belong to groups whose weighted rewards are equal, or that have none.

    Args:
        rewards: Shape `(N, R)`, NaN where a reward does not apply.
        weights: Of the rewards, shape `(R,)`.
        size: Completions a group; neighbours belong together.
        within: Most that equal rewards may differ by.

    Returns:
        Booleans of shape `(N,)`.

    Examples:
        >>> rewards = torch.tensor([[0.5], [0.50001], [0.5], [0.6], [torch.nan], [1.0]])
        >>> equal_groups(rewards, torch.ones(1), 2, 1e-4).tolist()
        [True, True, False, False, True, True]
    """
    totals = (rewards * weights).nansum(dim=1).masked_fill(rewards.isnan().all(dim=1), torch.nan)
    groups = totals.view(-1, size)
    highest = groups.nan_to_num(nan=-torch.inf).amax(dim=1)
    lowest = groups.nan_to_num(nan=torch.inf).amin(dim=1)
    return (highest - lowest <= within).repeat_interleave(size)
