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

from .records import FEWEST_TOKENS


class Section(BaseModel):
    """Base of the groups of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ChatSettings(Section):
    """How language models are called."""

    api_base: str | None = None
    """Base URL of an OpenAI-compatible server (vLLM, Ollama, llama.cpp); absent for hosted models."""

    replicas: tuple[str, ...] = ()
    """Base URLs of further servers of the same model. The least busy one is asked; one that fails rests for a while."""

    api_key: SecretStr | None = None
    """Key sent to the model server; absent to let LiteLLM read the provider's own variable."""

    fallback_models: tuple[str, ...] = ()
    """Model strings tried in order when `model` keeps failing."""

    concurrency: PositiveInt = 16
    """Calls in flight at once, at each replica."""

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

    trace_content: bool = False
    """Whether OpenTelemetry spans hold what is said to a model and what it answers; both may be about a person."""

    parallel: PositiveInt = 1
    """Sequences the embedded model decodes at once; on a CPU more than one only costs prompt reading."""


class DatabaseSettings(Section):
    """How many connections to PostgreSQL a process keeps; not used with SQLite."""

    pool: PositiveInt = 10
    """Connections kept open."""

    overflow: NonNegativeInt = 0
    """Connections beyond those while there is much to do; closed again afterwards."""

    wait: PositiveFloat = 30.0
    """Seconds that a query waits for a free connection."""

    recycle: PositiveFloat | None = None
    """Seconds after which a connection is replaced, for servers and proxies that cut old ones; absent for never."""

    checkpoints: PositiveInt = 4
    """Connections for checkpoints, beside the others."""


class BatchSettings(Section):
    """How requests are gathered for a Batch API (`limner profile --batch`)."""

    users: PositiveInt = 2000
    """Users whose requests are gathered at once; their histories are in memory meanwhile."""

    most: PositiveInt = 20_000
    """Requests of a batch at most."""

    linger: PositiveFloat = 5.0
    """Seconds without a new request after which a batch is handed over."""

    poll: PositiveFloat = 30.0
    """Seconds between looks at a batch."""

    price_share: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the usual price that is paid in batches."""


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

    # Out of `repr`, which names what portraits rest on: of pairs, `agents.fingerprint` counts them by itself.
    rating: NonNegativeFloat = Field(default=1.0, repr=False)
    """Pairs only: a judge who reads the two profiles predicts the rating. One short call a pair, and one a draft
    where the outcome is known, which alone makes it a reward; 0 asks no judge."""

    pair_rank: NonNegativeFloat = Field(default=1.0, repr=False)
    """Pairs with a known outcome only: NDCG of the chosen item among negatives by the user's profile."""


class CardSettings(Section):
    """How items are described by cards."""

    per_call: PositiveInt = 8
    """Items described in one call; an item that an answer misses is asked for again alone."""

    form: Literal["batched", "chain"] = "batched"
    """`batched`: one completion reasons about several items; `chain`: three calls an item, one after the other
    (who would like it, who would not, the feature), to compare with."""

    reviews: NonNegativeInt = 6
    """Reviews shown of an item at most, the newest; half of the places go to disliking ones first."""

    share: bool = True
    """Whether near-duplicate items share a card."""

    alike: float = Field(default=0.93, ge=-1.0, le=1.0)
    """Cosine of the publisher's texts from which two items may be near-duplicates."""

    title_words: float = Field(default=0.8, ge=0.0, le=1.0)
    """Share of the words of two titles that near-duplicates have in common, at least."""

    temperature: NonNegativeFloat = 0.3
    """Sampling temperature."""


class PairingSettings(Section):
    """How a user and an item are described for each other."""

    cue: bool = True
    """Each side starts with the cue that matters for the other; off for an ablation."""

    instruction: bool = True
    """Each side sets itself an instruction before it writes; off for an ablation."""

    paired: bool = True
    """Each side is written for the other; off to write both without seeing the other."""

    calibrated: bool = True
    """The judge's rating is set against what it says of blank profiles and starts from the damped mean of user and
    item; off for the judge's bare word."""

    per_call: PositiveInt = 4
    """Items described for one user in one call when many are ranked."""

    judge_ranked: bool = False
    """Whether a judge reads each pair that a ranking writes in a batch; one short call a pair. Without it a pair is
    measured by the cosine of its two profiles."""

    # Out of `repr`, which names what results rest on: a scorer counts by its content, not by its place.
    scorer: Path | None = Field(default=None, repr=False)
    """File of `limner distill scorer` that scores pairs nobody wrote; absent for the untaught one."""


class GroupSettings(Section):
    """How like-minded users are grouped, and what of it is told."""

    size: PositiveInt = 20
    """Members of a group, about, at most a third of the users; larger for segments that a person reads, smaller
    for scoring."""

    minimum: int = Field(default=5, ge=2)
    """Fewest members of a group, and fewest who must share whatever is told about one."""

    neighbours: PositiveInt = 32
    """Users compared with each user."""

    mutual: bool = True
    """Whether two users are alike only if each is among the other's neighbours."""

    layers: NonNegativeInt = 0
    """How far vectors travel along the graph of users and items before groups are found."""

    rounds: NonNegativeInt | None = None
    """Rounds in which individuals and groups refine each other; absent for as many as gain something."""

    blend: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the groups in a vector that a round drew towards them."""

    regroup: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of users who may change before groups are found anew instead of moved."""

    portraits: bool = False
    """Whether a refresh draws the portraits of changed users first, which then speak in vectors and words."""


