"""Settings of on-policy GRPO: one section of a training run's."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ...records import Record


class OnPolicySettings(Record):
    """On-policy GRPO as BLUE trains its profiler: fresh completions, graded through the store.

    Source:
        GRPO, Shao et al. 2024, https://arxiv.org/abs/2402.03300, eq. 3 and 4. BLUE, as its abstract tells: 8
        completions a prompt at temperature 1, KL 0.01, groups of equal rewards dropped.
    """

    rewards: dict[str, float] = Field(default_factory=lambda: {"limner": 1.0})
    """Name to weight of each reward: limner, blue, rlpf, langptune, duet, r2ec, rlaif, length."""

    reward_options: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    """For each reward, what is set for it."""

    generations: Annotated[int, Field(ge=2)] = 8
    """Completions a prompt; `batch` times `accumulation` counts completions and is a multiple of it."""

    max_new_tokens: PositiveInt = 192
    """Length at which a completion is cut. One that is cut is graded and then masked."""

    temperature: PositiveFloat = 1.0
    """Sampling temperature."""

    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Nucleus mass; 1 draws from the policy itself, whose gradient this is."""

    kl: NonNegativeFloat = 0.01
    """Weight of the KL term to the model that training starts from."""

    clip: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """How far a token's ratio may move from 1, where completions are used for more than one step."""

    iterations: PositiveInt = 1
    """Steps on the same completions."""

    loss: Literal["grpo", "dapo", "dr_grpo"] = "grpo"
    """How tokens are averaged: `grpo`, each completion's mean, then the mean of completions; `dapo`, the mean of
    all tokens; `dr_grpo`, the sum over `max_new_tokens`, which does not favour short bad completions."""

    scale: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the standard deviation of their group, of the batch, or nothing."""

    combine: Literal["sum_then_normalize", "normalize_then_sum"] = "sum_then_normalize"
    """Whether several rewards are added before or after their scales are made equal."""

    equal_within: NonNegativeFloat = 1e-4
    """Groups whose rewards differ by no more are dropped. More than 0: equal texts that are encoded in different
    batches differ in the last digits."""

    mask_truncated: bool = True
    """Whether completions that were cut are left out of the loss."""

    revisions: bool = False
    """Whether prompts of revision rounds are trained on too."""
