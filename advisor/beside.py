"""What is asked to stand beside a model, resolved and placed: adapters, projectors, drafts, other models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from advisor.adapters import MAX_RANK, lora_rows, with_adapter
from advisor.api import workload_of
from advisor.attachments import Attachment, beside, in_process, on_one_device, own_process
from advisor.errors import AdvisorError, ConfigError, UnknownModelError
from advisor.estimation import Estimate, Workload, estimate_on
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.memory import Buffers
from advisor.model import ModelKind
from advisor.needs import EMBEDDER_N_CTX
from advisor.projectors import (
    PROJECTOR_TYPES,
    Tower,
    image_compute_bytes,
    max_image_tokens,
    projector_bytes,
)
from advisor.resolve import Subject, resolve_model
from advisor.settings import Settings
from advisor.usecase import DEFAULT_N_CTX
from advisor.user_catalog import load_catalog
from advisor.value import Value

VOCABULARY_DIFFERENCE: Final = 128
"""Tokens by which a draft's vocabulary may differ in size (llama.cpp, common/speculative.cpp, 2026-10-01)."""
UNKNOWN_GRAPH_BYTES: Final = 1 << 30
"""Kept for the graph of a projector without rules: above every tower that has some, at its largest image."""


class Company(Value):
    """What stands beside the model, as it was asked for."""

    lora: tuple[str, ...] = ()
    """Adapter files, or ranks."""
    projector: str | None = None
    """A projector file, or a type that one is published in."""
    image_tokens: int | None = None
    """Largest image, in tokens; None: the engine's own limit."""
    draft: str | None = None
    others: tuple[str, ...] = ()
    """Models as MODEL[:QUANT][@CTX], drafts without the context."""

    @property
    def is_empty(self) -> bool:
        return self == Company()


def adapted(workload: Workload, lora: Sequence[str]) -> Workload:
    """The workload with adapters loaded beside its matrices.

    Raises `AdvisorError` for a file that is no adapter of the model, or a rank that is none.
    """
    weights, notes = workload.weights, []
    for asked in lora:
        before = weights.total_bytes
        weights = with_adapter(weights, workload.architecture, _adapter_rows(workload, asked))
        size = weights.total_bytes - before
        what = Path(asked).name
        if asked.isdigit():
            what = _("rank {rank} on every matrix of the layers").format(rank=asked)
        note = _("adapter ({what}): {size:,} bytes, where the matrices are that it adapts")
        notes.append(note.format(what=what, size=size))
    return workload.model_copy(update={"weights": weights, "notes": (*workload.notes, *notes)})


def _adapter_rows(workload: Workload, asked: str) -> Iterator[tuple[str, int]]:
    if asked.isdigit():
        if not 0 < int(asked) <= MAX_RANK:
            raise ConfigError(
                _("--lora {asked}: give a rank between 1 and {limit:,}, or an adapter's .gguf").format(
                    asked=asked, limit=MAX_RANK
                )
            )
        return lora_rows(workload.architecture, int(asked))
    from advisor.gguf import read_header, tensor_sizes

    header = read_header(Path(asked))
    if header.metadata.get("general.type") != "adapter":
        raise ConfigError(
            _("{file} is not an adapter: convert the LoRA with llama.cpp's convert_lora_to_gguf.py").format(
                file=asked
            )
        )
    family = header.metadata.get("general.architecture")
    if family != workload.architecture.family:
        raise ConfigError(
            _("{file} adapts a model of {family}, and this one is {own}").format(
                file=asked, family=family, own=workload.architecture.family
            )
        )
    return iter(tensor_sizes(header))


def attachments_of(
    company: Company, subject: Subject, workload: Workload, machine: Machine
) -> tuple[Attachment, ...]:
    """Everything beside the model, placed one after the other, the smallest kinds first."""
    placed: list[Attachment] = []
    if company.projector:
        placed.append(_projector(company.projector, company.image_tokens, subject, machine))
    if company.draft:
        placed.append(_draft(company.draft, workload, beside(machine, placed)))
    for other in company.others:
        placed.append(_other(other, beside(machine, placed)))
    return tuple(placed)


