"""Kimi K3: each block reads a mix of the residual stream and of its checkpoints at earlier layers.

After llama.cpp's src/models/kimi-k3.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from typing import Final

from advisor.graphs.builder import Builder
from advisor.graphs.nodes import Tensor

CHECKPOINT_LAYERS: Final = 12
"""Layers from one checkpoint to the next: the config's attention residual block size."""


def has_checkpoints(family: str) -> bool:
    return family == "kimi-k3"


def keep(b: Builder, kept: Tensor | None, x: Tensor) -> Tensor:
    """The checkpoints with one more."""
    row = b.view(x, x.shape[0], 1, b.n_tokens)
    return row if kept is None else b.op((x.shape[0], _count(kept) + 1, b.n_tokens), kept, row)


def mix(b: Builder, kept: Tensor | None, x: Tensor) -> Tensor:
    """The stream and its checkpoints, weighted by a softmax over their scores."""
    if kept is None:
        return x
    width, n = x.shape[0], b.n_tokens
    count = _count(kept)
    old = b.op((1, count, n), b.first_norm(kept))
    new = b.op((1, n), b.first_norm(x))
    odds = b.over(b.op((count + 1, n), b.view(old, count, n), new))
    shares = b.op((count, n), b.view(odds, count, n))
    own = b.op((1, n), b.view(odds, 1, n))
    return b.over(b.op((width, n), kept, shares), b.over(x, own))


def _count(kept: Tensor) -> int:
    return kept.shape[1]
