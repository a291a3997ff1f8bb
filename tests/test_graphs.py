"""The graph allocator by hand, and whole compute buffers against llama.cpp's own plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from architectures import CONFIGS, architecture
from plan_memory import plan
from published_mixtures import MIXTURES
from published_models import PUBLISHED

from advisor.architecture import Architecture
from advisor.gguf.sparse import write_sparse
from advisor.graphs import Compute, Layout, Place, compute_bytes, is_described, simulate
from advisor.graphs.allocator import Heap, allocate
from advisor.graphs.layout import representative
from advisor.graphs.nodes import Graph, Tensor
from advisor.graphs.scheduler import schedule
from advisor.hf_config import architecture_of
from advisor.memory import Split, footprint_of
from advisor.memory import allocate as allocate_model
from advisor.settings import Settings
from advisor.weights import weights_by_rule


@pytest.mark.parametrize(
    ("steps", "address", "peak"),
    [
        # A step is a size to take, or in quotes the block to give back: 0 is at 0, 1 at 64, 2 at 160 …
        pytest.param([64, 96, 32], 160, 192, id="one after the other"),
        pytest.param([64, 96, 32, "0", 32], 0, 192, id="a hole is used, its rest stays free"),
        pytest.param([64, 96, 32, 96, 32, "1", "3", 96], 192, 320, id="of two holes alike, the later"),
        pytest.param([64, 96, 32, 64, 32, "1", "3", 64], 192, 288, id="the smallest hole that fits"),
        pytest.param([64, 96, 32, "0", "1", 160], 0, 192, id="neighbours merge"),
        pytest.param([64, 96, 32, "2", 96], 160, 256, id="what ends the heap merges with its open end"),
        pytest.param([64, 96, "0", 96], 160, 256, id="no hole fits: the heap grows"),
        pytest.param([64, 0, 32], 64, 96, id="nothing takes no room"),
    ],
)
def test_heap(steps: list[int | str], address: int, peak: int) -> None:
    heap = Heap()
    blocks: list[tuple[int, int]] = []
    for step in steps:
        if isinstance(step, str):
            heap.give(*blocks[int(step)])
        else:
            blocks.append((heap.take(step), step))
    assert (blocks[-1][0], heap.peak) == (address, peak)


def _tensor(n: int, *sources: Tensor, **facts: Any) -> Tensor:
    return Tensor((n,), sources, pin=0, **facts)


def _given(n: int) -> Tensor:
    tensor = _tensor(n)
    tensor.is_input, tensor.device = True, 1
    return tensor


def _peaks(graph: Graph, host: int, n_copies: int = 1) -> tuple[int, ...]:
    program = schedule(graph, host, n_copies)
    return allocate(program.inputs, program.nodes, host + 1)


def _graph(*ends: Tensor) -> Graph:
    graph = Graph()
    for end in ends:
        graph.expand(end)
    return graph


def _chain(**facts: Any) -> tuple[Tensor, Tensor, Tensor]:
    """A chain x → y → z of 64 values each, of which y's operation is as `facts` say."""
    x = _tensor(64)
    y = _tensor(64, x, **facts)
    return x, y, _tensor(64, y)


def test_a_result_takes_new_memory_beside_its_operand() -> None:
    *_, z = _chain()
    assert _peaks(_graph(z), 0) == (2 * 256,)  # z takes x's place


def test_an_operation_in_place_takes_its_operand() -> None:
    x, y, _ = _chain(inplace=True)
    assert _peaks(_graph(y), 0) == (256,)
    assert y.address == x.address == 0


@pytest.mark.parametrize("why", ["used again", "a view", "an output", "another shape"])
def test_an_operation_does_not_overwrite(why: str) -> None:
    x = _tensor(64)
    y = Tensor((64,), (Tensor((64,), (x,), root=x) if why == "a view" else x,), inplace=True, pin=0)
    ends = [y]
    if why == "used again":
        ends.append(_tensor(64, y, x))
    elif why == "an output":
        x.is_output = True
    elif why == "another shape":
        x.shape = (8, 8)
    _peaks(_graph(*ends), 0)
    assert y.address == 256


