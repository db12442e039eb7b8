"""How the documentation is built: `make docs`. Nothing is fetched, by the build or by the pages."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from limner import __version__

project = "Limner"
copyright = "the authors of Limner, Apache-2.0"  # Sphinx's name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = f"Limner {__version__}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

default_role = "code"  # docstrings have Markdown's single backticks
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "exclude-members": "model_config, model_post_init, settings_customise_sources",
}
autodoc_mock_imports: list[str] = []
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]
python_maximum_signature_line_length = 100

COMMANDS = Path(__file__).parent / "reference" / "commands.md"


def _commands(group: Any, path: str) -> list[str]:
    """Return the reference of a command and of those below it, in Markdown."""
    lines = [f"{'#' * (1 + len(path.split()))} {path}".replace("# limner ", "# "), ""]
    lines += ["```text", _help(group, path), "```", ""]
    for name, command in sorted(getattr(group, "commands", {}).items()):
        lines += _commands(command, f"{path} {name}")
    return lines


def _help(command: Any, path: str) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    words = "\n".join(line.strip() for line in (command.help or "").splitlines())
    records = [parameter.get_help_record(context) for parameter in command.params]
    options = [f"  {names}\n      {told}" for names, told in filter(None, records)]
    return "\n".join([usage, "", words.strip(), *(["", *options] if options else [])])


def _write_commands(_app: object) -> None:
    from typer.main import get_command

    from limner.cli import app

    told = "\n".join(
        ["# Commands", "", "What `--help` says, in one page.", "", *_commands(get_command(app), "limner")]
    )
    if not COMMANDS.exists() or COMMANDS.read_text("utf-8") != told:  # an unchanged page is not built again
        COMMANDS.write_text(told, "utf-8")


class _Fields:
    """Keeps Napoleon from taking what stands before a field's first colon, as in an address, for its type."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def keep(
        self, _app: object, _what: str, _name: str, _of: object, _options: object, lines: list[str]
    ) -> None:
        """Remember a docstring as it was written."""
        self._lines = list(lines)

    def give_back(
        self, _app: object, what: str, _name: str, _of: object, _options: object, lines: list[str]
    ) -> None:
        """Put a field's docstring back; it has no sections that Napoleon should read."""
        if what == "attribute":
            lines[:] = self._lines


def _without_fields(
    _app: object, what: str, _name: str, of: object, _options: object, signature: str, returned: str
) -> tuple[str, str] | None:
    """Leave out a model's signature: its fields stand below it, with their documentation."""
    return ("", "") if what == "class" and isinstance(of, type) and issubclass(of, BaseModel) else None


def setup(app: Any) -> None:
    """Write the page of the commands before anything is read, and have docstrings read as they are meant."""
    fields = _Fields()
    app.connect("builder-inited", _write_commands)
    app.connect("autodoc-process-signature", _without_fields)
    app.connect("autodoc-process-docstring", fields.keep, priority=400)  # Napoleon comes at 500
    app.connect("autodoc-process-docstring", fields.give_back, priority=600)
