"""From `quantization_config` and `hf_quant_config.json` to a scheme: every dialect ends here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from advisor.errors import ConfigError
from advisor.hf_quantization.formats import (
    BNB_INT8,
    F16,
    F32,
    MODELOPT,
    MXFP4,
    Scale,
    WeightFormat,
    awq,
    bnb_4bit,
    fp8,
    fp8_blocks,
    gptq,
)
from advisor.hf_quantization.scheme import ALL, OUTPUT, REGEX, HfQuantization, Rule, Targets
from advisor.i18n import _

Json = Mapping[str, Any]
_EVERYTHING: Final = Targets(patterns=(ALL,))
_PLAIN_FP8_SCALES: Final = "qwen"
"""Makers whose scales of FP8 blocks have the model's precision; DeepSeek's, and those like it, are F32."""


def scheme_of(config: Json, hf_quant_config: Json | None = None) -> HfQuantization:
    """The quantization that a `config.json` (and modelopt's `hf_quant_config.json`) describes.

    Raises `ConfigError` for a method or format without rules.
    """
    text = _mapping(config, "text_config")
    plain_bits = _plain_bits(text.get("dtype") or text.get("torch_dtype") or _dtype(config))
    raw = config.get("quantization_config") or text.get("quantization_config")
    if not isinstance(raw, Mapping | None):
        raise ConfigError(_("config.json: quantization_config must be an object"))
    modelopt = _mapping(hf_quant_config or {}, "quantization")
    if modelopt:
        scheme = _modelopt(modelopt, raw or {})
    elif raw is None:
        return HfQuantization(name="BF16" if plain_bits == F16 else "F32", plain_bits=plain_bits)
    elif "quant_algo" in raw:
        scheme = _modelopt(raw, raw)
    else:
        maker = str(text.get("model_type") or config.get("model_type") or "")
        scheme = _by_method({**raw, "scale_bits": F16 if maker.startswith(_PLAIN_FP8_SCALES) else F32})
    return scheme.model_copy(update={"plain_bits": plain_bits})


def _dtype(config: Json) -> Any:
    return config.get("dtype") or config.get("torch_dtype")


def _plain_bits(dtype: Any) -> int:
    return F32 if dtype == "float32" else F16


def _by_method(raw: Json) -> HfQuantization:
    method = raw.get("quant_method")
    parse = _METHODS.get(str(method))
    if parse is None:
        raise ConfigError(
            _("config.json: no rule for the quantization method {method!r}; known: {known}").format(
                method=method, known=", ".join(_METHODS)
            )
        )
    return parse(raw)


def _awq(raw: Json) -> HfQuantization:
    form = awq(_integer(raw, "bits", "w_bit"), _integer(raw, "group_size", "q_group_size"))
    return _whole(form, raw.get("modules_to_not_convert"))


def _gptq(raw: Json) -> HfQuantization:
    dynamic = _mapping(raw, "dynamic")
    skipped = [f"re:{key.removeprefix('-:')}" for key in dynamic if key.startswith("-:")]
    if len(skipped) != len(dynamic):
        raise ConfigError(
            _("config.json: GPTQ's dynamic rules that change a module's bits have no rules here")
        )
    form = gptq(_integer(raw, "bits"), _integer(raw, "group_size"))
    targets = Targets(patterns=(ALL, OUTPUT)) if raw.get("lm_head") else _EVERYTHING
    return HfQuantization(
        name=form.name,
        rules=(Rule(targets=targets, format=form),),
        ignored=_targets(skipped, raw.get("modules_to_not_convert")),
    )


def _fp8(raw: Json) -> HfQuantization:
    static = raw.get("activation_scheme") == "static"
    if "weight_block_size" in raw:
        rows, columns = _block(raw["weight_block_size"], "weight_block_size")
        form = fp8_blocks(rows, columns, int(raw.get("scale_bits", F32)))
    else:
        form = fp8(Scale(F32, rows=None), static_activations=static)
    return _whole(form, raw.get("modules_to_not_convert"), raw.get("ignored_layers"))


def _fbgemm(raw: Json) -> HfQuantization:
    return _whole(fp8(Scale(F32), static_activations=False), raw.get("modules_to_not_convert"))


def _mxfp4(raw: Json) -> HfQuantization:
    return _whole(MXFP4, raw.get("modules_to_not_convert"))


def _bitsandbytes(raw: Json) -> HfQuantization:
    if raw.get("load_in_8bit"):
        form = BNB_INT8
    else:
        name = str(raw.get("bnb_4bit_quant_type") or "fp4")
        form = bnb_4bit(name, double=bool(raw.get("bnb_4bit_use_double_quant")))
    return _whole(form, raw.get("llm_int8_skip_modules"), raw.get("modules_to_not_convert"))


def _compressed_tensors(raw: Json) -> HfQuantization:
    groups = _mapping(raw, "config_groups")
    if not groups:
        raise ConfigError(
            _("config.json: quantization_config has no config_groups, so no weight's format is known")
        )
    rules = tuple(
        Rule(
            targets=_targets(group.get("targets")),
            format=_compressed_format(group, str(group.get("format") or raw.get("format"))),
        )
        for group in (_mapping(groups, name) for name in groups)
    )
    return HfQuantization(
        name=rules[0].format.name,
        rules=rules,
        ignored=_targets(raw.get("ignore")),
        fp8_kv_cache=bool(raw.get("kv_cache_scheme")),
    )


_SHAPE_BYTES: Final = 16
"""weight_shape: two 64-bit numbers, beside packed integers."""


def _compressed_format(group: Json, packing: str) -> WeightFormat:
    weights = _mapping(group, "weights")
    bits, kind = _integer(weights, "num_bits"), weights.get("type")
    if packing.startswith("nvfp4"):
        return MODELOPT["NVFP4" if group.get("input_activations") else "W4A16_NVFP4"]
    if packing.startswith("mxfp4"):
        return MXFP4
    scale = _compressed_scale(weights)
    if kind == "float" and bits == 8:
        static = _mapping(group, "input_activations").get("dynamic") is False
        # compressed-tensors keeps scales at the model's own precision.
        return WeightFormat(name="FP8", bits=8, scales=(scale,), bytes_per_matrix=2 * static)
    if kind == "int":
        zero = () if weights.get("symmetric", True) else (scale._replace(bits=bits),)
        packed = packing.startswith("pack")
        return WeightFormat(
            name=f"W{bits}A16" if packed else f"INT{bits}",
            bits=bits,
            scales=(scale, *zero),
            bytes_per_input=4 if weights.get("actorder") == "group" else 0,
            bytes_per_matrix=_SHAPE_BYTES * packed,
        )
    raise ConfigError(
        _("config.json: no rule for weights of {bits} bits of type {kind!r} ({packing})").format(
            bits=bits, kind=kind, packing=packing
        )
    )


def _compressed_scale(weights: Json) -> Scale:
    strategy = weights.get("strategy")
    if strategy == "tensor":
        return Scale(F16, rows=None)
    if strategy == "channel":
        return Scale(F16)
    if strategy == "group":
        return Scale(F16, columns=_integer(weights, "group_size"))
    if strategy == "block":
        return Scale(F16, *_block(weights.get("block_structure"), "block_structure"))
    raise ConfigError(
        _("config.json: no rule for scales by {strategy!r}; known: tensor, channel, group, block").format(
            strategy=strategy
        )
    )


def _modelopt(described: Json, config: Json) -> HfQuantization:
    """What modelopt writes; `config` is the copy in config.json, whose exclusions count as well."""
    algorithm = str(described.get("quant_algo"))
    layers = _mapping(described, "quantized_layers")
    by_algorithm: dict[str, list[str]] = {}
    for module in layers:
        by_algorithm.setdefault(str(_mapping(layers, module).get("quant_algo")), []).append(module)
    rules = [
        Rule(targets=Targets(patterns=tuple(names)), format=_modelopt_format(name))
        for name, names in by_algorithm.items()
    ]
    ignored = _targets(described.get("exclude_modules"), described.get("ignore"), config.get("ignore"))
    if algorithm != "MIXED_PRECISION":
        rules.append(Rule(targets=_EVERYTHING, format=_modelopt_format(algorithm)))
    elif config.get("quant_method") == "fp8":  # the rest of the checkpoint is its maker's FP8
        base = _fp8(config).rules
        return HfQuantization(name=" + ".join(by_algorithm) + " + FP8", rules=(*rules, *base))
    return HfQuantization(
        name=algorithm if algorithm != "MIXED_PRECISION" else " + ".join(sorted(by_algorithm)),
        rules=tuple(rules),
        ignored=ignored if algorithm != "MIXED_PRECISION" else Targets(),
        fp8_kv_cache=described.get("kv_cache_quant_algo") == "FP8" or bool(described.get("kv_cache_scheme")),
    )


def _modelopt_format(algorithm: str) -> WeightFormat:
    form = MODELOPT.get(algorithm)
    if form is None:
        raise ConfigError(
            _("no rule for modelopt's {algorithm}; known: {known}").format(
                algorithm=algorithm, known=", ".join(MODELOPT)
            )
        )
    return form


def _whole(form: WeightFormat, *ignored: Any) -> HfQuantization:
    """Every linear layer in one format, but for those listed."""
    rules = (Rule(targets=_EVERYTHING, format=form),)
    return HfQuantization(name=form.name, rules=rules, ignored=_targets(*ignored))


def _targets(*lists: Any) -> Targets:
    patterns = [pattern for names in lists for pattern in (names if isinstance(names, list) else ())]
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ConfigError(
                _("config.json: {pattern!r} is not the name of a module").format(pattern=pattern)
            )
        try:
            re.compile(pattern.removeprefix(REGEX) if pattern.startswith(REGEX) else "")
        except re.error as error:
            raise ConfigError(
                _("config.json: {pattern!r} is not an expression: {error}").format(
                    pattern=pattern, error=error
                )
            ) from error
    return Targets(patterns=tuple(patterns))


def _mapping(data: Json, key: str) -> Json:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _block(value: Any, name: str) -> tuple[int, int]:
    """Rows and columns that share a scale."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value):
        return value[0], value[1]
    raise ConfigError(
        _("config.json: {name} is {value!r}, but must be two whole numbers").format(name=name, value=value)
    )


def _integer(data: Json, *names: str) -> int:
    for name in names:
        value = data.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value:
            return value
    raise ConfigError(
        _("config.json: the quantization does not give {names}").format(names=_(" or ").join(names))
    )


_METHODS: Final[Mapping[str, Callable[[Json], HfQuantization]]] = {
    "awq": _awq,
    "gptq": _gptq,
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "mxfp4": _mxfp4,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
}