class RecommendSettings(Section):
    """How the next items are recommended."""

    held_back: PositiveInt = 5000
    """Users at most whose last choice is held back to fit the weights of the signals."""

    stale: NonNegativeFloat = 0.0
    """Share of choices that may be missing from the index before it is built anew; it never holds later ones."""

    pool: PositiveInt = 100
    """Items at most that are looked at for diversity."""

    reasons: PositiveInt = 3
    """Reasons an item at most."""

    drafts: PositiveInt = 3
    """Descriptions of the next item that a model writes."""

    words: PositiveInt = 12
    """Words of such a description at most."""

    generated: NonNegativeFloat = 0.3
    """Weight of what a model wrote, in deviations of the fused scores; not fitted."""

    reranked: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the pairs' order where the first items are ranked again by pairs."""


class EngineSettings(Section):
    """Who does batches that write a folder of parts, and how they are divided."""

    part: PositiveInt = 256
    """Users of a part: what is done again at most, of one worker, after a kill."""

    address: str | None = None
    """Ray cluster: `host:port`, or `auto` for the one that RAY_ADDRESS or this machine names; absent to start one here."""

    workers: PositiveInt = 2
    """Ray actors; each opens what it needs and works on as many users as one process does."""

    cpus: PositiveFloat = 1.0
    """Logical CPUs that each actor takes of the cluster."""


class ServeSettings(Section):
    """How `limner serve` answers over HTTP."""

    host: str = "127.0.0.1"
    """Address to listen on; one that other machines reach needs keys."""

    port: int = Field(default=8321, ge=0, le=65535)
    """Port to listen on; 0 for any that is free."""

    workers: PositiveInt = 1
    """Processes; several need PostgreSQL and a Chroma server."""

    tenants_open: PositiveInt = 16
    """Tenants kept open at once in a process; the least recently used is closed."""

    hosts: tuple[str, ...] = ()
    """Names that requests may come in under, without port; the machine's own are always among them. On loopback
    without keys any other name is refused; elsewhere any is taken if this is empty."""

    origins: tuple[str, ...] = ()
    """Origins (`https://app.example`) whose pages may call the API; none by default."""

    rate: PositiveFloat | None = 100.0
    """Requests a second for each key, in each process; absent for no limit. Without keys there is none."""

    burst: PositiveInt = 200
    """Requests that a key which was idle may send at once."""

    max_body: PositiveInt = 2 << 20
    """Bytes of a request's body at most."""

    max_upload: PositiveInt = 256 << 20
    """Bytes of an uploaded file at most."""

    max_depth: PositiveInt = 32
    """Levels of lists and objects in a JSON body at most."""

    jobs_at_once: PositiveInt = 2
    """Background jobs that run at once in a process; more wait."""

    drain: PositiveFloat = 20.0
    """Seconds that requests may take to finish when the server stops."""


class ProxySettings(Section):
    """How the hook inside a LiteLLM proxy works."""

    timeout: PositiveFloat = 0.5
    """Seconds a request may be held up; then it goes through as it came."""

    max_tokens: int = Field(default=400, ge=FEWEST_TOKENS)
    """Tokens of context at most."""

    record: bool = True
    """Whether what users say is recorded as behaviour once the model has answered."""

    tenants: dict[str, str] | None = None
    """Tenant by a key's alias, its team's alias or its team's id. Absent: a key that names no tenant in its metadata
    belongs to `tenant`. Given, if only empty: such a key belongs to nobody, and its requests go through as they came."""


class TenantPrivacy(Section):
    """What one tenant allows; absent for what `privacy` says."""

    redact: bool | None = None
    """Whether personal data are taken out."""

    sensitive: bool | None = None
    """Whether sensitive traits may be told."""


class PrivacySettings(Section):
    """What of people's words reaches models and portraits."""

    redact: bool = True
    """Whether e-mail addresses, phone, card and bank account numbers, street addresses and names of other people are
    taken out of people's words before any model or portrait sees them. The words themselves stay as recorded."""

    sensitive: bool = False
    """Whether health, religion, politics and sexuality may be noted and told."""

    regions: tuple[str, ...] = (
        *("US", "GB", "DE", "FR", "ES", "IT", "PT", "BR", "NL", "PL"),
        *("RU", "TR", "CN", "JP", "KR", "IN", "MX"),
    )
    """Countries (ISO 3166-1) whose phone numbers are known without `+` too."""

    tenants: dict[str, TenantPrivacy] = Field(default_factory=dict[str, TenantPrivacy])
    """What tenants say instead."""

    def of_tenant(self, tenant: str) -> "PrivacySettings":
        """Return what holds for a tenant.

        Examples:
            >>> PrivacySettings(tenants={"clinic": TenantPrivacy(sensitive=True)}).of_tenant("clinic").sensitive
            True
        """
        own = self.tenants.get(tenant)
        said = own.model_dump(exclude_none=True) if own else {}
        return self.model_copy(update={**said, "tenants": {}})
