"""What a profile was drawn from, in one hash."""

from functools import cache

from ..models import content_hash
from ..tools.prompt import load_prompt, prompt_names
from .case import Case
from .state import Deps


def critic_version(deps: Deps) -> str:
    """Return encoder and settings of the critic; rewards compare only within one version."""
    settings = deps.settings
    return f"{deps.embedder.name}:{content_hash(settings.critic, settings.reward, settings.drafting.holdout)[:8]}"


def prompt_versions() -> dict[str, int]:
    """Return the version of every prompt."""
    return dict(_versions())


@cache
def _versions() -> tuple[tuple[str, int], ...]:
    return tuple((name, load_prompt(name).version) for name in prompt_names())


def fingerprint_of(deps: Deps, case: Case) -> str:
    """Hash the history, the model, the prompts and the settings that shape a portrait."""
    return content_hash(
        case.subject,
        case.item_side.item if case.item_side else None,
        [event.event_id for event in case.item_side.events] if case.item_side else None,
        [event.event_id for event in (*case.visible, *case.held)],
        deps.chat.name if deps.chat else None,
        deps.style,
        deps.settings.drafting,
        critic_version(deps),
        sorted(prompt_versions().items()),
    )
