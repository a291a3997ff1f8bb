"""What vLLM, SGLang and the others need: worked by hand, held against published logs, and end to end."""

from __future__ import annotations

import json
import statistics
from math import ceil
from typing import Any, NamedTuple

import pytest
from benchmarks.vllm import figures, read_logs
from click.testing import CliRunner
from factories import gpu, machine
from published_mixtures import MIXTURES

from advisor.architecture import Architecture
from advisor.catalog import load_catalog
from advisor.cli import advisor
from advisor.errors import AdvisorError, ConfigError
from advisor.hardware import Gpu, Machine
from advisor.hf_config import architecture_of
from advisor.serving import blocks, sglang, vllm
from advisor.serving.activations import activation_bytes
from advisor.serving.devices import free_bytes, offered_bytes
from advisor.serving.engines import engine_memory, serve
from advisor.serving.formats import default_format, engine_weights
from advisor.serving.plan import EnginePlan, Served
from advisor.serving.ranks import kv_heads_of_rank, rank_weights, stages
from advisor.settings import Settings
from advisor.units import GIB, MIB
from advisor.usecase import Backend, KvType

CATALOG = load_catalog()


def card(mib: int, name: str = "GeForce RTX 4090", index: int = 0, **changes: Any) -> Gpu:
    return gpu(index=index, name=name, vram_bytes=mib * MIB, compute_capability="8.9", **changes)


RTX_4090, RTX_5090 = card(24564), card(32607, "GeForce RTX 5090")
A100, H100 = card(81920, "A100 SXM4 80GB"), card(81559, "H100 SXM5 80GB")


def computer(*gpus: Gpu) -> Machine:
    """These GPUs, numbered, and RAM enough."""
    return machine(*(g.model_copy(update={"index": i}) for i, g in enumerate(gpus)), ram_gib=512)


def shape(model: str) -> Architecture:
    return CATALOG.get(model).architecture


def served(model: str, quantization: str, *gpus: Gpu, backend: Backend = "vllm", **settings: Any) -> Served:
    arch = shape(model)
    weights = engine_weights(arch, quantization)
    return serve(
        arch,
        weights,
        Settings(**settings),
        computer(*gpus),
        backend=backend,
        quantization=quantization,
        source="config-rules",
        speed=unknown,
    )


def unknown(plan: EnginePlan) -> None:
    """The speed of cards whose figures nobody knows: the fewest that hold the model are taken."""


class Pair(NamedTuple):
    """A model on GPUs, with every number of the sum written out."""

    model: str
    quantization: str
    gpus: tuple[Gpu, ...]
    settings: dict[str, Any]
    weights: int
    """Of one rank."""
    activations: int
    graphs: int
    other: int
    """Outside PyTorch."""
    block: int
    """Bytes of one block on one rank."""
    request: int
    """Blocks of one request of the whole context."""


