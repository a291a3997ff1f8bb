"""The kind of every layer, by the keys and by what llama.cpp knows without them.

Source: the loaders in src/models/ of llama.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from advisor.architecture import LayerKind
from advisor.gguf.keys import Keys

F, S, R = LayerKind.FULL.value, LayerKind.SLIDING.value, LayerKind.RECURRENT.value
P, N = LayerKind.PARALLEL.value, LayerKind.NONE.value


class _Interleaved(NamedTuple):
    """How a family's sliding and full layers alternate where the file does not say."""

    period: int
    """One layer in so many sees everything."""
    full_first: bool = False
    """The first of them, instead of the last."""
    window: int | None = None
    """Tokens, where the file does not say."""


_INTERLEAVED: Final = {
    "gemma2": _Interleaved(2, window=4096),
    "gemma3": _Interleaved(6),
    "gemma-embedding": _Interleaved(6),
    "gpt-oss": _Interleaved(2),
    "exaone4": _Interleaved(4, window=4096),
    "exaone-moe": _Interleaved(4),
    "gemma3n": _Interleaved(5),
    "llama4": _Interleaved(4, window=8192),
    "cohere2": _Interleaved(4),
    "cohere2moe": _Interleaved(4, full_first=True),
    "olmo2": _Interleaved(4),
    "afmoe": _Interleaved(4),
    "plamo3": _Interleaved(8),
    "smallthinker": _Interleaved(4, full_first=True),
    "mellum": _Interleaved(4),
    "muse-glimmer": _Interleaved(4),
    "laguna": _Interleaved(4, full_first=True),
    "modern-bert": _Interleaved(3, full_first=True),
}
"""`load_swa_pattern` in llama.cpp; other families have windows only where the file lists its layers."""
_FIXED_WINDOWS: Final = {"llama4": 8192, "smallthinker": 4096}
"""Tokens, whatever the file says, unless it says that there is no window."""
_EXAONE4_LAYERS_WITH_WINDOWS: Final = 64
"""Of EXAONE 4 only the 32B has windows, and llama.cpp knows it by its layers."""

_ZERO_HEADS_RECUR: Final = frozenset(
    {"granitehybrid", "lfm2", "lfm2moe", "jamba", "plamo2", "kimi-linear", "kimi-k3"}
)
"""Families whose recurrent layers are those without KV heads."""
_ONE_BLOCK_A_LAYER: Final = frozenset({"nemotron_h", "nemotron_h_moe"})
"""Families whose layers without KV heads recur unless they are a feed-forward block."""
_BOTH_MIXERS: Final = frozenset({"falcon-h1"})
"""Families with attention and a recurrent block side by side in every layer."""
_ALL_SLIDE: Final = frozenset({"deepseek4"})
"""Families whose every layer has the window."""
DELTA_NET: Final = frozenset({"qwen3next", "qwen35", "qwen35moe"})
"""Families whose recurrent layers are listed, or come in a fixed interval."""
_DELTA_NET_INTERVAL: Final = 4
"""One layer in so many has attention where the file does not say."""


def layer_letters(keys: Keys, kv_heads: Sequence[int]) -> Iterator[str]:
    """One `LayerKind` letter a layer."""
    if keys.family in DELTA_NET:
        flags = keys.per_block("attention.recurrent_layers")
        interval = keys.optional("full_attention_interval") or _DELTA_NET_INTERVAL
        for i in range(keys.n_layers):
            yield R if (flags[i] if flags else (i + 1) % interval) else F
    elif keys.family in _ZERO_HEADS_RECUR:
        attention = S if keys.family == "lfm2" and window(keys) else F
        for i in range(keys.n_layers):
            yield attention if kv_heads[i] else R
    elif keys.family in _ONE_BLOCK_A_LAYER:
        widths = keys.per_block("feed_forward_length") or (0,) * keys.n_layers
        for i in range(keys.n_layers):
            yield F if kv_heads[i] else N if widths[i] else R
    elif keys.family in _BOTH_MIXERS:
        yield from P * keys.n_layers
    else:
        for slides, heads in zip(_sliding(keys), kv_heads, strict=True):
            yield N if not heads else S if slides else F


def _sliding(keys: Keys) -> Sequence[bool]:
    """Whether each layer has a window."""
    layers = range(keys.n_layers)
    everywhere_full = [False for _ in layers]
    if not window(keys) or keys.family == "phi3":  # llama.cpp does not apply Phi-3's window
        return everywhere_full
    if keys.family == "exaone4" and keys.n_layers != _EXAONE4_LAYERS_WITH_WINDOWS:
        return everywhere_full
    if keys.family in _ALL_SLIDE:
        return [True for _ in layers]
    pattern = "attention.sliding_window_pattern"
    if isinstance(keys.get(pattern), tuple):
        flags = keys.per_block(pattern) or ()
        return [bool(flags[i]) for i in layers]
    rule = _INTERLEAVED.get(keys.family)
    if rule is None:
        return everywhere_full
    written = keys.optional(pattern)
    period = rule.period if written is None else written
    if period == 0:
        return [True for _ in layers]
    full_at = 0 if rule.full_first else period - 1
    return [i % period != full_at for i in layers]


def window(keys: Keys) -> int:
    """Tokens of the sliding layers' window; 0 where there is none."""
    written = keys.optional("attention.sliding_window")
    if written is not None:
        return _FIXED_WINDOWS.get(keys.family, written) if written else 0
    rule = _INTERLEAVED.get(keys.family)
    return (rule and rule.window) or 0
