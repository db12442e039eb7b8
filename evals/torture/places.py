"""Where a torture takes place: a folder on a disk that can be filled up, and perhaps a PostgreSQL server that can be stopped."""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

_NEWNS, _PRIVATE, _REC, _DETACH = 0x20000, 1 << 18, 1 << 14, 2
DISK_MB = 384
ROOM = 64 << 10
"""Bytes left on a disk that is full."""

_FILLER = "filler"


class Disk:
    """A small disk in memory, where this process may have one; it is gone with the process.

    Args:
        folder: Where it is; empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.small = _mount(folder)

    def fill(self) -> None:
        """Leave almost no room."""
        if not self.small:
            return
        free = os.statvfs(self.folder)
        size = free.f_bavail * free.f_bsize - ROOM
        with (self.folder / _FILLER).open("wb") as file:
            while size > 0:
                try:
                    return os.posix_fallocate(file.fileno(), 0, size)
                except OSError:  # a disk in memory counts its free blocks only about
                    size -= ROOM

    def close(self) -> None:
        """Give it back with all that is on it."""
        if self.small:
            ctypes.CDLL(None).umount2(os.fsencode(self.folder), _DETACH)

    def free(self) -> None:
        """Make room again."""
        (self.folder / _FILLER).unlink(missing_ok=True)


def _mount(folder: Path) -> bool:
    """Mount a disk that only this process and its children see; return whether that is allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or not hasattr(libc, "unshare") or libc.unshare(_NEWNS) != 0:
        return False
    if libc.mount(b"none", b"/", None, _REC | _PRIVATE, None) != 0:
        return False
    return bool(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={DISK_MB}m".encode()) == 0)


class Postgres:
    """A PostgreSQL server of one's own.

    Args:
        folder: Where it keeps everything; new.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, _programs()
        self._port = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def begin(self) -> None:
        """Make it, and start it for the first time."""
        self._folder.mkdir()
        self._folder.chmod(0o777)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1 -c max_connections=80"
        self._run("pg_ctl", "-D", self._data, "-l", f"{self._folder}/log", "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop it as a crash does: nothing is finished."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *words: str) -> None:
        as_user: Sequence[str] = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self._programs / program), *words]
        subprocess.run(command, cwd="/", check=True, capture_output=True)


def has_postgres() -> bool:
    """Whether PostgreSQL's programs are on this machine."""
    try:
        return _programs().is_dir()
    except FileNotFoundError:
        return False


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        FileNotFoundError: They are nowhere.
    """
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    found += [path for path in [shutil.which("initdb")] if path]
    if not found:
        raise FileNotFoundError("PostgreSQL's programs are not on this machine")
    return Path(found[-1]).resolve().parent


def damage(index: Path, where: float) -> None:
    """Damage an index: cut its database, or write over its beginning, or lose a part of it."""
    files = sorted(file for file in index.rglob("*") if file.is_file() and file.stat().st_size)
    database = index / "chroma.sqlite3"
    if not files or not database.exists():
        return
    if where < 1 / 3:
        os.truncate(database, database.stat().st_size // 2)
    elif where < 2 / 3:
        with database.open("r+b") as file:
            file.write(b"\0" * 4096)
    else:
        files[int(where * len(files)) % len(files)].unlink()
