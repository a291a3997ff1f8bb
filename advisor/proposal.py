"""An option in the words of a plan, with the room that stands beside it."""

from __future__ import annotations

from typing import Final

from advisor.assessment import ArtifactChoice, Candidate
from advisor.backends import BACKENDS
from advisor.backends.devices import less
from advisor.candidates import Option
from advisor.file_size import tokenizer_bytes
from advisor.hardware import Machine
from advisor.model import Model
from advisor.projectors import image_compute_bytes, max_image_tokens, projector_bytes
from advisor.quality import QualityData
from advisor.ranking import Ranked
from advisor.reasons import reasons
from advisor.units import GIB
from advisor.usecase import Backend, Requirements

UNREAD_PROJECTOR_BYTES: Final = 2 * GIB
"""Kept free for a vision projector whose tower was not read: those that were take 0.5 to 1.8 GiB."""
PROJECTOR_TYPE: Final = "F16"
"""What projectors are published in most often, and what llama-server downloads."""


def projector_room(model: Model) -> int:
    """Bytes of a model's vision projector and of its graph for the largest image that is let in."""
    if model.vision is None:
        return UNREAD_PROJECTOR_BYTES
    graph = image_compute_bytes(model.vision, max_image_tokens(model.vision))
    return projector_bytes(model.vision, PROJECTOR_TYPE) + graph


def beside_projector(machine: Machine, size: int) -> Machine:
    """The machine with `size` bytes kept for a projector: on its first GPU if it has one, else in RAM."""
    if machine.gpus:
        return less(machine, size if machine.unified else 0, [size])
    return less(machine, size, [])


def _download_bytes(option: Option) -> int:
    """What a file whose size was not read is expected to take: a GGUF has its tokenizer in it."""
    in_file = tokenizer_bytes(option.model.architecture) if option.artifact.format == "gguf" else None
    return option.footprint.weights.total_bytes + (in_file or 0)


def candidate_of(row: Ranked, requirements: Requirements, data: QualityData) -> Candidate:
    """The option in the words of a plan, with the engine's own command."""
    option, model = row.option, row.option.model
    backend: Backend = requirements.backend or "llama.cpp"
    artifact = option.artifact
    candidate = Candidate(
        model=model.id,
        kind=model.kind,
        name=model.name,
        family=model.family,
        publisher=model.publisher,
        released=model.released,
        license=model.license.id,
        n_params=model.n_params,
        n_params_active=model.n_params_active,
        modalities=model.modalities,
        languages=model.languages,
        quantization=artifact.quantization,
        backend=backend,
        projector=requirements.profile.images,
        n_ctx=option.settings.n_ctx,
        n_seqs=option.settings.n_seqs,
        kv_type=option.settings.kv_type,
        placement=option.placement,
        memory=option.memory,
        speed=option.speed,
        quality=row.quality,
        score=row.score,
        artifact=ArtifactChoice(
            repo=artifact.repo,
            files=artifact.files,
            bytes=artifact.bytes or _download_bytes(option),
            estimated=artifact.bytes is None,
            format=artifact.format,
        ),
        command="",
        sampling=model.sampling,
        n_ctx_effective=model.n_ctx_effective,
        reasons=tuple(reasons(row, requirements, data)),
    )
    return candidate.model_copy(update={"command": BACKENDS[backend].command(candidate)})
