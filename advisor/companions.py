"""A chat model and the models that stand beside it, chosen so that all of them fit the machine together.

Which comes first? Asked alone, the chat model would fill the GPU, and every question would then wait seconds
for a reranker on the processor. Asked last, it would be left what large companions leave. So small companions
are sought first, in a share of every device, and their room is kept; the chat model takes of the rest what
suits it; at last the companions are chosen anew from all that is left, which is never less than was kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from advisor.advice import recommend_on
from advisor.assessment import Candidate
from advisor.backends import BACKENDS, vllm
from advisor.backends.devices import less, without
from advisor.candidates import Option
from advisor.contest import Shelf
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.knowledge import approach_notes
from advisor.placement import host_capacity
from advisor.plan import Companions, Recommendation
from advisor.proof import Proof
from advisor.stack import index_room, stack_of
from advisor.units import GIB, format_bytes
from advisor.usecase import Requirements, UseCase

KEPT_OF_GPU: Final = 0.15
KEPT_OF_RAM: Final = 0.10
"""Of every device, for the companions together. On 24 GB both find room on the GPU for what one step of the
chat model's quantization saves; a shared pool counts as RAM, of which the chat model has none to spare."""
MOST_KEPT_BYTES: Final = 4 * GIB
"""Two models of 0.6 B parameters; larger ones take what the chat model leaves, not the other way round."""

MOST_HOST_BYTES: Final = 3 * GIB // 2
"""RAM for the companions, with or without GPUs: with more of it, the processor reads less than a page of text
a second."""
NO_COMPANIONS: Final = Companions()

Prover = Callable[[Machine], Callable[[Option], Proof]]
"""What holds the pick for a machine against llama.cpp itself."""


def recommend_together(
    shelf: Shelf, needs: Requirements, machine: Machine, *, limit: int, prover: Prover
) -> Recommendation:
    """The recommendation with all that its use case and the knowledge asked for bring with them."""
    if needs.profile.companions:
        result = _with_companions(shelf, needs, machine, limit=limit, prover=prover)
    else:
        result = recommend_on(shelf, needs, machine, limit=limit, prove=prover(machine))
    return _noted(result, *approach_notes(needs))


def _with_companions(
    shelf: Shelf, needs: Requirements, machine: Machine, *, limit: int, prover: Prover
) -> Recommendation:
    """With companions and their stack; the chat model alone where nothing fits beside it."""
    small = companions_on(shelf, needs, _share_of(machine))
    spared = _beside_index(needs, small, machine)
    room = without(spared, _present(small))
    result = recommend_on(shelf, needs, room, limit=limit, prove=prover(room))
    if result.choice is None:
        result = recommend_on(shelf, needs, machine, limit=limit, prove=prover(machine))
    result = _on(machine, result)
    if result.choice is None:
        return result
    found = companions_on(shelf, needs, without(spared, [result.choice]), small)
    port = BACKENDS[result.choice.backend].PORT
    companions = _placed(found, without(machine, [result.choice]), port + 1)
    embedder, stack = companions.embedding, None
    if embedder is not None:
        left = without(machine, [result.choice, *_present(companions)])
        models = {model.id: model for model in shelf.models}
        stack = stack_of(needs, result.choice, embedder, companions.rerank, left, models)
    choice = _sharing(result.choice, without(machine, _present(companions)))
    result = result.model_copy(update={"choice": choice, "companions": companions, "stack": stack})
    return _noted(result, _companions_note(companions))


def _noted(result: Recommendation, *notes: str) -> Recommendation:
    """The recommendation with those notes before its own, the last of which says why there is no choice."""
    return result.model_copy(update={"notes": (*notes, *result.notes)})


def companions_on(
    shelf: Shelf, needs: Requirements, machine: Machine, small: Companions = NO_COMPANIONS
) -> Companions:
    """The best companions on the machine: first the reranker, which every question waits for longest.

    small: the embedder among them keeps its room.
    """
    room = _with_little_ram(machine)
    rerank = _companion(shelf, needs, _beside(room, small.embedding), UseCase.RERANK)
    embedding = _companion(shelf, needs, _beside(room, rerank), UseCase.EMBEDDING)
    return Companions(embedding=embedding, rerank=rerank)


