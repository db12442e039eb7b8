"""One Chroma collection of one encoder, with an exact copy of its vectors in memory while it is small.

Chroma keeps the vectors. Reading 500 of them back takes tens of milliseconds and its search is approximate
and differs from build to build, so up to `exact_limit` vectors are held in memory and scanned. Above that,
Chroma searches. Not safe for use by several threads at once.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderChangedError, StoreError
from ..catalogue import Hit
from ..embedder import FloatArray
from ..vector_table import LabelledTable, Row, VectorTable
from .chroma_connection import ChromaConnection, chroma_errors
from .chroma_scrub import FORGOTTEN, rewrite_collection

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection as ChromaCollection

PAGE = 2000
"""Rows read at once: bounded memory, and within every server's limits."""

Answer = TypeVar("Answer")


class Encoder(NamedTuple):
    """Whose vectors a collection holds."""

    name: str
    dimension: int

    def __str__(self) -> str:
        return f"{self.name} ({self.dimension}-d)"


class _Page(NamedTuple):
    """Some entries of a collection."""

    ids: list[str]
    vectors: FloatArray
    rows: list[Row]


class ChromaShelf:
    """Vectors with a row of strings each, by id, under one encoder.

    Every method but `delete_group`, `forget`, `rewrite` and `reset` raises `EncoderChangedError` if the collection holds vectors
    of another encoder, and every method raises `StoreError` if Chroma cannot be used.
    """

    def __init__(
        self,
        connection: ChromaConnection,
        name: str,
        encoder: Encoder,
        *,
        exact_limit: int,
        recheck: float,
        group_by: str | None = None,
    ) -> None:
        self._connection = connection
        self._name = name
        self._encoder = encoder
        self._exact_limit = exact_limit
        self._recheck = recheck
        self._group_by = group_by
        self._collection: ChromaCollection | None = None
        self._copy: LabelledTable | None = None
        self._ids: list[str] | None = None
        self._seen: tuple[str, str] | None = None
        self._next_check = 0.0

    def check(self) -> None:
        """Compare the collection with what is held in memory, and load what is new.

        Somebody else may have changed it: every write renews a mark. A server's collections carry theirs, and
        nothing is asked of it if the last look was less than `recheck` seconds ago; a folder belongs to this
        process, which keeps its marks in memory.
        """
        if self._collection is not None and self._is_current():
            return
        mark = self._local_mark()
        with chroma_errors(self._connection.place):
            self._collection = self._connection.client.get_or_create_collection(
                self._name,
                embedding_function=None,
                metadata=self._metadata(),
                configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200}},
            )
        metadata = self._collection.metadata or {}
        if (metadata.get("encoder"), metadata.get("dimension")) != self._encoder:
            indexed = f"{metadata.get('encoder', 'unknown')} ({metadata.get('dimension', '?')}-d)"
            self._collection = None
            raise EncoderChangedError(self._name, indexed, str(self._encoder))
        started = time.monotonic()
        seen = (str(self._collection.id), mark if mark is not None else str(metadata["revision"]))
        if seen != self._seen:
            self._ids, self._copy = None, None
            self._load()
            self._seen = seen
        # Somebody else may be writing for minutes: spend a tenth of the time on reloading at most.
        took = time.monotonic() - started
        self._next_check = time.monotonic() + self._recheck * max(1.0, 10.0 * took)

    def rows(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the strings kept with those ids that exist."""
        self.check()
        if self._copy is not None:
            held = self._copy.rows
            return {key: held[key] for key in ids if key in held}
        found = self._get(list(dict.fromkeys(ids)), with_vectors=False)
        return dict(zip(found.ids, found.rows, strict=True))

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """Return vectors in the order of `ids`.

        Raises:
            KeyError: An id is not there; its argument is that id.
        """
        self.check()
        if self._copy is None:
            found = self._get(list(dict.fromkeys(ids)))
            fetched = VectorTable(self._encoder.dimension)
            fetched.put(found.ids, found.vectors)
            return fetched.take(ids)
        missing = list(dict.fromkeys(key for key in ids if key not in self._copy.table))
        if missing:  # written elsewhere since the last look
            self._copy.put(*self._get(missing))
            self._ids = None
        return self._copy.table.take(ids)

    def ids(self) -> list[str]:
        """Return every id, sorted."""
        self.check()
        if self._copy is not None:
            return list(self._copy.table.ids)
        if self._ids is None:
            self._ids = sorted(key for page in self._pages(with_vectors=False) for key in page.ids)
        return list(self._ids)

    def search(self, vectors: FloatArray, k: int, *, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """Return the `k` nearest of each row, best first, without `exclude`."""
        self.check()
        if k < 1 or len(vectors) == 0:
            return [[] for _ in vectors]
        self._require_length(vectors)
        if self._copy is not None:
            return self._copy.table.search(vectors, k, exclude=exclude)
        barred = set(exclude)
        answer = self._call(
            lambda collection: collection.query(
                query_embeddings=_rows(vectors), n_results=k + len(barred), include=["distances"]
            )
        )
        distances = answer["distances"] or []
        return [
            [Hit(key, 1.0 - distance) for key, distance in zip(keys, row, strict=True) if key not in barred][
                :k
            ]
            for keys, row in zip(answer["ids"], distances, strict=True)
        ]

    def write(self, ids: Sequence[str], vectors: FloatArray, rows: Sequence[Row]) -> None:
        """Add or replace; durable when it returns. Ids must differ from each other."""
        if vectors.ndim != 2 or len(vectors) != len(ids):
            raise ValueError(f"`vectors` {vectors.shape} must have a row for each of {len(ids)} ids")
        if not ids:
            return
        self._require_length(vectors)
        self.check()
        with chroma_errors(self._connection.place):
            step = min(PAGE, self._connection.client.get_max_batch_size())
        for start in range(0, len(ids), step):
            self._upsert(ids[start : start + step], vectors[start : start + step], rows[start : start + step])
        if self._copy is not None:
            self._copy.put(ids, vectors, rows)
            if len(self._copy.table) > self._exact_limit:
                self._copy = None
        self._ids = None
        self._mark()

    def _require_length(self, vectors: FloatArray) -> None:
        """Refuse vectors that the encoder would not have made when the collection was opened."""
        if vectors.shape[1] != self._encoder.dimension:
            now = Encoder(self._encoder.name, vectors.shape[1])
            raise EncoderChangedError(self._name, str(self._encoder), str(now))

    def grouped(self, values: Collection[str]) -> list[str]:
        """Return the ids whose row has one of `values` in the field to group by."""
        self.check()
        if self._copy is not None:
            copy = self._copy
            return [key for value in values for key in copy.group(value)]
        return self._call(lambda collection: self._matching(collection, values))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; ids that are not there are passed over."""
        if not ids:
            return
        self.check()
        for start in range(0, len(ids), PAGE):
            self._drop(list(ids[start : start + PAGE]))
        if self._copy is not None:
            self._copy.drop(ids)
        self._ids = None
        self._mark()

    def delete_group(self, value: str) -> int:
        """Forget every entry with `value` in the field to group by, whoever encoded it; return how many."""
        return self._forget(lambda collection: self._matching(collection, [value]))

    def forget(self, ids: Collection[str]) -> int:
        """Forget entries, whoever encoded them; return how many there were."""
        wanted = sorted(ids)
        return self._forget(
            lambda collection: [
                key
                for at in range(0, len(wanted), PAGE)
                for key in collection.get(ids=wanted[at : at + PAGE], include=[])["ids"]
            ]
        )

    def forget_all(self) -> int:
        """Forget every entry, whoever encoded it; return how many there were."""
        return self._forget(lambda collection: collection.get(include=[])["ids"])

    def rewrite(self) -> None:
        """Write the collection anew if something of it was forgotten: Chroma leaves deleted vectors in its files."""
        with chroma_errors(self._connection.place):
            if rewrite_collection(self._connection.client, self._name):
                self._collection, self._copy, self._ids, self._seen = None, None, None, None
                self._mark_locally(uuid4().hex)

    def _forget(self, find: Callable[["ChromaCollection"], list[str]]) -> int:
        from chromadb.errors import NotFoundError

        with chroma_errors(self._connection.place):
            try:
                collection = self._connection.client.get_collection(self._name, embedding_function=None)
            except NotFoundError:
                return 0
            ids = find(collection)
            if not ids:
                return 0
            metadata = {**(collection.metadata or {}), FORGOTTEN: 1}
            collection.modify(metadata=metadata)  # before the rest, so that a kill in between leaves a trace
            for start in range(0, len(ids), PAGE):
                collection.delete(ids=ids[start : start + PAGE])
            mark, revision = self._local_mark(), uuid4().hex
            seen = (str(collection.id), mark if mark is not None else str(metadata.get("revision")))
            if not self._mark_locally(revision):
                collection.modify(metadata={**metadata, "revision": revision})
        if seen == self._seen:
            self._seen = (str(collection.id), revision)
            self._ids = None
            if self._copy is not None:
                self._copy.drop(ids)
        return len(ids)

    def reset(self) -> None:
        """Drop the collection; the next use makes an empty one."""
        from chromadb.errors import NotFoundError

        with chroma_errors(self._connection.place), suppress(NotFoundError):
            self._connection.client.delete_collection(self._name)
        self._mark_locally(uuid4().hex)
        self._collection, self._copy, self._ids, self._seen = None, None, None, None

    def _matching(self, collection: "ChromaCollection", values: Collection[str]) -> list[str]:
        if self._group_by is None or not values:
            return []
        where: Any = {self._group_by: {"$in": list(values)}}  # Chroma's own type for it refuses `list[str]`
        return collection.get(where=where, include=[])["ids"]

    def _metadata(self) -> dict[str, str | int]:
        return {
            "encoder": self._encoder.name,
            "dimension": self._encoder.dimension,
            "revision": uuid4().hex,
        }

    def _upsert(self, ids: Sequence[str], vectors: FloatArray, rows: Sequence[Row]) -> None:
        metadatas: list[Any] = [dict(row) for row in rows]
        self._call(lambda found: found.upsert(list(ids), embeddings=_rows(vectors), metadatas=metadatas))

    def _drop(self, ids: list[str]) -> None:
        self._call(lambda found: found.delete(ids))

    def _mark(self) -> None:
        """Renew the mark that tells others to look again."""
        metadata = self._metadata()
        if self._mark_locally(str(metadata["revision"])):
            self._seen = (str(self._handle().id), str(metadata["revision"]))
            return

        def mark(collection: "ChromaCollection") -> str:
            collection.modify(metadata=cast("dict[str, Any]", metadata))
            return str(collection.id)

        self._seen = (self._call(mark), str(metadata["revision"]))

    def _is_current(self) -> bool:
        """Whether nobody can have written since the last look, or it was a moment ago."""
        mark = self._local_mark()
        if mark is not None:
            return self._seen is not None and self._seen[1] == mark
        return time.monotonic() < self._next_check

    def _local_mark(self) -> str | None:
        """Return the collection's mark if this process keeps it."""
        marks = self._connection.marks
        return None if marks is None else marks.setdefault(self._name, uuid4().hex)

    def _mark_locally(self, revision: str) -> bool:
        """Renew the collection's mark if this process keeps it; return whether it does."""
        if self._connection.marks is None:
            return False
        self._connection.marks[self._name] = revision
        return True

    def _call(self, action: Callable[["ChromaCollection"], Answer]) -> Answer:
        """Act on the collection; if it was replaced meanwhile, on its successor of the same encoder."""
        from chromadb.errors import NotFoundError

        with chroma_errors(self._connection.place):
            try:
                return action(self._handle())
            except NotFoundError:
                self._collection = None
        self.check()
        with chroma_errors(self._connection.place):
            try:
                return action(self._handle())
            except NotFoundError as error:
                reason = f"{self._name} vanished twice; wait until `limner reindex` has finished elsewhere"
                raise StoreError(self._connection.place, reason) from error

    def _handle(self) -> "ChromaCollection":
        assert self._collection is not None, "`check` comes first"
        return self._collection

    def _load(self) -> None:
        if self._call(lambda collection: collection.count()) > self._exact_limit:
            return
        copy = LabelledTable(self._encoder.dimension, group_by=self._group_by)
        for page in self._pages(with_vectors=True):
            copy.put(*page)
        self._copy = copy

    def _pages(self, *, with_vectors: bool) -> Iterator[_Page]:
        offset = 0
        while True:
            page = self._read(limit=PAGE, offset=offset, with_vectors=with_vectors)
            if not page.ids:
                return
            yield page
            offset += len(page.ids)

    def _get(self, ids: Sequence[str], *, with_vectors: bool = True) -> _Page:
        """Fetch entries by ids, which must differ; those that do not exist are left out."""
        starts = range(0, len(ids), PAGE)
        pages = [self._read(ids=list(ids[at : at + PAGE]), with_vectors=with_vectors) for at in starts]
        vectors = [page.vectors for page in pages]
        return _Page(
            [key for page in pages for key in page.ids],
            np.concatenate(vectors) if vectors else np.empty((0, self._encoder.dimension), np.float32),
            [row for page in pages for row in page.rows],
        )

    def _read(
        self,
        *,
        with_vectors: bool,
        ids: list[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> _Page:
        answer = self._call(
            lambda collection: collection.get(
                ids=ids,
                limit=limit,
                offset=offset,
                include=["embeddings", "metadatas"] if with_vectors else ["metadatas"],
            )
        )
        vectors = np.asarray(answer["embeddings"] if with_vectors else [], dtype=np.float32)
        rows: list[Row] = [
            {key: str(value) for key, value in row.items()} for row in answer["metadatas"] or []
        ]
        return _Page(answer["ids"], vectors.reshape(-1, self._encoder.dimension), rows)


def _rows(vectors: FloatArray) -> "list[NDArray[np.int32 | np.float32]]":
    return list(vectors)