PAIRS = {
    "llama-3.1-8b-on-4090": Pair(
        "llama-3.1-8b-instruct",
        "BF16",
        (RTX_4090,),
        {"n_ctx": 8192},
        # 8,030,261,248 parameters, and sines and cosines of 131,072 positions × 128
        weights=8_030_261_248 * 2 + 131_072 * 128 * 2,
        # 2,048 tokens: three rows of 4,096, and gate, up and their product of 14,336
        activations=2048 * (3 * 4096 + 3 * 14_336) * 2,
        graphs=(64 + 2 * 8) * MIB,  # for 1 and 2 tokens
        other=256 * MIB,
        block=16 * 32 * 8 * (128 + 128) * 2,  # 16 tokens, 32 layers, 8 KV heads: 2 MiB
        request=8192 // 16,
    ),
    "qwen3-32b-fp8-on-h100": Pair(
        "qwen3-32b",
        "FP8",
        (H100,),
        {"n_ctx": 16_384, "n_seqs": 8},
        # matrices at 8 bits, and 4 bytes of scale for 128 × 128 of their values
        weights=64 * (2 * 5120 * 8192 + 2 * 5120 * 1024 + 3 * 5120 * 25_600) * (128**2 + 4) // 128**2
        + 64 * (2 * 5120 + 2 * 128) * 2  # norms at 16
        + (2 * 151_936 + 1) * 5120 * 2  # both vocabularies and the last norm at 16
        + 40_960 * 128 * 2,
        activations=8192 * (3 * 5120 + 3 * 25_600) * 2,  # a middle-sized GPU: steps of 8,192 tokens
        graphs=(64 + 5 * 8) * MIB,  # for 1, 2, 4, 8 and 16 tokens
        other=256 * MIB,
        block=16 * 64 * 8 * (128 + 128) * 2,
        request=16_384 // 16,
    ),
    "llama-3.3-70b-fp8-on-two-h100": Pair(
        "llama-3.3-70b-instruct",
        "FP8",
        (H100, H100),
        {"n_ctx": 16_384, "n_seqs": 12},
        # halves of the matrices and their scales
        weights=80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28_672) * (128**2 + 4) // 128**2 // 2
        + 80 * 2 * 8192 * 2  # all of the norms
        + (2 * 128_256 + 1) * 8192 * 2 // 2  # halves of the vocabularies, and the last norm
        + 131_072 * 128 * 2,
        activations=8192 * (3 * 8192 + 3 * 28_672 // 2) * 2,
        graphs=(64 + 6 * 8) * MIB,  # for 1, 2, 4, 8, 16 and 24 tokens
        other=512 * MIB,
        block=16 * 80 * 4 * (128 + 128) * 2,  # 4 of the 8 KV heads
        request=16_384 // 16,
    ),
    "gemma-3-27b-on-a100": Pair(
        "gemma-3-27b-it",
        "BF16",
        (A100,),
        {"n_ctx": 32_768},
        # tied: one vocabulary; a table of positions for each kind of layer
        weights=27_009_346_304 * 2 + 2 * 131_072 * 128 * 2,
        activations=2048 * (3 * 5376 + 3 * 21_504) * 2,  # an A100 gets steps of 2,048 tokens
        graphs=(64 + 2 * 8) * MIB,
        other=256 * MIB,
        block=16 * 10 * 16 * (128 + 128) * 2,  # groups of 10 layers: as many as remember everything
        # a window of 1,024 and two steps in flight for each of the 52 / 10 groups, and the whole context
        request=6 * (ceil((1023 + 2 * 2048) / 16) + 1) + 32_768 // 16,
    ),
    "glm-4.7-flash-on-a100": Pair(
        "glm-4.7-flash",
        "BF16",
        (A100,),
        {"n_ctx": 65_536},
        weights=29_943_390_976 * 2 + 202_752 * 64 * 2,
        # 20 heads of Q and K (256 each, twice), and of V and the output (256 each, twice)
        activations=2048 * (3 * 2048 + max(20 * (2 * 256 + 2 * 256), 3 * 10_240)) * 2,
        graphs=(64 + 2 * 8) * MIB,
        other=256 * MIB,
        block=16 * 47 * (512 + 64) * 2,  # one latent a token and layer, no V
        request=65_536 // 16,
    ),
    "qwen3.6-35b-a3b-fp8-cache-on-5090": Pair(
        "qwen3.6-35b-a3b",
        "NVFP4",
        (RTX_5090,),
        {"n_ctx": 131_072, "kv_type": "fp8"},
        weights=0,  # mixed: not by hand
        # 8 experts of 512: the output is wider than gate and up, and the product; 2,048 rows of logits not
        activations=2048 * (3 * 2048 + max(8 * (2048 + 512), 2 * 8192 + 2 * 4096)) * 2,
        graphs=(64 + 2 * 8) * MIB,
        other=256 * MIB,
        # a state of 3 × 8,192 in BF16 and 128 × 4,096 in F32 is as large as 2,096 tokens of 2 × 512 bytes
        block=10 * 2096 * 1024,
        request=ceil(131_072 / 2096) + 3 * 2,  # and three groups of ten states, kept twice
    ),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_worked_by_hand(pair: Pair) -> None:
    result = served(pair.model, pair.quantization, *pair.gpus, **pair.settings)
    row, pool = result.memory.devices[0], result.pool
    assert pool is not None
    weights = pair.weights or row.weights_bytes
    assert row.weights_bytes == pytest.approx(weights, rel=1e-4)
    assert row.compute_bytes == pair.activations + pair.graphs
    offered = pair.gpus[0].vram_bytes - 512 * MIB
    left = ceil(offered * 0.92) - row.weights_bytes - pair.activations - pair.graphs - pair.other
    n_blocks = left // pair.block
    assert pool.kv_bytes == n_blocks * pair.block
    assert pool.concurrency == round(n_blocks / pair.request, 2)
    n_ctx = pair.settings["n_ctx"]
    assert pool.kv_tokens == int(n_blocks / pair.request * n_ctx)
    needed = (pair.request * pair.settings.get("n_seqs", 1) + 1) * pair.block
    assert row.kv_cache_bytes + row.recurrent_bytes == needed


LOGS = read_logs()
EXACT = ("concurrency", "tokens", "longest", "needed GiB")
"""Figures of the paging itself; weights and profiles also depend on kernels and releases."""
ONE_RANK = 0.015
"""A log shows one rank's pool, and the smallest of them counts."""


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.model}-{log.date}-{log.n_ctx}")
def test_published_startup_logs(log: Any) -> None:
    """The tokens in a pool, the requests, the longest sequence: as the engine printed them."""
    found = list(figures(log))
    assert found or log.weights_gib is None, "a row that says nothing"
    for figure in found:
        if figure.name in EXACT:
            assert abs(figure.error) < ONE_RANK, figure


