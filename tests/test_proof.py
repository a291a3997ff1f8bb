"""llama.cpp's report of its buffers against an estimate by rule: figures that can be checked by eye."""

from __future__ import annotations

import pytest

from advisor.advice import recommend_on
from advisor.api import machine_of
from advisor.assessment import DeviceMemory, MemoryEstimate
from advisor.candidates import Option
from advisor.catalog import load_catalog
from advisor.contest import Shelf
from advisor.measurements import Buffer, BufferReport, LogBuffer
from advisor.proof import Proof, differences, proven
from advisor.units import GIB, MIB
from advisor.usecase import Requirements

BY = "llama.cpp (a test)"


def device(name: str, *, weights: int = 0, kv: int = 0, state: int = 0, compute: int = 0) -> DeviceMemory:
    """One device in MiB; RAM has outputs and an overhead too."""
    ram = name == "CPU"
    return DeviceMemory(
        name=name,
        kind="cpu" if ram else "gpu",
        weights_bytes=weights * MIB,
        kv_cache_bytes=kv * MIB,
        recurrent_bytes=state * MIB,
        compute_bytes=compute * MIB,
        output_bytes=MIB if ram else 0,
        overhead_bytes=28 * MIB if ram else 512 * MIB,
        capacity_bytes=8 * GIB,
    )


def buffer(name: str, device: str, *, weights: int = 0, context: int = 0, compute: int = 0) -> Buffer:
    """One of ggml's buffer types, in MiB."""
    return Buffer(
        name=name,
        device=device,
        host=device == "CPU" or name.endswith("_Host"),
        weights_bytes=weights * MIB,
        context_bytes=context * MIB,
        compute_bytes=compute * MIB,
    )


def report(*exact: Buffer, kv: int, state: int = 0, output: int = 1) -> BufferReport:
    """The report whose log says the same as the breakdown."""
    logged = [LogBuffer(name=b.name, kind="compute", bytes=b.compute_bytes) for b in exact if b.compute_bytes]
    logged.append(LogBuffer(name="CPU", kind="output", bytes=output * MIB))
    if state:
        logged.append(LogBuffer(name="CPU", kind="RS", bytes=state * MIB))
    return BufferReport(exact=exact, logged=tuple(logged), kv_cache_bytes=kv * MIB, model_bytes=0)


def in_mib(memory: MemoryEstimate) -> list[tuple[int, ...]]:
    """(weights, cache, state, compute) of every device."""
    return [
        tuple(
            size // MIB
            for size in (row.weights_bytes, row.kv_cache_bytes, row.recurrent_bytes, row.compute_bytes)
        )
        for row in memory.devices
    ]


def prove(
    memory: MemoryEstimate, told: BufferReport, *gpus: str, tied: int = 0, grown: bool = False
) -> Proof:
    proof = proven(memory, told, gpus, by=BY, tied_bytes=tied * MIB, grown=grown)
    assert proof is not None
    return proof


RAM = MemoryEstimate.of([device("CPU", weights=1000, kv=100, state=20, compute=60)], "config-rules")
TWO_GPUS = MemoryEstimate.of(
    [
        device("RTX A", weights=600, kv=60, compute=70),
        device("RTX B", weights=500, kv=40, compute=80),
        device("CPU", weights=50, compute=10),
    ],
    "config-rules",
)


def test_buffers_are_put_together_by_device() -> None:
    told = report(
        buffer("CUDA1", "CUDA1", weights=500, context=40, compute=81),
        buffer("CUDA_Host", "CUDA0", compute=4),
        buffer("CPU", "CPU", weights=50, compute=8),
        buffer("CUDA0", "CUDA0", weights=600, context=60, compute=70),
        kv=100,
    )
    memory, notes = prove(TWO_GPUS, told, "CUDA0", "CUDA1")
    assert in_mib(memory) == [(600, 60, 0, 70), (500, 40, 0, 81), (50, 0, 0, 12)]
    assert [row.overhead_bytes for row in memory.devices] == [r.overhead_bytes for r in TWO_GPUS.devices]
    assert memory.source == "probe"
    assert memory.proven_by == BY
    assert notes == ("llama.cpp plans 3.00 MiB more for compute than the rules",)


