"""What every test lives under: no network but loopback, no settings from outside, an empty working folder."""

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import cast

import pytest

# Read by litellm and huggingface_hub when they are imported, hence before any test module is.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["HF_HUB_OFFLINE"] = "1"

# The one setting that may come from outside: where a machine keeps its weights.
MODELS_DIR = os.environ.get("LIMNER_MODELS_DIR")
for _name in [name for name in os.environ if name.startswith("LIMNER_")]:
    del os.environ[_name]

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ("smollm2-135m.gguf", "minilm")
POSTGRES = Path("/usr/lib/postgresql/15/bin")
LOOK_UPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
CONNECTIONS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
LIVE_CALLS: list[str] = []
_database_names = (f"limner_{number}" for number in count())


class LiveCallError(RuntimeError):
    """A test tried to leave this machine."""


def _host_of(event: str, args: tuple[object, ...]) -> object:
    """Return the host an audited socket call is about; `None` if it names none."""
    if event in LOOK_UPS:
        return args[0]
    address = args[1]
    # An Internet address is a tuple of host, port and more; a Unix socket's is a path.
    return cast(tuple[object, ...], address)[0] if isinstance(address, tuple) else None


def _is_loopback(host: object) -> bool:
    """Whether a host is this machine; Unix sockets and unnamed hosts are."""
    name = host.decode() if isinstance(host, bytes) else host
    if not isinstance(name, str) or name in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_live_calls(event: str, args: tuple[object, ...]) -> None:
    """Stop a socket call to another machine and remember it, in case the caller swallows the error."""
    if event not in LOOK_UPS and event not in CONNECTIONS:
        return
    host = _host_of(event, args)
    if not _is_loopback(host):
        LIVE_CALLS.append(f"{event} {host!r}")
        raise LiveCallError(f"{event} to {host!r}: tests reach nothing but loopback")


sys.addaudithook(_refuse_live_calls)


@pytest.fixture(autouse=True)
def _no_live_calls() -> Iterator[None]:
    """Fail the test that tried to leave the machine, even if the code under test hid the error."""
    before = len(LIVE_CALLS)
    yield
    attempts = LIVE_CALLS[before:]
    assert not attempts, f"live calls: {attempts}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for any live call, also at import, in a doctest or in a session's fixture."""
    if LIVE_CALLS:
        print(f"\nlive calls: {LIVE_CALLS}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder: no `limner.toml` is read by chance, nothing is written into the checkout."""
    monkeypatch.chdir(tmp_path)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run by hand name another model than the smallest one."""
    parser.addoption(
        "--injected-model", help="embedded model to try injections on, such as limner/qwen-coder-1.5b"
    )
    parser.addoption("--injected-cases", type=int, default=4, help="how many of the injections to try on it")
    parser.addoption(
        "--poisoned-set", type=Path, help="folder of a real set to poison, with items and interactions"
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the embedded model's and the encoder's weights."""
    from limner.settings import Settings

    default = Settings.model_fields["models_dir"].default
    folder = Path(MODELS_DIR) if MODELS_DIR else Path(default)
    missing = [name for name in WEIGHTS if not (folder / name).exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} not in {folder}: run `limner models fetch smollm2-135m minilm`")
    return folder


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """The invented sample that ships with the package."""
    return ROOT / "src" / "limner" / "sample"


def _as_server(*command: str | Path) -> None:
    """Run one of PostgreSQL's programs; they refuse to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*user, *map(str, command)], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server, without a database's name."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if not (POSTGRES / "initdb").exists():
        pytest.skip(f"PostgreSQL's programs are not in {POSTGRES}")
    folder = Path(tempfile.mkdtemp(prefix="limner-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"
    try:
        _as_server(POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        # Without a log file the server keeps our pipe open and this never returns.
        _as_server(POSTGRES / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            _as_server(POSTGRES / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres_server: str) -> str:
    """URL of a new, empty database."""
    import psycopg

    name = next(_database_names)
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres_server}/{name}"


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Chroma server; tests share it, each with tenants of its own."""
    folder, port = tmp_path_factory.mktemp("chroma-server"), _free_port()
    command = [sys.executable, "-c", "from chromadb.cli.cli import app; app()"]
    options = ["run", "--path", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=folder) as server,
    ):
        try:
            deadline = time.monotonic() + 60
            while not _answers(port):
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "the Chroma server did not come up in a minute"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """Twenty users who walk five steps along a ring of ten items, each from another place."""
    folder = tmp_path / "ring"
    folder.mkdir()
    lines = [
        {"user_id": f"u{user}", "item_ids": [f"i{(user + step) % 10}" for step in range(5)]}
        for user in range(20)
    ]
    items = [{"item_id": f"i{number}", "title": f"Thing {number}"} for number in range(10)]
    (folder / "sequences.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return folder


@pytest.fixture(scope="session")
def lamps() -> tuple[str, ...]:
    """Titles of twelve items that share one word."""
    words = "amber birch copper dusk ember fjord garden harbor iris jewel kayak linen"
    return tuple(f"{word} lamp" for word in words.split())
