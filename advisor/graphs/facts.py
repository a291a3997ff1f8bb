"""What distinguishes the graph of one llama.cpp architecture from that of another, beyond its tensors.

Read from llama.cpp's src/models/*.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from advisor.architecture import Architecture


class Facts(NamedTuple):
    """How a family's graph is put together."""

    rms_norm: bool = True
    """False: a norm with mean and bias, which never overwrites its operand."""
    rope: Literal["all", "none", "sliding"] = "all"
    """Layers whose Q and K are rotated."""
    tempered: bool = False
    """Q of the layers without rotation is multiplied by a factor that depends on the position."""
    n_positions: int = 1
    """Position numbers a token has."""
    outputs: Literal["last layer", "last residual", "before norm", "after norm"] = "last layer"
    """Where the rows without an output are dropped: before or after the last mixer's residual, or later."""
    scaled_embeddings: bool = False
    scaled_layers: bool = False
    """A layer ends with a weight, and so on its own device."""
    residual_first: tuple[bool, bool] = (False, False)
    """The mixer's, and the feed-forward block's, output is added to its residual, not the other way round."""
    normed_v: bool = False
    """V has a norm without a weight."""
    softmax_over_selected: bool = False
    """Router: softmax over the chosen experts instead of over all."""
    normalized_weights: bool = True
    """Router: the weights of the chosen experts are divided by their sum."""
    weighted_inputs: bool = False
    """Routed experts: their inputs are weighted instead of their outputs."""
    situ: bool = False
    """Kimi K3's activation, which takes the gate twice and bounds the other factor too."""
    parallel: bool = False
    """Attention and feed-forward block read the same norm and are added to one residual."""


_CENTERED: Final = Facts(rms_norm=False)

FACTS: Final[dict[str, Facts]] = {
    "gemma": Facts(scaled_embeddings=True),
    "gemma2": Facts(scaled_embeddings=True),
    "gemma3": Facts(scaled_embeddings=True),
    "gemma3n": Facts(scaled_embeddings=True, normed_v=True),
    "gemma4": Facts(scaled_embeddings=True, scaled_layers=True, normed_v=True, outputs="after norm"),
    "gemma-embedding": Facts(scaled_embeddings=True),
    "phi3": Facts(residual_first=(False, True)),
    "lfm2": Facts(residual_first=(True, True)),
    "lfm2moe": Facts(residual_first=(True, True)),
    "deepseek2": Facts(normalized_weights=False),
    "qwen2moe": Facts(normalized_weights=False),
    "exaone4": Facts(rope="sliding"),
    "gpt-oss": Facts(outputs="before norm", softmax_over_selected=True, normalized_weights=False),
    "qwen3next": Facts(outputs="after norm"),
    "qwen35": Facts(outputs="after norm", n_positions=4),
    "qwen35moe": Facts(outputs="after norm", n_positions=4),
    "qwen2vl": Facts(n_positions=4),
    "qwen3vl": Facts(n_positions=4),
    "qwen3vlmoe": Facts(n_positions=4),
    "nemotron_h": Facts(rope="none", outputs="after norm"),
    "nemotron_h_moe": Facts(rope="none", outputs="after norm"),
    "falcon-h1": Facts(outputs="last residual"),
    "llama4": Facts(rope="sliding", tempered=True, weighted_inputs=True, normalized_weights=False),
    "jamba": Facts(rope="none", residual_first=(True, True), normalized_weights=False),
    "kimi-linear": Facts(rope="none"),
    "kimi-k3": Facts(rope="none", situ=True),
    "step35": Facts(outputs="before norm"),
    "command-r": Facts(rms_norm=False, parallel=True),
    "cohere2": Facts(rms_norm=False, rope="sliding", parallel=True),
    "nemotron": _CENTERED,
    "stablelm": _CENTERED,
    "starcoder2": _CENTERED,
    "bert": _CENTERED._replace(rope="none"),
    "jina-bert-v2": _CENTERED._replace(rope="none"),
    "jina-bert-v3": _CENTERED,
    "nomic-bert": _CENTERED,
    "nomic-bert-moe": _CENTERED,
    "modern-bert": _CENTERED,
}


def facts_of(arch: Architecture) -> Facts:
    """The facts of an architecture's family; those of llama where none are known."""
    return FACTS.get(arch.family, Facts())
