"""The model catalog: what `catalog/models.json` holds, and how it is compiled from the YAML that people edit.

    python -m advisor.catalog

reads `catalog/models/*.yaml` and `catalog/quality.yaml`, checks them, and writes `catalog/models.json` (one
line a model) and `catalog/models/.schema.json`, which completes and checks the YAML in an editor. Run it
after every edit; a test proves both fresh. The program reads the JSON alone: the YAML takes a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from math import prod
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from advisor.compiled import Compiled, usual_buffers
from advisor.errors import CatalogError, ConfigError, UnknownModelError
from advisor.i18n import _
from advisor.model import Artifact, Model
from advisor.needs import settings_for
from advisor.quality import QualityData
from advisor.resources import CATALOG_DIR
from advisor.serving.formats import engine_weights
from advisor.usecase import Requirements
from advisor.value import Value, problem
from advisor.weights import Weights, weights_by_rule
from advisor.yaml_files import read_yaml

COMPILED: Final = "models.json"
SCHEMA: Final = ".schema.json"
PARAMETER_TOLERANCE: Final = 0.03
"""How far a published parameter count may be from that of the tensors: pooling layers are not loaded."""


class Catalog(Value):
    """Every model that can be recommended, with its evidence, and its size in every quantization offered."""

    date: date
    """When the newest entry was last held against its sources."""
    models: tuple[Model, ...]
    """Sorted by id."""
    weights: Mapping[str, Mapping[str, Weights]]
    """By model id and GGUF quantization: what `weights_by_rule` gives, computed once."""
    checkpoints: Mapping[str, Mapping[str, Weights]] = {}
    """The same by the format of a checkpoint: what `engine_weights` gives."""
    compute: Mapping[str, Compiled] = {}
    """By model id: the compute buffers under the settings that no requirement changes, computed once."""
    quality: QualityData

    def get(self, name: str) -> Model:
        """The model of that id or alias, whatever the case.

        Raises `UnknownModelError` with the nearest names.
        """
        wanted = name.strip().lower()
        for model in self.models:
            if wanted in (known.lower() for known in model.names):
                return model
        nearest = ", ".join(self.nearest(wanted)) or _("none is near")
        raise UnknownModelError(
            _(
                "no model {name!r} in the catalog; nearest: {nearest} (`advisor models list` shows all)"
            ).format(name=name, nearest=nearest)
        )

    def nearest(self, name: str, *, limit: int = 3) -> list[str]:
        """Ids of the models whose names resemble `name`, best first."""
        from difflib import get_close_matches

        ids = {known.lower(): model.id for model in self.models for known in model.names}
        close = get_close_matches(name.lower(), ids, n=2 * limit, cutoff=0.5)
        return list(dict.fromkeys(ids[match] for match in close))[:limit]


def load_catalog(folder: Path = CATALOG_DIR) -> Catalog:
    """The compiled catalog. Raises `CatalogError` where it is missing or broken."""
    path = folder / COMPILED
    try:
        return Catalog.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CatalogError(
            _("{path} cannot be read ({reason}); compile it with `python -m advisor.catalog`").format(
                path=path, reason=_(error.strerror or str(error))
            )
        ) from error
    except ValidationError as error:
        raise CatalogError(
            _("{path} is broken: {problem}; compile it anew with `python -m advisor.catalog`").format(
                path=path, problem=first_problem(error)
            )
        ) from error


def compile_catalog(folder: Path = CATALOG_DIR) -> Catalog:
    """The catalog from the YAML files.

    Raises `CatalogError`, one line that names file, entry, field and the fix.
    """
    known = compile_sizes(folder)
    files = [model for model in known.models if _ggufs(model)]
    return known.model_copy(update={"compute": buffers_of(files)})


def compile_sizes(folder: Path = CATALOG_DIR) -> Catalog:
    """The same without the compute buffers, which take by far the longest."""
    paths = sorted((folder / "models").glob("*.yaml"))
    places = {path: _read_models(path) for path in paths}
    models = sorted((model for read in places.values() for model in read), key=lambda model: model.id)
    _check_names(places)
    for path, read in places.items():
        for model in read:
            check_model(path, model)
    return Catalog(
        date=max((model.checked for model in models), default=date.min),
        models=tuple(models),
        weights={model.id: weights_of_model(model) for model in models if _ggufs(model)},
        checkpoints={model.id: sizes for model in models if (sizes := checkpoint_weights(model))},
        quality=_read_quality(folder / "quality.yaml"),
    )


def compiled_text(catalog: Catalog) -> str:
    """What `catalog/models.json` holds: sorted keys, one line a model, so that changes can be reviewed."""
    document = catalog.model_dump(mode="json", exclude_defaults=True)
    models = ",\n".join(_compact(model) for model in document["models"])
    parts = ("checkpoints", "compute", "weights")
    by_model = ",\n".join(f"{_compact(part)}: {{\n{_lines(document.get(part, {}))}\n}}" for part in parts)
    return (
        f'{{"date": {_compact(document["date"])},\n"models": [\n{models}\n],\n'
        f'"quality": {_compact(document["quality"])},\n{by_model}}}\n'
    )


def _lines(by_model: Mapping[str, object]) -> str:
    return ",\n".join(f"{_compact(name)}: {_compact(value)}" for name, value in by_model.items())


def schema_text() -> str:
    """What `catalog/models/.schema.json` holds."""
    return json.dumps(TypeAdapter(list[Model]).json_schema(), indent=1, sort_keys=True) + "\n"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _ggufs(model: Model) -> list[Artifact]:
    return [artifact for artifact in model.artifacts if artifact.format == "gguf"]


def weights_of_model(model: Model) -> dict[str, Weights]:
    """By GGUF quantization on offer; raises `ConfigError` for one without rules."""
    quantizations = sorted({artifact.quantization for artifact in _ggufs(model)})
    return {q: weights_by_rule(model.architecture, q) for q in quantizations}


def checkpoint_weights(model: Model) -> dict[str, Weights]:
    """By format on offer, those without rules left out."""
    sizes: dict[str, Weights] = {}
    for quantization in sorted({a.quantization for a in model.artifacts if not a.is_gguf}):
        with suppress(ConfigError):
            sizes[quantization] = engine_weights(model.architecture, quantization)
    return sizes


def buffers_of_model(model: Model) -> dict[str, tuple[int, ...]]:
    """The compute buffers under the settings that no requirement changes."""
    return usual_buffers(model.architecture, settings_for(model, Requirements()))


def buffers_of(models: Sequence[Model]) -> dict[str, dict[str, tuple[int, ...]]]:
    """By model; on all processors, since a large model's graphs take half a second."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:
        found = pool.map(buffers_of_model, models, chunksize=MODELS_A_TASK)
        return {model.id: buffers for model, buffers in zip(models, found, strict=True)}


