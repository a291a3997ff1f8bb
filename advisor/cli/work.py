"""From parsed flags to values: what `estimate` and `recommend` have in common below their help texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from advisor.api import estimate_of, machine_of, workload_of
from advisor.attachments import Attachment, beside, with_attachments
from advisor.beside import Company, adapted, attachments_of
from advisor.cli.options import gpu_layers, recommended_backend
from advisor.errors import AdvisorError
from advisor.estimation import Estimate, with_draft
from advisor.hardware import Accelerator, Machine
from advisor.i18n import _
from advisor.limits import Question, limits_of, remedies
from advisor.model import ModelKind
from advisor.quantization import MIXES
from advisor.resolve import resolve_model
from advisor.serving.engines import ENGINES
from advisor.serving.formats import NAMES as FORMATS
from advisor.settings import Settings
from advisor.usecase import DEFAULT_N_CTX, Backend, Requirements
from advisor.user_catalog import load_catalog
from advisor.value import problem

_VENDORS: Final = {"cuda": {"nvidia"}, "rocm": {"amd"}, "metal": {"apple"}, "sycl": {"intel"}}
"""Accelerators that drive one vendor's GPUs only."""


def machine_from(hardware: str | None, accelerator: Accelerator | None) -> Machine:
    """The machine to plan for, its GPUs driven by that accelerator; without them where it is the CPU."""
    machine = machine_of(hardware)
    if accelerator == "cpu":
        return machine.model_copy(update={"gpus": ()})
    strangers = [g.name for g in machine.gpus if g.vendor not in _VENDORS.get(accelerator or "", {g.vendor})]
    if strangers:
        raise AdvisorError(
            _("{accelerator} does not drive the {gpu}: leave --accelerator out, or use vulkan").format(
                accelerator=accelerator, gpu=strangers[0]
            )
        )
    gpus = tuple(gpu.model_copy(update={"accelerator": accelerator}) for gpu in machine.gpus)
    return machine.model_copy(update={"gpus": gpus})


def estimate_from(model: str, machine: Machine, flags: Mapping[str, Any]) -> Estimate:
    """Estimate a model under the flags of `options.run` and `options.context`."""
    backend: Backend = flags["backend"] or "llama.cpp"
    asked = known_quantization(flags["quant"])
    subject = resolve_model(model, load_catalog, quantization=asked, fetch=flags["fetch"])
    embeddings = flags["embeddings"]
    settings = Settings(
        n_ctx=flags["ctx"] or min(DEFAULT_N_CTX, subject.architecture.n_ctx_train),
        n_seqs=flags["parallel"],
        kv_type=_kv_type(flags["kv_type"], backend),
        flash_attn=flags["flash_attn"] != "off",
        n_batch=flags["batch"],
        n_ubatch=flags["ubatch"],
        n_outputs_max=flags["outputs_max"],
        kv_unified=flags["kv_unified"],
        swa_full=flags["swa_full"],
        embeddings=subject.kind is not ModelKind.CHAT if embeddings is None else embeddings,
        kv_offload=flags["kv_offload"],
    )
    workload = workload_of(
        subject,
        settings,
        quantization=asked,
        backend=backend,
        depth=flags["depth"],
        prompt_tokens=flags["prompt_tokens"],
    )
    company = _company(flags, backend)
    workload = adapted(workload, company.lora)
    attachments = attachments_of(company, subject, workload, machine)
    machine = beside(machine, attachments)
    n_gpu_layers = gpu_layers(flags["n_gpu_layers"])
    if n_gpu_layers is not None and backend in ENGINES:
        text = _("{backend} places every layer itself").format(backend=backend)
        raise click.BadParameter(text, param_hint="--n-gpu-layers")
    result = estimate_of(
        subject, workload, machine, n_gpu_layers=n_gpu_layers, method=_method(flags, company)
    )
    question = Question(
        architecture=workload.architecture,
        weights=workload.weights,
        quantization=workload.quantization,
        settings=settings,
        machine=machine,
        weights_in=subject.weights,
    )
    for attachment in attachments:
        if attachment.proposes_in_s is not None:
            result = with_draft(result, workload, machine, attachment.proposes_in_s)
    return _together(_with_limits(result, question, asked=flags["limits"]), attachments)


def _company(flags: Mapping[str, Any], backend: Backend) -> Company:
    """What was asked to stand beside the model, which llama.cpp and Ollama are planned with alone."""
    company = Company(
        lora=flags["lora"],
        projector=flags["mmproj"],
        image_tokens=flags["image_tokens"],
        draft=flags["draft"],
        others=flags["others"],
    )
    if backend in ENGINES and not company.is_empty:
        raise AdvisorError(
            _("adapters, projectors, drafts and other models are not estimated for {backend} yet").format(
                backend=backend
            )
        )
    if company.image_tokens and not company.projector:
        raise click.BadParameter(_("give the projector too (--mmproj)"), param_hint="--image-tokens")
    return company


