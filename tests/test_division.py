"""How vLLM and SGLang divide a model over GPUs: what they accept, and what an expert chooses."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from factories import candidate, gpu, machine, speed

from advisor.api import machine_of
from advisor.architecture import Architecture
from advisor.assessment import Placement, SpeedEstimate
from advisor.backends import vllm
from advisor.catalog import load_catalog
from advisor.cli import advisor
from advisor.estimation import Workload, serve_on
from advisor.serving.division import like_gpus, plans
from advisor.serving.engines import fastest
from advisor.serving.formats import engine_weights
from advisor.serving.plan import EnginePlan, Served
from advisor.serving.speed import EngineSpeed, is_linked
from advisor.serving.steps import engine_model
from advisor.settings import Settings
from advisor.units import GIB

CATALOG = load_catalog()


def shape(model: str) -> Architecture:
    return CATALOG.get(model).architecture


EIGHT = machine(*(gpu(i, name="H100 SXM5 80GB", vram_bytes=80 * GIB) for i in range(8)))


def workload(model: str, quantization: str, **settings: Any) -> Workload:
    entry = CATALOG.get(model)
    return Workload(
        name=model,
        architecture=entry.architecture,
        weights=engine_weights(entry.architecture, quantization),
        quantization=quantization,
        settings=Settings(**settings),
        n_params_active=entry.n_params_active or entry.n_params,
        source="config-rules",
        backend="vllm",
        depth=4096,
        prompt_tokens=512,
    )


class Expected(NamedTuple):
    """A division: ranks that share a layer, stages, GPUs left idle."""

    tensor: int
    pipeline: int = 1
    idle: int = 0
    experts_whole: bool = False
    n_more: int = 0
    """Servers that the idle GPUs have room for."""


DIVISIONS = {
    "dense-nvlink-alone": (
        # One user waits for every byte: all four read at once.
        ("4x A100 40GB, 512 GB RAM", "qwen3.8-27b", "BF16", 1),
        Expected(4),
    ),
    "dense-nvlink-many": (
        # Not a pipeline of three with one idle: 24 heads, 4 KV heads, 48 and 16 delta-net heads divide by 4.
        ("4x A100 40GB, 512 GB RAM", "qwen3.8-27b", "BF16", 32),
        Expected(4),
    ),
    "dense-pcie-few": (
        # The host carries little for eight sequences: four cards still decode faster than pairs in a row.
        ("4x A100 40GB PCIe, 512 GB RAM", "qwen3.8-27b", "BF16", 8),
        Expected(4),
    ),
    "dense-pcie-many": (
        # For 32 it carries so much that pairs in a pipeline are as fast, and read prompts sooner.
        ("4x A100 40GB PCIe, 512 GB RAM", "qwen3.8-27b", "BF16", 32),
        Expected(2, 2),
    ),
    "consumer-pair": (
        ("2x RTX 4090, 64 GB RAM", "qwen3-14b", "BF16", 8),
        Expected(2),
    ),
    "consumer-pair-that-one-would-do-for": (
        # It fits on one, but bandwidth decides: the second halves what each reads.
        ("2x RTX 4090, 64 GB RAM", "qwen3-8b", "FP8", 8),
        Expected(2),
    ),
    "large-mixture": (
        # 1,024 columns of an expert are eight blocks of FP8, and there are eight ranks.
        ("8x H100 80GB SXM, 2 TB RAM", "qwen3.5-397b-a17b", "FP8", 64),
        Expected(8),
    ),
    "experts-too-narrow-for-blocks": (
        # 1,536 columns are twelve blocks: eight ranks need expert parallel, as the model's recipes have it.
        ("8x H100 80GB SXM, 2 TB RAM", "qwen3-235b-a22b", "FP8", 64),
        Expected(8, experts_whole=True),
    ),
    "shared-expert-too-narrow": (
        # Experts could be dealt out, but the shared one's 512 columns are four blocks.
        ("8x H100 80GB SXM, 2 TB RAM", "qwen3-next-80b-a3b-instruct", "FP8", 16),
        Expected(4, idle=4, n_more=1),
    ),
    "odd-heads": (
        # 28 heads divide by four; a second stage makes no token faster, a second server serves as many again.
        ("8x H100 80GB SXM, 2 TB RAM", "qwen2.5-7b-instruct", "BF16", 16),
        Expected(4, idle=4, n_more=1),
    ),
    "unlike": (
        # Both are needed, and a layer is only shared by like cards: stages by their memory.
        ("RTX 5090 + RTX 5080, 128 GB RAM", "qwen3-14b", "BF16", 8),
        Expected(1, 2),
    ),
    "unlike-where-the-larger-will-do": (
        # The slower card would only hold up the faster one.
        ("RTX 5090 + RTX 5080, 128 GB RAM", "qwen3-8b", "BF16", 4),
        Expected(1, idle=1),
    ),
    "unlike-pairs": (
        # Each pair shares its stage's layers.
        ("2x RTX 5090 + 2x RTX 4090, 256 GB RAM", "qwen3-32b", "BF16", 4),
        Expected(2, 2),
    ),
    "three-of-which-two-will-do": (
        ("3x RTX 4090, 128 GB RAM", "qwen3-14b", "BF16", 8),
        Expected(2, idle=1),
    ),
    "three-that-are-needed": (
        # 64 heads do not divide by three, 62 GiB do not fit on two.
        ("3x RTX 4090, 128 GB RAM", "qwen3-32b", "BF16", 1),
        Expected(1, 3),
    ),
    "three-servers-gpus": (
        ("3x A100 80GB, 512 GB RAM", "llama-3.3-70b-instruct", "BF16", 8),
        Expected(2, idle=1),
    ),
    "quad-3090": (
        ("4x RTX 3090, 128 GB RAM", "qwen3-32b", "BF16", 8),
        Expected(4),
    ),
    "quad-3090-in-pairs": (
        # Bridges join two: four still reach each other through the host alone.
        ("4x RTX 3090 NVLink, 128 GB RAM", "qwen3-32b", "BF16", 8),
        Expected(4),
    ),
    "amd": (
        ("8x MI300X, 2 TB RAM", "qwen3.5-397b-a17b", "BF16", 16),
        Expected(8),
    ),
}


def division(served: Served, n_gpus: int) -> Expected:
    plan = served.plan
    return Expected(
        plan.tensor_parallel,
        plan.pipeline_parallel,
        n_gpus - plan.n_ranks,
        plan.expert_parallel,
        served.n_more,
    )


@pytest.mark.parametrize(("asked", "expected"), DIVISIONS.values(), ids=DIVISIONS)
def test_the_division_an_expert_chooses(asked: tuple[str, str, str, int], expected: Expected) -> None:
    sentence, model, quantization, users = asked
    on = machine_of(sentence)
    served, found = serve_on(workload(model, quantization, n_seqs=users), on)
    assert served.memory.fits
    assert found is not None
    assert division(served, len(on.gpus)) == expected


@pytest.mark.parametrize(
    ("model", "quantization", "sizes", "whole_experts"),
    [
        pytest.param("qwen3.8-27b", "BF16", {1, 2, 4, 8}, set(), id="24-heads-and-48-and-16-of-delta-nets"),
        pytest.param("qwen2.5-7b-instruct", "BF16", {1, 2, 4}, set(), id="28-heads"),
        pytest.param("smollm2-135m-instruct", "BF16", {1, 3}, set(), id="9-heads-and-3-kv-heads"),
        pytest.param("phi-4-reasoning", "BF16", {1, 2}, set(), id="10-kv-heads-neither-cut-nor-copied-by-4"),
        pytest.param("glm-4.7-flash", "BF16", {1, 2, 4}, set(), id="20-heads-of-latents"),
        pytest.param("falcon-h1-7b-instruct", "BF16", {1, 2, 4}, set(), id="24-mamba-heads-of-one-group"),
        pytest.param("nemotron-3-nano-30b-a3b", "BF16", {1, 2, 4, 8}, set(), id="8-mamba-groups"),
        pytest.param("qwen3-235b-a22b", "BF16", {1, 2, 4, 8}, set(), id="experts-without-blocks"),
        pytest.param("qwen3-235b-a22b", "FP8", {1, 2, 4, 8}, {8}, id="12-blocks-an-expert"),
        pytest.param("qwen3-30b-a3b", "FP8", {1, 2, 4, 8}, {4, 8}, id="6-blocks-an-expert"),
        pytest.param("qwen3-next-80b-a3b-instruct", "FP8", {1, 2, 4}, set(), id="4-blocks-a-shared-expert"),
        pytest.param("exaone-4.0-32b", "FP8", {1, 2}, set(), id="214-blocks"),
        pytest.param("glm-4.5-air", "FP8", {1, 2, 4, 8}, set(), id="fp8-by-channels"),
        pytest.param("deepseek-v3.2", "FP8", {1, 2, 4, 8}, set(), id="16-blocks-an-expert"),
    ],
)
def test_what_the_engines_accept(
    model: str, quantization: str, sizes: set[int], whole_experts: set[int]
) -> None:
    shared = [p for p in plans(shape(model), EIGHT, quantization) if p.pipeline_parallel == 1]
    assert {plan.tensor_parallel for plan in shared} == sizes
    assert {plan.tensor_parallel for plan in shared if plan.expert_parallel} == whole_experts


def test_every_division_of_like_gpus_is_tried_once() -> None:
    found = list(plans(shape("qwen3-32b"), machine(*EIGHT.gpus[:4]), "BF16"))
    assert [(p.tensor_parallel, p.pipeline_parallel) for p in found] == [
        *((1, 1), (2, 1), (1, 2), (1, 3)),
        *((4, 1), (2, 2), (1, 4)),
    ]
    assert all(plan.gpus == tuple(range(plan.n_ranks)) for plan in found)


def test_layers_are_shared_by_like_gpus_alone() -> None:
    small, large = gpu(vram_bytes=24 * GIB, name="RTX 4090"), gpu(vram_bytes=32 * GIB, name="RTX 5090")
    mixed = machine(large, small, large, small)
    assert like_gpus(mixed) == ((0, 2), (1, 3))
    pipelines = [p for p in plans(shape("qwen3-32b"), mixed, "BF16") if p.stage_layers]
    # Ranks are numbered as the GPUs are: pairs that are not neighbours cannot be a stage each.
    assert [(p.tensor_parallel, p.gpus) for p in pipelines] == [(1, (0, 1, 2, 3))]
    assert sum(pipelines[0].stage_layers) == 64


def pace(rate: float, ttft_s: float = 1.0) -> SpeedEstimate:
    return speed(decode_tokens_per_s=rate, ttft_s=ttft_s)


ONE, TWO, PIPE = (
    EnginePlan(gpus=(0,)),
    EnginePlan(tensor_parallel=2, gpus=(0, 1)),
    EnginePlan(pipeline_parallel=2, gpus=(0, 1)),
)


@pytest.mark.parametrize(
    ("paces", "fitting", "expected"),
    [
        pytest.param({ONE: pace(20), TWO: pace(30)}, {ONE, TWO}, TWO, id="the-faster"),
        pytest.param({ONE: pace(20), TWO: pace(30)}, {ONE}, ONE, id="what-fits"),
        pytest.param({ONE: pace(20), TWO: pace(20.9)}, {ONE, TWO}, ONE, id="more-gpus-must-gain-clearly"),
        pytest.param({ONE: pace(20), TWO: pace(21.1)}, {ONE, TWO}, TWO, id="and-these-do"),
        pytest.param({ONE: pace(30), TWO: pace(20)}, {ONE, TWO}, ONE, id="more-can-be-slower"),
        pytest.param({TWO: pace(20, 2), PIPE: pace(19.5, 1)}, {TWO, PIPE}, PIPE, id="the-earlier-token"),
        pytest.param({TWO: pace(20, 2), PIPE: pace(15, 1)}, {TWO, PIPE}, TWO, id="unless-much-slower"),
        pytest.param({ONE: None, TWO: None}, {TWO}, TWO, id="nothing-known"),
        pytest.param({ONE: None, TWO: None}, {ONE, TWO}, ONE, id="nothing-known-of-two"),
        pytest.param({ONE: pace(20)}, set(), None, id="none-fits"),
    ],
)
def test_the_fastest_without_waste(
    paces: dict[EnginePlan, SpeedEstimate | None], fitting: set[EnginePlan], expected: EnginePlan | None
) -> None:
    assert fastest(paces, fitting.__contains__) == expected


def test_embedders_are_not_divided_but_doubled() -> None:
    """Reading is doubled by a second server, and one GPU holds them."""
    asked = workload("bge-m3", "BF16", n_ctx=2048, n_seqs=16, embeddings=True)
    served, _speed = serve_on(asked, machine_of("8x H100 80GB SXM, 2 TB RAM"))
    assert division(served, 8) == Expected(1, idle=7, n_more=7)


def paces_of(asked: Workload, sentence: str) -> EngineSpeed:
    return EngineSpeed(
        asked.architecture,
        asked.weights,
        asked.settings,
        machine_of(sentence),
        backend="vllm",
        quantization=asked.quantization,
        n_params_active=asked.n_params_active,
        depth=asked.depth,
        prompt_tokens=asked.prompt_tokens,
    )


def rate(paces: EngineSpeed, plan: EnginePlan) -> float:
    found = paces(plan)
    assert found is not None
    return found.decode_tokens_per_s


def test_a_pipeline_of_unlike_gpus_is_between_them() -> None:
    paces = paces_of(workload("qwen3-14b", "BF16"), "RTX 5090 + RTX 5080, 128 GB RAM")
    fast, slow = (rate(paces, EnginePlan(gpus=(i,))) for i in (0, 1))
    stages = EnginePlan(pipeline_parallel=2, gpus=(0, 1), stage_layers=(20, 20))
    assert rate(paces, stages) == pytest.approx(2 / (1 / fast + 1 / slow))


@pytest.mark.parametrize(
    ("sentence", "n_gpus", "linked"),
    [
        pytest.param("4x A100 80GB, 512 GB RAM", 4, True, id="sxm"),
        pytest.param("8x MI300X, 2 TB RAM", 8, True, id="xgmi"),
        pytest.param("4x RTX 3090 NVLink, 128 GB RAM", 2, True, id="a-bridge"),
        pytest.param("4x RTX 3090 NVLink, 128 GB RAM", 4, False, id="beyond-the-bridge"),
        pytest.param("2x RTX 4090, 64 GB RAM", 2, False, id="none"),
    ],
)
def test_bridges_join_two(sentence: str, n_gpus: int, linked: bool) -> None:
    on = machine_of(sentence)
    assert is_linked(on, on.gpus[0], n_gpus) == linked


@pytest.mark.parametrize(
    ("model", "ranks", "copies"),
    [
        pytest.param("qwen3-32b", 8, 1, id="as-many-kv-heads"),
        pytest.param("qwen3-235b-a22b", 8, 2, id="half-as-many"),
        pytest.param("deepseek-v3.2", 8, 8, id="latents"),
    ],
)
def test_what_ranks_have_copies_of_is_read_by_each(model: str, ranks: int, copies: int) -> None:
    asked = workload(model, "FP8")
    alone, together = (
        engine_model(asked.architecture, asked.weights, asked.settings, asked.n_params_active, n)
        for n in (1, ranks)
    )
    assert together.cache_bytes == copies * alone.cache_bytes


def test_what_is_chosen_is_said_and_started() -> None:
    eight = ("--hardware", "8x H100 80GB SXM, 2 TB RAM", "--backend", "vllm", "--json")
    result = CliRunner().invoke(advisor, ["estimate", "qwen3-235b-a22b", "--quant", "FP8", *eight])
    document = json.loads(result.stdout)
    placement = {"tensor_parallel": 8, "pipeline_parallel": 1, "expert_parallel": True}
    assert placement.items() <= document["placement"].items()
    assert any("--enable-expert-parallel" in note for note in document["assumptions"])
    result = CliRunner().invoke(advisor, ["estimate", "qwen2.5-7b-instruct", *eight])
    notes = json.loads(result.stdout)["assumptions"]
    assert any("room for 1 more server like it" in note for note in notes)
    unlike = ("--hardware", "RTX 5090 + RTX 5080, 128 GB RAM", "--backend", "vllm", "--parallel", "8")
    output = CliRunner().invoke(advisor, ["estimate", "qwen3-14b", *unlike]).output
    assert "VLLM_PP_LAYER_PARTITION=27,13" in output
    assert "1 × GeForce RTX 5090 + 1 × GeForce RTX 5080" in " ".join(output.split())
    assert "-ngl" not in output  # llama.cpp's flag
    divided = candidate(backend="vllm", placement=Placement(n_gpu_layers=None, **placement))
    assert "--tensor-parallel-size 8 --enable-expert-parallel" in vllm.command(divided)
