"""The operations of the command line on typed values: detect, load_catalog, estimate, recommend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from advisor.advice import DEFAULT_LIMIT, recommend_on, unproven
from advisor.backends import mlx
from advisor.candidates import Option
from advisor.catalog import Catalog
from advisor.contest import Shelf
from advisor.downloaded import Download, by_choice, held
from advisor.errors import ConfigError, UnknownModelError
from advisor.estimation import Estimate, Workload, depth_within, estimate_on, prompt_within
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.machines import detect, machine_of
from advisor.model import ModelKind
from advisor.plan import Recommendation
from advisor.proof import Proof
from advisor.resolve import Subject, blueprint_by_rule, resolve_model
from advisor.serving.engines import ENGINES
from advisor.serving.formats import default_format, engine_weights, formats_of
from advisor.settings import Settings
from advisor.usecase import Backend, Method, Requirements
from advisor.user_catalog import load_catalog
from advisor.weights import Weights

if TYPE_CHECKING:
    from advisor.explanation import Explanation

_log = logging.getLogger("advisor")

__all__ = ["detect", "estimate", "explain", "load_catalog", "machine_of", "recommend", "workload_of"]


def estimate(
    model: str,
    *,
    settings: Settings | None = None,
    quantization: str | None = None,
    machine: Machine | None = None,
    n_gpu_layers: int | None = None,
    backend: Backend = "llama.cpp",
    depth: int | None = None,
    prompt_tokens: int | None = None,
    method: Method = "rules",
    fetch: bool = False,
) -> Estimate:
    """Memory and speed of one model; `model` is a catalog id, an alias, a .gguf, a config.json or its folder.

    fetch: `model` may be a hub id of no catalog, whose headers are then read from the hub.

    settings: context parameters, llama-server's by default. quantization: None takes the file's own, or the
    usual one. machine: None is this one. n_gpu_layers: None lets the placement be solved. depth and
    prompt_tokens: None takes half of the context, and 512 or half of the context, the smaller. method:
    "probe" insists on llama.cpp's own plan, "auto" takes it where it is quickly had.
    Raises `AdvisorError` for a model that is unknown or cannot be estimated.
    """
    subject = resolve_model(model, load_catalog, quantization=quantization, fetch=fetch)
    workload = workload_of(
        subject,
        settings or Settings(embeddings=subject.kind is not ModelKind.CHAT),
        quantization=quantization,
        backend=backend,
        depth=depth,
        prompt_tokens=prompt_tokens,
    )
    return estimate_of(subject, workload, machine or detect(), n_gpu_layers=n_gpu_layers, method=method)


def estimate_of(
    subject: Subject, workload: Workload, machine: Machine, *, n_gpu_layers: int | None, method: Method
) -> Estimate:
    """The estimate of a workload that `workload_of` made of the subject, proven as the method says."""
    if method == "rules":
        return estimate_on(workload, machine, n_gpu_layers)
    from advisor.oracle import Asked, prover

    blueprint = partial(subject.blueprint, workload.quantization)
    asked = Asked(blueprint, workload.settings, subject.kind, workload.backend)
    return estimate_on(workload, machine, n_gpu_layers, prover(asked, machine, method))


def workload_of(
    subject: Subject,
    settings: Settings,
    *,
    quantization: str | None = None,
    backend: Backend = "llama.cpp",
    depth: int | None = None,
    prompt_tokens: int | None = None,
) -> Workload:
    """A resolved model as it is to be run."""
    if backend in ENGINES:
        own = subject.checkpoint.quantization if subject.checkpoint else None
        quantization = quantization or own or default_format(subject.architecture, backend)
        weights = checkpoint_weights(subject, quantization, backend)
    else:
        quantization = quantization or subject.default_quantization
        weights = subject.weights(quantization)
    _log.info("%s as %s, %s: %s", subject.name, quantization, subject.source, subject.architecture)
    return Workload(
        name=subject.name,
        architecture=subject.architecture,
        weights=weights,
        quantization=quantization,
        settings=settings,
        n_params_active=subject.n_params_active,
        source=subject.source,
        backend=backend,
        depth=depth_within(settings.n_ctx, depth),
        prompt_tokens=prompt_within(settings.n_ctx, prompt_tokens),
        notes=subject.notes,
    )


def checkpoint_weights(subject: Subject, quantization: str, backend: Backend) -> Weights:
    """The weights of a model as an engine other than llama.cpp loads them.

    Raises `ConfigError` for a GGUF file, which no such engine reads, and for a format that it does not load.
    """
    if subject.source == "gguf-header":
        raise ConfigError(
            _(
                "{backend} reads no GGUF files: give the model's catalog id or its config.json, "
                "or use llama.cpp"
            ).format(backend=backend)
        )
    if quantization not in formats_of(backend):
        raise ConfigError(
            _(
                "{quantization} is not a format that {backend} loads; use {formats}, or llama.cpp for GGUF's"
            ).format(quantization=quantization, backend=backend, formats=", ".join(formats_of(backend)))
        )
    if subject.checkpoint and quantization == subject.checkpoint.quantization:
        return subject.checkpoint.weights
    return engine_weights(subject.architecture, quantization)


def recommend(
    requirements: Requirements | None = None,
    *,
    machine: Machine | None = None,
    catalog: Catalog | None = None,
    limit: int = DEFAULT_LIMIT,
    method: Method = "rules",
    on_slow: Callable[[], None] | None = None,
    downloads: Iterable[Download] = (),
) -> Recommendation:
    """The best model for the requirements on the machine (None: this one), offline.

    downloads: models that are on its disk already, preferred among equals.

    Raises `ConfigError` for MLX where it serves nothing of the kind.

    method: whether llama.cpp is asked for its own plan of the pick, as in `estimate`. on_slow: called when
    that takes over a second.
    """
    known = catalog or load_catalog()
    needs = requirements or Requirements()
    _log.info("catalog of %s, %d models; requirements: %s", known.date, len(known.models), needs)
    shelf = _shelf(known, downloads)
    machine = machine or detect()
    if needs.backend == "mlx" and (why := mlx.unfit(needs, machine)):
        raise ConfigError(why)

    def prover(room: Machine) -> Callable[[Option], Proof]:
        return unproven if method == "rules" else _prover_of_options(needs, room, method, on_slow)

    if needs.profile.companions or needs.knowledge:
        from advisor.companions import recommend_together  # not loaded where nothing stands beside the model

        result = recommend_together(shelf, needs, machine, limit=limit, prover=prover)
    else:
        result = recommend_on(shelf, needs, machine, limit=limit, prove=prover(machine))
    for turned in result.rejected:
        _log.info("not %s: %s", turned.model, turned.reason)
    return result


def _shelf(known: Catalog, downloads: Iterable[Download] = ()) -> Shelf:
    return Shelf(
        known.models,
        known.weights,
        known.quality,
        known.date,
        known.compute,
        known.checkpoints,
        by_choice(held(known.models, downloads)) if downloads else {},
    )


def explain(result: Recommendation, model: str, *, catalog: Catalog | None = None) -> Explanation:
    """Why a model, by its id or an alias, is not the choice of a recommendation.

    Raises `UnknownModelError` for a name that is not in the catalog, or whose kind was not asked for.
    """
    from advisor.explanation import explain as explain_on

    known = catalog or load_catalog()
    meant = known.get(model)
    if meant.kind is not result.kind:
        raise UnknownModelError(
            _("{model} is for {kind}, which was not asked for: try --use-case {kind}").format(
                model=meant.id, kind=meant.kind.value
            )
        )
    return explain_on(_shelf(known), result, meant.id)


def _prover_of_options(
    needs: Requirements, machine: Machine, method: Method, on_slow: Callable[[], None] | None
) -> Callable[[Option], Proof]:
    from advisor.oracle import Asked, prover

    def prove(option: Option) -> Proof:
        blueprint = partial(blueprint_by_rule(option.model.architecture), option.artifact.quantization)
        asked = Asked(blueprint, option.settings, option.model.kind, needs.backend or "llama.cpp")
        return prover(asked, machine, method, on_slow)(option.footprint, option.split, option.memory)

    return prove
