"""Recordings of GPUs (tests/machines/gpus): a source that answers as the recorded machine did.

A recording that people write has files and what tools print, as {"amd-smi static --json": text}; which files
a pattern matches follows from them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Final

from advisor.hardware import HostMemory
from advisor.hardware_catalog import load_hardware
from advisor.probes.amd import read_amd
from advisor.probes.ascend import read_ascend
from advisor.probes.found import Reading, combined
from advisor.probes.intel import read_intel
from advisor.probes.recording import LibraryAnswer, Recorded, ToolAnswer, Transcript
from advisor.probes.source import Source
from advisor.probes.windows import read_windows
from advisor.units import GIB

RECORDED: Final = Path(__file__).parent / "machines" / "gpus"
WHOLE: Final = RECORDED.parent / "whole"
"""Machines with all that detection asks of them, their hosts included."""
SPECS: Final = load_hardware().gpus
MEMORY: Final = HostMemory(total_bytes=124 * GIB, available_bytes=100 * GIB)
READERS: Final[tuple[Callable[[Source, HostMemory], Reading], ...]] = (
    lambda source, memory: read_amd(source, memory, SPECS),
    lambda source, memory: read_intel(source, memory, SPECS),
    lambda source, memory: read_windows(source, memory, SPECS),
    lambda source, memory: read_ascend(source, memory, SPECS),
)
NAMES: Final = sorted(path.stem for path in RECORDED.glob("*.json"))


class RecordedFiles(Recorded):
    """Answers patterns from the recorded files and the folders that they are in."""

    def __init__(self, transcript: Transcript) -> None:
        super().__init__(transcript)
        paths = [PurePosixPath(path) for path in transcript.files]
        self._paths = sorted({place for path in paths for place in (path, *path.parents)})

    def glob(self, pattern: str) -> tuple[str, ...]:
        depth = len(PurePosixPath(pattern).parts)
        matching = (path for path in self._paths if len(path.parts) == depth and path.match(pattern))
        return tuple(path.as_posix() for path in matching)


def document(name: str) -> dict[str, Any]:
    """The recording as it is written."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def recorded(name: str, **changed: Any) -> RecordedFiles:
    """The recorded machine, with other parts in place of some of its own."""
    return source_of({**document(name), **changed})


def source_of(parts: dict[str, Any]) -> RecordedFiles:
    """A machine made of what a recording holds; all but "platform" may be missing."""
    return RecordedFiles(transcript_of(parts))


def whole(name: str) -> Transcript:
    """A recorded machine with its host."""
    return transcript_of(json.loads((WHOLE / f"{name}.json").read_text(encoding="utf-8")))


def transcript_of(parts: dict[str, Any]) -> Transcript:
    """What a recording that people write holds: "platform", "environ", "files", "tools", "asked"."""
    tools = parts.get("tools", {}).items()
    asked = parts.get("asked", {}).items()
    return Transcript(
        platform=parts["platform"],
        environ=parts.get("environ", {}),
        files=parts.get("files", {}),
        tools=tuple(ToolAnswer(argv=_argv(line), output=output) for line, output in tools),
        asked={question: LibraryAnswer(answer=answer) for question, answer in asked},
    )


def _argv(line: str) -> tuple[str, ...]:
    """The words of a command; PowerShell's script is one of them."""
    start, command, script = line.partition(" -Command ")
    return (*start.split(), command.strip(), script) if command else tuple(line.split())


def read(source: Source) -> Reading:
    """What all readers find on the machine."""
    return combined(reader(source, MEMORY) for reader in READERS)
