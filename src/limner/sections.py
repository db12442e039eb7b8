"""Groups of settings, one for each part of Limner that can be configured."""

from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
)


class Section(BaseModel):
    """Base of the groups of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ChatSettings(Section):
    """How language models are called."""

    api_base: str | None = None
    """Base URL of an OpenAI-compatible server (vLLM, Ollama, llama.cpp); absent for hosted models."""

    api_key: SecretStr | None = None
    """Key sent to the model server; absent to let LiteLLM read the provider's own variable."""

    fallback_models: tuple[str, ...] = ()
    """Model strings tried in order when `model` keeps failing."""

    concurrency: PositiveInt = 16
    """Calls in flight at once."""

    timeout: PositiveFloat = 120.0
    """Seconds for one attempt."""

    attempts: PositiveInt = 4
    """Attempts per model before the next fallback."""

    max_wait: PositiveFloat = 30.0
    """Longest wait between attempts in seconds; a longer Retry-After counts as a failure."""

    price_per_million: tuple[NonNegativeFloat, NonNegativeFloat] | None = None
    """US dollars per million prompt and completion tokens; absent to use LiteLLM's price list."""

    threads: PositiveInt = 1
    """Threads of the embedded model; one is often faster than two on a busy machine."""

    parallel: PositiveInt = 1
    """Sequences the embedded model decodes at once; on a CPU more than one only costs prompt reading."""


class BudgetSettings(Section):
    """Hard limits of one run; absent means no limit."""

    calls: PositiveInt | None = None
    """Requests sent to models, retries included."""

    tokens: PositiveInt | None = None
    """Tokens read and written."""

    money: PositiveFloat | None = None
    """US dollars."""


class DraftingSettings(Section):
    """How a portrait is drawn."""

    drafts: PositiveInt = 4
    """First drafts per user."""

    rounds: NonNegativeInt = 1
    """Revision rounds at most; 0 publishes the best first draft."""

    revisions: PositiveInt = 2
    """Revised drafts per round."""

    temperature: PositiveFloat = 0.9
    """Sampling temperature of drafts."""

    top_p: PositiveFloat = 0.95
    """Nucleus mass of drafts."""

    logprobs: bool | None = None
    """Ask for the log-probabilities of drafts, for offline learning; absent: of embedded models only."""

    facets: PositiveInt = 4
    """Sentences in a portrait at most."""

    holdout: PositiveInt = 3
    """Last interactions with an item that the critic holds back from the drafts."""

    recent: PositiveInt = 10
    """Length of the raw tail."""

    cue_batch: PositiveInt = 8
    """Interactions per cue-extraction call."""

    cue_history: PositiveInt = 16
    """Newest interactions a model reads for cues per run; older new ones are cued without a model."""

    style: Literal["auto", "free", "lexicon", "plain"] = "auto"
    """`free`: any sentence; `lexicon`: phrases of the history in fixed sentences; `plain`: bare sentences from
    a short prompt, for trained profilers; `auto`: what an embedded model's description says, else lexicon;
    free for other models."""

    min_gain: NonNegativeFloat = 0.01
    """A revision round that gains less reward than this is the last."""

    accept: float = 0.8
    """Total reward from which a draft needs no revision."""

    seed: int = 0
    """Seed of sampling, negatives and ties."""


class CriticSettings(Section):
    """What drafts are graded against."""

    negatives: PositiveInt = 128
    """Negatives per held-back item."""

    hard_share: float = Field(default=0.4, ge=0.0, le=1.0)
    """Share of negatives near the history that the user did not choose."""

    popular_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of negatives drawn by popularity; the rest is uniform."""

    audience: PositiveInt = 16
    """Other users whose histories a portrait must not fit as well as its own."""

    temperature: PositiveFloat = 0.05
    """Temperature of the late interaction and of InfoNCE, in cosine units."""

    support: float = Field(default=0.35, ge=-1.0, le=1.0)
    """Cosine from which a cited interaction supports a claim."""

    max_words: PositiveInt = 90
    """Length from which the length penalty grows."""

    # Out of `repr`, which names what portraits rest on: a space counts by its content, not by its place.
    space: Path | None = Field(default=None, repr=False)
    """File of `limner distill embed` in whose space sentences score items; absent for the encoder's own."""


class RewardWeights(Section):
    """Weights of the reward's terms; 0 switches a term off and saves its cost."""

    rank: NonNegativeFloat = 1.0
    """NDCG of held-back items among negatives."""

    emb: NonNegativeFloat = 0.5
    """Bounded bidirectional InfoNCE."""

    text: NonNegativeFloat = 0.0
    """Next item by multiple choice; one model call a draft."""

    ground: NonNegativeFloat = 0.3
    """Share of claims their evidence supports."""

    length: NonNegativeFloat = 0.2
    """Penalty on words beyond `critic.max_words`."""

    boiler: NonNegativeFloat = 0.2
    """Penalty on sentences that fit other users."""

    leak: NonNegativeFloat = 1.0
    """Whether a leaked target or rating sends the total to the floor (0 or 1)."""


class PairingSettings(Section):
    """How a user and an item are described for each other."""

    cue: bool = True
    """Each side starts with the cue that matters for the other; off for an ablation."""

    instruction: bool = True
    """Each side sets itself an instruction before it writes; off for an ablation."""

    paired: bool = True
    """Each side is written for the other; off to write both without seeing the other."""

    per_call: PositiveInt = 4
    """Items described for one user in one call when many are ranked."""

    # Out of `repr`, which names what results rest on: a scorer counts by its content, not by its place.
    scorer: Path | None = Field(default=None, repr=False)
    """File of `limner distill scorer` that scores pairs nobody wrote; absent for the untaught one."""
