"""The usual scheme behind a format's name, where no config says more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from advisor.errors import ConfigError
from advisor.hf_quantization.parser import scheme_of
from advisor.hf_quantization.scheme import HfQuantization
from advisor.i18n import _

_SYMMETRIC: Final = {"symmetric": True, "type": "int"}
_CONFIGS: Final[Mapping[str, Mapping[str, Any] | None]] = {
    "BF16": None,
    "F16": None,
    "AWQ": {"quant_method": "awq", "bits": 4, "group_size": 128},
    "GPTQ": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "FP8": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "INT8": {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "config_groups": {
            "all": {"targets": ["Linear"], "weights": {"num_bits": 8, "strategy": "channel", **_SYMMETRIC}}
        },
    },
    "W4A16": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "all": {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "strategy": "group", "group_size": 128, **_SYMMETRIC},
            }
        },
    },
    "NVFP4": {"quant_algo": "NVFP4"},
    "MXFP4": {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["self_attn"],  # gpt-oss, the only family published in it
    },
}
NAMES: Final = tuple(_CONFIGS)


def scheme_named(name: str) -> HfQuantization:
    """The scheme that most checkpoints of that name have: groups of 128, blocks of 128 × 128.

    Raises `ConfigError` for a name without one.
    """
    if name not in _CONFIGS:
        raise ConfigError(
            _("no rule for the format {name!r}; known: {known}").format(name=name, known=", ".join(NAMES))
        )
    raw = _CONFIGS[name]
    return scheme_of({} if raw is None else {"quantization_config": raw})