def _method(flags: Mapping[str, Any], company: Company) -> Any:
    """llama.cpp plans a model alone: with company the rules have the word."""
    if company.is_empty:
        return flags["method"]
    if flags["method"] == "probe":
        raise AdvisorError(
            _("llama.cpp's own plan knows a model alone: use --method rules with what is beside it")
        )
    return "rules"


def _together(result: Estimate, attachments: Sequence[Attachment]) -> Estimate:
    """The estimate with what stands beside the model counted in."""
    if not attachments:
        return result
    memory = with_attachments(result.memory, attachments)
    return result.model_copy(
        update={
            "memory": memory,
            "fits": memory.fits,
            "speed": None if memory.fits is False else result.speed,
            "attachments": tuple(attachments),
        }
    )


def _with_limits(result: Estimate, question: Question, *, asked: bool) -> Estimate:
    """The estimate, with the limits where they were asked for, and what would make the model fit."""
    if result.backend not in ("llama.cpp", "ollama"):
        if asked:
            text = _("are known for llama.cpp, not {backend}").format(backend=result.backend)
            raise click.BadParameter(text, param_hint="--limits")
        return result
    limits = limits_of(question) if asked else None
    changes = remedies(question) if result.fits is False else ()
    return result.model_copy(update={"limits": limits, "would_fit": changes})


def known_quantization(name: str | None) -> str | None:
    """The name as it is spelled, where it was given in another case or llama.cpp's long form."""
    if name is None:
        return None
    spelled = name.upper().removesuffix("_MOE")
    if spelled in MIXES:
        return spelled
    return next((known for known in FORMATS if known.upper() == spelled), name)


def _kv_type(name: str, backend: Backend) -> Any:
    if name == "fp8" and backend in ("llama.cpp", "ollama"):
        text = _("{backend} has no fp8 cache; q8_0 is its own").format(backend=backend)
        raise click.BadParameter(text, param_hint="--kv-type")
    return name


def requirements_from(flags: Mapping[str, Any], answers: Path | None) -> Requirements:
    """The requirements that flags and an answers file state; a flag wins over the file.

    Raises `AdvisorError` for an answers file that cannot be read or holds something unknown.
    """
    given = {name: value for name, value in flags.items() if value not in (None, (), False)}
    merged = {**(_read_answers(answers) if answers else {}), **given}
    recommended_backend(merged.get("backend"), merged.get("kv_type"))
    if "quantization" in merged:
        merged["quantization"] = known_quantization(str(merged["quantization"]))
    from pydantic import ValidationError

    try:
        return Requirements.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "answers"
        place = f"{answers}: " if answers and field not in given else ""
        raise AdvisorError(f"{place}{_FLAG_OF.get(field, field)}: {problem(first)}") from error


_ANSWER_KEYS: Final = {
    "use_case": "use_case",
    "language": "languages",
    "languages": "languages",
    "users": "users",
    "ctx": "n_ctx",
    "parallel": "n_seqs",
    "kv_type": "kv_type",
    "backend": "backend",
    "quant": "quantization",
    "min_tok_s": "min_tokens_per_s",
    "max_ttft": "max_ttft_s",
    "license": "license",
    "offline": "offline",
    "privacy": "privacy",
    "quality": "quality",
    "budget": "budget_usd",
    "depth": "depth",
    "prompt_tokens": "prompt_tokens",
    "knowledge": "knowledge",
    "documents": "documents",
    "chunks": "chunks",
}
"""Keys of an answers file: the flags' names, with - or _."""
_FLAG_OF: Final = {field: f"--{key.replace('_', '-')}" for key, field in _ANSWER_KEYS.items()}


def _read_answers(path: Path) -> dict[str, Any]:
    from advisor.yaml_files import read_yaml

    data = read_yaml(path)
    if not isinstance(data, dict):
        raise AdvisorError(_("{path}: give one answer a line, like  use_case: coding").format(path=path))
    answers: dict[str, Any] = {}
    for key, value in data.items():
        field = _ANSWER_KEYS.get(str(key).replace("-", "_"))
        if field is None:
            raise AdvisorError(
                _("{path}: unknown answer {key!r}; known: {names}").format(
                    path=path, key=key, names=", ".join(_ANSWER_KEYS)
                )
            )
        answers[field] = [value] if field == "languages" and isinstance(value, str) else value
    return answers
