"""MODEL on the command line: a catalog id or alias, a .gguf file, a config.json or its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from advisor.architecture import Architecture
from advisor.assessment import MemorySource
from advisor.errors import ConfigError, UnknownModelError
from advisor.hf_config import architecture_of
from advisor.model import ModelKind
from advisor.tensors import tensors
from advisor.weights import Weights, weights_by_rule, weights_of

if TYPE_CHECKING:
    from advisor.catalog import Catalog

DEFAULT_QUANTIZATION: Final = "Q4_K_M"
"""What most published files are, and the smallest that keeps a model's quality nearly whole."""
DEFAULT_ENCODER_QUANTIZATION: Final = "Q8_0"
"""Encoders are small, and their vectors suffer more."""
MAX_CONFIG_BYTES: Final = 16 << 20
"""Real configs reach 3 MB (per-tensor quantization lists); anything far larger is not one."""


class Subject(NamedTuple):
    """A model that can be estimated, wherever it came from."""

    name: str
    architecture: Architecture
    kind: ModelKind
    default_quantization: str
    weights: Callable[[str], Weights]
    """The weights in a quantization; raises `ConfigError` for one that cannot be told."""
    n_params: int
    n_params_active: int
    source: MemorySource
    notes: tuple[str, ...] = ()


def resolve_model(name: str, load_catalog: Callable[[], Catalog]) -> Subject:
    """What `name` means; an existing file or folder wins over the catalog.

    Raises `UnknownModelError` with the nearest names, or the error of the file that was read.
    """
    path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UnknownModelError(f"no file {name}: give the path of an existing .gguf, or a catalog id")
        return _from_gguf(path)
    if path.is_dir() and (path / "config.json").is_file():
        return _from_config(path / "config.json")
    if path.suffix == ".json":
        if not path.is_file():
            raise UnknownModelError(
                f"no file {name}: give the path of an existing config.json, or a catalog id"
            )
        return _from_config(path)
    return _from_catalog(name, load_catalog())


def _from_catalog(name: str, catalog: Catalog) -> Subject:
    model = catalog.get(name)
    compiled = catalog.weights.get(model.id, {})

    def weights(quantization: str) -> Weights:
        return compiled.get(quantization) or weights_by_rule(model.architecture, quantization)

    offered = [a.quantization for a in model.artifacts if a.format == "gguf"]
    preferred = _default(model.architecture)
    return Subject(
        name=model.id,
        architecture=model.architecture,
        kind=model.kind,
        default_quantization=preferred if preferred in offered or not offered else offered[0],
        weights=weights,
        n_params=model.n_params,
        n_params_active=model.n_params_active or model.n_params,
        source="config-rules",
    )


def _default(arch: Architecture) -> str:
    if arch.family == "gpt-oss":
        return "MXFP4"
    return DEFAULT_ENCODER_QUANTIZATION if arch.is_encoder else DEFAULT_QUANTIZATION


def _from_config(path: Path) -> Subject:
    arch = architecture_of(_read_config(path))
    n_params, active = _count_parameters(((row.name, row.shape) for row in tensors(arch)), arch)
    return Subject(
        name=path.parent.name or path.stem,
        architecture=arch,
        kind=ModelKind.EMBEDDING if arch.is_encoder else ModelKind.CHAT,
        default_quantization=_default(arch),
        weights=lambda quantization: weights_by_rule(arch, quantization),
        n_params=n_params,
        n_params_active=active,
        source="config-rules",
    )


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is too large for a config.json; give the model's own")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} does not hold a configuration: its JSON is not an object")
    return data


def _count_parameters(rows: Iterable[tuple[str, tuple[int, ...]]], arch: Architecture) -> tuple[int, int]:
    """Parameters in all, and those a token passes through, of (tensor name, shape) rows."""
    total = active = 0
    for name, shape in rows:
        n = prod(shape)
        total += n
        routed = arch.moe is not None and "_exps." in name
        active += n * arch.moe.n_experts_used // arch.moe.n_experts if routed and arch.moe else n
    return total, active


def _from_gguf(path: Path) -> Subject:
    from advisor.gguf import architecture_of_header, quantization_name, read_header, tensor_sizes

    header = read_header(path)
    arch = architecture_of_header(header)
    own = quantization_name(header)
    weights = weights_of(arch, tensor_sizes(header))

    def weights_in(quantization: str) -> Weights:
        if quantization != own:
            raise ConfigError(
                f"{path.name} is {own}; leave --quant out, or estimate its config.json for {quantization}"
            )
        return weights

    n_params, active = _count_parameters(((row.name, row.shape) for row in header.tensors), arch)
    return Subject(
        name=path.stem,
        architecture=arch,
        kind=ModelKind.EMBEDDING if arch.is_encoder else ModelKind.CHAT,
        default_quantization=own,
        weights=weights_in,
        n_params=n_params,
        n_params_active=active,
        source="gguf-header",
    )