def test_published_logs_as_a_whole() -> None:
    errors = [abs(f.error) for log in LOGS for f in figures(log) if f.name in EXACT]
    assert len(LOGS) >= 25
    assert statistics.median(errors) < 0.001
    weights = [abs(f.error) for log in LOGS for f in figures(log) if f.name == "weights GiB"]
    assert statistics.median(weights) < 0.005


def test_the_profile_of_a_server_with_its_defaults() -> None:
    """Llama 3.1 8B in vLLM 0.31.0 on an A100 (2026-10-06): 1.21 GiB of activations, 0.26 outside PyTorch."""
    arch, batch = shape("llama-3.1-8b-instruct"), vllm.default_batch(A100, Settings())
    assert activation_bytes(arch, batch.n_tokens, batch.n_seqs, 1) / GIB == pytest.approx(1.21, rel=0.05)
    assert pytest.approx(0.26, abs=0.02) == vllm.NON_TORCH_BYTES / GIB
    assert 0.23 < vllm.graph_bytes(batch) / GIB < 0.23 + 0.25  # counted a little high on purpose
    assert offered_bytes(A100) / GIB == pytest.approx(79.25, abs=0.3)


@pytest.mark.parametrize(
    ("n_layers", "n_stages", "expected"),
    [
        pytest.param(32, 1, [32], id="one"),
        pytest.param(32, 4, [8, 8, 8, 8], id="even"),
        pytest.param(62, 4, [15, 16, 16, 15], id="the-rest-in-the-middle"),
        pytest.param(61, 2, [31, 30], id="never-on-the-last"),
    ],
)
def test_stages(n_layers: int, n_stages: int, expected: list[int]) -> None:
    parts = stages(n_layers, n_stages)
    assert [len(part) for part in parts] == expected
    assert [i for part in parts for i in part] == list(range(n_layers))


@pytest.mark.parametrize(("heads", "ranks", "held"), [(8, 2, 4), (8, 8, 1), (2, 8, 1), (1, 4, 1)], ids=str)
def test_kv_heads_are_copied_where_there_are_too_few(heads: int, ranks: int, held: int) -> None:
    assert kv_heads_of_rank(heads, ranks) == held


@pytest.mark.parametrize("model", ["llama-3.3-70b-instruct", "qwen3-30b-a3b-instruct-2507", "glm-4.7-flash"])
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_hold_the_model_and_what_is_copied(model: str, ranks: int) -> None:
    arch = shape(model)
    weights = engine_weights(arch, "BF16")
    whole = range(arch.n_layers)
    alone = rank_weights(arch, weights, 1, whole)
    each = rank_weights(arch, weights, ranks, whole)
    assert alone / ranks < each < alone / ranks * 1.12
    halves = [rank_weights(arch, weights, ranks, part) for part in stages(arch.n_layers, 2)]
    assert max(halves) < each


