"""Questions and answers of a detection, kept: a machine that can be asked again elsewhere.

`Recording` stands before a source and notes what it is asked and what it answers; `Recorded` answers from
such notes alone. Only environment variables that detection is known to ask for are kept.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import Field, JsonValue

from advisor.probes.source import TOOL_LIMIT_S, Source
from advisor.value import Value

VARIABLES: Final = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "GPU_DEVICE_ORDINAL",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HIP_VISIBLE_DEVICES",
        "HOME",
        "HUGGINGFACE_HUB_CACHE",
        "KUBERNETES_SERVICE_HOST",
        "LOCALAPPDATA",
        "NVIDIA_VISIBLE_DEVICES",
        "PROCESSOR_ARCHITECTURE",
        "PROCESSOR_IDENTIFIER",
        "ROCR_VISIBLE_DEVICES",
        "USERPROFILE",
        "WSL_DISTRO_NAME",
        "WSL_INTEROP",
        "XDG_CACHE_HOME",
        "ZE_AFFINITY_MASK",
        "container",
    }
)
"""Variables that probes ask for; any other may hold a secret and is never kept."""


NO_ANSWER: Final = "it did not answer"


class ToolAnswer(Value):
    """A program that was run."""

    argv: tuple[str, ...]
    output: str | None
    """None: it is not installed, failed, or did not end in time."""
    out_of_time: bool = False


class LibraryAnswer(Value):
    """A library that was asked."""

    answer: JsonValue = None
    failure: str | None = None
    """What it raised, where it did not answer."""


class Transcript(Value):
    """Everything that a detection asked, and what it was told."""

    platform: str
    """As `sys.platform`."""
    environ: Mapping[str, str] = Field(default_factory=dict)
    files: Mapping[str, str | None] = Field(default_factory=dict)
    """Path → text; None where it could not be read."""
    globs: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Pattern → paths."""
    tools: tuple[ToolAnswer, ...] = ()
    asked: Mapping[str, LibraryAnswer] = Field(default_factory=dict)
    """Name of a question to a library → its answer."""


class Recording:
    """A source that notes what it is asked. Several threads may ask at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._environ = _Noted(source.environ)
        self._files: dict[str, str | None] = {}
        self._globs: dict[str, tuple[str, ...]] = {}
        self._tools: dict[tuple[str, ...], ToolAnswer] = {}
        self._asked: dict[str, LibraryAnswer] = {}

    @property
    def transcript(self) -> Transcript:
        """What was asked until now, in an order that does not depend on threads."""
        return Transcript(
            platform=self.platform,
            environ=dict(sorted(self._environ.noted.items())),
            files=dict(sorted(self._files.items())),
            globs=dict(sorted(self._globs.items())),
            tools=tuple(self._tools[argv] for argv in sorted(self._tools)),
            asked=dict(sorted(self._asked.items())),
        )

    @property
    def platform(self) -> str:
        """The source's."""
        return self._source.platform

    @property
    def environ(self) -> Mapping[str, str]:
        """The source's; what is read of it is noted."""
        return self._environ

    def text(self, path: str) -> str | None:
        """A file's text."""
        self._files[path] = None  # as it stays where this hangs
        self._files[path] = text = self._source.text(path)
        return text

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Paths that match."""
        self._globs[pattern] = paths = self._source.glob(pattern)
        return paths

    def run(self, *argv: str, limit_s: float = TOOL_LIMIT_S) -> str | None:
        """What a program prints."""
        self._tools[argv] = ToolAnswer(argv=argv, output=None, out_of_time=True)
        began = time.monotonic()
        output = self._source.run(*argv, limit_s=limit_s)
        late = output is None and time.monotonic() - began >= limit_s
        self._tools[argv] = ToolAnswer(argv=argv, output=output, out_of_time=late)
        return output

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        """A library's answer; what it raises is noted and raised."""
        self._asked[name] = LibraryAnswer(failure=NO_ANSWER)
        try:
            answer = self._source.ask(name, call)
        except Exception as error:
            self._asked[name] = LibraryAnswer(failure=f"{type(error).__name__}: {error}")
            raise
        self._asked[name] = _plain(answer)
        return answer


class Recorded:
    """A source that answers as another one did; what that was never asked has no answer."""

    def __init__(self, transcript: Transcript) -> None:
        self.platform: str = transcript.platform
        self.environ: Mapping[str, str] = transcript.environ
        self._transcript = transcript
        self._tools = {tool.argv: tool.output for tool in transcript.tools}

    def text(self, path: str) -> str | None:
        """A file's text."""
        return self._transcript.files.get(path)

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Paths that match."""
        return self._transcript.globs.get(pattern, ())

    def run(self, *argv: str, limit_s: float = TOOL_LIMIT_S) -> str | None:
        """What the program printed, at once."""
        return self._tools.get(argv)

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        """The library's answer; `call` is not called."""
        kept = self._transcript.asked.get(name)
        return None if kept is None else kept.answer


class _Noted(Mapping[str, str]):
    """Environment variables; those that are read and may be kept are noted."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.noted: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        value = self._environ[name]
        if name in VARIABLES:
            self.noted[name] = os.fsencode(value).decode(errors="replace")  # paths may be any bytes
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def _plain(answer: Any) -> LibraryAnswer:
    """The answer as it will be read back; none where JSON cannot hold it."""
    try:
        return LibraryAnswer(answer=json.loads(json.dumps(answer, allow_nan=False)))
    except (TypeError, ValueError) as error:
        return LibraryAnswer(failure=f"its answer is not plain data ({error})")
