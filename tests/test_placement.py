"""Splits are solved: nothing is left on the slow side that would fit on the fast one."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from architectures import architecture
from hypothesis import given
from hypothesis import strategies as st
from simulated import SimulatedGpu, machine

from advisor.api import machine_of
from advisor.assessment import Placement
from advisor.backends.llama_cpp import layer_args
from advisor.estimation import Pace, Workload
from advisor.filling import by_proportion, fill, gpu_sets, speed_of
from advisor.hardware import Machine
from advisor.memory import Footprint, Split, allocate, footprint_of
from advisor.placement import (
    CLEAR_GAIN,
    Rate,
    distribute,
    estimate_memory,
    fits,
    force,
    most_layers,
    placement_of,
    solve,
)
from advisor.settings import Settings
from advisor.units import GIB
from advisor.weights import Weights, weights_by_rule


@cache
def weights(name: str, quantization: str) -> Weights:
    return weights_by_rule(architecture(name), quantization)


@cache
def footprint(
    name: str, quantization: str = "Q4_K_M", n_ctx: int = 8192, *, kv_offload: bool = True
) -> Footprint:
    settings = Settings(n_ctx=n_ctx, kv_offload=kv_offload)
    return footprint_of(architecture(name), weights(name, quantization), settings)


@cache
def rate(name: str, where: Machine, quantization: str = "Q4_K_M", n_ctx: int = 8192) -> Rate:
    workload = Workload(
        name=name,
        architecture=architecture(name),
        weights=weights(name, quantization),
        quantization=quantization,
        settings=Settings(n_ctx=n_ctx),
        n_params_active=8 * 10**9,
        source="config-rules",
        depth=n_ctx // 2,
        prompt_tokens=512,
    )
    return Pace(workload, where).rate


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
        pytest.param(LLAMA_8B, machine(7, 24), Split(gpu_layers=(0, 33)), id="not the one with a display"),
        pytest.param(
            LLAMA_8B, machine((24, 300), (24, 900)), Split(gpu_layers=(0, 33)), id="the faster of two"
        ),
        pytest.param(LLAMA_70B, machine(8, ram_gib=16), None, id="nowhere"),
    ],
)
def test_solve(needs: Footprint, where: Machine, expected: Split | None) -> None:
    assert solve(needs, where) == expected


SENTENCES = (
    "2x RTX 4090, 64 GB RAM",
    "RTX 4090 + RTX 4080, 64 GB RAM",
    "RTX 5090 + RTX 5080, 96 GB RAM",
    "RTX 3060 12 GB, 64 GB RAM",
    "8x H100 80GB SXM, 2 TB RAM",
    "M3 Max 40-core 64 GB",
    "Ryzen AI Max+ 395 128 GB",
    "CPU only, 64 GB RAM, 8 cores",
)
MODELS = (
    ("llama-3.1-8b", "Q4_K_M"),
    ("gpt-oss-20b", "MXFP4"),
    ("qwen3-30b-a3b", "Q8_0"),
    ("llama-3.1-70b", "Q4_K_M"),
)


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize(("name", "quantization"), MODELS)
def test_nothing_more_would_fit_on_the_fast_side(name: str, quantization: str, sentence: str) -> None:
    where, needs = machine_of(sentence), footprint(name, quantization)
    split = solve(needs, where, rate(name, where, quantization))
    assert split is not None
    assert fits(needs, split, where)
    used = [i for i, n in enumerate(split.gpu_layers) if n]
    for tighter in one_step_tighter(split, used, needs, where):
        assert tighter is None or not fits(needs, tighter, where)


def one_step_tighter(split: Split, used: list[int], needs: Footprint, where: Machine) -> list[Split | None]:
    """The splits that leave one layer, one layer's experts or one GPU less to the slow side."""
    everything = needs.n_layers + 1
    if split.n_cpu_moe:
        return [distribute(needs, where, used, everything, n_cpu_moe=split.n_cpu_moe - 1)]
    if split.n_cpu_ffn:
        return [distribute(needs, where, used, everything, n_cpu_ffn=split.n_cpu_ffn - 1)]
    if used and split.n_gpu_layers < everything:
        return [distribute(needs, where, used, split.n_gpu_layers + 1)]
    if len(used) > 1:
        fewer = ([i for i in used if i != left_out] for left_out in used)
        return [distribute(needs, where, gpus, everything) for gpus in fewer]
    return []


