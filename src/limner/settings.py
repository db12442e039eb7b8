"""Settings, read once from the environment (`LIMNER_…`) and `limner.toml`.

Precedence: arguments, environment, `limner.toml` in the working directory, defaults. Nested names use two
underscores in the environment: `LIMNER_CHAT__API_BASE`.
"""

import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import (
    Field,
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
from .sections import (
    BatchSettings,
    BudgetSettings,
    CardSettings,
    ChatSettings,
    CriticSettings,
    DatabaseSettings,
    DraftingSettings,
    EngineSettings,
    GroupSettings,
    PairingSettings,
    PrivacySettings,
    ProxySettings,
    RecommendSettings,
    RewardWeights,
    Section,
    ServeSettings,
)

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

    database: DatabaseSettings = DatabaseSettings()
    """How many connections to PostgreSQL a process keeps."""

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

    batch: BatchSettings = BatchSettings()
    """How requests are gathered for a Batch API."""

    budget: BudgetSettings = BudgetSettings()
    """Hard limits of one run."""

    drafting: DraftingSettings = DraftingSettings()
    """How a portrait is drawn."""

    critic: CriticSettings = CriticSettings()
    """What drafts are graded against."""

    reward: RewardWeights = RewardWeights()
    """Weights of the reward's terms."""

    pairing: PairingSettings = PairingSettings()
    """How a user and an item are described for each other."""

    cards: CardSettings = CardSettings()
    """How items are described by cards."""

    groups: GroupSettings = GroupSettings()
    """How like-minded users are grouped, and what of it is told."""

    recommend: RecommendSettings = RecommendSettings()
    """How the next items are recommended."""

    engine: EngineSettings = EngineSettings()
    """Who does batches that write a folder of parts."""

    serve: ServeSettings = ServeSettings()
    """How `limner serve` answers over HTTP."""

    proxy: ProxySettings = ProxySettings()
    """How the hook inside a LiteLLM proxy works."""

    privacy: PrivacySettings = PrivacySettings()
    """What of people's words reaches models and portraits."""

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