def test_state_and_cache_are_told_apart() -> None:
    told = report(buffer("CPU", "CPU", weights=1000, context=130, compute=60), kv=110, state=20)
    memory, notes = prove(RAM, told)
    assert in_mib(memory) == [(1000, 110, 20, 60)]
    assert notes == ("llama.cpp plans 10.00 MiB more for cache than the rules",)


def test_a_shared_matrix_that_the_plan_has_twice_counts_once() -> None:
    told = report(buffer("CPU", "CPU", weights=1300, context=120, compute=60), kv=100, state=20)
    assert in_mib(prove(RAM, told, tied=300).memory) == [(1000, 100, 20, 60)]
    assert in_mib(prove(RAM, told, tied=200).memory) == [(1300, 100, 20, 60)]


def test_a_published_file_larger_than_the_recipe_keeps_its_size() -> None:
    told = report(buffer("CPU", "CPU", weights=900, context=120, compute=60), kv=100, state=20)
    assert in_mib(prove(RAM, told, grown=True).memory) == [(1000, 100, 20, 60)]
    assert in_mib(prove(RAM, told).memory) == [(900, 100, 20, 60)]


@pytest.mark.parametrize(
    "exact",
    [
        pytest.param((), id="no breakdown"),
        pytest.param((buffer("CPU", "CPU", context=120, compute=999),), id="another graph than the log's"),
        pytest.param((buffer("CPU", "CPU", context=999, compute=64),), id="another cache than the log's"),
    ],
)
def test_a_breakdown_that_its_log_contradicts_is_not_believed(exact: tuple[Buffer, ...]) -> None:
    logged = report(buffer("CPU", "CPU", compute=64), kv=100, state=20)
    memory, _ = prove(RAM, logged.model_copy(update={"exact": exact}))
    assert in_mib(memory) == [(1000, 100, 20, 64)]
    assert memory.proven_by == f"{BY}, to 0.01 MiB"
    nothing = logged.model_copy(update={"exact": exact})
    assert proven(TWO_GPUS, nothing, ("CUDA0", "CUDA1"), by=BY, tied_bytes=0, grown=False) is None


def test_small_differences_are_not_worth_a_word() -> None:
    other = MemoryEstimate.of(
        [RAM.devices[0].model_copy(update={"compute_bytes": 60 * MIB + 64, "total_bytes": 1209 * MIB + 64})],
        "probe",
    )
    assert list(differences(RAM, other)) == []


def test_a_pick_that_the_plan_does_not_fit_is_turned_down() -> None:
    catalog = load_catalog()
    shelf = Shelf(catalog.models, catalog.weights, catalog.quality, catalog.date)
    machine = machine_of("CPU only, 32 GB RAM, 8 cores")
    first = recommend_on(shelf, Requirements(), machine).choice
    assert first is not None

    def larger_plan_of_the_first(option: Option) -> Proof:
        if option.model.id != first.model:
            return Proof(option.memory.model_copy(update={"proven_by": BY}), ("a difference",))
        (row,) = option.memory.devices
        much = DeviceMemory(
            name="CPU", kind="cpu", weights_bytes=row.total_bytes + 9 * GIB, capacity_bytes=row.capacity_bytes
        )
        return Proof(MemoryEstimate.of([much], "probe"))

    result = recommend_on(shelf, Requirements(), machine, prove=larger_plan_of_the_first)
    assert result.choice is not None
    assert result.choice.model != first.model
    assert result.notes[:2] == (f"memory proven by {BY}", "a difference")
    (why,) = [row for row in result.rejected if row.model == first.model]
    assert why.reason.startswith(f"does not fit: llama.cpp's own plan of {first.quantization} needs ")
    assert why.missing_bytes
