"""Settings: four sources in order, typed complaints, secrets kept."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from limner.errors import SettingsError
from limner.sections import BudgetSettings, RewardWeights, Section
from limner.settings import Settings, load_settings

SECTIONS = [Settings, *(Section.__subclasses__())]


def _write_toml(text: str) -> None:
    Path("limner.toml").write_text(text, encoding="utf-8")


def test_a_source_wins_over_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    default = "limner/smollm2-135m"

    assert load_settings().model == default
    _write_toml('model = "from-file"')
    assert load_settings().model == "from-file"
    monkeypatch.setenv("LIMNER_MODEL", "from-environment")
    assert load_settings().model == "from-environment"
    assert load_settings(model="from-argument").model == "from-argument"
    assert load_settings(model=None).model == "from-environment"  # `None` means not given


def test_a_group_is_merged_name_by_name_from_all_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    _write_toml('[chat]\napi_base = "http://file"\nattempts = 2\nfallback_models = ["a", "b"]')
    monkeypatch.setenv("LIMNER_CHAT__API_BASE", "http://environment")

    chat = load_settings(chat={"timeout": 3}).chat

    assert (chat.timeout, chat.api_base, chat.attempts) == (3.0, "http://environment", 2)
    assert chat.fallback_models == ("a", "b")
    assert chat.concurrency == 16  # the default


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_CHAT__FALLBACK_MODELS", '["gpt-5-mini", "ollama/llama3"]')

    assert load_settings().chat.fallback_models == ("gpt-5-mini", "ollama/llama3")


def test_a_list_that_is_not_json_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_CHAT__FALLBACK_MODELS", "gpt-5-mini")

    with pytest.raises(SettingsError, match=r'"chat".*lists and groups are written as JSON'):
        load_settings()


@pytest.mark.parametrize(
    ("toml", "name"),
    [("modle = 'x'", "modle"), ("[chat]\napi_bse = 'x'", r"chat\.api_bse"), ("[chats]\n", "chats")],
)
def test_an_unknown_name_in_the_file_is_refused_by_name(toml: str, name: str) -> None:
    _write_toml(toml)

    with pytest.raises(SettingsError, match=rf"^setting `{name}`: is unknown"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("LIMNER_MODLE", "LIMNER_MODLE"),
        ("limner_modle", "limner_modle"),
        ("LIMNER_CHATS__TIMEOUT", "LIMNER_CHATS__TIMEOUT"),
        ("LIMNER_CHAT_API_BASE", "LIMNER_CHAT_API_BASE"),  # one underscore is a slip
        ("LIMNER_CHAT__API_BASS", r"chat\.api_bass"),
        ("LIMNER_CHAT__API_BSE", r"chat\.api_bse"),
    ],
)
def test_an_unknown_name_in_the_environment_is_refused_by_name(
    variable: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "x")

    with pytest.raises(SettingsError, match=rf"^setting `{name}`: is unknown"):
        load_settings()


@pytest.mark.parametrize(
    "variable",
    [
        "LIMNER_PORT",
        "LIMNER_SERVICE_HOST",
        "LIMNER_PORT_8000_TCP_ADDR",
        "LIMNER_DATABASE_PORT",  # of a Service `limner-database`; four fifths of `database_url`
        "LIMNER_CHAT_SERVICE_PORT_HTTP",
        "LIMNER_HOME",
        "LIMNER_",
    ],
)
def test_a_variable_that_resembles_no_setting_is_somebody_elses(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "tcp://10.0.0.7:8000")

    assert load_settings() == Settings()


def test_a_misspelt_variable_is_told_what_it_resembles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_CHATS__TIMEOUT", "x")

    with pytest.raises(SettingsError, match="did you mean `LIMNER_CHAT__TIMEOUT`"):
        load_settings()


def test_an_unknown_argument_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"^setting `modle`: is unknown"):
        load_settings(modle="x")


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("LIMNER_BUDGET__CALLS", "0", r"budget\.calls"),
        ("LIMNER_BUDGET__MONEY", "-1", r"budget\.money"),
        ("LIMNER_CRITIC__HARD_SHARE", "1.5", r"critic\.hard_share"),
        ("LIMNER_TENANT", "A B", "tenant"),
        ("LIMNER_DRAFTING__DRAFTS", "many", r"drafting\.drafts"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_setting(
    variable: str, value: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError, match=rf"^setting `{name}`: .*, got '{value}'$"):
        load_settings()


def test_a_broken_file_is_named() -> None:
    _write_toml("model = ")

    with pytest.raises(SettingsError, match=r"^setting `limner\.toml`: is not TOML: .*"):
        load_settings()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_CHAT__API_KEY", "sk-hush")
    settings = load_settings(database_url="postgresql://u:hush@localhost/db")

    assert "hush" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:hush@localhost/db"
    assert settings.chat.api_key is not None
    assert settings.chat.api_key.get_secret_value() == "sk-hush"


def test_a_secret_under_a_misspelt_name_is_not_repeated() -> None:
    _write_toml('[chat]\napi_keyy = "sk-hush"')

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_setting_is_documented_frozen_and_closed(section: type[Settings | Section]) -> None:
    undocumented = [name for name, field in section.model_fields.items() if not field.description]

    assert undocumented == []
    assert section.model_config.get("frozen") is True
    assert section.model_config.get("extra") == "forbid"


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.model = "other"  # type: ignore[misc]  # what mypy refuses must fail at run time too


def test_no_limit_is_set_unless_asked_for() -> None:
    assert load_settings().budget == BudgetSettings(calls=None, tokens=None, money=None)


def test_the_reward_has_the_terms_of_the_method() -> None:
    of_portraits = {"rank", "emb", "text", "ground", "length", "boiler", "leak"}
    assert set(RewardWeights.model_fields) == of_portraits | {"rating", "pair_rank"}
