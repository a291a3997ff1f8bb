"""MODEL on the command line: a catalog id or alias, a .gguf file, a config.json, a folder, or a hub id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from advisor.architecture import Architecture
from advisor.assessment import MemorySource
from advisor.config_files import parse_config, read_config
from advisor.errors import ConfigError, SafetensorsError, UnknownModelError
from advisor.folders import LocalFolder
from advisor.hf_config import architecture_of
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.quantization import DEFAULT_ENCODER_QUANTIZATION, DEFAULT_QUANTIZATION
from advisor.tensors import tensors
from advisor.units import format_bytes
from advisor.weights import Weights, weights_by_rule, weights_of

if TYPE_CHECKING:
    from advisor.catalog import Catalog
    from advisor.gguf import GgufHeader
    from advisor.gguf.sparse import Blueprint
    from advisor.hub_models import HubModel, HubName
    from advisor.safetensors import SafetensorsHeader
    from advisor.tower import Tower


class Checkpoint(NamedTuple):
    """The safetensors of a model, by their own headers."""

    quantization: str
    weights: Weights
    tower_bytes: int
    """Vision and audio towers, which `weights` leaves out."""
    data_bytes: int
    """All tensors."""


def _no_tower() -> Tower | None:
    return None


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
    blueprint: Callable[[str], Blueprint]
    """The file that llama.cpp can plan with, in a quantization; raises as `weights` does."""
    notes: tuple[str, ...] = ()
    """What is to be said of where it came from."""
    tower: Callable[[], Tower | None] = _no_tower
    """Its vision tower, None where none is known; raises `ConfigError` for one that has no rules."""
    checkpoint: Checkpoint | None = None
    """The files that there are for engines other than llama.cpp; None where none were read."""


def resolve_model(
    name: str, load_catalog: Callable[[], Catalog], *, quantization: str | None = None, fetch: bool = False
) -> Subject:
    """What `name` means; an existing file or folder wins over the catalog, the catalog over the hub.

    quantization: which of several files is meant. fetch: a hub id that is in no catalog may be read from the
    hub; without, only what was read or downloaded before is known.
    Raises `UnknownModelError` with the nearest names, or the error of the file that was read.
    """
    path = Path(name)
    if path.is_dir() and ((path / "config.json").is_file() or any(path.glob("*.gguf"))):
        return _from_folder(path, quantization)
    if path.is_file() and path.suffix == ".gguf":
        return _from_gguf(path)
    if path.is_file() and path.suffix == ".json":
        name = path.parent.name if path.stem == "config" else path.stem
        return subject_of_config(name or path.stem, _read_config(path))
    return _from_name(name, load_catalog, quantization, fetch=fetch)


def _from_name(
    name: str, load_catalog: Callable[[], Catalog], quantization: str | None, *, fetch: bool
) -> Subject:
    from advisor.hub_models import fetch as fetch_model
    from advisor.hub_models import hub_name, recall

    on_hub = hub_name(name, quantization)
    if name.endswith(".json") or (name.endswith(".gguf") and not on_hub):
        raise UnknownModelError(
            _("no file {name}: give the path of an existing .gguf or config.json, or a catalog id").format(
                name=name
            )
        )
    try:
        return _from_catalog(name, load_catalog())
    except UnknownModelError as error:
        if Path(name).is_dir():
            raise UnknownModelError(
                _("the folder {name} holds neither a config.json nor a .gguf").format(name=name)
            ) from error
        if on_hub is None:
            raise
        model = fetch_model(on_hub) if fetch else recall(on_hub)
        if model is None:
            what = _("no file {name}").format(name=name) if on_hub.file else str(error)
            raise UnknownModelError(
                _("{what}; if it is on the hub, --fetch reads its header").format(what=what)
            ) from error
    return _from_hub(on_hub, model)


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
        blueprint=blueprint_by_rule(model.architecture),
        tower=lambda: model.vision,
    )


def blueprint_by_rule(arch: Architecture) -> Callable[[str], Blueprint]:
    """The file that the rules describe, by quantization; made when it is asked for."""

    def blueprint(quantization: str) -> Blueprint:
        from advisor.gguf import sparse

        return sparse.blueprint_by_rule(arch, quantization)

    return blueprint


def _default(arch: Architecture) -> str:
    if arch.family == "gpt-oss":
        return "MXFP4"
    return DEFAULT_ENCODER_QUANTIZATION if arch.is_encoder else DEFAULT_QUANTIZATION


def subject_of_config(
    name: str,
    config: Mapping[str, Any],
    tensors_header: SafetensorsHeader | None = None,
    quantization: str | None = None,
) -> Subject:
    """A model by its config.json, and the sizes of its safetensors where they are known."""
    arch = architecture_of(config)
    rows = [(row.name, row.shape) for row in tensors(arch)]
    n_params, active = count_parameters(rows, arch)
    checkpoint = _checkpoint(arch, tensors_header, config) if tensors_header else None
    return Subject(
        name=name,
        architecture=arch,
        kind=ModelKind.EMBEDDING if arch.is_encoder else ModelKind.CHAT,
        default_quantization=quantization or _default(arch),
        weights=lambda quantization: weights_by_rule(arch, quantization),
        n_params=n_params,
        n_params_active=active,
        source="config-rules",
        blueprint=blueprint_by_rule(arch),
        tower=partial(_tower, config, arch.n_embd),
        checkpoint=checkpoint,
        notes=(_told(checkpoint),) if checkpoint else (),
    )


def _tower(config: Mapping[str, Any], n_embd: int) -> Tower | None:
    from advisor.projectors import tower_of

    return tower_of(config, n_embd)


def _checkpoint(arch: Architecture, header: SafetensorsHeader, config: Mapping[str, Any]) -> Checkpoint:
    from advisor.safetensors import safetensors_weights, stored_format, tower_bytes

    return Checkpoint(
        stored_format(header, config),
        safetensors_weights(arch, header),
        tower_bytes(header),
        header.data_bytes,
    )


def _told(checkpoint: Checkpoint) -> str:
    text = (
        _(
            "the safetensors hold {size} in {quantization}, {towers} of them for images or sound (read from "
            "their headers); what is converted to GGUF follows llama.cpp's rules"
        )
        if checkpoint.tower_bytes
        else _(
            "the safetensors hold {size} in {quantization} (read from their headers); what is converted to "
            "GGUF follows llama.cpp's rules"
        )
    )
    return text.format(
        size=format_bytes(checkpoint.data_bytes),
        quantization=checkpoint.quantization,
        towers=format_bytes(checkpoint.tower_bytes),
    )


def _from_folder(path: Path, quantization: str | None) -> Subject:
    """A folder with a config.json, and the safetensors where there are any, or with one GGUF model."""
    if (path / "config.json").is_file():
        name, config = path.name or path.resolve().name, _read_config(path / "config.json")
        try:
            return subject_of_config(name, config, _safetensors_in(path))
        except SafetensorsError as error:  # the config is enough for everything but their exact sizes
            note = _("the safetensors were left out: {problem}").format(problem=error)
            return subject_of_config(name, config)._replace(notes=(note,))
    from advisor.model_files import model_files

    models = model_files(file.name for file in path.glob("*.gguf"))
    fitting = [name for name, label in models.items() if len(models) == 1 or label == quantization]
    if len(fitting) != 1:
        raise UnknownModelError(
            _("{path} holds {n} GGUF models; give the path of one of them: {names}").format(
                path=path, n=len(models), names=", ".join(models)
            )
        )
    return _from_gguf(path / fitting[0])


def _safetensors_in(path: Path) -> SafetensorsHeader | None:
    from advisor.safetensors import has_safetensors, read_safetensors

    folder = LocalFolder(path)
    return read_safetensors(folder) if has_safetensors(folder) else None


def _from_hub(name: HubName, model: HubModel) -> Subject:
    """What was read of a model on the hub."""
    text = _("the model is {repo} on the hub, commit {commit}")
    origin = text.format(repo=model.repo, commit=model.commit[:8])
    if model.gguf:
        subject = _of_gguf(PurePosixPath(model.file or "").name, model.gguf, name.quantization)
    else:
        config = parse_config(f"{model.repo}/config.json", model.config or "")
        subject = subject_of_config(model.repo, config, model.tensors, name.quantization)
    return subject._replace(notes=(*subject.notes, origin))


def _read_config(path: Path) -> Mapping[str, Any]:
    return parse_config(str(path), read_config(LocalFolder(path.parent), path.name))


def count_parameters(rows: Iterable[tuple[str, tuple[int, ...]]], arch: Architecture) -> tuple[int, int]:
    """Parameters in all, and those a token passes through, of (tensor name, shape) rows."""
    total = active = 0
    for name, shape in rows:
        n = prod(shape)
        total += n
        routed = arch.moe is not None and "_exps." in name
        active += n * arch.moe.n_experts_used // arch.moe.n_experts if routed and arch.moe else n
    return total, active


def _from_gguf(path: Path) -> Subject:
    from advisor.gguf import read_header

    return _of_gguf(path.name, read_header(path))


def _of_gguf(file: str, header: GgufHeader, label: str | None = None) -> Subject:
    """A model by its own header; label: what its packager calls the quantization."""
    from advisor.gguf import architecture_of_header, quantization_name, tensor_sizes
    from advisor.gguf.sparse import blueprint_of_header

    arch = architecture_of_header(header)
    own = quantization_name(header)
    weights = weights_of(arch, tensor_sizes(header))

    def weights_in(quantization: str) -> Weights:
        if quantization not in (own, label):
            raise ConfigError(
                _(
                    "{file} is {own}; leave --quant out, or estimate its config.json for {quantization}"
                ).format(file=file, own=own, quantization=quantization)
            )
        return weights

    n_params, active = count_parameters(((row.name, row.shape) for row in header.tensors), arch)
    return Subject(
        name=file.removesuffix(".gguf"),
        architecture=arch,
        kind=ModelKind.EMBEDDING if arch.is_encoder else ModelKind.CHAT,
        default_quantization=own,
        weights=weights_in,
        n_params=n_params,
        n_params_active=active,
        source="gguf-header",
        blueprint=lambda _quantization: blueprint_of_header(header),
    )
