"""Cohere's Command R, R7B and A, and Aya."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config
from advisor.i18n import _

_QK_NORM_LAYERS: Final = 64
"""llama.cpp tells Command R+, which has norms over Q and K, from Command R by its 64 layers."""


def cohere(c: Config) -> Architecture:
    """Command R and R+, Aya 23: the output matrix is always the token embedding."""
    n_layers, qk_norm = c.layers("num_hidden_layers"), c.flag("use_qk_norm", False)
    if qk_norm != (n_layers >= _QK_NORM_LAYERS):
        raise ConfigError(
            _(
                "config.json: use_qk_norm is {qk_norm} with {n_layers} layers, which llama.cpp cannot load"
            ).format(qk_norm=qk_norm, n_layers=n_layers)
        )
    return decoder(
        c,
        "command-r",
        tied_embeddings=True,
        qk_norm=qk_norm,
        n_ctx_train=c.integer("model_max_length", "max_position_embeddings"),
    )


def cohere2(c: Config) -> Architecture:
    """Command R7B and Command A: three layers with a window, then one that sees everything."""
    if "layer_types" in c.data:
        pattern = c.pattern(c.layers("num_hidden_layers"))
    else:
        pattern = "s" * (c.layers("sliding_window_pattern", "layer_switch") - 1) + "f"
    return decoder(
        c, "cohere2", tied_embeddings=True, layer_pattern=pattern, n_swa=c.integer("sliding_window")
    )
