"""What llama.cpp would allocate for a file, by its own plan, summed over its buffers."""

from __future__ import annotations

from pathlib import Path

from advisor import oracle
from advisor.measurements import Trial
from advisor.settings import Settings

LIMIT_S = 120.0


def plan(path: Path, settings: Settings) -> dict[str, int]:
    """Bytes of weights, context and compute in RAM; raises `AssertionError` with llama.cpp's words."""
    answer = oracle.plan(path, Trial(settings=settings, repack=False), LIMIT_S)
    assert answer.buffers, answer.refusal
    assert answer.buffers.exact, "the breakdown's layout is not known here"
    return {
        part: sum(getattr(buffer, f"{part}_bytes") for buffer in answer.buffers.exact)
        for part in ("weights", "context", "compute")
    }
