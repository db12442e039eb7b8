"""Specs and options of systems, from the words of a command line to checked values.

A system declares its options as a record; the string under a field is the help that `limner eval systems` prints.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from ..errors import SettingsError
from ..faults import first_fault
from ..records import Record

OptionsT = TypeVar("OptionsT", bound=Record)

NEAR = 0.6
"""Share of a name's letters that a misspelling keeps."""


class NoOptions(Record):
    """Nothing can be set."""


class Spec(NamedTuple):
    """What `NAME:key=value,key=value` says."""

    name: str
    options: dict[str, str]


def read_spec(spec: str) -> Spec:
    """Take a spec apart.

    Raises:
        SettingsError: An option has no value, or is given twice.

    Examples:
        >>> read_spec("profile:writer=ollama/llama3:8b")
        Spec(name='profile', options={'writer': 'ollama/llama3:8b'})
    """
    return Spec(name_in(spec), read_pairs(spec, spec.partition(":")[2]))


def name_in(spec: str) -> str:
    """Return the name alone."""
    return spec.partition(":")[0].strip()


def read_pairs(spec: str, typed: str) -> dict[str, str]:
    """Read `key=value,key=value`, a part of a spec.

    Raises:
        SettingsError: An option has no value, or is given twice.
    """
    pairs: dict[str, str] = {}
    for pair in (part.strip() for part in typed.split(",") if part.strip()):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value) or name in pairs:
            reason = "is given twice" if name in pairs else "is not `key=value`"
            raise SettingsError("system", f"{pair!r} in {spec!r} {reason}; write `NAME:key=value,key=value`")
        pairs[name] = value
    return pairs


def read_options(model: type[OptionsT], system: str, options: Mapping[str, str]) -> OptionsT:
    """Check a system's options.

    Args:
        model: Its options, each with a default.
        system: Its name in a spec.
        options: As they were typed.

    Raises:
        SettingsError: A name is unknown or a value is out of range; the message lists what is possible.
    """
    for name in options:
        if name not in model.model_fields:
            raise SettingsError(f"{system}:{name}", unknown(name, tuple(model.model_fields), "options"))
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        fault = first_fault(error)
        raise SettingsError(f"{system}:{fault.field}", str(fault)) from error


def given_or(options: Record, name: str, learned: float | None) -> float:
    """Return a setting that was given; else what was learned, else the setting's default."""
    value: float = getattr(options, name)
    return value if name in options.model_fields_set else learned or value


def unknown(name: str, known: tuple[str, ...], what: str) -> str:
    """Say that a name is unknown, with the nearest known one and the list of all.

    Examples:
        >>> unknown("widnow", ("window", "decay"), "options")
        'is unknown; did you mean `window`? The options are window, decay'
        >>> unknown("x", (), "options")
        'is unknown; there are no options'
    """
    if not known:
        return f"is unknown; there are no {what}"
    near = get_close_matches(name, known, n=1, cutoff=NEAR)
    guess = f"did you mean `{near[0]}`? " if near else ""
    return f"is unknown; {guess}{'T' if guess else 't'}he {what} are {', '.join(known)}"


def named(system: str, options: Record, *, defaults: bool = False) -> str:
    """Return a system's name in tables: its spec with the options that were given.

    Args:
        system: Its name in a spec.
        options: As read.
        defaults: Whether to name a given value that equals the default, where leaving it out means something else.

    Examples:
        >>> class Options(Record):
        ...     window: int = 5
        >>> named("seqknn", Options()), named("seqknn", Options(window=7))
        ('seqknn', 'seqknn:window=7')
        >>> named("seqknn", Options(window=5)), named("seqknn", Options(window=5), defaults=True)
        ('seqknn', 'seqknn:window=5')
    """
    given = options.model_dump(exclude_unset=True, exclude_defaults=not defaults)
    return f"{system}:{','.join(f'{key}={value}' for key, value in given.items())}" if given else system