def test_a_latent_cache_does_not_shrink_with_the_ranks() -> None:
    arch = shape("glm-4.7-flash")
    sizes = {tp: blocks.layout_of(arch, "f16", tp).bytes_per_block(range(47)) for tp in (1, 2, 4)}
    assert len(set(sizes.values())) == 1
    dense = shape("llama-3.1-8b-instruct")
    assert blocks.layout_of(dense, "f16", 2).bytes_per_block(range(32)) == MIB


@pytest.mark.parametrize(
    ("model", "kv_type", "tensor_parallel", "tokens"),
    [
        # vLLM 0.26 printed 1,568 tokens and 0.13 % of padding (noonghunna/club-3090 issue 1047, 2026-08-17)
        pytest.param("qwen3.8-27b", "fp8", 1, 1568, id="qwen3.8-27b-fp8"),
        pytest.param("qwen3.5-27b", "f16", 1, 784, id="qwen3.5-27b-f16"),
        pytest.param("qwen3-next-80b-a3b-instruct", "f16", 4, 272, id="qwen3-next-states-in-bf16"),
        pytest.param("llama-3.1-8b-instruct", "f16", 1, 16, id="no-states"),
    ],
)
def test_blocks_grow_to_the_size_of_a_state(
    model: str, kv_type: KvType, tensor_parallel: int, tokens: int
) -> None:
    layout = blocks.layout_of(shape(model), kv_type, tensor_parallel)
    assert {group.block_tokens for group in layout.groups} == {tokens}


def test_unlike_pages_are_made_alike() -> None:
    """Gemma 4's full layers have half the bytes a token, so their blocks stand for twice the tokens."""
    layout = blocks.layout_of(shape("gemma-4-31b-it"), "f16", 1)
    assert [(g.kind, g.block_tokens, len(g.layers)) for g in layout.groups] == [
        *[("sliding", 16, 10)] * 5,
        ("full", 32, 10),
    ]


def test_kinds_of_nearly_equal_count_are_padded() -> None:
    layout = blocks.layout_of(shape("gpt-oss-20b"), "f16", 1)
    assert sorted((g.kind, len(g.layers)) for g in layout.groups) == [("full", 12), ("sliding", 12)]


def test_the_longest_sequence_is_the_longest() -> None:
    layout = blocks.layout_of(shape("gemma-3-27b-it"), "f16", 1)
    longest = layout.max_n_ctx(4000, 4096, 131_072)
    assert layout.blocks(longest, 4096) <= 4000 < layout.blocks(longest + 1, 4096)
    assert layout.max_n_ctx(3, 4096, 131_072) == 0


@pytest.mark.parametrize(
    ("device", "tokens", "seqs"),
    [
        pytest.param(RTX_4090, 2048, 256, id="small"),
        pytest.param(H100, 8192, 1024, id="middle"),
        pytest.param(A100, 2048, 256, id="a100-is-small"),
        pytest.param(card(183_359, "B200"), 16384, 1024, id="large"),
    ],
)
def test_server_defaults_by_gpu(device: Gpu, tokens: int, seqs: int) -> None:
    assert vllm.default_batch(device, Settings()) == vllm.Batch(tokens, seqs)
    assert vllm.default_batch(device, Settings(n_ctx=512), 2).n_tokens == 1024


@pytest.mark.parametrize(
    ("free_gib", "need_gib", "expected"),
    [
        pytest.param(None, 10, 0.92, id="the-default-where-it-is-free"),
        pytest.param(18, 10, 0.744, id="less-where-less-is-free"),  # (18 - 0.5) of 23.5 GiB
        pytest.param(None, 23.2, 0.966, id="more-where-it-is-needed"),  # (23.2 - 0.5) of 23.5 GiB, rounded up
        pytest.param(18, 23, 0.744, id="never-more-than-is-free"),
    ],
)
def test_utilization_is_of_the_total_and_advised_from_what_is_free(
    free_gib: int | None, need_gib: float, expected: float
) -> None:
    device = card(24 * 1024, free_bytes=None if free_gib is None else free_gib * GIB)
    assert vllm.utilization(((device, int(need_gib * GIB)),)) == expected
    assert expected * offered_bytes(device) <= free_bytes(device)