def test_what_crosses_devices_is_copied() -> None:
    x = _given(64)
    y = Tensor((64,), (x,), pin=0)
    graph = _graph(Tensor((8,), (y, x), pin=1))
    # The GPU: a copy of x, and y. The host: x, a copy of y, and the result.
    assert _peaks(graph, host=1) == (2 * 256, 2 * 256 + 32)


def test_a_pipeline_keeps_four_copies() -> None:
    x = _given(64)
    graph = _graph(Tensor((64,), (Tensor((64,), (x,), pin=0),), pin=0))
    assert _peaks(graph, host=1, n_copies=4) == (4 * 256 + 2 * 256, 4 * 256)


MADE: dict[str, dict[str, Any]] = {
    "no flash attention": {"flash_attn": False, "n_outputs_max": 1},
    "library outputs, large batch": {"n_ctx": 16384, "n_ubatch": 2048, "n_outputs_max": 2048},
    "four sequences, one cache": {"n_ctx": 2048, "n_seqs": 4, "kv_unified": True, "n_outputs_max": 4},
    "quantized cache, whole windows": {"kv_type": "q4_0", "swa_full": True, "n_outputs_max": 1},
}
ENCODED: dict[str, dict[str, Any]] = {
    "no flash attention": {"n_ctx": 512, "flash_attn": False, "embeddings": True, "n_outputs_max": 512},
    "two sequences": {"n_ctx": 256, "n_seqs": 2, "embeddings": True, "n_outputs_max": 512},
}
_FEW = (
    *("gemma-3-12b", "gemma-4-e2b", "phi-4-mini", "gpt-oss-20b", "deepseek-v2-lite", "granite-4.0-h-tiny"),
    *("qwen3.5-0.8b", "nomic-embed-text-v1.5"),
)


def _plans() -> list[Any]:
    return [
        pytest.param(name, facts, id=f"{name}, {setting}")
        for name in _FEW
        for setting, facts in (ENCODED if architecture(name).is_encoder else MADE).items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "facts"), _plans())
def test_the_host_needs_what_llama_plans(name: str, facts: dict[str, Any], tmp_path: Path) -> None:
    arch, settings = architecture(name), Settings(**{"n_batch": 2048, **facts})
    quantization = "MXFP4" if arch.family == "gpt-oss" else "Q4_K_M"
    theirs = plan(write_sparse(tmp_path / "model.gguf", arch, quantization), settings)
    assert compute_bytes(arch, settings, Layout.on_host(arch.n_layers)) == (theirs["compute"],)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("command-r7b", id="attention beside the feed-forward block"),
        pytest.param("falcon-h1-7b", id="attention beside a recurrent block"),
        pytest.param("falcon-h1-tiny-90m", id="the same, a smaller one"),
        pytest.param("gemma-3n-e2b", id="copies of the residual stream"),
        pytest.param("jamba-1.5-mini", id="Mamba 1"),
        pytest.param("llama-embed-nemotron-8b", id="an encoder of llama's layers"),
        pytest.param("nemotron-3-nano-30b-a3b", id="one block a layer"),
        pytest.param("olmo-2-7b", id="norms over all heads"),
        pytest.param("starcoder2-3b", id="norms with a mean"),
        pytest.param("modernbert-base", id="an encoder with norms before its blocks"),
    ],
)
def test_other_families_need_what_llama_plans(name: str, tmp_path: Path) -> None:
    arch = architecture_of(PUBLISHED[name].config)
    settings = Settings(n_ctx=4096, n_outputs_max=1)
    if arch.is_encoder:
        settings = Settings(n_ctx=512, n_batch=512, embeddings=True, n_outputs_max=512)
    theirs = plan(write_sparse(tmp_path / "model.gguf", arch, "Q8_0"), settings)
    assert compute_bytes(arch, settings, Layout.on_host(arch.n_layers)) == (theirs["compute"],)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("deepseek-v4-flash", id="summaries of older tokens"),
        pytest.param("minimax-m3", id="blocks of the cache"),
        pytest.param("kimi-linear-48b-a3b", id="Kimi's delta attention"),
        pytest.param("kimi-k3", id="checkpoints of the residual stream"),
        pytest.param("llama-4-scout", id="weighted inputs of experts"),
        pytest.param("step-3.5-flash", id="a gate for every head"),
        pytest.param("mistral-small-4", id="latents with fused experts"),
    ],
)
def test_mixtures_need_what_llama_plans(name: str, tmp_path: Path) -> None:
    arch = architecture_of(MIXTURES[name].config)
    path = write_sparse(tmp_path / "model.gguf", arch, "Q8_0")
    for facts in ({"n_outputs_max": 1, "flash_attn": False}, {"n_outputs_max": 512, "kv_type": "q8_0"}):
        settings = Settings(**{"n_ctx": 8192, **facts})
        theirs = plan(path, settings)
        assert compute_bytes(arch, settings, Layout.on_host(arch.n_layers)) == (theirs["compute"],)


