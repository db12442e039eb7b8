"""Limner: readable portraits of users, drawn from what they did.

Names load on first use, so that `import limner` is fast and imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import LimnerError
    from .face import Limner, Outcome
    from .models import (
        Claim,
        Critique,
        Cue,
        Facet,
        Group,
        Interaction,
        Item,
        ItemCard,
        Pair,
        Profile,
        Receipt,
        Rollout,
        Usage,
    )
    from .settings import Settings, load_settings
    from .sync import LimnerSync

__version__ = "0.1.0"

_HOMES = {
    "errors": ["LimnerError"],
    "face": ["Limner", "Outcome"],
    "models": [
        "Claim",
        "Critique",
        "Cue",
        "Facet",
        "Group",
        "Interaction",
        "Item",
        "ItemCard",
        "Pair",
        "Profile",
        "Receipt",
        "Rollout",
        "Usage",
    ],
    "settings": ["Settings", "load_settings"],
    "sync": ["LimnerSync"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = (
    "Claim",
    "Critique",
    "Cue",
    "Facet",
    "Group",
    "Interaction",
    "Item",
    "ItemCard",
    "Limner",
    "LimnerError",
    "LimnerSync",
    "Outcome",
    "Pair",
    "Profile",
    "Receipt",
    "Rollout",
    "Settings",
    "Usage",
    "load_settings",
)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'limner' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
