"""From an architecture to its tensor list, as llama.cpp's converter writes it.

A family is a row of facts (`FAMILIES`), a layer is an attention block and a feed-forward block, and each
kind of block lists its tensors once. Shapes are in ggml's order: the first dimension is the row.
Source: the model loaders of llama.cpp (src/models/) as of llama-cpp-python 0.3.36, 2026-10-01; every family
is held against llama.cpp itself in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from advisor.errors import ConfigError
from advisor.model import Architecture, LayerKind, Mla, Moe, Recurrent


class Tensor(NamedTuple):
    """One tensor of a model file."""

    name: str
    shape: tuple[int, ...]
    keep_f32: bool = False
    """Stored as F32 whatever the quantization: vectors, norms, routers, convolutions."""
    native_mxfp4: bool = False
    """The checkpoint itself stores it in MXFP4."""


class Family(NamedTuple):
    """What distinguishes the layers of one llama.cpp architecture from those of another."""

    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    """Vectors of width n_embd in every layer."""
    attention: Literal["split", "fused"] = "split"
    """Q, K and V as three matrices or as one."""
    qkv_bias: bool | None = None
    """None: as the architecture says."""
    out_bias: bool = False
    qk_norm: bool = False
    """A norm over each head's Q and K."""
    gated_q: bool = False
    """Q carries a gate of its own width."""
    sinks: bool = False
    """One learned logit a head."""
    ffn: Literal["gated", "fused", "plain"] = "gated"
    """gate + up + down, (gate|up) + down, or up + down with biases (BERT)."""
    expert_bias: bool = False
    experts_mxfp4: bool = False
    gated_shared_expert: bool = False
    """The shared expert is weighted by a gate of its own."""
    dense_beside_experts: bool = False
    """Every layer has an ordinary block beside the experts (Gemma 4)."""
    fused_gate_up_experts: bool = False
    fused_beta_alpha: bool = False
    """The delta net's two small projections as one matrix."""
    output_norm: str | None = "output_norm"


FAMILIES: Final = {
    "llama": Family(),
    "mistral3": Family(),
    "granite": Family(),
    "smollm3": Family(),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family(qk_norm=True),
    "qwen3moe": Family(qk_norm=True),
    "qwen3vl": Family(qk_norm=True),
    "gemma": Family(),
    "gemma2": Family(norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")),
    "gemma3": Family(norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), qk_norm=True),
    "gemma-embedding": Family(
        norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), qk_norm=True
    ),
    "gemma4": Family(
        norms=("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
        qk_norm=True,
        dense_beside_experts=True,
        fused_gate_up_experts=True,
    ),
    "phi3": Family(attention="fused", qkv_bias=False, ffn="fused"),
    "gpt-oss": Family(
        norms=("attn_norm", "post_attention_norm"),
        qkv_bias=True,
        out_bias=True,
        sinks=True,
        expert_bias=True,
        experts_mxfp4=True,
    ),
    "deepseek2": Family(),
    "granitehybrid": Family(),
    "exaone4": Family(norms=("post_attention_norm", "post_ffw_norm"), qk_norm=True),
    "qwen3next": Family(
        norms=("attn_norm", "post_attention_norm"),
        qk_norm=True,
        gated_q=True,
        gated_shared_expert=True,
        fused_beta_alpha=True,
    ),
    "qwen35": Family(norms=("attn_norm", "post_attention_norm"), qk_norm=True, gated_q=True),
    "qwen35moe": Family(
        norms=("attn_norm", "post_attention_norm"), qk_norm=True, gated_q=True, gated_shared_expert=True
    ),
    "lfm2": Family(qk_norm=True, output_norm="token_embd_norm"),
    "lfm2moe": Family(qk_norm=True, output_norm="token_embd_norm"),
    "nomic-bert": Family(norms=(), attention="fused", qkv_bias=False, output_norm=None),
    "bert": Family(norms=(), qkv_bias=True, out_bias=True, ffn="plain", output_norm=None),
}