def test_a_busy_gpu_leaves_a_smaller_pool() -> None:
    idle = served("llama-3.1-8b-instruct", "BF16", RTX_4090).pool
    busy = served("llama-3.1-8b-instruct", "BF16", RTX_4090.model_copy(update={"free_bytes": 20 * GIB})).pool
    assert idle is not None
    assert busy is not None
    assert busy.kv_tokens < idle.kv_tokens
    assert busy.flag == "--gpu-memory-utilization 0.830"


@pytest.mark.parametrize(
    ("model", "gpus", "tensor_parallel", "pipeline_parallel", "n_gpus"),
    [
        pytest.param("llama-3.1-8b-instruct", (RTX_4090, RTX_4090), 1, 1, 1, id="one-is-enough"),
        pytest.param("qwen3-32b", (H100,) * 4, 1, 1, 1, id="fewest"),
        pytest.param("llama-3.3-70b-instruct", (H100,) * 4, 2, 1, 2, id="two-of-four"),
        pytest.param("qwen2.5-14b-instruct", (RTX_4090,) * 3, 2, 1, 2, id="a-power-of-two"),
        pytest.param("qwen3-32b", (RTX_4090,) * 3, 1, 3, 3, id="three-are-a-pipeline"),
        pytest.param("qwen2.5-14b-instruct", (RTX_4090, RTX_5090), 1, 1, 1, id="the-larger-alone"),
        pytest.param("gemma-3-27b-it", (RTX_4090, RTX_5090, RTX_5090), 2, 1, 2, id="the-like-ones"),
        pytest.param("glm-4.7-flash", (RTX_5090, A100), 1, 1, 1, id="the-roomy-one"),
    ],
)
def test_the_fewest_gpus_where_no_speed_is_known(
    model: str, gpus: tuple[Gpu, ...], tensor_parallel: int, pipeline_parallel: int, n_gpus: int
) -> None:
    result = served(model, "BF16", *gpus)
    plan = result.plan
    assert (plan.tensor_parallel, plan.pipeline_parallel) == (tensor_parallel, pipeline_parallel)
    assert len(plan.gpus) == n_gpus
    used = [bool(row.weights_bytes) for row in result.memory.devices if row.kind == "gpu"]
    assert [i for i, is_used in enumerate(used) if is_used] == sorted(plan.gpus)


def test_unlike_gpus_get_layers_by_their_room() -> None:
    result = served("qwen3-14b", "BF16", card(16_376, "GeForce RTX 4080"), RTX_4090)
    assert result.plan == EnginePlan(pipeline_parallel=2, gpus=(0, 1), stage_layers=(16, 24))
    assert result.memory.fits
    assert any("VLLM_PP_LAYER_PARTITION=16,24" in note for note in result.notes)
    assert result.placement(computer(RTX_4090, RTX_4090)).gpu_layers == (16, 24)
    first, second = (row.weights_bytes for row in result.memory.devices[:2])
    assert 0.5 < first / second < 0.8


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_more_context_or_requests_never_need_less(backend: Backend) -> None:
    def need(**settings: Any) -> int:
        return served("gemma-3-12b-it", "BF16", H100, backend=backend, **settings).memory.total_bytes

    by_ctx = [need(n_ctx=n) for n in (512, 1024, 4096, 16_384, 65_536)]
    by_seqs = [need(n_seqs=n) for n in (1, 2, 8, 32)]
    assert by_ctx == sorted(by_ctx)
    assert by_seqs == sorted(by_seqs)
    if backend == "vllm":
        assert need(kv_type="fp8", n_ctx=65_536) < need(n_ctx=65_536)


def test_what_does_not_fit_says_by_how_much() -> None:
    result = served("llama-3.3-70b-instruct", "BF16", RTX_4090)
    assert result.memory.fits is False
    assert result.memory.missing_bytes > 100 * GIB
    assert any("no room for a cache" in note for note in result.notes)


@pytest.mark.parametrize(
    ("device", "fraction"),
    [
        # 512 + 1.5 × 4,096 + 1/8 × 1,024 + 2 × 48 + 8 × 50 of 24,564 MiB
        pytest.param(RTX_4090, round(1 - (512 + 6144 + 128 + 96 + 8 * 50) / 24_564, 3), id="4090"),
        # 512 + 1.5 × 8,192 + 1/8 × 1,024 + 2 × 256 + 8 × 58 of 81,559 MiB: above the floor of 10 GiB
        pytest.param(H100, round(1 - (512 + 12_288 + 128 + 512 + 8 * 58) / 81_559, 3), id="h100"),
    ],
)
def test_sglangs_reserve(device: Gpu, fraction: float) -> None:
    plan = EnginePlan(gpus=(0,))
    assert sglang.static_fraction(shape("llama-3.1-8b-instruct"), device, plan) == fraction


