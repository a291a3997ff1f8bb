"""What a header says of the layers' mixers: heads, latents, indexes and recurrent states.

Source: the loaders in src/models/ of llama.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from advisor.architecture import CompressedAttention, Indexer, LayerKind, Mla, Recurrent
from advisor.errors import GgufError
from advisor.gguf.keys import Keys, Shapes
from advisor.gguf.layers import DELTA_NET, layer_letters, window
from advisor.hf_config import shorten_pattern
from advisor.i18n import _

F, S = LayerKind.FULL.value, LayerKind.SLIDING.value
_RECURRING: Final = frozenset(kind.value for kind in LayerKind if kind.has_state)
_ATTENDING: Final = frozenset(kind.value for kind in LayerKind if kind.has_attention)
_INDEX_PARTS: Final = ("proj", "q_proj")
"""Tensors of which one is in every layer that has an index of its own."""


def mixers(keys: Keys, shapes: Shapes, n_embd: int) -> dict[str, Any]:
    """The fields of `Architecture` that decide caches and states."""
    n = keys.n_layers
    heads = (keys.per_block("attention.head_count") or ())[:n]
    if not heads or max(heads) == 0:
        raise GgufError(
            _("the header does not give {key} above 0: no attention to estimate").format(
                key=keys.shown("attention.head_count")
            )
        )
    kv_heads = (keys.per_block("attention.head_count_kv") or heads)[:n]
    letters = "".join(layer_letters(keys, kv_heads))
    if not _ATTENDING & set(letters):
        name = keys.shown("attention.head_count_kv")
        raise GgufError(_("no layer has attention by {name}, for which there are no rules").format(name=name))
    return {
        "n_heads": max(heads),
        "n_heads_by_layer": heads if len(set(heads)) > 1 else (),
        "layer_pattern": shorten_pattern(letters),
        "n_swa": window(keys) if S in letters else 0,
        "recurrent": _recurrent(keys, shapes, max(heads)) if _RECURRING & set(letters) else None,
        "mla": _mla(keys) if _is_latent(keys) else None,
        "indexer": _indexer(keys, shapes),
        "compressed": _compressed(keys),
        **_kv_heads(keys, letters, kv_heads, max(heads)),
        **_head_dims(keys, letters, n_embd // max(heads)),
    }


def _is_latent(keys: Keys) -> bool:
    return keys.has("attention.key_length_mla")


def _kv_heads(keys: Keys, letters: str, kv_heads: Sequence[int], n_heads: int) -> dict[str, Any]:
    """Number of KV heads: one for all, one for each kind of layer, or a list."""
    if _is_latent(keys):
        # Every head has a K and a V of its own, rebuilt from the one latent that the file counts as a head.
        return {"n_kv_heads": n_heads}
    counts: dict[bool, set[int]] = {True: set(), False: set()}
    for letter, count in zip(letters, kv_heads, strict=True):
        if letter in _ATTENDING:
            counts[letter == S].add(count)
    sliding, full = counts[True], counts[False]
    if len(sliding) > 1 or len(full) > 1:
        by_layer = tuple(n if x in _ATTENDING else 0 for n, x in zip(kv_heads, letters, strict=True))
        return {"n_kv_heads": max(sliding | full), "n_kv_heads_by_layer": by_layer}
    first, other = (*sliding, *full)[0], (*full, *sliding)[0]
    return {"n_kv_heads": first, "n_kv_heads_full": other if other != first else None}


class _Widths(NamedTuple):
    k: int
    v: int


def _head_dims(keys: Keys, letters: str, default: int) -> dict[str, Any]:
    """Width of a head's K and V, by kind of layer where they differ."""
    if _is_latent(keys):
        return {"head_dim": keys.integer("attention.key_length_mla")}
    full = _widths(keys, "", _Widths(default, default))
    sliding = _widths(keys, "_swa", full) if S in letters else full
    if full.k == full.v and sliding.k == sliding.v:
        v = None
    elif full.v == sliding.v:
        v = full.v
    else:
        raise GgufError(
            _(
                "the model has heads whose V is {full} or {sliding} wide beside a K of another width, for "
                "which there are no rules"
            ).format(full=full.v, sliding=sliding.v)
        )
    has_full = set(letters) & _ATTENDING != {S}
    return {
        "head_dim": sliding.k,
        "head_dim_full": full.k if has_full and full.k != sliding.k else None,
        "head_dim_v": v,
    }


def _widths(keys: Keys, suffix: str, default: _Widths) -> _Widths:
    return _Widths(
        keys.optional(f"attention.key_length{suffix}") or default.k,
        keys.optional(f"attention.value_length{suffix}") or default.v,
    )


def _mla(keys: Keys) -> Mla:
    rope = keys.integer("rope.dimension_count")
    return Mla(
        q_lora_rank=keys.optional("attention.q_lora_rank") or None,
        kv_lora_rank=keys.integer("attention.kv_lora_rank"),
        qk_nope_head_dim=keys.integer("attention.key_length_mla") - rope,
        qk_rope_head_dim=rope,
        v_head_dim=keys.integer("attention.value_length_mla"),
    )


def _indexer(keys: Keys, shapes: Shapes) -> Indexer | None:
    """The index of sparse attention; the tensors tell which layers have one."""
    if not keys.optional("attention.indexer.key_length"):
        return None
    have = tuple(
        any(shapes.has(f"blk.{i}.indexer.{part}.weight") for part in _INDEX_PARTS)
        for i in range(keys.n_layers)
    )
    return Indexer(
        n_heads=keys.integer("attention.indexer.head_count"),
        head_dim=keys.integer("attention.indexer.key_length"),
        top_k=keys.integer("attention.indexer.top_k"),
        in_layers=() if all(have) else have,
    )


def _compressed(keys: Keys) -> CompressedAttention | None:
    ratios = keys.get("attention.compress_ratios")
    if not isinstance(ratios, tuple):
        return None
    return CompressedAttention(
        q_lora_rank=keys.integer("attention.q_lora_rank"),
        o_lora_rank=keys.integer("attention.output_lora_rank"),
        o_groups=keys.integer("attention.output_group_count"),
        ratios=keys.numbers("attention.compress_ratios")[: keys.n_layers],
    )


def _recurrent(keys: Keys, shapes: Shapes, n_heads: int) -> Recurrent:
    if keys.has("shortconv.l_cache"):
        return Recurrent(kind="short_conv", d_conv=keys.integer("shortconv.l_cache"))
    d_conv = keys.integer("ssm.conv_kernel")
    if head_dim := keys.optional("kda.head_dim"):
        return Recurrent(
            kind="kda",
            d_conv=d_conv,
            d_inner=n_heads * head_dim,
            d_state=head_dim,
            n_groups=n_heads,
            n_heads=n_heads,
        )
    is_first_mamba = not keys.optional("ssm.group_count") and keys.family not in DELTA_NET
    norm = "ssm_dt_norm" if is_first_mamba else "ssm_norm"
    return Recurrent(
        kind="delta_net" if keys.family in DELTA_NET else "mamba" if is_first_mamba else "mamba2",
        d_conv=d_conv,
        d_inner=keys.integer("ssm.inner_size"),
        d_state=keys.integer("ssm.state_size"),
        n_groups=keys.optional("ssm.group_count") or 0,
        n_heads=keys.integer("ssm.time_step_rank"),
        has_norm=any(shapes.has(f"blk.{i}.{norm}.weight") for i in range(keys.n_layers)),
    )