def _companion(shelf: Shelf, needs: Requirements, machine: Machine, use_case: UseCase) -> Candidate | None:
    asked = Requirements(
        use_case=use_case, languages=needs.languages, license=needs.license, quality=needs.quality
    )
    return recommend_on(shelf, asked, machine, limit=0).choice


def _beside(machine: Machine, other: Candidate | None) -> Machine:
    return without(machine, [other] if other else [])


def _present(companions: Companions) -> list[Candidate]:
    return [one for one in (companions.embedding, companions.rerank) if one is not None]


def _share_of(machine: Machine) -> Machine:
    """The machine with no more free than what is kept for companions."""
    ram = machine.host_capacity_bytes
    gpus = [gpu.capacity_bytes for gpu in machine.gpus]
    of_gpu = KEPT_OF_RAM if machine.unified else KEPT_OF_GPU
    return less(machine, ram - _kept(ram, KEPT_OF_RAM), [size - _kept(size, of_gpu) for size in gpus])


def _with_little_ram(machine: Machine) -> Machine:
    """The machine with no more RAM than companions may take; a shared pool stays whole."""
    if machine.unified:
        return machine
    return less(machine, max(0, machine.host_capacity_bytes - MOST_HOST_BYTES), [])


def _kept(capacity: int, share: float) -> int:
    return min(MOST_KEPT_BYTES, int(share * capacity))


def _beside_index(needs: Requirements, small: Companions, machine: Machine) -> Machine:
    """The machine without the RAM that the vectors are kept in."""
    if small.embedding is None:
        return machine
    return less(machine, index_room(needs, small.embedding, small.rerank, machine), [])


def _companions_note(companions: Companions) -> str:
    if companions.embedding is None:
        return _("no embedding model fits beside it: ask for a shorter context, or plan for a larger machine")
    size = sum(one.memory.total_bytes for one in _present(companions))
    return _("{size} go to the models beside it, which are counted against the same devices").format(
        size=format_bytes(size, digits=1)
    )


def _on(machine: Machine, result: Recommendation) -> Recommendation:
    """The recommendation with every capacity that of the machine itself, not of the room that was left."""
    choice = result.choice and _restated(result.choice, machine)
    others = tuple(_restated(candidate, machine) for candidate in result.alternatives)
    return result.model_copy(update={"machine": machine, "choice": choice, "alternatives": others})


def _placed(companions: Companions, machine: Machine, port: int) -> Companions:
    """The companions against what each other leaves of the machine, on that port and the next."""
    embedding, rerank = companions.embedding, companions.rerank
    return Companions(
        embedding=embedding and _listening(_restated(embedding, _beside(machine, rerank)), port),
        rerank=rerank and _listening(_restated(rerank, _beside(machine, embedding)), port + 1),
    )


def _sharing(choice: Candidate, machine: Machine) -> Candidate:
    """The choice, whose command leaves the others their memory: vLLM takes all of a GPU unless it is told."""
    if choice.backend != "vllm":
        return choice
    share = vllm.utilization(choice, machine)
    return choice.model_copy(update={"command": f"{choice.command} --gpu-memory-utilization {share:.3f}"})


def _listening(candidate: Candidate, port: int) -> Candidate:
    """The candidate, whose command can run beside the others'."""
    return candidate.model_copy(update={"command": BACKENDS[candidate.backend].command(candidate, port)})


def _restated(candidate: Candidate, machine: Machine) -> Candidate:
    rows = candidate.memory.devices
    on_gpus = sum(row.total_bytes for row in rows if row.kind == "gpu")
    capacities = [gpu.capacity_bytes for gpu in machine.gpus]
    capacities.append(host_capacity(machine, on_gpus if machine.unified else 0))
    restated = tuple(
        row.model_copy(update={"capacity_bytes": capacity, "fits": row.total_bytes <= capacity})
        for row, capacity in zip(rows, capacities, strict=True)
    )
    memory = candidate.memory.model_copy(update={"devices": restated})
    return candidate.model_copy(update={"memory": memory})
