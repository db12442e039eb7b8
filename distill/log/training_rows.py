"""The rows that trainers read, in the forms the field has names for.

`prompt`, `chosen`, `rejected` and `completion` are lists of messages, as TRL's conversational data sets have
them, so a chat template applies without further work.
"""

from ...records import Identifier, Message, Moment, Record

Messages = tuple[Message, ...]


class TrainingRow(Record):
    """What every row says about where it comes from."""

    group_key: Identifier
    """The group of drafts; rewards compare only within it."""

    user_id: Identifier
    """Whose portrait."""

    as_of: Moment
    """Nothing at or after this moment shaped the drafts or their rewards."""

    prompt: Messages
    """What the model is asked."""


class PromptOnly(TrainingRow):
    """A prompt to draft for again: on-policy training, and fresh drafts to compare two profilers by."""

    round: int
    """0 for first drafts, then the revision round."""

    prompt_id: str
    """Which prompt."""

    prompt_version: int
    """Its version."""

    held: tuple[str, ...]
    """Event ids that were held back, to grade with."""

    neg_seed: int
    """Seed of the negatives to grade against."""

    drafts: int
    """Drafts that the log has for it."""

    best_reward: float
    """The best of their rewards."""


class PromptCompletion(TrainingRow):
    """The best draft of a group: supervised fine-tuning on best-of-n (RAFT)."""

    rollout_id: Identifier
    """The draft."""

    completion: Messages
    """What to write."""

    reward: float
    """Its total reward."""

    drafts: int
    """n: how many it is the best of."""


class Preference(TrainingRow):
    """The best and the worst draft of a group: DPO, IPO."""

    chosen_id: Identifier
    """The better draft."""

    rejected_id: Identifier
    """The worse one."""

    chosen: Messages
    """What to write."""

    rejected: Messages
    """What not to write."""

    chosen_reward: float
    """Total reward of the better draft."""

    rejected_reward: float
    """Total reward of the worse one."""

    margin: float
    """Their difference, > 0."""


class UnpairedPreference(TrainingRow):
    """One draft and whether it is better than the mean of its group: KTO."""

    rollout_id: Identifier
    """The draft."""

    completion: Messages
    """What was written."""

    label: bool
    """Whether it is desirable."""

    reward: float
    """Its total reward."""


class Advantage(TrainingRow):
    """One draft with its normalised advantage: AWR, offline GRPO."""

    rollout_id: Identifier
    """The draft."""

    completion: Messages
    """What was written."""

    reward: float
    """Its total reward."""

    rewards: dict[str, float]
    """Every term."""

    advantage: float
    """Above the mean of the group, in its standard deviations."""

    weight: float
    """Weight for AWR, or probability up to a factor for drawing the row again."""

    drafts: int
    """Size of the group."""

    backend: str
    """The model that wrote it."""

    model_rev: str
    """Revision of its weights; importance ratios hold for these alone."""

    temperature: float
    """Sampling temperature."""

    top_p: float
    """Nucleus mass."""

    token_ids: tuple[int, ...] | None
    """Completion tokens, if the backend gave them."""

    token_logprobs: tuple[float, ...] | None
    """Their log-probabilities under the behaviour policy, if the backend gave them."""


TABLES: dict[str, type[TrainingRow]] = {
    "prompt_only": PromptOnly,
    "prompt_completion": PromptCompletion,
    "preference": Preference,
    "unpaired_preference": UnpairedPreference,
    "advantage": Advantage,
}
"""File name, without its ending, to what its rows are."""