MODELS_A_TASK: Final = 4
"""Few enough that the processors end together, many enough that sending them costs nothing."""


def _read_models(path: Path) -> list[Model]:
    document = read_yaml(path)
    if not isinstance(document, list):
        raise CatalogError(f"{path}: write a list of models, each starting with '- id: …'")
    models: list[Model] = []
    for number, data in enumerate(document, start=1):
        name = data.get("id", f"entry {number}") if isinstance(data, dict) else f"entry {number}"
        try:
            model = Model.model_validate(data)
        except ValidationError as error:
            raise CatalogError(f"{path}: {name}: {first_problem(error)}; correct the field") from error
        if models and model.id <= models[-1].id:
            raise CatalogError(f"{path}: {model.id}: id: stands behind {models[-1].id}; sort the file by id")
        models.append(model)
    return models


def _read_quality(path: Path) -> QualityData:
    try:
        return QualityData.model_validate(read_yaml(path))
    except ValidationError as error:
        raise CatalogError(f"{path}: {first_problem(error)}; correct the field") from error


def _check_names(places: Mapping[Path, Iterable[Model]]) -> None:
    """Every name finds one model, and every successor exists."""
    owners: dict[str, str] = {}
    for path, models in places.items():
        for model in models:
            for name in model.names:
                owner = owners.setdefault(name.lower(), model.id)
                if owner != model.id:
                    raise CatalogError(
                        f"{path}: {model.id}: aliases: {name!r} is also a name of {owner}; remove one"
                    )
    ids = [model.id for models in places.values() for model in models]
    for path, models in places.items():
        for model in models:
            if ids.count(model.id) > 1:
                raise CatalogError(f"{path}: {model.id}: id: is used twice; rename or remove one")
            if model.superseded_by not in (None, *ids) or model.superseded_by == model.id:
                raise CatalogError(
                    f"{path}: {model.id}: superseded_by: no other model {model.superseded_by!r}; "
                    "give an existing id or leave the field out"
                )


