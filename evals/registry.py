"""From what is typed after `--system` to a system.

A spec is `NAME[:key=value,…]`. Several joined by ` + ` are mixed by late fusion, whose own options are given as one
more part, `fusion:by=history + seqknn + history`. A system of one's own is `path/to/file.py::Class` or
`package.module::Class`; its options become keyword arguments, read as its constructor declares them, and a
parameter called `workspace` is given the workspace.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from ..errors import SettingsError
from ..records import Record
from .options import name_in, read_options, read_pairs, read_spec, unknown
from .own_systems import build_own
from .system import System
from .systems.fusion import Fusion, FusionOptions
from .workspace import Workspace

JOINT = re.compile(r"\s+\+\s+")

_OWN = re.compile(r"[^=]*?::")


class Entry(NamedTuple):
    """Where a system is made."""

    factory: str
    """`module:function` under `systems`; takes the options as typed, and the workspace."""

    options: str
    """`module:class` under `systems`: the record of the options."""

    help: str
    """One line."""


TABLE: Mapping[str, Entry] = {
    "popularity": Entry("popularity:make_popularity", "popularity:NoOptions", "how often an item was chosen"),
    "random": Entry("popularity:make_random", "popularity:NoOptions", "chance, seeded"),
    "id-order": Entry(
        "id_order:make_id_order",
        "id_order:NoOptions",
        "probe: numbers right after the history's largest",
    ),
    "bigram": Entry(
        "popularity:make_bigram", "popularity:BigramOptions", "what came right after the last item"
    ),
    "seqknn": Entry("seqknn:make", "seqknn:SeqKnnOptions", "neighbours in others' sequences, and attributes"),
    "itemknn": Entry("collaborative:make_itemknn", "collaborative:ItemKnnOptions", "items of the same users"),
    "als": Entry("collaborative:make_als", "collaborative:AlsOptions", "alternating least squares"),
    "bpr": Entry("collaborative:make_bpr", "collaborative:BprOptions", "Bayesian personalised ranking"),
    "sasrec": Entry("sasrec:make", "sasrec:SasRecOptions", "self-attention, full-softmax cross-entropy"),
    "recommend": Entry(
        "recommend:make", "recommend:RecommendOptions", "what `limner recommend` ranks by, calibrated fusion"
    ),
    "bm25": Entry("bm25:make", "bm25:Bm25Options", "words of the history in texts of items"),
    "group": Entry("group:make", "group:GroupOptions", "what like-minded users had, by groups or by a graph"),
    "history": Entry("history:make_history", "history:HistoryOptions", "H: raw history under an encoder"),
    "profile": Entry("portrait:make_profile", "portrait:PortraitOptions", "P: Limner's portraits"),
    "zero-shot": Entry("portrait:make_zero_shot", "portrait:ZeroShotOptions", "P: one plain completion"),
    "judged": Entry("judged:make_judged", "judged:JudgedOptions", "P: the draft a language model likes best"),
    "random-profile": Entry(
        "portrait:make_random_profile", "portrait:PortraitOptions", "somebody else's portrait"
    ),
    "history-profile": Entry(
        "history_portrait:make_history_profile",
        "history_portrait:HistoryPortraitOptions",
        "10H+P: newest items and portrait",
    ),
}
"""Every system that has a name."""

FUSION = "fusion"
FUSION_HELP = "weights of several systems, fitted on validation users: `A + B`"


class OptionHelp(Record):
    """One option of a system."""

    name: str
    """Key in a spec."""

    default: str
    """Value if it is left out."""

    help: str
    """What it does."""


class SystemHelp(Record):
    """One system."""

    name: str
    """Name in a spec."""

    help: str
    """One line."""

    options: tuple[OptionHelp, ...]
    """What can be set."""

    def __str__(self) -> str:
        """Return what a person reads: the system, and under it a line an option."""
        lines = [f"  {each.name}={each.default}  {each.help}" for each in self.options]
        return "\n".join([f"{self.name}  {self.help}", *lines])


def build(spec: str, workspace: Workspace) -> System:
    """Make a system, not fitted yet.

    Raises:
        SettingsError: The spec cannot be read, a name or option is unknown, or a value is out of range.
        MissingExtraError: The system needs a library that is not installed.
    """
    parts = [part for part in JOINT.split(spec.strip()) if part]
    mixing = [part for part in parts if name_in(part) == FUSION]
    systems = [part for part in parts if name_in(part) != FUSION]
    if len(parts) == 1 and not mixing:
        return _build_one(parts[0], workspace)
    if len(systems) < 2 or len(mixing) > 1 or len(set(systems)) < len(systems):
        raise SettingsError("system", f"{spec!r} must join two or more different systems with ` + `")
    options = read_options(FusionOptions, FUSION, read_spec(mixing[0]).options if mixing else {})
    return Fusion([_build_one(part, workspace) for part in systems], options, workspace.notice)


def describe() -> tuple[SystemHelp, ...]:
    """Return every system that has a name, with its options."""
    listed = [
        SystemHelp(name=name, help=entry.help, options=_help_of(_find(entry.options)))
        for name, entry in TABLE.items()
    ]
    return (*listed, SystemHelp(name=FUSION, help=FUSION_HELP, options=_help_of(FusionOptions)))


def _build_one(spec: str, workspace: Workspace) -> System:
    if found := _OWN.match(spec):
        name, _, typed = spec[found.end() :].partition(":")
        return build_own(found[0][:-2], name, read_pairs(spec, typed), workspace)
    name, options = read_spec(spec)
    if name not in TABLE:
        raise SettingsError("system", f"{name!r} {unknown(name, (*TABLE, FUSION), 'systems')}")
    make: Callable[[Mapping[str, str], Workspace], System] = _find(TABLE[name].factory)
    return make(options, workspace)


def _find(place: str) -> Any:  # whatever the table names: a factory or a record
    module, _, name = place.partition(":")
    return getattr(import_module(f".systems.{module}", __package__), name)


def _help_of(model: type[Record]) -> tuple[OptionHelp, ...]:
    return tuple(
        OptionHelp(name=name, default=str(field.default), help=" ".join((field.description or "").split()))
        for name, field in model.model_fields.items()
    )
