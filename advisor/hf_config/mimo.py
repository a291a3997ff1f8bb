"""Xiaomi's MiMo V2: sliding layers with more KV heads and with sinks, V narrower than K."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.deepseek import routed_and_shared
from advisor.hf_config.minimax import leading_dense
from advisor.hf_config.reader import Config
from advisor.i18n import _

_SAME: Final = {
    "swa_num_attention_heads": "num_attention_heads",
    "swa_head_dim": "head_dim",
    "swa_v_head_dim": "v_head_dim",
}
"""What the sliding layers must share with the others for llama.cpp."""
_SINKS: Final = {"add_swa_attention_sink_bias": True, "add_full_attention_sink_bias": False}
_N_MTP: Final = 3
"""Prediction blocks of every published MiMo V2, which the config does not give (llama.cpp's converter)."""


def mimo_v2(c: Config) -> Architecture:
    """MiMo V2 Flash, V2.5 and V2.5 Pro."""
    for own, other in _SAME.items():
        if c.integer(own) != c.integer(other):
            raise ConfigError(
                _("config.json: {own} is not {other}, as llama.cpp expects").format(own=own, other=other)
            )
    for name, expected in _SINKS.items():
        if c.flag(name, not expected) is not expected:
            raise ConfigError(
                _("config.json: {name} is {value}, for which there are no rules").format(
                    name=name, value=not expected
                )
            )
    n_layers = c.layers("num_hidden_layers")
    kinds = c.by_layer("hybrid_layer_pattern", n_layers)
    moe = routed_and_shared(c)
    return decoder(
        c,
        "mimo2",
        layer_pattern="".join("s" if kind == 1 else "f" for kind in kinds),
        n_swa=c.integer("sliding_window"),
        n_kv_heads=c.integer("swa_num_key_value_heads"),
        n_kv_heads_full=c.integer("num_key_value_heads"),
        head_dim_v=c.integer("v_head_dim"),
        qkv_bias=c.flag("attention_bias", False),
        moe=moe.model_copy(update={"n_layers_dense": leading_dense(c, n_layers)}),
        n_mtp_layers=_N_MTP,
    )