@pytest.mark.parametrize(
    ("name", "n_ctx", "where"),
    [
        pytest.param("qwen3-30b-a3b", 8192, machine(12, ram_gib=64), id="experts on the host"),
        pytest.param("llama-3.1-70b", 8192, machine(24, ram_gib=64), id="dense"),
        pytest.param("llama-3.1-70b", 65536, machine(36, ram_gib=64), id="dense with a long cache"),
        pytest.param("qwen3-30b-a3b", 32768, machine(3.5, ram_gib=64), id="no room for all the attention"),
        pytest.param("llama-3.1-8b", 8192, machine(4, ram_gib=64), id="a card that is nearly full"),
    ],
)
def test_no_other_split_is_clearly_faster(name: str, n_ctx: int, where: Machine) -> None:
    needs, speed = footprint(name, n_ctx=n_ctx), rate(name, where, n_ctx=n_ctx)
    split = solve(needs, where, speed)
    assert split is not None
    n = needs.n_layers
    others = [Split(gpu_layers=(k,)) for k in range(n + 2)]
    others += [Split(gpu_layers=(n + 1,), n_cpu_moe=m) for m in range(n + 1) if needs.has_experts]
    others += [Split(gpu_layers=(k,), n_cpu_moe=n) for k in range(n + 2) if needs.has_experts]
    others += [Split(gpu_layers=(n + 1,), n_cpu_ffn=m) for m in range(n + 1) if needs.has_dense_ffn]
    best = max(speed(other) or 0 for other in others if fits(needs, other, where))
    assert best <= CLEAR_GAIN * (speed(split) or 0)


@pytest.mark.parametrize(("cores", "feed_forward"), [(4, True), (16, False)], ids=["few cores", "many cores"])
def test_a_long_cache_stays_with_the_gpu_where_the_host_would_be_slow_at_it(
    cores: int, feed_forward: bool
) -> None:
    where, n_ctx = machine(12, ram_gib=64, cores=cores), 32768
    needs = footprint("llama-3.1-8b", "Q8_0", n_ctx)
    split = solve(needs, where, rate("llama-3.1-8b", where, "Q8_0", n_ctx))
    assert split is not None
    assert (split.n_gpu_layers == 33, split.n_cpu_ffn > 0) == (feed_forward, feed_forward)


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        pytest.param([(24, 1000), (16, 700)], "both", id="4090 and 4080"),
        pytest.param([(24, 1000), (48, 30)], "the fast one", id="a card slower than RAM"),
    ],
)
def test_whether_a_slow_second_card_is_worth_it(gpus: list[SimulatedGpu], expected: str) -> None:
    where = machine(*gpus, ram_gib=64)
    split = solve(LLAMA_70B, where, rate("llama-3.1-70b", where))
    assert split is not None
    assert split.gpu_layers[0]
    assert bool(split.gpu_layers[1]) == (expected == "both")


def test_a_small_fast_card_relieves_a_large_slow_one() -> None:
    where = machine((48, 200), (16, 1000), ram_gib=64)
    needs = footprint("qwen3-30b-a3b", "Q8_0")
    split = solve(needs, where, rate("qwen3-30b-a3b", where, "Q8_0"))
    assert split is not None
    slow, fast = split.gpu_layers
    assert slow + fast == 49
    assert slow
    assert not fits(needs, Split(gpu_layers=(slow - 1, fast + 1)), where)


