"""Files of which detection reads a part: the rest is left out of a dump, be it long or nobody's business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from advisor.probes.recording import Transcript

OWN_FIELDS: Final = ("processor", "apicid", "initial apicid", "core id", "physical id", "cpu MHz", "bogomips")
"""In /proc/cpuinfo: what tells one processor from others of its kind."""


def shortened(transcript: Transcript) -> Transcript:
    """The transcript with its long files cut to what detection reads of them."""
    files = {
        path: text if text is None or path not in _PARTS else _PARTS[path](text)
        for path, text in transcript.files.items()
    }
    return transcript.model_copy(update={"files": files})


def cpuinfo(text: str) -> str:
    """/proc/cpuinfo with the first processor of each kind, and how many there are of it."""
    kinds: dict[str, list[str]] = {}
    for block in (block for block in text.split("\n\n") if block.strip()):
        lines = [line for line in block.splitlines() if line.partition(":")[0].strip() not in OWN_FIELDS]
        kinds.setdefault("\n".join(lines), []).append(block.strip("\n"))
    return "".join(f"{blocks[0]}\nprocessors like this\t: {len(blocks)}\n\n" for blocks in kinds.values())


def mountinfo(text: str) -> str:
    """/proc/self/mountinfo with its control groups: where else what is mounted names people and servers."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.partition(" - ")[2].startswith("cgroup"))


_PARTS: Final[Mapping[str, Callable[[str], str]]] = {
    "proc/cpuinfo": cpuinfo,
    "proc/self/mountinfo": mountinfo,
}
