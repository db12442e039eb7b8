"""What `conftest.py` promises: no test leaves the machine, none reads the machine's settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIVE_TESTS = """
import socket

def swallowed(call):
    try:
        call()
    except Exception:
        pass

def test_loopback_is_reached():
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(("localhost", server.getsockname()[1])).close()
    server.close()

def test_connecting_fails():
    with socket.socket() as client:
        swallowed(lambda: client.connect(("192.0.2.1", 9)))

def test_sending_fails():
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        swallowed(lambda: client.sendto(b"x", ("192.0.2.1", 9)))

def test_looking_up_fails():
    swallowed(lambda: socket.getaddrinfo("example.org", 80))
"""


def _run_guarded(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a new interpreter under a copy of this folder's `conftest.py`."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_live.py").write_text(tests, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)


def test_a_live_call_fails_the_test_that_makes_it_even_if_the_error_is_swallowed(tmp_path: Path) -> None:
    done = _run_guarded(tmp_path, LIVE_TESTS)

    assert "4 passed, 3 errors" in done.stdout
    assert done.returncode == 1
    for name in ("connecting", "sending", "looking_up"):
        assert f"ERROR test_live.py::test_{name}_fails" in done.stdout


def test_a_live_call_at_import_fails_the_run(tmp_path: Path) -> None:
    tests = f"{LIVE_TESTS.partition('def test_connecting')[0]}\nswallowed(lambda: socket.gethostbyname('example.org'))\n"

    done = _run_guarded(tmp_path, tests)

    assert "1 passed" in done.stdout
    assert done.returncode == 1


def test_settings_of_the_machine_do_not_reach_the_tests() -> None:
    leaked = [name for name in os.environ if name.upper().startswith("LIMNER_")]

    assert leaked == []
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert Path.cwd() != ROOT