def test_gpus_of_one_speed_are_filled_alike() -> None:
    where = machine(24, 16, ram_gib=64)
    needs = footprint("qwen3-30b-a3b", "Q8_0")
    split = solve(needs, where)
    assert split is not None
    assert split.n_gpu_layers == 49
    memory = estimate_memory(needs, split, where, "config-rules")
    shares = [d.total_bytes / (d.capacity_bytes or 1) for d in memory.devices if d.kind == "gpu"]
    assert abs(shares[0] - shares[1]) < 0.1


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 1000), st.sampled_from([1.0, 2.0, 3.0])), min_size=1, max_size=4),
)
def test_filling_keeps_every_room(sizes: list[int], gpus: list[tuple[int, float]]) -> None:
    rooms = [room for room, _ in gpus]
    counts = fill(sizes, rooms, [speed for _, speed in gpus])
    if counts is None:
        assert not all(rooms) or sum(sizes) > sum(rooms) - len(rooms) * max(sizes)
        return
    assert sum(counts) == len(sizes)
    ends = [0, *(sum(counts[: i + 1]) for i in range(len(counts)))]
    for room, (start, stop) in zip(rooms, pairwise(ends), strict=True):
        assert sum(sizes[start:stop]) <= room


@pytest.mark.parametrize(
    ("proportions", "n", "expected"),
    [
        # Two devices of the same free memory, measured with llama.cpp 0.3.36 (2026-11-21).
        pytest.param((1, 1), 33, (17, 16), id="odd, equal"),
        pytest.param((1, 1), 16, (8, 8), id="even, equal"),
        pytest.param((1, 1), 25, (13, 12), id="odd"),
        pytest.param((3, 1), 33, (25, 8), id="-ts 3,1"),
        pytest.param((24 * GIB, 16 * GIB), 81, (49, 32), id="free bytes"),
        pytest.param((0, 1), 5, (0, 5), id="none on the first"),
        pytest.param((1,), 7, (7,), id="one GPU"),
        pytest.param((1, 1), 0, (0, 0), id="no layers"),
    ],
)
def test_llama_cpp_divides_layers_by_proportion(
    proportions: tuple[float, ...], n: int, expected: tuple[int, ...]
) -> None:
    assert by_proportion(proportions, n) == expected


@given(st.lists(st.integers(0, 200), min_size=1, max_size=8).filter(any))
def test_a_split_given_as_ts_is_the_split_that_llama_cpp_makes(layers: list[int]) -> None:
    assert by_proportion(layers, sum(layers)) == tuple(layers)


# Buffers of llama.cpp 0.3.36 with RPC servers as GPUs, 8192 tokens (2026-11-21): bytes of weights and of the
# context on every GPU, then on the host.
MEASURED = [
    pytest.param("llama-3.1-8b", "Q4_K_M", 1, 0, True, [(0, 0), (4912898304, 1073741824)], id="k=0"),
    pytest.param(
        "llama-3.1-8b", "Q4_K_M", 1, 1, True, [(430956544, 0), (4481941760, 1073741824)], id="the output"
    ),
    pytest.param(
        "llama-3.1-8b",
        "Q4_K_M",
        2,
        16,
        True,
        [(1030390016, 268435456), (1371070720, 234881024), (2511438080, 570425344)],
        id="two GPUs and the host",
    ),
    pytest.param(
        "llama-3.1-8b",
        "Q4_K_M",
        2,
        16,
        False,
        [(1030390016, 0), (1371070720, 0), (2511438080, 1073741824)],
        id="caches kept on the host",
    ),
    pytest.param(
        "gemma-3-12b",
        "Q4_K_M",
        1,
        999,
        True,
        [(7294226304, 1040187392), (825955200, 0)],
        id="tied embeddings twice, k beyond the model",
    ),
    pytest.param(
        "gpt-oss-20b",
        "MXFP4",
        2,
        25,
        True,
        [(5885689472, 111673344), (5595539584, 108527616), (615329280, 0)],
        id="a mixture on two GPUs",
    ),
    pytest.param(
        "granite-4.0-h-tiny",
        "Q4_K_M",
        1,
        20,
        True,
        [(2080822336, 60972032), (2273008832, 64197632)],
        id="states follow their layers",
    ),
]


