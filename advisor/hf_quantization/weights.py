"""A checkpoint's tensors, and their bytes under a quantization."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Final, NamedTuple

from advisor.architecture import Architecture
from advisor.hf_quantization.names import module_of
from advisor.hf_quantization.scheme import HfQuantization
from advisor.tensors import Tensor, tensors
from advisor.weights import Weights, weights_of

_TABLES: Final = ("token_embd.", "per_layer_token_embd.", "position_embd.", "token_types.")
"""Looked up by row: no linear layer."""
_NEVER_LINEAR: Final = (".indexer.proj.",)
"""Weighs the heads of DeepSeek's indexer, in full precision whatever the config says."""
_ONLY_IN_GGUF: Final = "rope_"
_ALWAYS_F32: Final = "exp_probs_b"
"""DeepSeek's correction bias of the router."""
_KV_SCALES_BYTES: Final = 2 * 4


class HfTensor(NamedTuple):
    """One matrix of a checkpoint, or all of a layer's experts of one kind."""

    row: str
    """The GGUF's name, which says where it belongs."""
    module: str | None
    """The linear layer's name in the checkpoint (of experts, the first); None: a vector, router or table."""
    n_out: int
    n_in: int
    n_matrices: int = 1
    """Matrices of that shape."""

    def stored_bytes(self, scheme: HfQuantization) -> int:
        """Bytes under a quantization, with its scales."""
        form = scheme.format_of(self.module) if self.module else None
        if form is not None:
            return self.n_matrices * form.stored_bytes(self.n_out, self.n_in)
        bits = 32 if _ALWAYS_F32 in self.row else scheme.plain_bits
        return self.n_matrices * self.n_out * self.n_in * bits // 8


def hf_tensors(arch: Architecture) -> tuple[HfTensor, ...]:
    """Every tensor of the model's checkpoint: multi-token-prediction blocks and towers left out.

    Raises `ConfigError` for a family without rules, or whose checkpoints' names are not known.
    """
    return tuple(_renamed(arch, tensors(arch)))


def hf_weights(arch: Architecture, scheme: HfQuantization) -> Weights:
    """What an engine loads of a checkpoint in that quantization, by layer.

    Raises `ConfigError` like `hf_tensors`; an unquantized checkpoint needs no names.
    """
    return weights_of(arch, _rows(arch, scheme))


def hf_file_bytes(arch: Architecture, scheme: HfQuantization) -> int:
    """Bytes of the tensors of the checkpoint's files (`total_size` of their index).

    Raises `ConfigError` like `hf_weights`.
    """
    return sum(size for _, size in _rows(arch, scheme))


def _rows(arch: Architecture, scheme: HfQuantization) -> Iterator[tuple[str, int]]:
    listed = hf_tensors(arch) if scheme.rules else (_unnamed(row) for row in _stored(tensors(arch)))
    for tensor in listed:
        yield tensor.row, tensor.stored_bytes(scheme)
    if scheme.fp8_kv_cache and not arch.mla:  # modelopt writes none for a latent
        for i, layer in enumerate(arch.layers):
            if layer.owns_cache:
                yield f"blk.{i}.attn_kv_scales", _KV_SCALES_BYTES


def _stored(rows: tuple[Tensor, ...]) -> Iterator[Tensor]:
    return (row for row in rows if not row.name.startswith(_ONLY_IN_GGUF))


def _unnamed(row: Tensor, module: str | None = None) -> HfTensor:
    n_in, n_out, *count = (*row.shape, 1) if len(row.shape) == 1 else row.shape
    return HfTensor(row.name, module, n_out, n_in, prod(count))


def _renamed(arch: Architecture, rows: tuple[Tensor, ...]) -> Iterator[HfTensor]:
    for row in _stored(rows):
        layer, role = _place(row.name)
        if row.keep_f32 or row.name.startswith(_TABLES) or any(part in row.name for part in _NEVER_LINEAR):
            yield _unnamed(row)
        elif role == "attn_k_b" and arch.mla:
            yield _kv_b(arch, row.name, layer)
        elif role != "attn_v_b":
            yield _unnamed(row, module_of(arch.family, role, layer))


def _kv_b(arch: Architecture, name: str, layer: int | None) -> HfTensor:
    """Checkpoints have what a GGUF stores as attn_k_b and attn_v_b in one matrix."""
    mla = arch.mla
    assert mla is not None
    n_out = arch.n_heads * (mla.qk_nope_head_dim + mla.v_head_dim)
    return HfTensor(name, module_of(arch.family, "attn_kv_b", layer), n_out, mla.kv_lora_rank)


def _place(name: str) -> tuple[int | None, str]:
    """The layer and the role in a GGUF's name of a tensor."""
    if not name.startswith("blk."):
        return None, name.removesuffix(".weight")
    _, layer, rest = name.split(".", 2)
    return int(layer), rest.removesuffix(".weight")
