"""What probes read from: this machine, or a recording of what another one answered.

Every probe asks a `Source` and nothing else, so that what it read can be written down (`advisor doctor`) and
read again elsewhere. A question that is not answered, by a missing file, a program that is not installed or
one that hangs, has the answer None.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

TOOL_LIMIT_S: Final = 2.0
"""Longest wait for a program: those that answer at all do so in well under a second, and with everything
else detection stays under three."""
MAX_TEXT_BYTES: Final = 4 << 20
"""No file or answer that a probe understands is larger."""


class Source(Protocol):
    """A machine that answers questions."""

    @property
    def platform(self) -> str:
        """As `sys.platform`: "linux", "darwin", "win32"."""

    @property
    def environ(self) -> Mapping[str, str]:
        """Environment variables."""

    def text(self, path: str) -> str | None:
        """A file's text; `path` is relative to the root: "proc/cpuinfo"."""

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Paths that match, sorted, relative to the root."""

    def run(self, *argv: str, limit_s: float = TOOL_LIMIT_S) -> str | None:
        """What a program prints; None where it is missing, does not end in time, or fails silently."""

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        """The answer of a library, as plain JSON values; `name` is what recordings keep it under.

        call: asks the library; what it raises is the caller's business and is not recorded.
        """


class Live:
    """The machine that this runs on; with another root than "/", the files under it."""

    def __init__(self, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self.environ: Mapping[str, str] = environ
        self.platform: str = sys.platform

    def text(self, path: str) -> str | None:
        """A file's text; damaged characters are replaced."""
        try:
            with (self._root / path).open("rb") as file:
                return file.read(MAX_TEXT_BYTES).decode(errors="replace")
        except (OSError, ValueError):
            return None

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Paths that match, sorted, relative to the root."""
        try:
            return tuple(sorted(path.relative_to(self._root).as_posix() for path in self._root.glob(pattern)))
        except OSError:
            return ()

    def run(self, *argv: str, limit_s: float = TOOL_LIMIT_S) -> str | None:
        """What a program prints on stdout, at any exit status."""
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=limit_s,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return done.stdout[:MAX_TEXT_BYTES].decode(errors="replace") or None

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        """The library's answer."""
        return call()