@pytest.mark.parametrize(
    ("name", "quantization", "n_gpus", "n_gpu_layers", "kv_offload", "expected"), MEASURED
)
def test_bytes_on_each_side(
    name: str,
    quantization: str,
    n_gpus: int,
    n_gpu_layers: int,
    kv_offload: bool,
    expected: list[tuple[int, int]],
) -> None:
    needs = footprint(name, quantization, kv_offload=kv_offload)
    split = Split(gpu_layers=by_proportion((1,) * n_gpus, min(n_gpu_layers, needs.n_layers + 1)))
    gpus, host = allocate(needs, split)
    assert [(p.weights_bytes, p.kv_cache_bytes + p.recurrent_bytes) for p in (*gpus, host)] == expected


@pytest.mark.parametrize("overrides", [{"n_cpu_moe": 7}, {"n_cpu_ffn": 7}], ids=str)
def test_what_is_kept_on_the_host_is_taken_from_the_gpus(overrides: dict[str, int]) -> None:
    needs = QWEN_30B if "n_cpu_moe" in overrides else LLAMA_8B
    layers = (needs.n_layers + 1,)
    (whole,), host_before = allocate(needs, Split(gpu_layers=layers))
    (left,), host_after = allocate(needs, Split(gpu_layers=layers, **overrides))
    blocks = needs.weights.experts if "n_cpu_moe" in overrides else needs.weights.ffn
    assert whole.weights_bytes - left.weights_bytes == sum(blocks[:7])
    assert host_after.weights_bytes - host_before.weights_bytes == sum(blocks[:7])


@pytest.mark.parametrize(
    ("split", "n_ubatch", "unified", "copied"),
    [
        pytest.param(Split(gpu_layers=(33,)), 512, False, False, id="nothing on the host"),
        pytest.param(Split(gpu_layers=(20,)), 512, False, True, id="layers on the host"),
        pytest.param(Split(gpu_layers=(33,), n_cpu_ffn=1), 512, False, True, id="a block on the host"),
        pytest.param(Split(gpu_layers=(20,)), 16, False, False, id="batches too small"),
        pytest.param(Split(gpu_layers=(20,)), 512, True, False, id="one pool"),
    ],
)
def test_a_discrete_gpu_gets_a_copy_of_the_hosts_largest_matrix(
    split: Split, n_ubatch: int, unified: bool, copied: bool
) -> None:
    arch = architecture("llama-3.1-8b")
    needs = footprint_of(arch, weights("llama-3.1-8b", "Q4_K_M"), Settings(n_ubatch=n_ubatch))
    memory = estimate_memory(needs, split, machine(24, unified=unified), "config-rules")
    (planned,), _ = allocate(needs, split)
    extra = memory.devices[0].compute_bytes - planned.compute_bytes
    assert extra == (needs.weights.largest_matrix if copied else 0)


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
    st.lists(st.tuples(st.floats(0.5, 80), st.sampled_from([20.0, 300.0, 1000.0])), max_size=4),
    st.floats(1, 128),
    st.booleans(),
)
def test_what_is_solved_fits(needs: Footprint, gpus: list[SimulatedGpu], ram: float, unified: bool) -> None:
    where = machine(*gpus, ram_gib=ram, unified=unified)
    split = solve(needs, where)
    if split is None:
        on_host = Split(gpu_layers=(0,) * len(gpus))
        assert estimate_memory(needs, on_host, where, "config-rules").fits is False
    else:
        assert estimate_memory(needs, split, where, "config-rules").fits is True
        assert split.n_gpu_layers <= needs.n_layers + 1


@given(
    st.sampled_from([LLAMA_8B, QWEN_30B]),
    st.lists(st.floats(0.5, 24), max_size=2),
    st.integers(0, 49),
    st.integers(0, 48),
)
def test_the_short_verdict_is_that_of_the_table(
    needs: Footprint, vram: list[float], layers: int, experts: int
) -> None:
    where = machine(*vram, ram_gib=16)
    split = Split(gpu_layers=by_proportion(vram, layers) if vram else (), n_cpu_moe=experts)
    assert fits(needs, split, where) == estimate_memory(needs, split, where, "config-rules").fits


@given(st.integers(0, 40), st.lists(st.floats(1, 24), min_size=1, max_size=3))
def test_forced_layers_are_all_placed(n: int, vram: list[float]) -> None:
    assert force(LLAMA_8B, machine(*vram), n).n_gpu_layers == min(n, 33)


