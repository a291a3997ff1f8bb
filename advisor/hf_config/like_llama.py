"""Decoders that differ from Llama in a few facts: biases, a plain feed-forward block, other keys."""

from __future__ import annotations

from typing import Any

from advisor.architecture import Architecture, Moe
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.llama import rope_factors
from advisor.hf_config.reader import Config
from advisor.i18n import _


def apertus(c: Config) -> Architecture:
    """Apertus: a plain feed-forward block, and norms over Q and K."""
    return decoder(c, "apertus", rope_factors=rope_factors(c))


def arcee(c: Config) -> Architecture:
    """Arcee's AFM: Llama with a plain feed-forward block."""
    return decoder(c, "arcee", rope_factors=rope_factors(c))


def exaone(c: Config) -> Architecture:
    """EXAONE 3 and 3.5."""
    return decoder(c, "exaone", n_layers=c.layers("num_layers"), rope_factors=rope_factors(c))


def granite_moe(c: Config) -> Architecture:
    """Granite 3's mixtures of experts."""
    moe = Moe(
        n_experts=c.integer("num_local_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("intermediate_size"),
        n_ff_shared=c.optional("shared_intermediate_size") or 0,
    )
    return decoder(c, "granitemoe", n_ff=0, moe=moe, qkv_bias=c.flag("attention_bias", False))


def internlm2(c: Config) -> Architecture:
    """InternLM 2 and 2.5."""
    return decoder(c, "internlm2")


def internlm3(c: Config) -> Architecture:
    """InternLM 3, which is converted as a Llama."""
    return decoder(c, "llama", qkv_bias=c.flag("qkv_bias", False))


def minicpm(c: Config) -> Architecture:
    """MiniCPM 1 and 4."""
    rope = c.mapping("rope_scaling")
    longrope = "long_factor" in rope
    return decoder(c, "minicpm", tied_default=True, rope_factors="longrope" if longrope else "none")


def seed_oss(c: Config) -> Architecture:
    """ByteDance's Seed-OSS."""
    return decoder(c, "seed_oss", qkv_bias=c.flag("attention_bias", True))


def stablelm(c: Config) -> Architecture:
    """StableLM 2 1.6B and 3B."""
    c.refuse("use_parallel_residual", "qk_layernorm")
    return decoder(c, "stablelm", qkv_bias=c.flag("use_qkv_bias", False), **_rotated(c))


def starcoder2(c: Config) -> Architecture:
    """StarCoder 2: biases everywhere."""
    if not c.flag("use_bias", True):
        raise ConfigError(_("config.json: use_bias is not set, for which there are no rules"))
    return decoder(c, "starcoder2", tied_default=True)


def _rotated(c: Config) -> dict[str, Any]:
    """The rotated part of a head."""
    if not c.data.get("partial_rotary_factor"):
        return {}
    head_dim = c.integer("hidden_size") // c.integer("num_attention_heads")
    return {"n_rot": int(head_dim * c.fraction("partial_rotary_factor", 1.0))}