def _projector(asked: str, image_tokens: int | None, subject: Subject, machine: Machine) -> Attachment:
    if asked.upper() in PROJECTOR_TYPES:
        tower = subject.tower()
        if tower is None:
            raise ConfigError(
                _("no tower of {model} is known: give its mmproj file to --mmproj instead").format(
                    model=subject.name
                )
            )
        size = projector_bytes(tower, asked.upper())
        name = _("projector {name}").format(name=asked.upper())
    else:
        from advisor.gguf import read_header
        from advisor.gguf.projector import projector_of_header

        size, tower = projector_of_header(read_header(Path(asked)))
        title = _("projector {name}") if tower else _("projector {name} (graph not known: 1 GiB kept)")
        name = title.format(name=Path(asked).name)
    buffers = Buffers(weights_bytes=size, compute_bytes=_graph_bytes(tower, image_tokens))
    return on_one_device(name, buffers, machine)


def _graph_bytes(tower: Tower | None, image_tokens: int | None) -> int:
    """The graph of the largest image that is let in."""
    if tower is None:
        return UNKNOWN_GRAPH_BYTES
    limit = max_image_tokens(tower)
    return image_compute_bytes(tower, min(limit, image_tokens or limit))


def _draft(asked: str, workload: Workload, machine: Machine) -> Attachment:
    subject, quantization = _resolved(asked)
    vocabulary, own = subject.architecture.n_vocab, workload.architecture.n_vocab
    if abs(vocabulary - own) > VOCABULARY_DIFFERENCE:
        raise ConfigError(
            _(
                "{draft} cannot draft for {model}: its vocabulary has {vocabulary:,} tokens, not {own:,}"
            ).format(draft=asked, model=workload.name, vocabulary=vocabulary, own=own)
        )
    settings = Settings(
        n_ctx=workload.settings.n_ctx, n_seqs=workload.settings.n_seqs, kv_type=workload.settings.kv_type
    )
    estimate = estimate_on(workload_of(subject, settings, quantization=quantization), machine)
    step_s = 1 / estimate.speed.decode_tokens_per_s if estimate.speed else None
    draft = in_process(_("draft {model}").format(model=_title(estimate)), estimate.memory)
    return draft.model_copy(update={"proposes_in_s": step_s})


def _other(asked: str, machine: Machine) -> Attachment:
    name, _at, context = asked.partition("@")
    if context and not context.isdigit():
        raise AdvisorError(_("--with {asked}: write a number of tokens behind the @").format(asked=asked))
    subject, quantization = _resolved(name)
    trained = subject.architecture.n_ctx_train
    if subject.kind is ModelKind.CHAT:
        settings = Settings(n_ctx=int(context) if context else min(DEFAULT_N_CTX, trained))
    else:  # a text is read in one graph
        n_ctx = int(context) if context else min(EMBEDDER_N_CTX, trained)
        settings = Settings(n_ctx=n_ctx, n_batch=n_ctx, n_ubatch=n_ctx, embeddings=True)
    estimate = estimate_on(workload_of(subject, settings, quantization=quantization), machine)
    return own_process(_title(estimate), estimate.memory)


def _resolved(asked: str) -> tuple[Subject, str | None]:
    """The model of MODEL[:QUANT], and the quantization; a name may have a colon of its own."""
    try:
        return resolve_model(asked, load_catalog), None
    except UnknownModelError:
        name, colon, quantization = asked.rpartition(":")
        if not colon:
            raise
        return resolve_model(name, load_catalog, quantization=quantization), quantization.upper()


def _title(estimate: Estimate) -> str:
    return f"{estimate.model} {estimate.quantization}"
