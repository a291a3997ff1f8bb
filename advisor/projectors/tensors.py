"""The tensors of a projector file (mmproj), as llama.cpp's converter writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from advisor.errors import ConfigError
from advisor.i18n import _
from advisor.projectors.kinds import KINDS, Kind
from advisor.tensor_types import GGML_TYPES, tensor_bytes
from advisor.tensors.tensor import Tensor, f32, matrix, norm
from advisor.tower import Tower, TowerKind

CHANNELS: Final = 3
PROJECTOR_TYPES: Final = ("F16", "BF16", "Q8_0", "F32")
"""What projector files are published in."""


def projector_tensors(tower: Tower) -> tuple[Tensor, ...]:
    """Every tensor of the file; shapes in ggml's order."""
    kind = KINDS[tower.kind]
    rows = [*_input(tower, kind), *_ends(tower, kind), *_PROJECTORS[tower.kind](tower)]
    for i in range(tower.n_layers):
        rows += (row._replace(name=f"v.blk.{i}.{row.name}") for row in _layer(tower, kind))
    return tuple(rows)


def projector_bytes(tower: Tower, type_name: str) -> int:
    """Weights of the file in F16, BF16, Q8_0 or F32, without padding, as llama.cpp counts them.

    Raises `ConfigError` for another type.
    """
    if type_name not in PROJECTOR_TYPES:
        raise ConfigError(
            _("projectors are estimated in {types}, not in {type_name!r}").format(
                types=", ".join(PROJECTOR_TYPES), type_name=type_name
            )
        )
    return sum(tensor_bytes(row.shape, stored_type(row, type_name)) for row in projector_tensors(tower))


def stored_type(row: Tensor, type_name: str) -> str:
    """The type of one tensor in a file that is converted to `type_name`."""
    if row.keep_f32:
        return "F32"
    if "patch_embd" in row.name or "patch_merger" in row.name:
        return "F16" if type_name == "F16" else "F32"
    if row.name == _GEMMA3_PROJECTION:
        return "F16"
    return type_name if row.shape[0] % GGML_TYPES[type_name].block == 0 else "F16"


_GEMMA3_PROJECTION: Final = "mm.input_projection.weight"


def _input(tower: Tower, kind: Kind) -> Iterator[Tensor]:
    n, p = tower.n_embd, tower.patch_size
    shape = (p * p * CHANNELS, n) if kind.class_token else (p, p, CHANNELS, n)
    yield Tensor("v.patch_embd.weight", shape, kind.patch_f32)
    for i in range(1, kind.n_patch_kernels):
        yield Tensor(f"v.patch_embd.weight.{i}", shape, kind.patch_f32)
    if kind.patch_bias:
        yield f32("v.patch_embd.bias", n)
    if kind.class_token:
        yield f32("v.class_embd", n)
    if tower.n_positions:
        tables = (kind.n_position_tables,) if kind.n_position_tables > 1 else ()
        yield f32("v.position_embd.weight", n, tower.n_positions, *tables)


def _ends(tower: Tower, kind: Kind) -> Iterator[Tensor]:
    if kind.pre_norm:
        yield from norm("v.pre_ln", tower.n_embd, bias=kind.norm_bias)
    if kind.post_norm:
        yield from norm("v.post_ln", tower.n_embd, bias=kind.norm_bias)


def _layer(tower: Tower, kind: Kind) -> Iterator[Tensor]:
    n, ff = tower.n_embd, tower.n_ff
    for name in kind.norms:
        yield from norm(name, n, bias=kind.norm_bias)
    if kind.fused_qkv:
        yield from _linear("attn_qkv", n, 3 * n, bias=kind.bias)
    else:
        for name in ("attn_q", "attn_k", "attn_v"):
            yield from _linear(name, n, n, bias=kind.bias)
    if kind.qk_norm:
        yield f32("attn_q_norm.weight", tower.head_dim)
        yield f32("attn_k_norm.weight", tower.head_dim)
    yield from _linear("attn_out", n, n, bias=kind.bias)
    if kind.gated:
        yield from _linear("ffn_gate", n, ff, bias=kind.bias)
    yield from _linear("ffn_up", n, ff, bias=kind.bias)
    yield from _linear("ffn_down", ff, n, bias=kind.bias)


def _linear(name: str, n_in: int, n_out: int, *, bias: bool) -> Iterator[Tensor]:
    yield matrix(name, n_in, n_out)
    if bias:
        yield f32(f"{name}.bias", n_out)


def _merging_mlp(tower: Tower) -> Iterator[Tensor]:
    """Qwen: the merged patches through two matrices; the same for every layer of the deep stack."""
    wide = tower.n_embd * tower.n_merged
    yield from _linear("mm.0", wide, wide, bias=True)
    yield from _linear("mm.2", wide, tower.n_embd_out, bias=True)
    for i in tower.deepstack_layers:
        yield from norm(f"v.deepstack.{i}.norm", wide, bias=True)
        yield from _linear(f"v.deepstack.{i}.fc1", wide, wide, bias=True)
        yield from _linear(f"v.deepstack.{i}.fc2", wide, tower.n_embd_out, bias=True)


def _gemma3(tower: Tower) -> Iterator[Tensor]:
    yield f32("mm.soft_emb_norm.weight", tower.n_embd)
    yield Tensor(_GEMMA3_PROJECTION, (tower.n_embd_out, tower.n_embd))


def _gemma4(tower: Tower) -> Iterator[Tensor]:
    if tower.standardized:
        yield f32("v.std_bias", tower.n_embd)
        yield f32("v.std_scale", tower.n_embd)
    yield matrix("mm.input_projection", tower.n_embd, tower.n_embd_out)


def _pixtral(tower: Tower) -> Iterator[Tensor]:
    n, out = tower.n_embd, tower.n_embd_out
    yield from _linear("mm.1", n, out, bias=tower.projector_bias)
    yield from _linear("mm.2", out, out, bias=tower.projector_bias)
    yield f32("v.token_embd.img_break", out)
    if tower.n_merge > 1:
        yield f32("mm.input_norm.weight", n)
        yield matrix("mm.patch_merger", n * tower.n_merged, n)


def _llama4(tower: Tower) -> Iterator[Tensor]:
    between = tower.n_embd_between
    yield matrix("mm.model.mlp.1", tower.n_embd * tower.n_merged, between)
    yield matrix("mm.model.mlp.2", between, between)
    yield matrix("mm.model.fc", between, tower.n_embd_out)


def _kimi(tower: Tower) -> Iterator[Tensor]:
    wide = tower.n_embd * tower.n_merged
    yield from norm("mm.input_norm", tower.n_embd, bias=True)
    yield from _linear("mm.1", wide, wide, bias=True)
    yield from _linear("mm.2", wide, tower.n_embd_out, bias=True)


_PROJECTORS: Final[dict[TowerKind, Callable[[Tower], Iterator[Tensor]]]] = {
    "qwen2.5vl": _merging_mlp,
    "qwen3vl": _merging_mlp,
    "gemma3": _gemma3,
    "gemma4v": _gemma4,
    "pixtral": _pixtral,
    "llama4": _llama4,
    "kimik25": _kimi,
}