def test_sglang_fits_exactly_where_its_pool_holds_the_requests() -> None:
    for n_ctx in (4096, 8192, 9728, 9984, 16_384):
        result = served("llama-3.1-8b-instruct", "BF16", RTX_4090, backend="sglang", n_ctx=n_ctx)
        assert result.pool is not None
        assert result.memory.devices[0].fits == (result.pool.kv_tokens >= n_ctx)


APPLE = gpu(name="Apple M3 Max", vendor="apple", vram_bytes=48 * GIB, memory="unified")


def test_mlx_by_hand() -> None:
    result = served("qwen3-8b", "4bit", APPLE, backend="mlx", n_ctx=8000)
    row = result.memory.devices[0]
    matrices = 8_190_735_360 - 36 * (2 * 4096 + 2 * 128) - 4096  # all parameters but the norms
    assert row.weights_bytes == pytest.approx(matrices * 4.5 / 8 + (8_190_735_360 - matrices) * 2, rel=1e-4)
    assert row.kv_cache_bytes == 36 * 8192 * 8 * 256 * 2  # steps of 256 tokens
    assert result.pool is None


def test_onnx_allocates_windows_at_full_length() -> None:
    whole = served("gemma-3-12b-it", "INT4", RTX_4090, backend="onnx", n_ctx=16_384)
    windowed = served("gemma-3-12b-it", "BF16", RTX_5090, backend="transformers", n_ctx=16_384)
    ratio = whole.memory.kv_cache_bytes / windowed.memory.kv_cache_bytes
    assert ratio == pytest.approx(48 * 16_384 / (8 * 16_384 + 40 * 1024))


def test_local_engines_run_without_a_gpu() -> None:
    result = serve(
        shape("qwen3-0.6b"),
        engine_weights(shape("qwen3-0.6b"), "BF16"),
        Settings(),
        machine(),
        backend="transformers",
        quantization="BF16",
        source="config-rules",
        speed=unknown,
    )
    assert result.memory.devices[-1].weights_bytes > GIB
    assert result.placement(machine()).devices == ("CPU",)


@pytest.mark.parametrize(
    ("backend", "on", "kv_type", "says"),
    [
        pytest.param("vllm", machine(), "f16", "no GPU|has none", id="vllm-cpu"),
        pytest.param("vllm", machine(APPLE), "f16", "NVIDIA and AMD", id="vllm-apple"),
        pytest.param("vllm", computer(H100), "q8_0", "no q8_0 cache", id="vllm-q8_0"),
        pytest.param("sglang", computer(H100), "q4_0", "no q4_0 cache", id="sglang-q4_0"),
        pytest.param("mlx", computer(H100), "f16", "Apple silicon", id="mlx-cuda"),
        pytest.param("onnx", computer(H100), "fp8", "no fp8 cache", id="onnx-fp8"),
    ],
)
def test_what_an_engine_cannot_do_is_said(backend: Backend, on: Machine, kv_type: KvType, says: str) -> None:
    arch = shape("qwen3-0.6b")
    quantization = default_format(arch, backend)
    weights = engine_weights(arch, quantization)
    with pytest.raises(AdvisorError, match=says):
        serve(
            arch,
            weights,
            Settings(kv_type=kv_type),
            on,
            backend=backend,
            quantization=quantization,
            source="config-rules",
            speed=unknown,
        )


def test_an_encoder_has_no_cache_and_no_pool() -> None:
    result = served("nomic-embed-text-v1.5", "BF16", RTX_4090, n_ctx=2048, embeddings=True)
    assert result.pool is None
    assert result.memory.kv_cache_bytes == 0
    assert result.memory.fits


