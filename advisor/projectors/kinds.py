"""The kinds of towers: a row of facts each, by llama.cpp's name of the projector.

Source: the loaders and graphs of llama.cpp (tools/mtmd/) and its converter (conversion/) as of
llama-cpp-python 0.3.36, 2026-10-01.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from advisor.tower import Tower, TowerKind


class Kind(NamedTuple):
    """What distinguishes the layers of one kind of tower from those of another."""

    norms: tuple[str, ...] = ("ln1", "ln2")
    """Vectors of width n_embd in every layer."""
    norm_bias: bool = True
    """Layer norms, which have a bias, rather than root-mean-square ones, which do not."""
    fused_qkv: bool = False
    bias: bool = True
    """Biases on the matrices of a layer."""
    gated: bool = False
    """gate + up + down instead of up + down."""
    qk_norm: bool = False
    n_patch_kernels: int = 1
    """Kernels that see a patch: two where video frames are merged in pairs."""
    patch_bias: bool = True
    patch_f32: bool = False
    """The patches' kernel keeps 32 bits."""
    n_position_tables: int = 1
    """Gemma 4 has one for x and one for y."""
    class_token: bool = False
    pre_norm: bool = False
    post_norm: bool = True
    max_tokens: int | None = None
    """Largest image that llama.cpp lets in, in tokens; None where every image is scaled to `image_size`."""


KINDS: Final[dict[TowerKind, Kind]] = {
    "qwen2.5vl": Kind(norm_bias=False, gated=True, n_patch_kernels=2, patch_bias=False, max_tokens=4096),
    "qwen3vl": Kind(fused_qkv=True, n_patch_kernels=2, max_tokens=4096),
    "gemma3": Kind(patch_f32=True),
    "gemma4v": Kind(
        norms=("ln1", "ln2", "attn_post_norm", "ffn_post_norm"),
        norm_bias=False,
        bias=False,
        gated=True,
        qk_norm=True,
        patch_bias=False,
        n_position_tables=2,
        post_norm=False,
        max_tokens=1120,
    ),
    "pixtral": Kind(
        norm_bias=False,
        bias=False,
        gated=True,
        patch_bias=False,
        pre_norm=True,
        post_norm=False,
        max_tokens=1024,
    ),
    "llama4": Kind(patch_bias=False, class_token=True, pre_norm=True),
    "kimik25": Kind(fused_qkv=True, max_tokens=4096),
}


def max_image_tokens(tower: Tower) -> int:
    """Tokens of the largest image that llama.cpp lets in."""
    limit = KINDS[tower.kind].max_tokens
    return limit if limit is not None else (tower.image_size // tower.patch_size // tower.n_merge) ** 2
