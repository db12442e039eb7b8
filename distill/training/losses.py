"""The losses that no library has, on log-probabilities of completion tokens.

Both divide by `tokens`, the completion tokens of the whole optimiser step and not of one batch, so that the
gradient does not depend on how a step is cut into batches.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_LIMIT = 20.0
"""Log-ratios beyond it are cut off, so that no exponential overflows."""


def weighted_nll(logprobs: "Tensor", mask: "Tensor", weights: "Tensor", tokens: "Tensor | float") -> "Tensor":
    r"""Weighted negative log-likelihood: best-of-n, behaviour cloning and advantage-weighted regression.

    `-(1 / tokens) sum_b w_b sum_t mask_bt log p_bt`

    Args:
        logprobs: Of each token, in nats, shape `(B, T)`.
        mask: 1 for a completion's tokens, 0 elsewhere, shape `(B, T)`.
        weights: Of each row, shape `(B,)`; 1 for plain likelihood.
        tokens: Normaliser: completion tokens of the optimiser step.

    Returns:
        Nats a token, a scalar.

    Source:
        RAFT: Dong et al. 2023, https://arxiv.org/abs/2304.06767, step 3. AWR: Peng et al. 2019, eq. 9,
        https://arxiv.org/abs/1910.00177. Differs: the baseline is the mean of a prompt's drafts, advantages
        are in their standard deviations, and the mean is over tokens, so a long draft weighs more than a short
        one.
    """
    return -(weights[:, None] * logprobs * mask).sum() / tokens


def clipped_surrogate(
    logprobs: "Tensor",
    anchor: "Tensor",
    reference: "Tensor",
    mask: "Tensor",
    advantages: "Tensor",
    tokens: "Tensor | float",
    *,
    clip: float,
    max_ratio: float,
    kl: float,
) -> "Tensor":
    r"""GRPO's surrogate on logged drafts.

    With `r = p / p_anchor`, advantage `A` and `d = log p - log p_ref`, each token costs
    `-min(r A, clamp(r, 1 - clip, 1 + clip) A) + kl (exp(-d) + d - 1)`; where `A < 0` the first part is at most
    `-max_ratio A`.

    Args:
        logprobs: Of each token under the model, in nats, shape `(B, T)`.
        anchor: The same under what wrote the draft, or under what the model began as, shape `(B, T)`.
        reference: The same under the reference, shape `(B, T)`.
        mask: 1 for a completion's tokens, 0 elsewhere, shape `(B, T)`.
        advantages: Of each row, shape `(B,)`.
        tokens: Normaliser: completion tokens of the optimiser step.
        clip: Half-width of the trust region, in (0, 1).
        max_ratio: Bound of the ratio of drafts that are pushed away, > 1.
        kl: Weight of the KL term, >= 0.

    Returns:
        A scalar.

    Source:
        Shao et al. 2024, eq. 3 and 4, https://arxiv.org/abs/2402.03300. Differs: drafts are logged, so the
        anchor is fixed and the ratio does not begin at 1; the mean is over the tokens of a step (DAPO,
        https://arxiv.org/abs/2503.14476, eq. 8); the ratio is bounded for negative advantages (dual clip, Ye et
        al. 2020, eq. 5, https://arxiv.org/abs/1912.09729).
    """
    import torch

    ratio = ((logprobs - anchor) * mask).clamp(-_LIMIT, _LIMIT).exp()
    gain = advantages[:, None]
    surrogate = torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
    surrogate = torch.where(gain < 0, torch.maximum(surrogate, max_ratio * gain), surrogate)
    away = ((logprobs - reference) * mask).clamp(-_LIMIT, _LIMIT)
    divergence = (-away).exp() + away - 1
    return ((kl * divergence - surrogate) * mask).sum() / tokens