# llama.cpp, RPC server standing in for a GPU, llama-cpp-python 0.3.36, 2026-11-21: layers of every GPU, the
# leading layers whose experts stay on the host, and the compute buffers of the GPUs and of the host.
PLANNED: list[tuple[str, dict[str, Any], tuple[int, ...], int, tuple[int, ...]]] = [
    ("llama-3.1-8b", {}, (33,), 0, (117450784, 20983840)),
    ("llama-3.1-8b", {"flash_attn": False}, (16,), 0, (314578976, 322969632)),
    ("llama-3.1-8b", {"n_outputs_max": 512}, (17, 16), 0, (163618816, 354992128, 58777600)),
    ("llama-3.1-8b", {}, (9, 8), 0, (109062144, 109062176, 125841440)),
    ("mixtral-8x7b", {}, (33,), 8, (197175328, 197144608)),
    ("qwen3-30b-a3b", {}, (49,), 48, (54536192, 79965760)),
    (
        "qwen3-30b-a3b",
        {"n_ctx": 2048, "n_seqs": 2, "n_outputs_max": 2},
        (25, 24),
        4,
        (90187776, 82323488, 82062912),
    ),
    ("gemma-3-12b", {"kv_type": "q8_0"}, (25, 24), 0, (175316992, 206774400, 64700544)),
    ("gemma-4-e2b", {}, (9, 9), 0, (120064000, 114296864, 120084512)),
    ("gemma-4-e2b", {}, (18, 18), 0, (226041856, 360718464, 55140480)),
    ("gpt-oss-20b", {}, (25,), 3, (97658880, 87576608)),
    ("deepseek-v2-lite", {"flash_attn": False}, (14,), 0, (197138464, 203706400)),
    ("deepseek-v2-lite", {"kv_offload": False}, (28,), 0, (85067648, 12591136)),
    ("granite-4.0-h-tiny", {"n_outputs_max": 512}, (10, 10), 0, (53627936, 252706848, 57686048)),
    ("qwen3.5-0.8b", {}, (13, 12), 0, (67321984, 75710720, 27336960)),
    ("nomic-embed-text-v1.5", {"n_ctx": 512, "embeddings": True}, (13,), 0, (22553600, 3678208)),
]


