"""Splits are solved: nothing is left on the slow side that would fit on the fast one."""

from __future__ import annotations

import pytest
from architectures import architecture
from hypothesis import given
from hypothesis import strategies as st

from advisor.hardware import Cpu, Gpu, Host, HostMemory, Machine
from advisor.memory import Footprint, Split, footprint_of
from advisor.placement import distribute, estimate_memory, force, placement_of, solve
from advisor.settings import Settings
from advisor.units import GIB
from advisor.weights import weights_by_rule


def machine(*vram_gib: float, ram_gib: float = 32, unified: bool = False) -> Machine:
    gpus = tuple(
        Gpu(
            index=i,
            name=f"GPU {i}",
            vendor="nvidia",
            vram_bytes=int(gib * GIB),
            free_bytes=int(gib * GIB),
            bandwidth_bytes_per_s=500 * 10**9,
            memory="unified" if unified else "discrete",
        )
        for i, gib in enumerate(vram_gib)
    )
    memory = HostMemory(total_bytes=int(ram_gib * GIB), available_bytes=int(ram_gib * GIB))
    return Machine(host=Host(os="linux", cpu=Cpu(), memory=memory), gpus=gpus)


def footprint(name: str, quantization: str = "Q4_K_M", **settings: int) -> Footprint:
    arch = architecture(name)
    return footprint_of(arch, weights_by_rule(arch, quantization), Settings(**{"n_ctx": 8192, **settings}))


LLAMA_8B, QWEN_30B, LLAMA_70B = (
    footprint("llama-3.1-8b"),
    footprint("qwen3-30b-a3b"),
    footprint("llama-3.1-70b"),
)


@pytest.mark.parametrize(
    ("needs", "where", "expected"),
    [
        pytest.param(LLAMA_8B, machine(8), Split(gpu_layers=(33,)), id="whole on one GPU"),
        pytest.param(LLAMA_8B, machine(), Split(gpu_layers=()), id="no GPU"),
        pytest.param(LLAMA_8B, machine(1), Split(gpu_layers=(0,)), id="a GPU too small for a layer"),
        pytest.param(LLAMA_8B, machine(24, 24), Split(gpu_layers=(33, 0)), id="one of two is enough"),
        pytest.param(LLAMA_8B, machine(4, 24), Split(gpu_layers=(0, 33)), id="the roomier one"),
        pytest.param(LLAMA_70B, machine(8, ram_gib=16), None, id="nowhere"),
    ],
)
def test_solve(needs: Footprint, where: Machine, expected: Split | None) -> None:
    assert solve(needs, where) == expected


def test_a_mixture_keeps_as_few_experts_on_the_host_as_possible() -> None:
    where = machine(12)
    split = solve(QWEN_30B, where)
    assert split is not None
    assert split.gpu_layers == (49,)
    assert 0 < split.n_cpu_moe < 48
    fewer = distribute(QWEN_30B, where, [0], 49, split.n_cpu_moe - 1)
    assert fewer is None


def test_a_dense_model_puts_as_many_layers_on_the_gpu_as_fit() -> None:
    where = machine(16, ram_gib=64)
    split = solve(LLAMA_70B, where)
    assert split is not None
    (k,) = split.gpu_layers
    assert 0 < k < 81
    assert distribute(LLAMA_70B, where, [0], k + 1, 0) is None


def test_unlike_gpus_are_filled_alike() -> None:
    where = machine(24, 16, ram_gib=64)
    split = solve(footprint("qwen3-30b-a3b", "Q8_0"), where)
    assert split is not None
    assert split.n_gpu_layers == 49
    memory = estimate_memory(footprint("qwen3-30b-a3b", "Q8_0"), split, where, "config-rules")
    shares = [d.total_bytes / (d.capacity_bytes or 1) for d in memory.devices if d.kind == "gpu"]
    assert abs(shares[0] - shares[1]) < 0.1


def test_a_unified_pool_is_counted_once() -> None:
    where = machine(24, ram_gib=24, unified=True)
    memory = estimate_memory(LLAMA_8B, Split(gpu_layers=(33,)), where, "config-rules")
    gpu, host = memory.devices
    assert gpu.overhead_bytes == 0
    assert host.capacity_bytes == 24 * GIB - gpu.total_bytes


def test_every_gpu_has_an_entry_and_unused_ones_cost_nothing() -> None:
    memory = estimate_memory(LLAMA_8B, Split(gpu_layers=(33, 0)), machine(24, 24), "config-rules")
    assert [d.kind for d in memory.devices] == ["gpu", "gpu", "cpu"]
    assert memory.devices[1].total_bytes == 0
    assert memory.total_bytes == sum(d.total_bytes for d in memory.devices)


@given(
    st.sampled_from([LLAMA_8B, QWEN_30B, LLAMA_70B]),
    st.lists(st.floats(0.5, 80), max_size=4),
    st.floats(1, 128),
)
def test_what_is_solved_fits(needs: Footprint, vram: list[float], ram: float) -> None:
    where = machine(*vram, ram_gib=ram)
    split = solve(needs, where)
    if split is None:
        host_only = estimate_memory(needs, Split(gpu_layers=(0,) * len(vram)), where, "config-rules")
        assert host_only.fits is False
    else:
        assert estimate_memory(needs, split, where, "config-rules").fits is True
        assert split.n_gpu_layers <= needs.n_layers + 1


@given(st.integers(0, 40), st.lists(st.floats(1, 24), min_size=1, max_size=3))
def test_forced_layers_are_all_placed(n: int, vram: list[float]) -> None:
    assert force(LLAMA_8B, machine(*vram), n).n_gpu_layers == min(n, 33)


def test_placement_names_the_devices_used() -> None:
    where = machine(24, 24)
    whole = placement_of(Split(gpu_layers=(0, 33)), LLAMA_8B, where)
    assert whole.devices == ("GPU 1",)
    assert placement_of(Split(gpu_layers=(20, 0)), LLAMA_8B, where).devices == ("GPU 0", "CPU")
    assert placement_of(Split(gpu_layers=(0, 0)), LLAMA_8B, where).devices == ("CPU",)