def test_formats() -> None:
    arch = shape("qwen3-8b")
    sizes = [engine_weights(arch, name).total_bytes for name in ("W4A16", "AWQ", "NVFP4", "FP8", "BF16")]
    assert sizes == sorted(sizes)
    assert engine_weights(arch, "4bit").total_bytes < engine_weights(arch, "AWQ").total_bytes
    with pytest.raises(ConfigError, match="Q4_K_M is not a format of checkpoints"):
        engine_weights(arch, "Q4_K_M")


def test_a_plan_is_followed_to_the_gpu() -> None:
    arch = shape("llama-3.1-8b-instruct")
    on = computer(RTX_4090, RTX_5090, RTX_5090)
    result = engine_memory(
        arch,
        engine_weights(arch, "BF16"),
        Settings(),
        EnginePlan(tensor_parallel=2, gpus=(1, 2)),
        on,
        backend="vllm",
        source="config-rules",
    )
    first, second, third, host = result.memory.devices
    assert first.total_bytes == 0
    assert second.weights_bytes == third.weights_bytes > 7 * GIB
    assert host.total_bytes == host.overhead_bytes


def run(*args: str) -> Any:
    return CliRunner().invoke(advisor, args)


@pytest.mark.parametrize(
    ("backend", "hardware"),
    [
        ("vllm", "RTX 4090, 64 GB RAM"),
        ("sglang", "H100 80GB SXM, 256 GB RAM"),
        ("mlx", "M3 Max 40-core 64 GB"),
        ("transformers", "RTX 4090, 64 GB RAM"),
        ("onnx", "RTX 4090, 64 GB RAM"),
        ("ollama", "RTX 4090, 64 GB RAM"),
    ],
)
def test_estimate_end_to_end(backend: str, hardware: str) -> None:
    result = run("estimate", "qwen3-8b", "--backend", backend, "--hardware", hardware, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["backend"] == backend
    assert document["fits"] is True
    parts = ("weights", "kv_cache", "recurrent", "compute", "output", "overhead", "margin")
    memory = document["memory"]
    assert memory["total_bytes"] == sum(memory[f"{part}_bytes"] for part in parts)
    assert (document["pool"] is not None) == (backend in ("vllm", "sglang"))
    assert (document["speed"] is None) == (backend in ("transformers", "onnx"))


def test_what_does_not_fit_names_a_format_that_would() -> None:
    result = run("estimate", "qwen3-14b", "--backend", "vllm", "--hardware", "RTX 4090, 64 GB RAM")
    assert result.exit_code == 1
    assert "a checkpoint in FP8 would fit (--quant FP8)" in result.output


def test_ollamas_own_context_is_told() -> None:
    result = run("estimate", "qwen3-8b", "--backend", "ollama", "--hardware", "RTX 4090, 64 GB RAM")
    assert "Ollama would take 32,768 tokens" in result.output
    assert "OLLAMA_CONTEXT_LENGTH=8192" in result.output


def test_the_servers_prompt_cache_is_told() -> None:
    result = run("estimate", "qwen3-8b", "--hardware", "RTX 4090, 64 GB RAM")
    assert "-cram 0" in result.output
    assert "--outputs-max 2048" in result.output


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(
            ("--backend", "vllm", "--quant", "Q4_K_M"), "not a format that vllm loads", id="gguf-name"
        ),
        pytest.param(("--backend", "onnx", "--quant", "4bit"), "not a format that onnx loads", id="mlx-name"),
        pytest.param(("--backend", "vllm", "--n-gpu-layers", "9"), "places every layer itself", id="layers"),
        pytest.param(("--backend", "vllm", "--accelerator", "cpu"), "NVIDIA and AMD", id="no-gpu"),
        pytest.param(("--backend", "vllm", "--kv-type", "q8_0"), "no q8_0 cache", id="cache"),
        pytest.param(("--backend", "ollama", "--kv-type", "fp8"), "no fp8 cache", id="ollama-fp8"),
    ],
)
def test_wrong_requests_are_one_line(args: tuple[str, ...], says: str) -> None:
    result = run("estimate", "qwen3-8b", "--hardware", "RTX 4090, 64 GB RAM", *args)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, AdvisorError | SystemExit)
    assert says in f"{result.output}{result.exception}"


