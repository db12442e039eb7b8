"""Limner: readable portraits of users, drawn from what they did.

Names load on first use, so that `import limner` is fast and imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cards import CardOutcome, ItemCard
    from .communities import Community, Group, RefreshReport
    from .contexts import Context, Heard
    from .errors import (
        BadRowError,
        BudgetExceededError,
        ChecksumError,
        EmptyHistoryError,
        EncoderChangedError,
        InputError,
        LimnerError,
        MissingExtraError,
        ModelError,
        ModelOutputError,
        ModelUnavailableError,
        NoGroupsError,
        NoPortraitError,
        NoTextError,
        PriceUnknownError,
        SettingsError,
        StoreError,
        TooFewUsersError,
        UnknownFormatError,
        UnknownItemError,
        UnknownUserError,
        UnknownWeightsError,
        WeightsError,
        WeightsMissingError,
    )
    from .face import Limner
    from .models import Claim, Critique, Cue, Facet, Profile, Rollout
    from .outcome import Outcome
    from .pairings import Pair, RankedItem, Ranking
    from .receipts import Receipt
    from .recommendations import Filters, Recommendation, RecommendationOutcome, Recommendations
    from .records import Interaction, Item, Usage
    from .settings import Settings, load_settings
    from .sync import LimnerSync
    from .tools.budget import Budget

__version__ = "0.1.0"

_HOMES = {
    "cards": ["CardOutcome", "ItemCard"],
    "communities": ["Community", "Group", "RefreshReport"],
    "contexts": ["Context", "Heard"],
    "errors": [
        "BadRowError",
        "BudgetExceededError",
        "ChecksumError",
        "EmptyHistoryError",
        "EncoderChangedError",
        "InputError",
        "LimnerError",
        "MissingExtraError",
        "ModelError",
        "ModelOutputError",
        "ModelUnavailableError",
        "NoGroupsError",
        "NoPortraitError",
        "NoTextError",
        "PriceUnknownError",
        "SettingsError",
        "StoreError",
        "TooFewUsersError",
        "UnknownFormatError",
        "UnknownItemError",
        "UnknownUserError",
        "UnknownWeightsError",
        "WeightsError",
        "WeightsMissingError",
    ],
    "face": ["Limner"],
    "models": [
        "Claim",
        "Critique",
        "Cue",
        "Facet",
        "Profile",
        "Rollout",
    ],
    "outcome": ["Outcome"],
    "pairings": ["Pair", "RankedItem", "Ranking"],
    "receipts": ["Receipt"],
    "recommendations": ["Filters", "Recommendation", "RecommendationOutcome", "Recommendations"],
    "records": ["Interaction", "Item", "Usage"],
    "settings": ["Settings", "load_settings"],
    "sync": ["LimnerSync"],
    "tools.budget": ["Budget"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = (
    "BadRowError",
    "Budget",
    "BudgetExceededError",
    "CardOutcome",
    "ChecksumError",
    "Claim",
    "Community",
    "Context",
    "Critique",
    "Cue",
    "EmptyHistoryError",
    "EncoderChangedError",
    "Facet",
    "Filters",
    "Group",
    "Heard",
    "InputError",
    "Interaction",
    "Item",
    "ItemCard",
    "Limner",
    "LimnerError",
    "LimnerSync",
    "MissingExtraError",
    "ModelError",
    "ModelOutputError",
    "ModelUnavailableError",
    "NoGroupsError",
    "NoPortraitError",
    "NoTextError",
    "Outcome",
    "Pair",
    "PriceUnknownError",
    "Profile",
    "RankedItem",
    "Ranking",
    "Receipt",
    "Recommendation",
    "RecommendationOutcome",
    "Recommendations",
    "RefreshReport",
    "Rollout",
    "Settings",
    "SettingsError",
    "StoreError",
    "TooFewUsersError",
    "UnknownFormatError",
    "UnknownItemError",
    "UnknownUserError",
    "UnknownWeightsError",
    "Usage",
    "WeightsError",
    "WeightsMissingError",
    "load_settings",
)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'limner' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
