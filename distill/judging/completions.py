"""Completions kept on disk while they are drawn, so that an interrupted comparison goes on where it was."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UnknownFormatError


class KeptCompletions:
    """Completions by key, in a file of JSON lines that only grows.

    A last line that was cut off by a crash is dropped; one process writes at a time.

    Args:
        path: The file; need not be there.

    Raises:
        UnknownFormatError: Another line than the last is no completion.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts: dict[str, str] = {}
        whole = path.read_bytes() if path.exists() else b""
        end = whole.rfind(b"\n") + 1
        for number, line in enumerate(whole[:end].splitlines(), start=1):
            try:
                entry: Any = json.loads(line)
                self._texts[str(entry["key"])] = str(entry["text"])
            except (ValueError, KeyError, TypeError) as error:
                reason = f"line {number} is no kept completion; remove the file to draw again"
                raise UnknownFormatError(str(path), reason) from error
        self._end = end

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, texts: Mapping[str, str]) -> None:
        """Keep completions; on disk when it returns."""
        lines = [
            json.dumps({"key": key, "text": text}, ensure_ascii=False) + "\n" for key, text in texts.items()
        ]
        data = "".join(lines).encode("utf-8", "surrogatepass")
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.truncate(self._end)
            file.seek(self._end)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._end += len(data)
        self._texts |= texts
