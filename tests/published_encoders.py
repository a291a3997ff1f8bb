"""Encoders among the published models: those that embed, and those that rank."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Published(NamedTuple):
    """A model as its maker describes it."""

    config: dict[str, Any]
    n_params: str
    """Billions of parameters, with as many digits as are certain."""
    n_active: str | None = None
    """Of a mixture of experts: those that a token passes through."""


def _encoder(model_type: str, n: int, layers: int, heads: int, ff: int, vocab: int, **extra: Any) -> Any:
    return {
        "model_type": model_type,
        "hidden_size": n,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": ff,
        "vocab_size": vocab,
        "max_position_embeddings": 8192,
        **extra,
    }


_RERANKER = {"id2label": {"0": "LABEL_0"}}

ENCODERS: Final = {
    "nomic-embed-text-v2-moe": Published(
        {
            "model_type": "nomic_bert",
            "n_embd": 768,
            "n_inner": 3072,
            "n_layer": 12,
            "n_head": 12,
            "n_positions": 2048,
            "vocab_size": 250048,
            "type_vocab_size": 1,
            "moe_every_n_layers": 2,
            "num_experts": 8,
            "moe_top_k": 2,
        },
        "0.475",
        "0.305",
    ),
    "modernbert-base": Published(
        _encoder("modernbert", 768, 22, 12, 1152, 50368, global_attn_every_n_layers=3, local_attention=128),
        "0.149",
    ),
    "gte-reranker-modernbert-base": Published(
        _encoder(
            "modernbert",
            768,
            22,
            12,
            1152,
            50368,
            global_attn_every_n_layers=3,
            local_attention=128,
            architectures=["ModernBertForSequenceClassification"],
            **_RERANKER,
        ),
        "0.150",
    ),
    "eurobert-210m": Published(_encoder("eurobert", 768, 12, 12, 3072, 128256), "0.21"),
    "neobert": Published(_encoder("neobert", 768, 28, 12, 3072, 30522, max_length=4096), "0.22"),
    "jina-embeddings-v2-base-en": Published(
        _encoder("bert", 768, 12, 12, 3072, 30528, position_embedding_type="alibi", type_vocab_size=2),
        "0.137",
    ),
    "jina-embeddings-v3": Published(
        _encoder("xlm-roberta", 1024, 24, 16, 4096, 250002, lora_adaptations=["x"], type_vocab_size=1),
        "0.558",
    ),
    "bge-reranker-v2-m3": Published(
        _encoder(
            "xlm-roberta",
            1024,
            24,
            16,
            4096,
            250002,
            max_position_embeddings=8194,
            type_vocab_size=1,
            architectures=["XLMRobertaForSequenceClassification"],
            **_RERANKER,
        ),
        "0.568",
    ),
    "distilbert-base": Published(
        {
            "model_type": "distilbert",
            "dim": 768,
            "hidden_dim": 3072,
            "n_layers": 6,
            "n_heads": 12,
            "vocab_size": 30522,
            "max_position_embeddings": 512,
        },
        "0.066",
    ),
}
"""Sources: as for the decoders, in `published_models`."""
