"""A model's tensors summed up by where they can be placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from advisor.architecture import Architecture
from advisor.quantization import MIXES, Mix, quantize
from advisor.tensor_types import ALIGNMENT, tensor_bytes
from advisor.tensors import tensors
from advisor.units import pad
from advisor.value import Value

TOKENIZER_BYTES_MAX: Final = 16 * 10**6
"""The largest tokenizer and metadata among published files (0.7 to 16 MB)."""

_INPUT: Final = ("token_embd.", "position_embd", "per_layer_token_embd")
"""Tables that are looked up by row: llama.cpp keeps them on the host."""
_FIRST_LAYER: Final = ("per_layer_model_proj", "per_layer_proj_norm")
_ROPE: Final = "rope_"
_EXPERTS: Final = "_exps."
_FFN: Final = ("ffn_up.", "ffn_down.", "ffn_gate.")
"""What llama.cpp's `--n-cpu-ffn` keeps on the host."""


class Weights(Value):
    """Bytes of a model's tensors in one quantization, each tensor padded to its alignment."""

    input_bytes: int
    """Token embedding and what else is looked up by row: always in host memory."""
    tied_bytes: int
    """The token embedding again, where it serves as output matrix: stored twice once layers are offloaded."""
    output_bytes: int
    """Final norm and output matrix."""
    rope_bytes: int
    """Frequency tables, copied to each side that has layers."""
    layers: tuple[int, ...]
    """Every layer, without its routed experts."""
    experts: tuple[int, ...]
    """Every layer's routed experts; empty for dense models."""
    ffn: tuple[int, ...] = ()
    """Every layer's ordinary feed-forward matrices, a part of `layers`; empty where no layer has any."""
    largest_matrix: int = 0
    """The largest single matrix of the layers, routed experts aside."""
    largest_experts: int = 0
    """The largest matrix of routed experts, which is all of a layer's of one kind."""

    @property
    def total_bytes(self) -> int:
        """The tensor data of the file that is loaded."""
        return self.input_bytes + self.output_bytes + self.rope_bytes + sum(self.layers) + sum(self.experts)

    def expert_bytes(self, layer: int) -> int:
        """The routed experts of one layer."""
        return self.experts[layer] if self.experts else 0

    def ffn_bytes(self, layer: int) -> int:
        """The ordinary feed-forward matrices of one layer."""
        return self.ffn[layer] if self.ffn else 0


def weights_of(arch: Architecture, rows: Iterable[tuple[str, int]]) -> Weights:
    """Sum (tensor name, bytes) rows; multi-token-prediction blocks beyond the layers are not loaded."""
    parts = {role: [0] * arch.n_layers for role in ("own", "ffn", "experts")}
    largest = dict.fromkeys(parts, 0)
    sums = {"input": 0, "output": 0, "rope": 0}
    embedding, has_output = 0, False
    looked_up = (*_INPUT, "token_embd_norm") if arch.is_bert else _INPUT
    for name, size in rows:
        size = pad(size, ALIGNMENT)
        if name.startswith("blk."):
            layer = int(name.split(".", 2)[1])
            if layer < arch.n_layers:
                role = _role(name[len("blk.") :].partition(".")[2])
                parts[role][layer] += size
                largest[role] = max(largest[role], size)
        elif name.startswith(_FIRST_LAYER):
            parts["own"][0] += size
        elif name.startswith(_ROPE):
            sums["rope"] += size
        else:
            sums["input" if name.startswith(looked_up) else "output"] += size
            embedding = size if name == "token_embd.weight" else embedding
            has_output = has_output or name == "output.weight"
    return Weights(
        input_bytes=sums["input"],
        tied_bytes=0 if has_output or arch.is_bert else embedding,
        output_bytes=sums["output"],
        rope_bytes=sums["rope"],
        layers=tuple(own + ffn for own, ffn in zip(parts["own"], parts["ffn"], strict=True)),
        experts=tuple(parts["experts"]) if any(parts["experts"]) else (),
        ffn=tuple(parts["ffn"]) if any(parts["ffn"]) else (),
        largest_matrix=max(largest["own"], largest["ffn"]),
        largest_experts=largest["experts"],
    )


@lru_cache(maxsize=256)
def _role(name: str) -> str:
    """What part of its layer a tensor belongs to, by its name within the layer."""
    if _EXPERTS in name:
        return "experts"
    return "ffn" if name.startswith(_FFN) else "own"


def as_large_as(weights: Weights, file_bytes: int | None) -> Weights:
    """The weights, grown to a published file that is larger than the recipe gives.

    Packagers mix types of their own under llama.cpp's names. What a file has beyond tensors and the largest
    tokenizer is spread over the layers; a smaller file, or one of unknown size (None), changes nothing.
    """
    excess = (file_bytes or 0) - TOKENIZER_BYTES_MAX - weights.total_bytes
    if excess <= 0:
        return weights
    each = -(-excess // len(weights.layers))
    return weights.model_copy(update={"layers": tuple(size + each for size in weights.layers)})


def weights_by_rule(arch: Architecture, quantization: str, mixes: Mapping[str, Mix] = MIXES) -> Weights:
    """The weights of a file that need not exist, by the recipe of that name in `mixes`.

    Raises `ConfigError` for a family or quantization without rules.
    """
    rows = tensors(arch)
    types = quantize(arch, rows, quantization, mixes)
    sizes = (tensor_bytes(row.shape, type_name) for row, type_name in zip(rows, types, strict=True))
    return weights_of(arch, zip((row.name for row in rows), sizes, strict=True))
