"""From a GGUF header to an `Architecture`: llama.cpp's key names end here.

Keys and defaults are those of llama.cpp's loaders (src/llama-model.cpp and src/models/ of llama-cpp-python
0.3.36, 2026-10-01). What the tensors show (widths, experts, biases, tied embeddings) is taken from
them, since that is what is loaded; what only the cache needs is taken from the keys. A family without rules
of its own is read as a plain decoder, unless its keys say that it is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import ValidationError

from advisor.architecture import (
    BERT_FAMILIES,
    ENCODER_FAMILIES,
    Architecture,
    Mla,
    Moe,
    PerLayerEmbeddings,
    Recurrent,
)
from advisor.errors import GgufError
from advisor.gguf.header import GgufHeader, shown
from advisor.gguf.keys import Keys, Shapes
from advisor.gguf.layers import DELTA_NET, F, R, S, layer_letters, window
from advisor.hf_config import shorten_pattern
from advisor.tensors import FAMILIES

_BEYOND_RULES: Final = {
    "ssm.conv_kernel": "recurrent layers",
    "shortconv.l_cache": "recurrent layers",
    "wkv.head_size": "recurrent layers",
    "kda.head_dim": "recurrent layers",
    "full_attention_interval": "recurrent layers",
    "attention.recurrent_layers": "recurrent layers",
    "attention.indexer.key_length": "a second cache for its index",
    "attention.compress_ratios": "a compressed cache",
    "attention.kv_lora_rank_swa": "latent attention of two sizes",
    "decoder_block_count": "an encoder beside its decoder",
}
"""Keys that make a model of an unlisted family more than a plain decoder."""


def architecture_of_header(header: GgufHeader) -> Architecture:
    """The architecture that a model file holds.

    Raises `GgufError` for a file that holds no language model, lacks a key or tensor (named), or describes
    something that `Architecture` cannot.
    """
    keys = Keys(header.metadata)
    _refuse_what_is_no_decoder(keys)
    try:
        return _build(keys, Shapes({tensor.name: tensor.shape for tensor in header.tensors}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or keys.family
        raise GgufError(f"the header describes no possible model: {field}: {first['msg']}") from error


def _refuse_what_is_no_decoder(keys: Keys) -> None:
    if keys.family == "clip":
        raise GgufError(
            "the file is a vision or audio projector (mmproj); give the language model's own .gguf"
        )
    if keys.family in FAMILIES or keys.family in ENCODER_FAMILIES:
        return
    for name, what in _BEYOND_RULES.items():
        if keys.has(name):
            raise GgufError(
                f"the architecture {shown(keys.family)} has {what}, for which there are no rules yet"
            )
    if keys.get("attention.causal") is False:
        raise GgufError(f"the encoder architecture {shown(keys.family)} has no rules yet")


def _build(keys: Keys, shapes: Shapes) -> Architecture:
    n_embd, n_vocab = shapes.of("token_embd.weight", 2)
    cache = _cache(keys, n_embd)
    n_shared = min(keys.optional("attention.shared_kv_layers") or 0, keys.n_layers)
    widths = [shapes.width(f"blk.{i}.ffn_down.weight") for i in range(keys.n_layers)]
    own, sharing = widths[: keys.n_layers - n_shared], widths[keys.n_layers - n_shared :]
    n_ff, n_ff_shared = max(own, default=0), max(sharing, default=0)
    per_layer = keys.optional("embedding_length_per_layer_input")
    return Architecture(
        family=keys.family,
        n_layers=keys.n_layers,
        n_embd=n_embd,
        n_vocab=n_vocab,
        n_ctx_train=keys.integer("context_length"),
        n_ff=n_ff,
        n_kv_shared_layers=n_shared,
        n_ff_shared_kv=n_ff_shared if n_ff_shared and n_ff_shared != n_ff else None,
        moe=_moe(keys, shapes),
        per_layer_embeddings=PerLayerEmbeddings(n_embd=per_layer) if per_layer else None,
        n_mtp_layers=keys.n_blocks - keys.n_layers,
        **cache,
        **_rope_table(shapes, cache["head_dim_full"] or cache["head_dim"], keys.family),
        **_seen_in_tensors(keys, shapes),
    )


def _cache(keys: Keys, n_embd: int) -> dict[str, Any]:
    """The fields that decide caches and states."""
    heads = keys.per_block("attention.head_count")
    if not heads or max(heads) == 0:
        raise GgufError(
            f"the header does not give {keys.shown('attention.head_count')} above 0: no attention to estimate"
        )
    n_heads = max(heads)  # queries are not cached, and a graph is as large as its largest layer
    kv_heads = keys.per_block("attention.head_count_kv") or heads
    letters = "".join(layer_letters(keys, kv_heads))
    return {
        "n_heads": n_heads,
        "layer_pattern": shorten_pattern(letters),
        "n_swa": window(keys) if S in letters else 0,
        "recurrent": _recurrent(keys) if R in letters else None,
        "head_dim_full": None,
        **_kv_heads(keys, letters, kv_heads, n_embd, n_heads),
    }


def _kv_heads(keys: Keys, letters: str, kv_heads: Sequence[int], n_embd: int, n_heads: int) -> dict[str, Any]:
    """Number and width of the KV heads, by kind of layer where they differ."""
    if keys.has("attention.key_length_mla"):
        mla = _mla(keys)
        head_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim
        # Every head has a K and a V of its own, rebuilt from the one latent that the file counts as a head.
        return {"n_kv_heads": n_heads, "head_dim": head_dim, "mla": mla}
    dim = _head_dim(keys, "", n_embd // n_heads)
    if S not in letters:
        return {"n_kv_heads": _one_count(keys, letters, kv_heads, F), "head_dim": dim}
    sliding, sliding_dim = _one_count(keys, letters, kv_heads, S), _head_dim(keys, "_swa", dim)
    full = _one_count(keys, letters, kv_heads, F) if F in letters else sliding
    return {
        "n_kv_heads": sliding,
        "n_kv_heads_full": full if full != sliding else None,
        "head_dim": sliding_dim,
        "head_dim_full": dim if dim != sliding_dim else None,
    }


def _head_dim(keys: Keys, suffix: str, default: int) -> int:
    """Width of a head; where K and V differ in it, their mean: the two together take the same bytes."""
    k = keys.optional(f"attention.key_length{suffix}") or default
    v = keys.optional(f"attention.value_length{suffix}") or default
    if (k + v) % 2:
        raise GgufError(
            f"the model has heads whose K is {k} and whose V is {v} wide, for which there are no rules"
        )
    return (k + v) // 2


def _one_count(keys: Keys, letters: str, kv_heads: Sequence[int], kind: str) -> int:
    """The number of KV heads that every layer of that kind has."""
    counts = sorted({n for n, letter in zip(kv_heads, letters, strict=False) if letter == kind})
    if len(counts) == 1 and counts[0]:
        return counts[0]
    name = keys.shown("attention.head_count_kv")
    if not counts:
        raise GgufError(f"no layer has attention by {name}, for which there are no rules")
    raise GgufError(
        f"{name} differs between layers of one kind (from {counts[0]} to {counts[-1]}), "
        "for which there are no rules yet"
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


def _recurrent(keys: Keys) -> Recurrent:
    if keys.has("shortconv.l_cache"):
        return Recurrent(kind="short_conv", d_conv=keys.integer("shortconv.l_cache"))
    return Recurrent(
        kind="delta_net" if keys.family in DELTA_NET else "mamba2",
        d_conv=keys.integer("ssm.conv_kernel"),
        d_inner=keys.integer("ssm.inner_size"),
        d_state=keys.integer("ssm.state_size"),
        n_groups=keys.integer("ssm.group_count"),
        n_heads=keys.integer("ssm.time_step_rank"),
    )


def _moe(keys: Keys, shapes: Shapes) -> Moe | None:
    if (keys.optional("expert_count") or 0) < 2:
        return None
    layers = [i for i in range(keys.n_layers) if shapes.has(f"blk.{i}.ffn_down_exps.weight")]
    if not layers:
        raise GgufError(
            "the file holds its experts one by one, as was done before 2024; get a newer conversion"
        )
    first = f"blk.{layers[0]}"
    n_ff, _, n_experts = shapes.of(f"{first}.ffn_down_exps.weight", 3)
    used = keys.per_block("expert_used_count")
    if used is None:
        raise GgufError(
            f"the header does not give {keys.shown('expert_used_count')}, though there are experts"
        )
    return Moe(
        n_experts=n_experts,
        n_experts_used=max(used),
        n_ff=n_ff,
        n_ff_shared=shapes.width(f"{first}.ffn_down_shexp.weight"),
        n_layers_dense=layers[0],
        selection_bias=shapes.has(f"{first}.exp_probs_b.bias"),
    )


RopeFactors = Literal["none", "llama3", "longrope", "proportional"]


def _rope_table(shapes: Shapes, head_dim: int, family: str) -> dict[str, Any]:
    """Kind of the frequency table, and the dimensions it rotates where they are not a whole head's."""
    factors: RopeFactors = "none"
    if n := shapes.width("rope_factors_long.weight"):
        factors = "longrope"
    elif n := shapes.width("rope_freqs.weight"):
        factors = "proportional" if family == "gemma4" else "llama3"
    return {"rope_factors": factors, "n_rot": 2 * n if n and 2 * n != head_dim else None}


def _seen_in_tensors(keys: Keys, shapes: Shapes) -> dict[str, Any]:
    """What shows in a tensor being there or not."""
    blocks = [f"blk.{i}" for i in range(keys.n_layers)]
    row = FAMILIES.get(keys.family)
    no_output = keys.family in BERT_FAMILIES
    return {
        "tied_embeddings": not no_output and not shapes.has("output.weight"),
        "qkv_bias": (row is None or row.qkv_bias is None)
        and any(shapes.has(f"{b}.attn_q.bias") for b in blocks),
        "v_is_k_full": any(
            shapes.has(f"{b}.attn_k.weight") and not shapes.has(f"{b}.attn_v.weight") for b in blocks
        ),
        "n_token_types": shapes.n_rows("token_types.weight"),
        "n_positions": shapes.n_rows("position_embd.weight"),
        "n_labels": shapes.n_rows("cls.output.weight"),
    }
