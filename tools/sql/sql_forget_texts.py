"""Cached vectors of texts that are to be forgotten, found by what the texts were."""

import hashlib
from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, delete

from .sql_tables import vector_owners, vectors
from .sql_upserts import chunks

_CUTS = (60, 80, 120, 160, 240, 400)
"""Lengths at which words are cut before they are embedded."""


class Texts:
    """Texts whose vectors must go, as the keys that the cache knows them by."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def add(self, *texts: str | None) -> None:
        """Take in texts, as they are and as quotations of them are embedded."""
        for text in texts:
            if text:
                line = " ".join(text.split())
                self.keys.update(map(vector_key, {text, line, *(line[:cut] for cut in _CUTS)}))

    def add_all(self, document: object) -> None:
        """Take in every text of a JSON document."""
        if isinstance(document, str):
            self.keys.add(vector_key(document))
        elif isinstance(document, Mapping):
            for value in cast("Mapping[str, Any]", document).values():  # JSON
                self.add_all(value)
        elif isinstance(document, list):
            for value in document:  # pyright: ignore[reportUnknownVariableType]  # JSON
                self.add_all(value)


def vector_key(text: str) -> str:
    """Return the name under which the vector of a text is cached."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def forget_texts(connection: Connection, tenant: str, texts: Texts) -> int:
    """Remove cached vectors by key; return how many there were."""
    removed = 0
    for part in chunks(sorted(texts.keys)):
        for table in (vector_owners, vectors):
            gone = connection.execute(delete(table).where(table.c.tenant == tenant, table.c.key.in_(part)))
            removed += gone.rowcount if table is vectors else 0
    return removed
