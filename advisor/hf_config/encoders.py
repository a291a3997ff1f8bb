"""BERT and its kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from advisor.architecture import Architecture, Moe
from advisor.errors import ConfigError
from advisor.hf_config.reader import Config
from advisor.i18n import _

ROBERTA_PADDING: Final = 2
"""RoBERTa's position table starts behind the padding token; the converter drops those rows."""
_NOMIC_TRAINED: Final = {8192: 2048, 2048: 512}
"""Positions that nomic-embed 1 and 2 were trained for, by the positions that their configs give."""


def nomic_bert(c: Config) -> Architecture:
    """nomic-embed 1 and 2; in the second, every other layer is of experts."""
    heads, n_embd, n_ff = c.integer("n_head"), c.integer("n_embd"), c.integer("n_inner")
    positions = c.integer("n_positions")
    experts: dict[str, Any] = {}
    if every := c.optional("moe_every_n_layers"):
        if every != len(_NOMIC_MOE):
            raise ConfigError(
                _("config.json: moe_every_n_layers is {every}, for which there are no rules").format(
                    every=every
                )
            )
        moe = Moe(n_experts=c.integer("num_experts"), n_experts_used=c.integer("moe_top_k"), n_ff=n_ff)
        experts = {"moe": moe, "ffn_pattern": _NOMIC_MOE}
    return Architecture(
        family="nomic-bert-moe" if experts else "nomic-bert",
        n_layers=c.layers("n_layer"),
        n_embd=n_embd,
        n_vocab=c.integer("vocab_size"),
        n_ctx_train=_NOMIC_TRAINED.get(positions, positions),
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=n_embd // heads,
        n_ff=n_ff,
        n_token_types=c.optional("type_vocab_size") or 2,
        **experts,
    )


_NOMIC_MOE: Final = "de"


def modern_bert(c: Config) -> Architecture:
    """ModernBERT: every third layer sees everything, the first of them included."""
    if "layer_types" in c.data:
        pattern = c.pattern(c.layers("num_hidden_layers"))
    else:
        pattern = "f" + "s" * (c.layers("global_attn_every_n_layers") - 1)
    return _encoder(c, "modern-bert", layer_pattern=pattern, n_swa=c.integer("local_attention"))


def euro_bert(c: Config) -> Architecture:
    """EuroBERT: Llama's blocks without a mask."""
    return _encoder(c, "eurobert", n_kv_heads=c.optional("num_key_value_heads"))


def neo_bert(c: Config) -> Architecture:
    """NeoBERT, whose feed-forward width counts the gate: two thirds of it are left."""
    n_ff = 2 * c.integer("intermediate_size") // 3
    return _encoder(c, "neo-bert", n_ff=n_ff, n_ctx_train=c.integer("max_length"))


def distil_bert(c: Config) -> Architecture:
    """DistilBERT: half of BERT's layers under other names."""
    heads, n_embd = c.integer("n_heads"), c.integer("dim")
    positions = c.integer("max_position_embeddings")
    return Architecture(
        family="bert",
        n_layers=c.layers("n_layers"),
        n_embd=n_embd,
        n_vocab=c.integer("vocab_size"),
        n_ctx_train=positions,
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=n_embd // heads,
        n_ff=c.integer("hidden_dim"),
        n_positions=positions,
    )


def bert(positions_dropped: int) -> Callable[[Config], Architecture]:
    """BERT; the converter drops so many rows of its position table."""

    def build(c: Config) -> Architecture:
        positions = c.integer("max_position_embeddings") - positions_dropped
        family = _relative(c)
        return _encoder(
            c,
            family or "bert",
            n_ctx_train=positions,
            n_token_types=c.optional("type_vocab_size") or 0,
            n_positions=0 if family else positions,
        )

    return build


def _relative(c: Config) -> str | None:
    """Jina's encoders, which call themselves BERT but have no table of positions."""
    if c.data.get("position_embedding_type") == "alibi":
        return "jina-bert-v2"
    return "jina-bert-v3" if c.data.get("lora_adaptations") else None


def _encoder(c: Config, family: str, **extra: Any) -> Architecture:
    """What every encoder has; `extra` adds or replaces fields, unless it is None."""
    heads, n_embd = c.integer("num_attention_heads"), c.integer("hidden_size")
    fields: dict[str, Any] = {
        "family": family,
        "n_layers": c.layers("num_hidden_layers"),
        "n_embd": n_embd,
        "n_vocab": c.integer("vocab_size"),
        "n_ctx_train": extra.get("n_ctx_train") or c.integer("max_position_embeddings"),
        "n_heads": heads,
        "n_kv_heads": heads,
        "head_dim": n_embd // heads,
        "n_ff": c.integer("intermediate_size"),
        "n_labels": _n_labels(c),
    }
    return Architecture(**fields | {name: value for name, value in extra.items() if value is not None})


def _n_labels(c: Config) -> int:
    """Width of a reranker's head; 0 for a model that embeds."""
    if not any(name.endswith("ForSequenceClassification") for name in c.architectures):
        return 0
    return len(c.mapping("id2label")) or 1
