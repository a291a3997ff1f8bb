"""What every decoder's config.json has in common."""

from __future__ import annotations

from typing import Any, Final

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_config.reader import Config
from advisor.i18n import _

_HEADLESS: Final = frozenset(
    {"LlamaBidirectionalModel", "LlamaModel", "MistralModel", "Qwen2Model", "Qwen3Model"}
)
"""Decoders that embed: without an output matrix, in whose place llama.cpp takes the token embedding."""


def decoder(c: Config, family: str, *, tied_default: bool = False, **extra: Any) -> Architecture:
    """What every decoder has; `extra` adds or replaces fields."""
    heads = c.integer("num_attention_heads")
    n_embd = c.integer("hidden_size")
    head_dim = extra.get("head_dim") or c.optional("head_dim")
    if head_dim is None:
        head_dim, rest = divmod(n_embd, heads)
        if rest:
            raise ConfigError(
                _("config.json does not give head_dim, and hidden_size is not a multiple of the heads")
            )
    fields: dict[str, Any] = {
        "family": family,
        "n_layers": extra.get("n_layers") or c.layers("num_hidden_layers"),
        "n_embd": n_embd,
        "n_vocab": c.integer("vocab_size"),
        "n_ctx_train": c.integer("max_position_embeddings"),
        "n_heads": heads,
        "n_kv_heads": c.optional("num_key_value_heads") or heads,
        "head_dim": head_dim,
        "tied_embeddings": c.flag("tie_word_embeddings", tied_default)
        or not _HEADLESS.isdisjoint(c.architectures),
    }
    if "n_ff" not in extra:
        fields["n_ff"] = c.integer("intermediate_size")
    return Architecture(**{**fields, **extra})
