"""From the tensors of a checkpoint to `Weights`: the names that transformers gives them end here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from advisor.architecture import Architecture
from advisor.safetensors.header import SafetensorsHeader
from advisor.weights import Weights

_TOWER: Final = re.compile(
    r"(^|\.)(visual|vision_\w+|vision|audio_\w+|image_newline|multi_modal_projector|mm_\w+|mlp1|connector"
    r"|embed_vision|embed_audio|vit_\w+|vpm|apm|resampler|tts|code2wav|talker|token2wav|sound_\w+)\."
)
"""What sees and hears, and what speaks: parts of their own beside the language model."""
_MTP: Final = re.compile(r"(^|\.)(mtp|mtp_\w+|nextn\w*)\.")
"""Multi-token prediction in blocks of its own, which is loaded on demand only."""
_LAYER: Final = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.([0-9]{1,4})\.")
_EXPERTS: Final = re.compile(r"\.experts\.(?:[0-9]+\.)?|\.block_sparse_moe\.(?=(?:in|out)put_linear\.)")
_FEED_FORWARD: Final = re.compile(r"\.(?:mlp|feed_forward|ffn|shared_mlp)\.")
_INPUT: Final = re.compile(
    r"(^|\.)(embed_tokens\w*|wte|wpe|word_embeddings|tok_embeddings|embed_in|embeddings|token_embd)\."
)
_OUTPUT: Final = re.compile(r"(^|\.)(lm_head|embed_out|output_layer|output)\.")


class _Place(NamedTuple):
    """Where a tensor belongs; `layer` is None outside of the layers."""

    part: str
    layer: int | None = None


def _place(name: str) -> _Place:
    if _TOWER.search(name):
        return _Place("tower")
    if _MTP.search(name):
        return _Place("mtp")
    if layer := _LAYER.search(name):
        role = "experts" if _EXPERTS.search(name) else "ffn" if _FEED_FORWARD.search(name) else "own"
        return _Place(role, int(layer[1]))
    if _INPUT.search(name):
        return _Place("input")
    return _Place("head" if _OUTPUT.search(name) else "output")


def safetensors_weights(arch: Architecture, header: SafetensorsHeader) -> Weights:
    """The language model's tensors by where they can be placed; towers and unused blocks left out.

    A tensor that is not known by its name counts beside the output matrix.
    """
    ends: Counter[str] = Counter()
    parts: dict[str, list[int]] = {role: [0] * arch.n_layers for role in ("own", "ffn", "experts")}
    largest, stacks = 0, Counter[str]()
    for name, tensor in header.tensors.items():
        part, layer = _place(name)
        if layer is None:
            ends[part] += tensor.size_bytes
        elif layer < arch.n_layers:  # beyond them: multi-token prediction
            parts[part][layer] += tensor.size_bytes
            if part == "experts":
                stacks[_EXPERTS.sub(".experts.", name)] += tensor.size_bytes
            else:
                largest = max(largest, tensor.size_bytes)
    own, ffn, experts = parts["own"], parts["ffn"], parts["experts"]
    return Weights(
        input_bytes=ends["input"],
        tied_bytes=0 if ends["head"] or arch.is_bert else ends["input"],
        output_bytes=ends["head"] + ends["output"],
        rope_bytes=0,
        layers=tuple(a + b for a, b in zip(own, ffn, strict=True)),
        experts=tuple(experts) if any(experts) else (),
        ffn=tuple(ffn) if any(ffn) else (),
        largest_matrix=largest,
        largest_experts=max(stacks.values(), default=0),
    )


def tower_bytes(header: SafetensorsHeader) -> int:
    """The vision and audio towers with their projectors."""
    return sum(t.size_bytes for name, t in header.tensors.items() if _place(name).part == "tower")


_METHODS: Final = {"awq": "AWQ", "gptq": "GPTQ", "fp8": "FP8", "mxfp4": "MXFP4"}
"""Names of the formats that `quant_method` in a config stands for."""
_TYPES: Final = {"F8_E4M3": "FP8", "F8_E5M2": "FP8"}
"""The same by the tensors' type, where it is not the name itself."""


def stored_format(header: SafetensorsHeader, config: Mapping[str, Any]) -> str:
    """The format of the weights: as the config says, else the type that most of the model's bytes have."""
    quantized = config.get("quantization_config")
    method = quantized.get("quant_method") if isinstance(quantized, Mapping) else None
    if isinstance(method, str) and method:
        return _METHODS.get(method.lower(), method)
    sizes: Counter[str] = Counter()
    for name, tensor in header.tensors.items():
        if _place(name).part != "tower":
            sizes[tensor.dtype] += tensor.size_bytes
    most = sizes.most_common(1)[0][0] if sizes else "BF16"
    return _TYPES.get(most, most)
