"""Settings, read once from the environment (`LIMNER_…`) and `limner.toml`.

Precedence: arguments, environment, `limner.toml` in the working directory, defaults. Nested names use two
underscores in the environment: `LIMNER_CHAT__API_BASE`.
"""

import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SettingsParsingError

from .errors import SettingsError
from .faults import first_fault

DEFAULT_MODEL = "limner/smollm2-135m"
DEFAULT_EMBEDDER = "minilm"

NO_MODEL = "none"
"""Model string that draws extractively, without any language model."""

EMBEDDED = "limner/"
"""Prefix of model strings that run in this process."""


_NEAR = 0.8
"""Share of a name's letters that a misspelling keeps."""

_INJECTED = re.compile(r"(?:^|_)(?:port|service_host|service_port)(?:_|$)")
"""Variables of a Kubernetes Service; no setting is called so, but `database_port` is close to one."""


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


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix="LIMNER_",
        env_nested_delimiter="__",
        toml_file="limner.toml",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    store: Path = Path(".limner")
    """Folder of the embedded store: database, vectors, checkpoints."""

    database_url: SecretStr | None = None
    """`postgresql://…`; absent for SQLite in `store`."""

    chroma_url: str | None = None
    """`http://host:port` of a Chroma server; absent for an embedded index in `store`."""

    tenant: str = Field(default="default", pattern=r"^[a-z0-9_-]{1,40}$")
    """Everything read or written belongs to this tenant."""

    model: str = DEFAULT_MODEL
    """LiteLLM model string; `limner/NAME` runs embedded."""

    embedder: str = DEFAULT_EMBEDDER
    """`minilm`, `sentence-transformers/FOLDER_OR_NAME`, or a LiteLLM embedding model."""

    models_dir: Path = Path.home() / ".cache" / "limner" / "models"
    """Where weights lie."""

    chat: ChatSettings = ChatSettings()
    """How language models are called."""

    budget: BudgetSettings = BudgetSettings()
    """Hard limits of one run."""

    drafting: DraftingSettings = DraftingSettings()
    """How a portrait is drawn."""

    critic: CriticSettings = CriticSettings()
    """What drafts are graded against."""

    reward: RewardWeights = RewardWeights()
    """Weights of the reward's terms."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then `limner.toml`."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings once.

    Args:
        overrides: Values that win over environment and file; `None` means not given. Nested groups are
            mappings and are merged with what the environment and the file say.

    Raises:
        SettingsError: A value is out of range or a name is unknown.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    _refuse_unknown_variables()
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _explain(error) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("limner.toml", f"is not TOML: {error}") from error
    except SettingsParsingError as error:
        raise SettingsError("LIMNER_…", f"{error}; lists and groups are written as JSON") from error


def _refuse_unknown_variables() -> None:
    """Name the first `LIMNER_…` variable that looks like a misspelt setting.

    pydantic-settings refuses an unknown name inside a group and ignores any other. Whatever resembles no
    setting stays ignored: it belongs to somebody else, as the addresses that Kubernetes gives every container
    for a Service called `limner`.

    Raises:
        SettingsError: There is one.
    """
    prefix = "LIMNER_"
    for variable in sorted(name for name in os.environ if name.upper().startswith(prefix)):
        meant = _misspelt(variable[len(prefix) :].lower())
        if meant is not None:
            raise SettingsError(variable, f"is unknown; did you mean `{prefix}{meant.upper()}`?")


def _misspelt(name: str) -> str | None:
    """Return the setting that an unknown name resembles, both without `LIMNER_`.

    Examples:
        >>> _misspelt("modle"), _misspelt("chats__timeout"), _misspelt("chat_timeout")
        ('model', 'chat__timeout', 'chat__timeout')
        >>> _misspelt("model"), _misspelt("port"), _misspelt("database_port")
        (None, None, None)
    """
    head, found, tail = name.partition("__")
    if head in Settings.model_fields or _INJECTED.search(name):
        return None
    if near := get_close_matches(head, Settings.model_fields, n=1, cutoff=_NEAR):
        return f"{near[0]}{found}{tail}"
    inside = [
        f"{group}__{field}"
        for group, section in Settings.model_fields.items()
        if isinstance(section.default, Section)
        for field in type(section.default).model_fields
    ]
    return next(iter(get_close_matches(name, inside, n=1, cutoff=_NEAR)), None)


def _explain(error: ValidationError) -> SettingsError:
    """Turn the first of pydantic's complaints into ours; an unknown name's value may be a secret."""
    fault = first_fault(error)
    if fault.kind == "extra_forbidden":
        return SettingsError(fault.field, "is unknown; check the spelling")
    return SettingsError(fault.field, str(fault))
