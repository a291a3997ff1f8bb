"""Zhipu's dense GLM 4, in its own repository's spelling and in transformers'."""

from __future__ import annotations

from advisor.architecture import Architecture
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def chatglm(c: Config) -> Architecture:
    """ChatGLM 3 and GLM-4-9B as first published."""
    heads = c.integer("num_attention_heads")
    return Architecture(
        family="chatglm",
        n_layers=c.layers("num_layers"),
        n_embd=c.integer("hidden_size"),
        n_vocab=c.integer("padded_vocab_size", "vocab_size"),
        n_ctx_train=c.integer("seq_length"),
        n_heads=heads,
        n_kv_heads=c.integer("multi_query_group_num") if c.flag("multi_query_attention", False) else heads,
        head_dim=c.integer("kv_channels"),
        n_ff=c.integer("ffn_hidden_size"),
        qkv_bias=c.flag("add_qkv_bias", False),
        n_rot=c.integer("kv_channels") // 2,
    )


def glm4(c: Config) -> Architecture:
    """GLM-4-0414 and GLM-Z1: norms after the blocks as well as before them."""
    return decoder(c, "glm4", qkv_bias=c.flag("attention_bias", False))