def test_most_layers_fill_the_gpus_whatever_the_host_has() -> None:
    where = machine(24, ram_gib=4)
    split = most_layers(LLAMA_70B, where)
    assert 0 < split.n_gpu_layers < 81
    assert distribute(LLAMA_70B, where, [0], split.n_gpu_layers + 1) is None
    assert most_layers(LLAMA_8B, machine()) == Split()


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(24, 500), (24, 900)], [(1,), (0,), (0, 1)], id="the faster first"),
        pytest.param([(8, 100 + i) for i in range(5)], [(4,), (3, 4), (2, 3, 4)], id="of many the fastest"),
    ],
)
def test_sets_of_gpus(gpus: list[float | SimulatedGpu], expected: list[tuple[int, ...]]) -> None:
    assert list(gpu_sets(machine(*gpus).gpus))[: len(expected)] == expected


def test_kernels_count_in_the_speed_of_a_gpu() -> None:
    a100, geforce = (machine((24, speed)).gpus[0] for speed in (1555, 1008))
    a100 = a100.model_copy(update={"compute_capability": "8.0"})
    geforce = geforce.model_copy(update={"compute_capability": "8.9"})
    assert speed_of(a100) < speed_of(geforce)


def test_placement_names_the_devices_used() -> None:
    where = machine(24, 24)
    whole = placement_of(Split(gpu_layers=(0, 33)), LLAMA_8B, where)
    assert whole.devices == ("GPU 1",)
    assert placement_of(Split(gpu_layers=(20, 0)), LLAMA_8B, where).devices == ("GPU 0", "CPU")
    assert placement_of(Split(gpu_layers=(0, 0)), LLAMA_8B, where).devices == ("CPU",)
    assert placement_of(Split(gpu_layers=(33, 0), n_cpu_ffn=3), LLAMA_8B, where).devices == ("GPU 0", "CPU")


@pytest.mark.parametrize(
    ("own", "counted"),
    [
        pytest.param((25, 0), (26, 0), id="whole on the first"),
        pytest.param((13, 12), (13, 13), id="whole, the block beside the output"),
        pytest.param((4, 6), (4, 7), id="part"),
        pytest.param((0, 1), (0, 1), id="the output alone"),
        pytest.param((0, 0), (0, 0), id="none"),
    ],
)
def test_llama_cpp_counts_prediction_blocks_as_layers(own: tuple[int, ...], counted: tuple[int, ...]) -> None:
    where, needs = machine(24, 24), footprint("qwen3.5-0.8b", "Q8_0")
    assert needs.n_mtp_layers == 1
    placement = placement_of(Split(gpu_layers=own), needs, where)
    assert (placement.n_gpu_layers, placement.gpu_layers) == (sum(counted), counted)
    assert force(needs, where, sum(counted)).n_gpu_layers == sum(own)


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        pytest.param(Placement(n_gpu_layers=33, gpu_layers=(33,)), "-ngl 33", id="one GPU"),
        pytest.param(Placement(n_gpu_layers=0), "-ngl 0", id="no GPU"),
        pytest.param(Placement(n_gpu_layers=0, gpu_layers=(0,)), "-ngl 0 -dev none", id="a full GPU"),
        pytest.param(
            Placement(n_gpu_layers=33, gpu_layers=(0, 33)), "-ngl 33 -sm none -mg 1", id="one of two GPUs"
        ),
        pytest.param(
            Placement(n_gpu_layers=81, gpu_layers=(49, 32)), "-ngl 81 -sm layer -ts 49,32", id="two GPUs"
        ),
        pytest.param(
            Placement(n_gpu_layers=49, gpu_layers=(49,), n_cpu_moe=20), "-ngl 49 --n-cpu-moe 20", id="experts"
        ),
        pytest.param(
            Placement(n_gpu_layers=81, gpu_layers=(60, 21), n_cpu_ffn=9),
            "-ngl 81 --n-cpu-ffn 9 -sm layer -ts 60,21",
            id="feed-forward blocks",
        ),
    ],
)
def test_flags(placement: Placement, expected: str) -> None:
    assert " ".join(layer_args(placement)) == expected
