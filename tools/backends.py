"""LiteLLM, loaded late, and the models it is asked for."""

import gc
import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import WeightsError
from ..sections import ChatSettings
from ..settings import EMBEDDED
from .openai_server import PREFIX as OPENAI_PREFIX
from .openai_server import is_direct
from .prices import Price, flat, price_of
from .profilers import model_files

_TAKE_SCHEMAS = (EMBEDDED, "hosted_vllm/", "ollama/", "ollama_chat/", "lm_studio/")
_NO_KEY = "none"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One model and how it is reached."""

    model: str
    """LiteLLM model string."""

    options: Mapping[str, Any]
    """Address and key, as `litellm.acompletion` takes them."""

    price: Price | None
    """What tokens cost; absent if nobody knows."""

    takes_schema: bool
    """Whether it takes a JSON Schema as `response_format`."""

    speaks_openai: bool = False
    """Whether it is an OpenAI-compatible server, whose request body may be written as it is sent."""

    direct: bool = False
    """Whether it may be asked without LiteLLM; see `openai_server`."""


def load_litellm() -> Any:
    """Import LiteLLM without network access, telemetry or advice on standard output. Takes seconds."""
    if "litellm" not in sys.modules:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        _import_for_good("litellm")
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _import_for_good(name: str) -> None:
    """Import a package and take what it made out of the garbage collector's sight.

    LiteLLM leaves several hundred thousand objects that live as long as the process. Walking them takes a
    third of a second, during the import and again every few hundred calls.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module(name)
        gc.freeze()
    finally:
        if was_on:
            gc.enable()


def resolve_backends(
    litellm: Any, model: str, settings: ChatSettings, models_dir: Path
) -> tuple[Backend, ...]:
    """Return the model and its fallbacks, in order.

    `api_base`, `api_key` and `price_per_million` belong to the provider of `model`; fallbacks of another
    provider are reached and priced as LiteLLM knows them.
    """
    names = (model, *settings.fallback_models)
    for name in names:
        if name.startswith(EMBEDDED):
            _register(name, settings, models_dir)
    return tuple(
        _resolve(litellm, name, settings, ours=_provider(name) == _provider(model)) for name in names
    )


def revision_suffix(model: str, models_dir: Path) -> str:
    """Return `@` and the revision of an embedded model's weights, `@missing` without any; else nothing."""
    if not model.startswith(EMBEDDED):
        return ""
    try:
        return f"@{model_files(model.removeprefix(EMBEDDED), models_dir).revision}"
    except (WeightsError, OSError):  # whoever asks for an answer is told what is wrong
        return "@missing"


def _register(model: str, settings: ChatSettings, models_dir: Path) -> None:
    """Make LiteLLM know an embedded model."""
    from .local_model import ensure_registered

    ensure_registered(model, models_dir=models_dir, threads=settings.threads, parallel=settings.parallel)


def _resolve(litellm: Any, model: str, settings: ChatSettings, *, ours: bool) -> Backend:
    remote = ours and not model.startswith(EMBEDDED)
    api_base = settings.api_base if remote else None
    options: dict[str, Any] = {} if api_base is None else {"api_base": api_base}
    if remote and settings.api_key is not None:
        options["api_key"] = settings.api_key.get_secret_value()
    elif api_base is not None and not litellm.validate_environment(model)["keys_in_environment"]:
        options["api_key"] = _NO_KEY  # servers without keys accept any, but the OpenAI client insists on one
    rates = settings.price_per_million if ours else None
    openai_server = model.startswith(OPENAI_PREFIX) and api_base is not None
    return Backend(
        model=model,
        options=options,
        price=price_of(model, api_base=api_base, litellm=litellm) if rates is None else flat(*rates),
        takes_schema=(
            model.startswith(_TAKE_SCHEMAS)
            or openai_server
            or bool(litellm.supports_response_schema(model=model))
        ),
        speaks_openai=openai_server or (model.startswith("hosted_vllm/") and api_base is not None),
        direct=is_direct(litellm, model, options),
    )


def _provider(model: str) -> str:
    """Return the part of a model string before the slash; LiteLLM reads a bare name as OpenAI's.

    Examples:
        >>> _provider("hosted_vllm/org/name"), _provider("gpt-4o")
        ('hosted_vllm', 'openai')
    """
    provider, found, _ = model.partition("/")
    return provider if found else "openai"
