"""BERT and its kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from advisor.architecture import Architecture
from advisor.hf_config.reader import Config

ROBERTA_PADDING: Final = 2
"""RoBERTa's position table starts behind the padding token; the converter drops those rows."""


def nomic_bert(c: Config) -> Architecture:
    """nomic-embed."""
    heads, n_embd = c.integer("n_head"), c.integer("n_embd")
    return Architecture(
        family="nomic-bert",
        n_layers=c.integer("n_layer"),
        n_embd=n_embd,
        n_vocab=c.integer("vocab_size"),
        n_ctx_train=c.integer("n_positions"),
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=n_embd // heads,
        n_ff=c.integer("n_inner"),
        n_token_types=c.optional("type_vocab_size") or 2,
    )


def bert(positions_dropped: int) -> Callable[[Config], Architecture]:
    """BERT; the converter drops so many rows of its position table."""

    def build(c: Config) -> Architecture:
        heads, n_embd = c.integer("num_attention_heads"), c.integer("hidden_size")
        positions = c.integer("max_position_embeddings") - positions_dropped
        return Architecture(
            family="bert",
            n_layers=c.integer("num_hidden_layers"),
            n_embd=n_embd,
            n_vocab=c.integer("vocab_size"),
            n_ctx_train=positions,
            n_heads=heads,
            n_kv_heads=heads,
            head_dim=n_embd // heads,
            n_ff=c.integer("intermediate_size"),
            n_token_types=c.optional("type_vocab_size") or 0,
            n_positions=positions,
            n_labels=1 if _is_classifier(c.data) else 0,
        )

    return build


def _is_classifier(data: Mapping[str, Any]) -> bool:
    names = data.get("architectures") or ()
    return any(str(name).endswith("ForSequenceClassification") for name in names)
