"""Rewards by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ...errors import SettingsError
from ...faults import first_fault
from ...records import Record
from .blue import Blue, BlueOptions
from .catalogue_rewards import LangPTune, LangPTuneOptions, R2ec, R2ecOptions
from .duet import Duet, DuetOptions
from .fresh_critic import FreshCritic
from .length_control import LengthOptions, LengthReward
from .reading import Reader
from .reward import Reward
from .rlaif import Rlaif, RlaifOptions
from .rlpf import Rlpf, RlpfOptions
from .whole_catalogue import WholeCatalogue

Options = Mapping[str, Any]


class CriticOptions(Record):
    """Limner's own reward has none here: its weights are the settings' `reward`, its bounds `critic`."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What rewards of one run share."""

    reader: Reader
    """Reads completions, once for all rewards."""

    catalogue: WholeCatalogue
    """Every item's vector."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One named reward."""

    about: str
    """What it pays for, in a few words."""

    options: type[Record]
    """What can be set."""

    make: Callable[[Shared, Any], Reward]
    """Builds it from validated options."""


REWARDS: Mapping[str, Kind] = {
    "limner": Kind(
        about="the critic's total: rank, contrast, grounding, less length, boilerplate and leaks",
        options=CriticOptions,
        make=lambda shared, _: FreshCritic(shared.reader),
    ),
    "blue": Kind(
        about="bidirectional InfoNCE with 128 negatives, and the next item by multiple choice",
        options=BlueOptions,
        make=lambda shared, options: Blue(shared.reader, options),
    ),
    "rlpf": Kind(
        about="the next item by multiple choice, and length",
        options=RlpfOptions,
        make=lambda shared, options: Rlpf(shared.reader, options),
    ),
    "langptune": Kind(
        about="NDCG of the held-back items in the whole catalogue",
        options=LangPTuneOptions,
        make=lambda shared, options: LangPTune(options, shared.catalogue),
    ),
    "duet": Kind(
        about="how close a judge comes to a held-back rating",
        options=DuetOptions,
        make=lambda shared, options: Duet(shared.reader, options),
    ),
    "r2ec": Kind(
        about="NDCG in the whole catalogue and a little similarity",
        options=R2ecOptions,
        make=lambda shared, options: R2ec(options, shared.catalogue),
    ),
    "rlaif": Kind(
        about="a judge's scores: coherence, accuracy, coverage, overall",
        options=RlaifOptions,
        make=lambda shared, options: Rlaif(shared.reader, options),
    ),
    "length": Kind(
        about="length control, to be put beside any other",
        options=LengthOptions,
        make=lambda _, options: LengthReward(options),
    ),
}
"""Name to reward."""

ASKS_A_MODEL = frozenset({"blue", "rlpf", "duet", "rlaif"})
"""Rewards that a chat model grades; `limner` does too if the settings weight `reward.text`."""


def read_options(name: str, options: Options) -> Record:
    """Check what is set for a reward.

    Raises:
        SettingsError: The reward is unknown, or a value is.
    """
    if name not in REWARDS:
        raise SettingsError("rewards", f"knows no {name!r}; choose of {', '.join(REWARDS)}")
    try:
        return REWARDS[name].options.model_validate(options)
    except ValidationError as error:
        fault = first_fault(error)
        raise SettingsError(f"reward_options.{name}.{fault.field}", str(fault)) from None


def make_rewards(
    shared: Shared, names: Mapping[str, float], options: Mapping[str, Options]
) -> dict[str, Reward]:
    """Build rewards.

    Args:
        shared: What they share.
        names: Name to weight; those of weight 0 are built too, to be logged.
        options: For each name, what is set for it.

    Raises:
        SettingsError: A reward or one of its options is unknown, or a chat model is needed and none is there.
    """
    for name in options:
        if name not in names:
            raise SettingsError(f"reward_options.{name}", "is set for a reward that is not used")
    read = {name: read_options(name, options.get(name, {})) for name in names}
    return {name: REWARDS[name].make(shared, chosen) for name, chosen in read.items()}
