"""The operations of the command line on typed values: detect, load_catalog, estimate, recommend."""

from __future__ import annotations

import logging

from advisor.advice import DEFAULT_LIMIT, Shelf, recommend_on
from advisor.catalog import Catalog, load_catalog
from advisor.estimation import Estimate, Workload, depth_within, estimate_on, prompt_within
from advisor.hardware import Machine
from advisor.hardware_catalog import load_hardware, resolve_hardware
from advisor.model import ModelKind
from advisor.plan import Recommendation
from advisor.resolve import Subject, resolve_model
from advisor.settings import Settings
from advisor.usecase import Backend, Requirements

_log = logging.getLogger("advisor")

__all__ = ["detect", "estimate", "load_catalog", "machine_of", "recommend", "workload_of"]


def detect() -> Machine:
    """Read the machine: GPUs, memory, processor; its memory bandwidth is measured once and kept.

    What cannot be read becomes a note; nothing is made up.
    """
    from advisor import probes

    return probes.detect(gpus=load_hardware().gpus)


def machine_of(spec: str | None) -> Machine:
    """The machine of a `--hardware` SPEC; None is this one.

    Raises `HardwareError` for a spec that cannot be understood.
    """
    machine = detect() if spec is None else resolve_hardware(spec, load_hardware())
    _log.info("machine: %s", machine.model_dump_json())
    return machine


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
) -> Estimate:
    """Memory and speed of one model; `model` is a catalog id, an alias, a .gguf, a config.json or its folder.

    settings: context parameters, llama-server's by default. quantization: None takes the file's own, or the
    usual one. machine: None is this one. n_gpu_layers: None lets the placement be solved. depth and
    prompt_tokens: None takes half of the context, and 512 or half of the context, the smaller.
    Raises `AdvisorError` for a model that is unknown or cannot be estimated.
    """
    subject = resolve_model(model, load_catalog)
    workload = workload_of(
        subject,
        settings or Settings(embeddings=subject.kind is not ModelKind.CHAT),
        quantization=quantization,
        backend=backend,
        depth=depth,
        prompt_tokens=prompt_tokens,
    )
    return estimate_on(workload, machine or detect(), n_gpu_layers)


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
    quantization = quantization or subject.default_quantization
    _log.info("%s as %s, %s: %s", subject.name, quantization, subject.source, subject.architecture)
    return Workload(
        name=subject.name,
        architecture=subject.architecture,
        weights=subject.weights(quantization),
        quantization=quantization,
        settings=settings,
        n_params_active=subject.n_params_active,
        source=subject.source,
        backend=backend,
        depth=depth_within(settings.n_ctx, depth),
        prompt_tokens=prompt_within(settings.n_ctx, prompt_tokens),
    )


def recommend(
    requirements: Requirements | None = None,
    *,
    machine: Machine | None = None,
    catalog: Catalog | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Recommendation:
    """The best model for the requirements on the machine (None: this one), by rule and offline."""
    known = catalog or load_catalog()
    needs = requirements or Requirements()
    _log.info("catalog of %s, %d models; requirements: %s", known.date, len(known.models), needs)
    shelf = Shelf(known.models, known.weights, known.quality, known.date)
    result = recommend_on(shelf, needs, machine or detect(), limit=limit)
    for turned in result.rejected:
        _log.info("not %s: %s", turned.model, turned.reason)
    return result
