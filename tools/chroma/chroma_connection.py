"""Opening Chroma: an embedded folder that one process owns, or a server by URL.

The embedded index is not made for two processes: with two writers, even taking turns under a lock, its
vectors came out unreadable, and a reader misses what the writer added. So the folder is locked for as long
as it is open. Several tenants of one process share it.
"""

import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from ...errors import SettingsError, StoreError
from .chroma_scrub import blank_unused_slots

if TYPE_CHECKING:
    import httpx
    from chromadb.api.client import Client
    from chromadb.config import Settings as ChromaSettings
    from filelock import BaseFileLock

REQUEST_SECONDS = 60.0
"""A server that does not answer within this time counts as out of reach."""

_FULL = "disk is full"
_NO_ROOM = "make room and try again"
REBUILD = "run `limner reindex` to rebuild it from the database"


@dataclass(frozen=True, kw_only=True)
class ChromaConnection:
    """An open client and where it leads."""

    client: "Client"
    place: str
    """Folder or URL without credentials, for messages."""

    remote: bool
    """Whether other processes may write to it as well."""

    close: Callable[[], None]
    """Let go of client and lock; call it once."""

    marks: dict[str, str] | None = None
    """Newest mark of each collection that this process has written to, shared by all connections to one folder;
    absent for a server, where marks lie in the collections."""


@contextmanager
def chroma_errors(place: str) -> Generator[None]:
    """Turn whatever Chroma raises into `StoreError`, except a missing collection.

    Raises:
        StoreError: The index is damaged, gone or out of reach.
        chromadb.errors.NotFoundError: The collection was deleted since it was opened.
    """
    import httpx
    from chromadb.errors import ChromaError, NotFoundError

    try:
        yield
    except NotFoundError:
        raise
    except httpx.HTTPError as error:
        raise StoreError(place, f"{type(error).__name__}: {error}; is the Chroma server up?") from error
    except (ChromaError, OSError) as error:
        told = _NO_ROOM if _FULL in str(error) else REBUILD
        raise StoreError(place, f"{error}; {told}") from error
    except BaseException as error:
        # Chroma's Rust core panics on some damaged files; its exception derives from BaseException alone.
        if type(error).__name__ != "PanicException":
            raise
        raise StoreError(place, f"{error}; {REBUILD}") from error


class _Folders:
    """The folders this process has open: one lock each, counted."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[Path, tuple[BaseFileLock, int]] = {}
        self._marks: dict[Path, dict[str, str]] = {}

    def marks(self, folder: Path) -> dict[str, str]:
        """Return the marks of an open folder's collections."""
        return self._marks.setdefault(folder, {})

    def open(self, folder: Path, wait: float, *, rebuild: bool) -> "Client":
        """Lock the folder and open a client; the guard is held because Chroma's registry has none."""
        with self._guard:
            self._acquire(folder, wait)
            try:
                return _open_folder(folder, rebuild=rebuild and self._held[folder][1] == 1)
            except BaseException:
                self._release(folder)
                raise

    def close(self, folder: Path, client: "Client") -> None:
        """Close a client; the last one unlocks the folder."""
        with self._guard:
            try:
                client.close()
                if self._held[folder][1] == 1 and folder.is_dir():
                    blank_unused_slots(folder)
            finally:
                self._release(folder)

    def _acquire(self, folder: Path, wait: float) -> None:
        from filelock import FileLock, Timeout

        if folder in self._held:
            lock, users = self._held[folder]
            self._held[folder] = lock, users + 1
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.parent / f"{folder.name}.lock", timeout=wait, thread_local=False)
            lock.acquire(poll_interval=0.05)
        except Timeout as error:
            reason = (
                "another process has it open, and an embedded index belongs to one process at a time; stop that "
                "process, ask it over HTTP (`limner serve`, `limner mcp --http`), or run `chroma run` and set "
                "`chroma_url` for all of them"
            )
            raise StoreError(str(folder), reason) from error
        except OSError as error:
            raise StoreError(str(folder), f"{error}; choose another folder with `store`") from error
        self._held[folder] = lock, 1

    def _release(self, folder: Path) -> None:
        lock, users = self._held.pop(folder)
        if users > 1:
            self._held[folder] = lock, users - 1
        else:
            self._marks.pop(folder, None)
            lock.release()


