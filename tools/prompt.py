"""Prompts as files: front matter, a template for each role, and strict rendering."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

import frontmatter  # pyright: ignore[reportMissingTypeStubs]  # ships no stubs
from jinja2 import Environment, StrictUndefined, Template, meta

from ..records import Message

Role = Literal["system", "user", "assistant"]

_ENVIRONMENT = Environment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=False,
    autoescape=False,
)
_HEADING = re.compile(r"^## (system|user|assistant)\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt file."""

    id: str
    """The file's stem."""

    version: int
    """Bumped on any change of wording; logged with every call."""

    output: str
    """Name of what the answer is parsed into."""

    inputs: tuple[str, ...]
    """Names the templates use, sorted."""

    changed: str
    """What the newest version changed, and the number that moved."""

    sections: tuple[tuple[Role, str], ...]
    """Role and template, in order."""

    def placeholders(self) -> tuple[str, ...]:
        """Return the names that the templates really use, sorted."""
        names: set[str] = set()
        for _, source in self.sections:
            names |= meta.find_undeclared_variables(_ENVIRONMENT.parse(source))
        return tuple(sorted(names))

    def render(self, **inputs: object) -> tuple[Message, ...]:
        """Fill the templates; each role is rendered by itself and holds no mark of a chat template, so data
        cannot open a new one.

        Raises:
            jinja2.UndefinedError: An input is missing.
        """
        return tuple(
            Message(role=role, content=_disarmed(_compiled(source).render(**inputs).strip()))
            for role, source in self.sections
        )


def _disarmed(text: str) -> str:
    """Break up marks such as `<|im_start|>`: llama.cpp reads them as turns wherever they stand."""
    return text.replace("<|", "< |").replace("|>", "| >")


@cache
def _compiled(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)


@cache
def load_prompt(name: str) -> Prompt:
    """Read `prompts/NAME.md`.

    Raises:
        FileNotFoundError: There is no such prompt.
        KeyError: Its front matter lacks a field.
    """
    text = (files("limner") / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    header, body = frontmatter.parse(text)
    pieces = _HEADING.split(body)
    sections = tuple(
        (cast(Role, role), template.strip())
        for role, template in zip(pieces[1::2], pieces[2::2], strict=True)
    )
    return Prompt(
        id=str(header["id"]),
        version=int(str(header["version"])),
        output=str(header["output"]),
        inputs=tuple(sorted(cast(list[str], header["inputs"]))),
        changed=str(header["changed"]),
        sections=sections,
    )


def prompt_names() -> list[str]:
    """Return the names of all prompts, sorted."""
    folder = files("limner") / "prompts"
    return sorted(entry.name[:-3] for entry in folder.iterdir() if entry.name.endswith(".md"))
