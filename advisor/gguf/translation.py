"""From a GGUF header to an `Architecture`: llama.cpp's key names end here.

Keys and defaults are those of llama.cpp's loaders (src/llama-model.cpp and src/models/ of llama-cpp-python
0.3.36, 2026-10-01). What the tensors show (widths, experts, biases, tied embeddings) is taken from
them, since that is what is loaded; what only the cache needs is taken from the keys. A family without rules
of its own is read as a plain decoder, unless its keys say that it is none.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ValidationError

from advisor.architecture import (
    BERT_FAMILIES,
    ENCODER_FAMILIES,
    Architecture,
    FeedForwardKind,
    Moe,
    PerLayerEmbeddings,
)
from advisor.errors import GgufError
from advisor.gguf.header import GgufHeader, shown
from advisor.gguf.keys import Keys, Shapes
from advisor.gguf.layers import DELTA_NET
from advisor.gguf.mixers import mixers
from advisor.hf_config import shorten_pattern
from advisor.i18n import N_, _
from advisor.tensors import FAMILIES
from advisor.value import problem

_BEYOND_RULES: Final = {
    "ssm.conv_kernel": N_("recurrent layers"),
    "shortconv.l_cache": N_("recurrent layers"),
    "wkv.head_size": N_("recurrent layers"),
    "kda.head_dim": N_("recurrent layers"),
    "full_attention_interval": N_("recurrent layers"),
    "attention.recurrent_layers": N_("recurrent layers"),
    "attention.indexer.key_length": N_("a second cache for its index"),
    "attention.compress_ratios": N_("a compressed cache"),
    "attention.kv_lora_rank_swa": N_("latent attention of two sizes"),
    "decoder_block_count": N_("an encoder beside its decoder"),
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
        raise GgufError(
            _("the header describes no possible model: {field}: {problem}").format(
                field=field, problem=problem(first)
            )
        ) from error


def _refuse_what_is_no_decoder(keys: Keys) -> None:
    if keys.family == "clip":
        raise GgufError(
            _("the file is a vision or audio projector (mmproj); give the language model's own .gguf")
        )
    if keys.family in FAMILIES or keys.family in ENCODER_FAMILIES:
        return
    for name, what in _BEYOND_RULES.items():
        if keys.has(name):
            raise GgufError(
                _("the architecture {family} has {what}, for which there are no rules yet").format(
                    family=shown(keys.family), what=_(what)
                )
            )
    if keys.get("attention.causal") is False:
        raise GgufError(
            _("the encoder architecture {family} has no rules yet").format(family=shown(keys.family))
        )


def _build(keys: Keys, shapes: Shapes) -> Architecture:
    n_embd, n_vocab = shapes.of("token_embd.weight", 2)
    cache = mixers(keys, shapes, n_embd)
    return Architecture(
        family=keys.family,
        n_layers=keys.n_layers,
        n_embd=n_embd,
        n_vocab=n_vocab,
        n_ctx_train=keys.integer("context_length"),
        per_layer_embeddings=_per_layer_embeddings(keys, shapes),
        n_hyper_connections=keys.optional("hyper_connection.count") or 0,
        n_deepstack_layers=keys.optional("n_deepstack_layers") or 0,
        n_mtp_layers=keys.n_blocks - keys.n_layers,
        **cache,
        **_feed_forward(keys, shapes, n_embd),
        **_rope_table(keys, shapes, cache),
        **_seen_in_tensors(keys, shapes),
    )


def _per_layer_embeddings(keys: Keys, shapes: Shapes) -> PerLayerEmbeddings | None:
    width = keys.optional("embedding_length_per_layer_input")
    if not width:
        return None
    added = shapes.depth("altup_proj.weight")
    return PerLayerEmbeddings(
        n_embd=width,
        n_altup=added + 1 if added else 0,
        laurel_rank=shapes.n_rows("blk.0.laurel_l.weight"),
    )


def _feed_forward(keys: Keys, shapes: Shapes, n_embd: int) -> dict[str, Any]:
    """Kind and width of every layer's feed-forward block."""
    blocks = [f"blk.{i}" for i in range(keys.n_layers)]
    letters = "".join(_ffn_letter(shapes, block) for block in blocks)
    if set(letters) == {FeedForwardKind.NONE}:
        raise GgufError(_("the file has no tensor blk.0.ffn_down.weight; it is not a whole model"))
    moe = _moe(keys, shapes, n_embd, letters)
    widths = tuple(shapes.width(f"{block}.ffn_down.weight") for block in blocks)
    n_shared = min(keys.optional("attention.shared_kv_layers") or 0, keys.n_layers)
    own, sharing = widths[: keys.n_layers - n_shared], widths[keys.n_layers - n_shared :]
    n_ff, n_ff_shared = max(own, default=0), max(sharing, default=0)
    differ = len(set(own) - {0}) > 1 or len(set(sharing) - {0}) > 1
    return {
        "moe": moe,
        "ffn_pattern": "" if _is_plain(letters, moe) else shorten_pattern(letters),
        "n_ff": max(widths) if differ else n_ff,
        "n_ff_by_layer": widths if differ else (),
        "n_kv_shared_layers": n_shared,
        "n_ff_shared_kv": n_ff_shared if n_ff_shared != n_ff and n_ff_shared and not differ else None,
    }


