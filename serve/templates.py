"""How pages are made from templates: everything is escaped, nothing may be missing, and what cannot be shown is dropped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent

_UNPRINTABLE = {code: None for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n\r"}


def open_templates(*folders: Path) -> Environment:
    """Return an environment that looks for templates in `folders`, then among those that pages share."""
    return Environment(
        loader=FileSystemLoader([*folders, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def encode_page(page: str) -> bytes:
    """Return a page as UTF-8, without control characters and halves of characters.

    Examples:
        >>> encode_page("a" + chr(0) + " b" + chr(0xD800))
        b'a b?'
    """
    return page.translate(_UNPRINTABLE).encode("utf-8", "replace")
