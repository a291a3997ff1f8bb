"""What llama.cpp answered before: one small file a question, in the user's cache folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from advisor import kept_files
from advisor.measurements import BufferReport, Library
from advisor.value import SCHEMA_VERSION, Value

MAX_FILES: Final = 1024
"""About 1 KiB each."""
KEPT_FILES: Final = 768
"""What remains after a clean-up, so that not every answer has to clean up."""
MAX_BYTES: Final = 1 << 16
"""A file far above an answer's size is none."""


class Answer(Value):
    """What came of asking llama.cpp to plan."""

    schema_version: int = SCHEMA_VERSION
    library: Library | None = None
    """None where it did not even start."""
    buffers: BufferReport | None = None
    refusal: str | None = None
    """Its own words where it planned nothing."""
    limit_s: float | None = None
    """The time that it was given and that was not enough; None where it answered."""
    lasts: bool = True
    """Whether the same question has the same answer next time; not where the system killed the process."""


def cache_folder() -> Path:
    """Where answers are kept."""
    return kept_files.cache_folder("oracle")


def kept(folder: Path, key: str) -> Answer | None:
    """The answer to a question that was asked before; None for a file that is missing or broken."""
    return kept_files.kept(folder, key, Answer, MAX_BYTES)


def keep(folder: Path, key: str, answer: Answer) -> None:
    """Keep an answer that lasts; where the folder cannot be written, the question is asked again."""
    if answer.lasts:
        kept_files.keep(folder, key, answer, max_files=MAX_FILES, kept_files=KEPT_FILES)