@pytest.mark.parametrize(("name", "facts", "gpu_layers", "n_cpu_moe", "expected"), PLANNED)
def test_gpus_need_what_llama_planned(
    name: str, facts: dict[str, Any], gpu_layers: tuple[int, ...], n_cpu_moe: int, expected: tuple[int, ...]
) -> None:
    arch = architecture(name)
    settings = Settings(**{"n_ctx": 4096, "n_outputs_max": 512 if arch.is_encoder else 1, **facts})
    footprint = footprint_of(arch, weights_by_rule(arch, "Q8_0"), settings)
    gpus, host = allocate_model(footprint, Split(gpu_layers=gpu_layers, n_cpu_moe=n_cpu_moe))
    assert tuple(part.compute_bytes for part in (*gpus, host)) == expected


def _layouts(n: int) -> list[Layout]:
    """Everything on the host; on one GPU; half of it there; on two GPUs as a pipeline."""
    halves = tuple(Place.on(int(i >= n // 2)) for i in range(n))
    turned = tuple(Place.on(int(i < n // 2)) for i in range(n))
    return [
        Layout.on_host(n),
        Layout(1, (Place.on(0),) * n, 0),
        Layout(1, turned, 0),
        Layout(2, halves, 1, pipeline=True),
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_few_layers_show_what_all_need(name: str) -> None:
    arch = architecture(name)
    for settings in (Settings(n_ctx=4096), Settings(n_ctx=4096, flash_attn=False, n_outputs_max=512)):
        for layout in _layouts(arch.n_layers):
            every = tuple(zip(arch.layers, layout.layers, strict=True))
            whole = simulate(arch, settings, layout, every)
            assert compute_bytes(arch, settings, layout) == whole


@pytest.mark.parametrize(
    "name",
    [
        *("gemma-3n-e2b", "falcon-h1-tiny-90m", "jamba-1.5-mini", "command-r7b", "nemotron-h-8b"),
        *("llama-4-scout", "kimi-linear-48b-a3b", "step-3.5-flash"),
    ],
)
def test_few_layers_of_other_families_do_too(name: str) -> None:
    arch = architecture_of({**PUBLISHED, **MIXTURES}[name].config)
    quantized = Settings(n_ctx=8192, kv_type="q8_0", n_outputs_max=512)
    for settings in (Settings(n_ctx=4096), quantized, Settings(n_ctx=4096, flash_attn=False)):
        for layout in _layouts(arch.n_layers):
            every = tuple(zip(arch.layers, layout.layers, strict=True))
            assert compute_bytes(arch, settings, layout) == simulate(arch, settings, layout, every)


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        pytest.param("aaaaaaaaaa", "aaaa", id="of ten, an even number is left out"),
        pytest.param("aaaaaaaaa", "aaa", id="of nine too"),
        pytest.param("abbbbbbbbc", "abbbbc", id="ends are kept"),
        pytest.param("aaab" * 9, "aaab" * 3, id="periods of several layers"),
        pytest.param("abcde", "abcde", id="nothing repeats"),
    ],
)
def test_representatives(pattern: str, kept: str) -> None:
    layer = architecture("llama-3.1-8b").layers[0]
    layers = tuple((layer._replace(n_ff=ord(letter)), Place.on(0)) for letter in pattern)
    assert "".join(chr(layer.n_ff) for layer, _ in representative(layers)) == kept


def test_a_family_without_facts_is_taken_for_a_llama() -> None:
    llama = architecture("llama-3.1-8b")
    other: Architecture = llama.model_copy(update={"family": "unheard-of"})
    settings = Settings(n_ctx=4096)
    layout = Layout.on_host(llama.n_layers)
    assert is_described("llama")
    assert not is_described("unheard-of")
    assert compute_bytes(other, settings, layout) == compute_bytes(llama, settings, layout)


def test_a_pipeline_holds_more_than_a_gpu_alone() -> None:
    compute = Compute(arch=architecture("llama-3.1-8b"), settings=Settings(n_ctx=8192))
    first = compute.pipeline_device(is_first=True, has_output=False)
    middle = compute.pipeline_device(is_first=False, has_output=False)
    assert compute.device(has_output=True) < first < middle
