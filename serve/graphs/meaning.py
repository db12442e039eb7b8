"""Search by meaning in LangGraph's store: what of a value is embedded, and which memories are nearest to a query."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from langgraph.store.base import get_text_at_path, tokenize_path

from ...tools.embedder import Embedder
from ...tools.memories import Memory, Spot

WHOLE = "$"
"""The path of a whole value."""

Found = tuple[float | None, Memory]
"""A memory and its cosine with the query; absent if it is not embedded."""


def texts_of(value: Mapping[str, Any], paths: Sequence[str]) -> dict[str, str]:
    """Return the texts of a value that are embedded, by a name within it.

    Examples:
        >>> texts_of({"title": "Lamp", "tags": ["blue", "old"]}, ["title", "tags[*]", "price"])
        {'title': 'Lamp', 'tags[*].0': 'blue', 'tags[*].1': 'old'}
    """
    found: dict[str, str] = {}
    for path in paths:
        texts = get_text_at_path(dict(value), path if path == WHOLE else tokenize_path(path))
        names = [path] if len(texts) == 1 else [f"{path}.{ix}" for ix in range(len(texts))]
        # Half of a surrogate pair, as a cut text may end with, is nothing that an encoder can read.
        found.update(
            (name, text.encode("utf-8", "replace").decode()) for name, text in zip(names, texts, strict=True)
        )
    return found


async def vectors_of(embedder: Embedder, texts: Sequence[Mapping[str, str]]) -> list[dict[str, bytes]]:
    """Embed several values' texts at once; returns little-endian float32 by the same names."""
    flat = list(dict.fromkeys(text for named in texts for text in named.values()))
    if not flat:
        return [{} for _ in texts]
    rows = np.asarray(await embedder.embed(flat), dtype="<f4")
    at = {text: rows[ix].tobytes() for ix, text in enumerate(flat)}
    return [{name: at[text] for name, text in named.items()} for named in texts]


def nearest(
    query: "np.ndarray[Any, np.dtype[np.float32]]",
    candidates: Sequence[Memory],
    vectors: Mapping[Spot, Sequence[bytes]],
    *,
    offset: int,
    limit: int,
) -> list[Found]:
    """Rank memories by the nearest of their texts; those without any follow, unscored, as far as there is room.

    Args:
        query: Unit-norm vector, shape `(dimension,)`.
        candidates: What may be found.
        vectors: Unit-norm vectors of what is embedded.
        offset: Scored memories to leave out.
        limit: Most memories to return.
    """
    scored = [memory for memory in candidates if vectors.get(memory.spot)]
    scores = [
        float(
            np.max(np.frombuffer(b"".join(vectors[memory.spot]), dtype="<f4").reshape(-1, len(query)) @ query)
        )
        for memory in scored
    ]
    order = sorted(range(len(scored)), key=lambda place: -scores[place])
    kept: list[Found] = [(scores[place], scored[place]) for place in order[offset : offset + limit]]
    plain = [memory for memory in candidates if not vectors.get(memory.spot)]
    return [*kept, *((None, memory) for memory in plain[: limit - len(kept)])]