def family_of(arch: Architecture) -> Family:
    """The facts of an architecture's family.

    Raises `ConfigError` for a family that has no rules yet.
    """
    family = FAMILIES.get(arch.family)
    if family is None:
        raise ConfigError(
            f"the architecture {arch.family!r} has no rules yet; a .gguf of the model can be estimated from "
            f"its own header (known: {', '.join(sorted(FAMILIES))})"
        )
    return family


def tensors(arch: Architecture) -> tuple[Tensor, ...]:
    """Every tensor of the model's GGUF, multi-token-prediction blocks left out.

    Raises `ConfigError` for a family that has no rules yet.
    """
    family = family_of(arch)
    rows = list(_input(arch))
    rows += _output(arch, family)
    kinds = arch.layer_kinds()
    for i, kind in enumerate(kinds):
        prefix = f"blk.{i}."
        rows += (
            Tensor(prefix + name, shape, keep_f32, native)
            for name, shape, keep_f32, native in _layer(arch, family, i, kind)
        )
    return tuple(rows)


def _matrix(name: str, *shape: int, native_mxfp4: bool = False) -> Tensor:
    return Tensor(f"{name}.weight", shape, False, native_mxfp4)


def _f32(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, True)


def _norm(name: str, n: int, *, bias: bool = False) -> Iterator[Tensor]:
    yield _f32(f"{name}.weight", n)
    if bias:
        yield _f32(f"{name}.bias", n)


def _input(arch: Architecture) -> Iterator[Tensor]:
    n = arch.n_embd
    yield _matrix("token_embd", n, arch.n_vocab)
    if arch.is_bert:
        if arch.n_token_types:
            yield _f32("token_types.weight", n, arch.n_token_types)
        if arch.n_positions:
            yield _f32("position_embd.weight", n, arch.n_positions)
        yield from _norm("token_embd_norm", n, bias=True)
    if arch.per_layer_embeddings:
        width = arch.per_layer_embeddings.n_embd
        yield _matrix("per_layer_token_embd", width * arch.n_layers, arch.n_vocab)
        yield _matrix("per_layer_model_proj", n, width * arch.n_layers)
        yield _f32("per_layer_proj_norm.weight", width)
    yield from _rope_factors(arch)