def _ffn_letter(shapes: Shapes, block: str) -> str:
    if shapes.has(f"{block}.ffn_down_exps.weight"):
        return FeedForwardKind.EXPERTS.value
    has_dense = shapes.has(f"{block}.ffn_down.weight")
    return FeedForwardKind.DENSE.value if has_dense else FeedForwardKind.NONE.value


def _is_plain(letters: str, moe: Moe | None) -> bool:
    """Whether `Architecture` knows the kinds without a pattern: dense layers first, experts after them."""
    n_dense = moe.n_layers_dense if moe else len(letters)
    dense, experts = FeedForwardKind.DENSE.value, FeedForwardKind.EXPERTS.value
    return letters == dense * n_dense + experts * (len(letters) - n_dense)


def _moe(keys: Keys, shapes: Shapes, n_embd: int, letters: str) -> Moe | None:
    if (keys.optional("expert_count") or 0) < 2:
        return None
    first = letters.find(FeedForwardKind.EXPERTS)
    if first < 0:
        raise GgufError(
            _("the file holds its experts one by one, as was done before 2024; get a newer conversion")
        )
    used = keys.per_block("expert_used_count")
    if used is None:
        raise GgufError(
            _("the header does not give {key}, though there are experts").format(
                key=keys.shown("expert_used_count")
            )
        )
    n_ff, width, n_experts = shapes.of(f"blk.{first}.ffn_down_exps.weight", 3)
    leads = set(letters[:first]) <= {FeedForwardKind.DENSE} and set(letters[first:]) == {
        FeedForwardKind.EXPERTS
    }
    return Moe(
        n_experts=n_experts,
        n_experts_used=max(used),
        n_ff=n_ff,
        n_ff_shared=shapes.width(f"blk.{first}.ffn_down_shexp.weight"),
        n_layers_dense=first if leads else 0,
        selection_bias=any(shapes.has(f"blk.{i}.exp_probs_b.bias") for i in range(keys.n_layers)),
        n_latent=width if width != n_embd else 0,
        n_layers_hashed=keys.optional("hash_layer_count") or 0,
    )


RopeFactors = Literal["none", "llama3", "longrope", "proportional"]


def _rope_table(keys: Keys, shapes: Shapes, cache: dict[str, Any]) -> dict[str, Any]:
    """Kind of the frequency table, and the dimensions that are rotated where they are not a whole head's."""
    factors: RopeFactors = "none"
    if n := shapes.width("rope_factors_long.weight"):
        factors = "longrope"
    elif n := shapes.width("rope_freqs.weight"):
        factors = "proportional" if keys.family == "gemma4" else "llama3"
    head_dim = cache.get("head_dim_full") or cache["head_dim"]
    # The latents of `Mla` and the delta nets' quarter of a head are known without it.
    known = cache["mla"] or keys.family in DELTA_NET or keys.family in BERT_FAMILIES
    n_rot = 2 * n if n else 0 if known else keys.optional("rope.dimension_count") or 0
    return {"rope_factors": factors, "n_rot": n_rot if n_rot not in (0, head_dim) else None}


def _seen_in_tensors(keys: Keys, shapes: Shapes) -> dict[str, Any]:
    """What shows in a tensor being there or not."""
    blocks = [f"blk.{i}" for i in range(keys.n_layers)]
    row = FAMILIES.get(keys.family)
    no_output = keys.family in BERT_FAMILIES
    return {
        "tied_embeddings": not no_output and not shapes.has("output.weight"),
        "qkv_bias": (row is None or row.qkv_bias is None)
        and any(shapes.has(f"{b}.{name}.bias") for b in blocks for name in ("attn_q", "attn_qkv")),
        "qk_norm": row is not None
        and row.qk_norm_by_model
        and any(shapes.has(f"{b}.attn_q_norm.weight") for b in blocks),
        "v_is_k_full": any(
            shapes.has(f"{b}.attn_k.weight") and not shapes.has(f"{b}.attn_v.weight") for b in blocks
        ),
        "n_token_types": shapes.n_rows("token_types.weight"),
        "n_positions": shapes.n_rows("position_embd.weight"),
        "n_labels": shapes.n_rows("cls.output.weight"),
    }