_FOLDERS = _Folders()


def connect(folder: Path, chroma_url: str | None, *, wait: float, rebuild: bool) -> ChromaConnection:
    """Open the server at `chroma_url`, or else the index in `folder`.

    Args:
        folder: Where the embedded index lies; made if it is missing.
        chroma_url: `http://host:port` of a server.
        wait: Seconds to wait for a folder that another process has open.
        rebuild: Empty a folder that cannot be opened instead of raising.

    Raises:
        StoreError: The folder is damaged or in use, or the server does not answer.
        SettingsError: `chroma_url` is not a URL.
    """
    if chroma_url is not None:
        return _connect_server(chroma_url)
    home = folder.resolve()
    client = _FOLDERS.open(home, wait, rebuild=rebuild)
    return ChromaConnection(
        client=client,
        place=str(home),
        remote=False,
        close=lambda: _FOLDERS.close(home, client),
        marks=_FOLDERS.marks(home),
    )


def _open_folder(folder: Path, *, rebuild: bool) -> "Client":
    try:
        with chroma_errors(str(folder)):
            return _embedded(folder)
    except StoreError:
        _drop_half_started(folder)
        if not rebuild:
            raise
    shutil.rmtree(folder)
    with chroma_errors(str(folder)):
        return _embedded(folder)


def _embedded(folder: Path) -> "Client":
    import chromadb

    client = chromadb.PersistentClient(folder, settings=_client_settings())
    return cast("Client", client)  # declared as an abstract class that lacks `close`


def _connect_server(url: str) -> ChromaConnection:
    import chromadb

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("chroma_url", f"must look like `http://host:port`, got {url!r}")
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    with chroma_errors(place):
        try:
            client = cast(  # declared as an abstract class that lacks `close`
                "Client", chromadb.HttpClient(url.rstrip("/"), settings=_client_settings())
            )
        except ValueError as error:  # how Chroma reports a refused connection
            raise StoreError(place, f"{error} Start it, or unset `chroma_url`") from error
    sessions = _sessions_of(client)
    for session in sessions:
        session.timeout = REQUEST_SECONDS

    def close() -> None:
        client.close()
        for session in sessions:
            session.close()

    return ChromaConnection(client=client, place=place, remote=True, close=close)


def _sessions_of(client: "Client") -> "list[httpx.Client]":
    """Return the HTTP sessions, which Chroma leaves open on `close` and gives no time limit."""
    owners: list[object] = [client, vars(client)["_admin_client"]]  # there is no public way to them
    return [vars(vars(owner)["_server"])["_session"] for owner in owners]


def _client_settings() -> "ChromaSettings":
    """Settings that no `.env` file and no variable meant for a server can bend."""
    from chromadb.config import Settings as ChromaSettings

    return ChromaSettings(
        _env_file=None,
        anonymized_telemetry=False,
        chroma_api_impl="chromadb.api.rust.RustBindingsAPI",
        chroma_server_host=None,
        chroma_server_http_port=None,
    )


def _drop_half_started(folder: Path) -> None:
    """Forget a system that failed to start; Chroma keeps it and would hand it to the next client."""
    from chromadb.api.shared_system_client import SharedSystemClient

    SharedSystemClient._identifier_to_system.pop(str(folder), None)  # pyright: ignore[reportPrivateUsage]  # no public way
    SharedSystemClient._identifier_to_refcount.pop(str(folder), None)  # pyright: ignore[reportPrivateUsage]  # no public way