def _rope_factors(arch: Architecture) -> Iterator[Tensor]:
    n_rot = arch.n_rot or arch.head_dim_full or arch.head_dim
    if arch.rope_factors in ("llama3", "proportional"):
        yield _f32("rope_freqs.weight", n_rot // 2)
    elif arch.rope_factors == "longrope":
        yield _f32("rope_factors_long.weight", n_rot // 2)
        yield _f32("rope_factors_short.weight", n_rot // 2)


def _output(arch: Architecture, family: Family) -> Iterator[Tensor]:
    if family.output_norm:
        yield _f32(f"{family.output_norm}.weight", arch.n_embd)
    if not arch.tied_embeddings and not arch.is_bert:
        yield _matrix("output", arch.n_embd, arch.n_vocab)
    if arch.n_labels and arch.is_bert:
        yield _matrix("cls", arch.n_embd, arch.n_embd)
        yield _f32("cls.bias", arch.n_embd)
    if arch.n_labels:
        yield _matrix("cls.output", arch.n_embd, arch.n_labels)
        if arch.is_bert:
            yield _f32("cls.output.bias", arch.n_labels)


def _layer(arch: Architecture, family: Family, i: int, kind: LayerKind) -> Iterator[Tensor]:
    for name in family.norms:
        yield _f32(f"{name}.weight", arch.n_embd)
    if kind is LayerKind.RECURRENT:
        assert arch.recurrent is not None  # the architecture was checked when it was made
        yield from _recurrent(arch.n_embd, arch.recurrent, family)
    elif arch.mla:
        yield from _mla(arch, arch.mla)
    else:
        yield from _attention(arch, family, i, kind)
    if arch.has_experts(i):
        assert arch.moe is not None
        yield from _experts(arch, family, arch.moe)
    if not arch.has_experts(i) or family.dense_beside_experts:
        yield from _feed_forward(arch, family, i)
    if arch.is_bert:
        yield from _norm("attn_output_norm", arch.n_embd, bias=True)
        yield from _norm("layer_output_norm", arch.n_embd, bias=True)
    if arch.family == "gemma4":
        yield from _gemma4_extras(arch)


def attention_shape(arch: Architecture, kind: LayerKind) -> tuple[int, int]:
    """(KV heads, head width) of an attention layer of that kind."""
    if kind is LayerKind.FULL:
        return arch.n_kv_heads_full or arch.n_kv_heads, arch.head_dim_full or arch.head_dim
    return arch.n_kv_heads, arch.head_dim


def owns_cache(arch: Architecture, layer: int) -> bool:
    """Whether that layer keeps keys and values of its own (Gemma 4's last ones read an earlier layer's)."""
    return layer < arch.n_layers - arch.n_kv_shared_layers


def _attention(arch: Architecture, family: Family, i: int, kind: LayerKind) -> Iterator[Tensor]:
    n = arch.n_embd
    kv_heads, dim = attention_shape(arch, kind)
    q, kv = arch.n_heads * dim * (2 if family.gated_q else 1), kv_heads * dim
    if family.attention == "fused":
        projections = {"attn_qkv": q + 2 * kv}
    else:
        projections = {"attn_q": q}
        if owns_cache(arch, i):
            projections["attn_k"] = kv
            if not (arch.v_is_k_full and kind is LayerKind.FULL):
                projections["attn_v"] = kv
    bias = arch.qkv_bias if family.qkv_bias is None else family.qkv_bias
    for name, width in projections.items():
        yield _matrix(name, n, width)
        if bias:
            yield _f32(f"{name}.bias", width)
    yield _matrix("attn_output", arch.n_heads * dim, n)
    if family.out_bias:
        yield _f32("attn_output.bias", n)
    if family.qk_norm:
        yield _f32("attn_q_norm.weight", dim)
        if owns_cache(arch, i):
            yield _f32("attn_k_norm.weight", dim)
    if family.sinks:
        yield _f32("attn_sinks.weight", arch.n_heads)


def _mla(arch: Architecture, mla: Mla) -> Iterator[Tensor]:
    n, heads = arch.n_embd, arch.n_heads
    qk = heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    if mla.q_lora_rank:
        yield _matrix("attn_q_a", n, mla.q_lora_rank)
        yield _f32("attn_q_a_norm.weight", mla.q_lora_rank)
        yield _matrix("attn_q_b", mla.q_lora_rank, qk)
    else:
        yield _matrix("attn_q", n, qk)
    yield _matrix("attn_kv_a_mqa", n, mla.kv_lora_rank + mla.qk_rope_head_dim)
    yield _f32("attn_kv_a_norm.weight", mla.kv_lora_rank)
    yield _matrix("attn_k_b", mla.qk_nope_head_dim, mla.kv_lora_rank, heads)
    yield _matrix("attn_v_b", mla.kv_lora_rank, mla.v_head_dim, heads)
    yield _matrix("attn_output", heads * mla.v_head_dim, n)


def _recurrent(n: int, r: Recurrent, family: Family) -> Iterator[Tensor]:
    if r.kind == "short_conv":
        yield _f32("shortconv.conv.weight", r.d_conv, n)
        yield _matrix("shortconv.in_proj", n, 3 * n)
        yield _matrix("shortconv.out_proj", n, n)
        return
    conv = r.d_inner + 2 * r.n_groups * r.d_state
    if r.kind == "mamba2":
        yield _matrix("ssm_in", n, r.d_inner + conv + r.n_heads)
        yield _f32("ssm_conv1d.weight", r.d_conv, conv)
        yield _f32("ssm_conv1d.bias", conv)
        yield _f32("ssm_dt.bias", r.n_heads)
        yield _f32("ssm_a", 1, r.n_heads)
        yield _f32("ssm_d", 1, r.n_heads)
        yield _f32("ssm_norm.weight", r.d_inner // r.n_groups, r.n_groups)
    else:
        yield _matrix("attn_qkv", n, conv)
        yield _matrix("attn_gate", n, r.d_inner)
        yield _f32("ssm_conv1d.weight", r.d_conv, conv)
        yield _f32("ssm_dt.bias", r.n_heads)
        yield _f32("ssm_a", r.n_heads)
        if family.fused_beta_alpha:
            yield _matrix("ssm_ba", n, 2 * r.n_heads)
        else:
            yield _matrix("ssm_beta", n, r.n_heads)
            yield _matrix("ssm_alpha", n, r.n_heads)
        yield _f32("ssm_norm.weight", r.d_inner // r.n_heads)
    yield _matrix("ssm_out", r.d_inner, n)


def _feed_forward(arch: Architecture, family: Family, i: int) -> Iterator[Tensor]:
    n, ff = arch.n_embd, arch.n_ff
    if arch.n_ff_shared_kv and not owns_cache(arch, i):
        ff = arch.n_ff_shared_kv
    if family.ffn == "gated":
        yield _matrix("ffn_gate", n, ff)
    yield _matrix("ffn_up", n, 2 * ff if family.ffn == "fused" else ff)
    yield _matrix("ffn_down", ff, n)
    if family.ffn == "plain":
        yield _f32("ffn_up.bias", ff)
        yield _f32("ffn_down.bias", n)


def _experts(arch: Architecture, family: Family, moe: Moe) -> Iterator[Tensor]:
    n, ff, x = arch.n_embd, moe.n_ff, moe.n_experts
    native = family.experts_mxfp4
    yield _f32("ffn_gate_inp.weight", n, x)
    if family.fused_gate_up_experts:
        yield _matrix("ffn_gate_up_exps", n, 2 * ff, x)
    else:
        yield _matrix("ffn_gate_exps", n, ff, x, native_mxfp4=native)
        yield _matrix("ffn_up_exps", n, ff, x, native_mxfp4=native)
    yield _matrix("ffn_down_exps", ff, n, x, native_mxfp4=native)
    if family.expert_bias:
        yield _f32("ffn_gate_inp.bias", x)
        yield _f32("ffn_gate_exps.bias", ff, x)
        yield _f32("ffn_up_exps.bias", ff, x)
        yield _f32("ffn_down_exps.bias", n, x)
    if moe.selection_bias:
        yield _f32("exp_probs_b.bias", x)
    if moe.n_ff_shared:
        if family.gated_shared_expert:
            yield _f32("ffn_gate_inp_shexp.weight", n)
        yield _matrix("ffn_gate_shexp", n, moe.n_ff_shared)
        yield _matrix("ffn_up_shexp", n, moe.n_ff_shared)
        yield _matrix("ffn_down_shexp", moe.n_ff_shared, n)


def _gemma4_extras(arch: Architecture) -> Iterator[Tensor]:
    """Scale of the layer's output, norms around the experts, and the per-layer embedding's projections."""
    n = arch.n_embd
    yield _f32("layer_output_scale.weight", 1)
    if arch.moe:
        yield _f32("ffn_gate_inp.scale", n)
        yield _f32("pre_ffw_norm_2.weight", n)
        yield _f32("post_ffw_norm_1.weight", n)
        yield _f32("post_ffw_norm_2.weight", n)
        yield _f32("ffn_down_exps.scale", arch.moe.n_experts)
    if arch.per_layer_embeddings:
        width = arch.per_layer_embeddings.n_embd
        yield _matrix("inp_gate", n, width)
        yield _matrix("proj", width, n)
        yield _f32("post_norm.weight", n)