def check_model(path: Path, model: Model) -> None:
    """Raises `CatalogError` for an entry that contradicts itself."""
    wrong = next(_problems(model), None)
    if wrong:
        raise CatalogError(f"{path}: {model.id}: {wrong}")


def _problems(model: Model) -> Iterator[str]:
    """What the types cannot see, each as "field: what is wrong; the fix"."""
    arch, active = model.architecture, model.n_params_active
    if model.released > model.checked:
        yield _("released: {released} is after checked, {checked}; correct the date").format(
            released=model.released, checked=model.checked
        )
    if any(cell.date > model.checked for cell in model.quality):
        yield _("quality: a score is dated after checked; correct the date, or check the entry again")
    if (arch.moe is not None) != (active is not None):
        yield _("n_params_active: give it for mixtures of experts, and for them alone")
    if active is not None and active >= model.n_params:
        yield _("n_params_active: {active} is not below n_params, {n_params}; correct one of them").format(
            active=active, n_params=model.n_params
        )
    quantizations = [artifact.quantization for artifact in _ggufs(model)]
    if len(set(quantizations)) < len(quantizations):
        yield _("artifacts: a GGUF quantization is offered twice; keep the better packager's")
    mlx = [artifact.quantization for artifact in model.artifacts if artifact.format == "mlx"]
    if len(set(mlx)) < len(mlx):
        yield _("artifacts: an MLX quantization is offered twice; keep the better packager's")
    yield from _facts_problems(model)
    try:
        weights_of_model(model)
        counted = _count_parameters(model)
    except ConfigError as error:
        yield _("architecture: {problem}; correct the field, or leave the model out").format(problem=error)
        return
    if abs(model.n_params / counted - 1) > PARAMETER_TOLERANCE:
        yield _(
            "n_params: {n_params} is not what the architecture gives, {counted}; correct one of them"
        ).format(n_params=model.n_params, counted=counted)


LONGEST_STRETCH: Final = 4
"""Times the trained context that a test may run beyond it: what makers scale by at most (YaRN)."""


def _facts_problems(model: Model) -> Iterator[str]:
    effective, trained = model.n_ctx_effective, model.architecture.n_ctx_train
    if (effective is None) != (model.n_ctx_effective_source is None):
        yield _("n_ctx_effective_source: give it with n_ctx_effective, and with it alone")
    if effective is not None and effective > LONGEST_STRETCH * trained:
        yield _("n_ctx_effective: {effective} is far beyond the trained {trained}; correct one").format(
            effective=effective, trained=trained
        )
    if model.sampling is not None and not model.sampling.values:
        yield _("sampling: it has a source and no value; give one, or leave it out")


def _count_parameters(model: Model) -> int:
    from advisor.tensors import tensors

    return sum(prod(row.shape) for row in tensors(model.architecture))


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, as "field: reason"."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or _("document")
    return " ".join(f"{field}: {problem(first)}".split())


def main(folder: Path = CATALOG_DIR) -> None:
    """Compile, and write what the program and the editors read."""
    try:
        text = compiled_text(compile_catalog(folder))
    except CatalogError as error:
        raise SystemExit(str(error)) from error
    (folder / COMPILED).write_text(text, encoding="utf-8")
    (folder / "models" / SCHEMA).write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