def test_vllm_is_recommended_with_its_division() -> None:
    result = run(
        *("recommend", "--backend", "vllm", "--users", "16", "--use-case", "coding", "--json"),
        *("--hardware", "2x H100 80GB SXM, 512 GB RAM"),
    )
    assert result.exit_code == 0, result.output
    choice = json.loads(result.stdout)["choice"]
    assert choice["backend"] == "vllm"
    assert choice["n_seqs"] == 16
    assert choice["command"].startswith("vllm serve ")
    assert choice["placement"]["n_gpu_layers"] is None
    assert choice["artifact"]["format"] == "safetensors"


def test_vllm_turns_models_down_with_the_reason() -> None:
    result = run("recommend", "--backend", "vllm", "--json", "--hardware", "RTX 4090, 64 GB RAM")
    rejected = {row["model"]: row["reason"] for row in json.loads(result.stdout)["rejected"]}
    assert "no checkpoint in the catalog" in rejected["phi-4"]
    assert "does not fit" in rejected["qwen3.5-122b-a10b"]


@pytest.mark.parametrize(
    ("hardware", "users", "backend"),
    [
        pytest.param("2x RTX 4090, 64 GB RAM", "16", "vllm", id="many-on-gpus"),
        pytest.param("2x RTX 4090, 64 GB RAM", "1", "llama.cpp", id="alone"),
        pytest.param("CPU only, 64 GB RAM, 8 cores", "16", "llama.cpp", id="no-gpu"),
        pytest.param("M3 Max 40-core 64 GB", "16", "llama.cpp", id="apple"),
        pytest.param("GTX 1080, 32 GB RAM", "8", "llama.cpp", id="too-old-for-vllm"),
    ],
)
def test_many_users_on_gpus_get_continuous_batching(hardware: str, users: str, backend: str) -> None:
    result = run("recommend", "--users", users, "--json", "--hardware", hardware)
    document = json.loads(result.stdout)
    assert document["choice"]["backend"] == backend
    assert document["requirements"]["backend"] is None
    assert any("vLLM is taken" in note for note in document["notes"]) == (backend == "vllm")


@pytest.mark.parametrize(
    ("name", "layer", "kv_type", "size"),
    [
        pytest.param("deepseek-v3.2", 0, "f16", 576 * 2 + 132, id="index in FP8, with a scale"),
        pytest.param("deepseek-v3.2", 0, "fp8", 656 + 132, id="fp8_ds_mla"),
        pytest.param("glm-5.2", 3, "f16", 576 * 2, id="an earlier layer's index"),
        pytest.param("minimax-m3", 0, "f16", 4 * 256 * 2, id="no index in a dense layer"),
        pytest.param("minimax-m3", 3, "f16", 4 * 256 * 2 + 128 * 2, id="an index beside K and V"),
        pytest.param("mimo-v2-flash", 0, "f16", 4 * (192 + 128) * 2, id="V narrower than K"),
    ],
)
def test_a_token_is_stored_with_its_index(name: str, layer: int, kv_type: KvType, size: int) -> None:
    assert blocks.token_bytes(architecture_of(MIXTURES[name].config), layer, kv_type, 1) == size


def test_the_engines_caches_of_summaries_have_no_rules() -> None:
    with pytest.raises(AdvisorError, match=r"compressed attention \(deepseek4\) have no rules"):
        blocks.layout_of(architecture_of(MIXTURES["deepseek-v4-flash"].config), "f16", 1)


def test_kimis_states_are_f32() -> None:
    arch = architecture_of(MIXTURES["kimi-linear-48b-a3b"].config)
    assert blocks.state_bytes(arch, 1) == 3 * 3 * 4096 * 2 + 32 * 128 * 128 * 4
    assert blocks.state_bytes(arch, 4) * 4 == blocks.state_bytes(arch, 1)


def test_a_tied_embedding_is_loaded_once() -> None:
    arch = shape("qwen3-0.6b")
    assert arch.tied_embeddings
    weights = engine_weights(arch, "BF16")
    rotary = arch.n_ctx_train * arch.head_dim * 2
    assert rank_weights(arch, weights, 1, range(arch.n_layers)) == weights.total_bytes + rotary
    first, last = (rank_weights(arch, weights, 1, stage) for stage in stages(arch.n_layers, 2))
    assert first + last == weights.total_bytes + weights.tied_bytes + 2 * rotary
