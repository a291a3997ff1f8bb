"""Judging a smoke test: the tables of what is promised, found, wrong, and to be done."""

from __future__ import annotations

import signal
from typing import Any

import factories
import pytest

from advisor import llama_log
from advisor.assessment import ArtifactChoice, DeviceMemory, MemoryEstimate, Placement
from advisor.cli.show_smoke import show_smoke_result
from advisor.measurements import (
    ALL_LAYERS,
    Buffer,
    BufferReport,
    Decode,
    Expected,
    LayerCount,
    Library,
    Loaded,
    MemoryUse,
    Needs,
    Output,
    Prefill,
    Reading,
    SmokeResult,
    Trial,
)
from advisor.memory_use import agrees, measured_memory, own_host_bytes
from advisor.model import ModelKind
from advisor.settings import Settings
from advisor.smoke_failure import Ending, explain
from advisor.smoke_verdict import Asked, install_advice, judge
from advisor.trials import differs, trial_of
from advisor.units import GIB, MIB

LIBRARY = Library(version="0.3.36", gpu_offload=False, devices=())

ON_GPU_LOG = """\
load_tensors: layer   0 assigned to device CPU, is_swa = 0
load_tensors: layer   1 assigned to device CUDA0, is_swa = 0
load_tensors: layer   2 assigned to device CUDA0, is_swa = 0
load_tensors: offloaded 2/3 layers to GPU
load_tensors:   CPU_Mapped model buffer size =   100.00 MiB
load_tensors:        CUDA0 model buffer size =   200.00 MiB
llama_context:  CUDA_Host  output buffer size =     0.49 MiB
llama_kv_cache:        CPU KV buffer size =     8.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =     8.00 MiB
llama_kv_cache: size =   16.00 MiB (  2048 cells,   2 layers,  1/1 seqs), K (f16):    8.00 MiB, V (f16):    8.00 MiB
sched_reserve:      CUDA0 compute buffer size =   250.50 MiB
sched_reserve:      CUDA0 compute buffer size =   258.50 MiB
sched_reserve:  CUDA_Host compute buffer size =    24.01 MiB
"""  # noqa: E501 - a log's line
"""As a CUDA build words it (llama.cpp's source); the graphs are reserved twice."""

HYBRID_LOG = """\
load_tensors:   CPU_Mapped model buffer size =    26.24 MiB
llama_context:        CPU  output buffer size =     0.00 MiB
llama_kv_cache:        CPU KV buffer size =     4.00 MiB
llama_kv_cache: size =    4.00 MiB (   512 cells,   4 layers,  2/2 seqs), K (f16):    2.00 MiB, V (f16):    2.00 MiB
llama_memory_recurrent:        CPU RS buffer size =     0.03 MiB
sched_reserve:        CPU compute buffer size =    20.02 MiB
"""  # noqa: E501 - a log's line


def reading(**changes: Any) -> Reading:
    """A run without fault, at 50 tokens/s."""
    values: dict[str, Any] = {
        "loaded": Loaded(load_s=1.0, layers=(LayerCount(device="CPU", n_layers=29),)),
        "prefill": Prefill(prompt_tokens=512, ttft_s=0.3, tokens_per_s=1800.0),
        "decode": Decode(depth=4096, n_tokens=64, tokens_per_s=50.0, throughput_tokens_per_s=50.0),
        "output": Output(finite=True, valid=True, text="hello", n_distinct=40, n_tokens=65),
    }
    return Reading(**{**values, **changes})


def judged(run: Reading, memory: MemoryUse | None = None, **asked: Any) -> SmokeResult:
    values = {"model_file": "m.gguf", "trial": Trial(settings=Settings()), **asked}
    return judge(Asked(**values), LIBRARY, run, memory)


def report(log: str, exact: tuple[Buffer, ...] = (), **changes: Any) -> BufferReport:
    values: dict[str, Any] = {
        "exact": exact,
        "logged": llama_log.buffers(log),
        "kv_cache_bytes": llama_log.kv_cache_bytes(log),
        "model_bytes": 300 * MIB,
    }
    return BufferReport(**{**values, **changes})


def test_a_gpu_log_is_divided_by_device() -> None:
    memory = measured_memory(report(ON_GPU_LOG))
    gpu, host = memory.devices
    assert (gpu.name, gpu.kind, host.name, host.kind) == ("CUDA0", "gpu", "CPU", "cpu")
    assert gpu.weights_bytes == 200 * MIB
    assert host.weights_bytes == 100 * MIB
    assert (gpu.kv_cache_bytes, host.kv_cache_bytes) == (8 * MIB, 8 * MIB)
    assert gpu.compute_bytes == round(258.5 * MIB)
    assert host.compute_bytes == round(24.01 * MIB)
    assert host.output_bytes == round(0.49 * MIB)
    assert memory.source == "log"


def test_layers_are_counted_by_device() -> None:
    assert llama_log.layers(ON_GPU_LOG) == (
        LayerCount(device="CPU", n_layers=1),
        LayerCount(device="CUDA0", n_layers=2),
    )


def test_a_rounded_cache_is_put_back_on_whole_rows() -> None:
    line = (
        "llama_kv_cache: size =    0.27 MiB (   256 cells,   4 layers,  1/1 seqs),"
        " K (q8_0):    0.13 MiB, V (q8_0):    0.13 MiB\n"
    )
    assert llama_log.kv_cache_bytes(line) == 2 * 256 * 4 * 4 * 34


def test_state_and_cache_are_told_apart_exactly() -> None:
    state = 2 * 2 * 2 * 512 * 4
    exact = (
        Buffer(name="CPU", device="CPU", host=True, context_bytes=4 * MIB + state, compute_bytes=20 * MIB),
        Buffer(name="CPU_Mapped", device="CPU", host=True, weights_bytes=round(26.24 * MIB)),
    )
    memory = measured_memory(report(HYBRID_LOG, exact))
    assert memory.source == "breakdown"
    assert (memory.kv_cache_bytes, memory.recurrent_bytes) == (4 * MIB, state)


@pytest.mark.parametrize(
    ("exact", "expected"),
    [
        pytest.param((), False, id="none"),
        pytest.param(
            (Buffer(name="CPU", device="CPU", host=True, context_bytes=4 * MIB + 32768),),
            False,
            id="a buffer type is missing",
        ),
        pytest.param(
            (
                Buffer(name="CPU", device="CPU", host=True, context_bytes=5 * MIB),
                Buffer(name="CPU_Mapped", device="CPU", host=True, weights_bytes=round(26.24 * MIB)),
            ),
            False,
            id="another cache",
        ),
        pytest.param(
            (
                Buffer(name="CPU", device="CPU", host=True, context_bytes=4 * MIB + 32768),
                Buffer(name="CPU_Mapped", device="CPU", host=True, weights_bytes=round(26.24 * MIB)),
            ),
            True,
            id="the same, rounded",
        ),
    ],
)
def test_exact_bytes_count_only_where_the_log_agrees(exact: tuple[Buffer, ...], expected: bool) -> None:
    assert agrees(exact, llama_log.buffers(HYBRID_LOG)) is expected


def test_repacked_weights_leave_only_the_rest_in_the_file() -> None:
    exact = (
        Buffer(name="CPU", device="CPU", host=True, context_bytes=MIB),
        Buffer(name="CPU_REPACK", device="CPU", host=True, weights_bytes=25 * MIB),
        Buffer(name="CPU_Mapped", device="CPU", host=True, weights_bytes=24 * MIB),
    )
    planned = (
        Buffer(name="CPU", device="CPU", host=True, weights_bytes=3 * MIB, context_bytes=MIB),
        Buffer(name="CPU_REPACK", device="CPU", host=True, weights_bytes=25 * MIB),
    )
    log = (
        "x:   CPU_Mapped model buffer size =    24.00 MiB\nx:   CPU_REPACK model buffer size =    25.00 MiB\n"
        "x:          CPU KV buffer size =     1.00 MiB\n"
    )
    with_plan = measured_memory(report(log, exact), planned)
    assert (with_plan.weights_bytes, with_plan.mapped_bytes) == (28 * MIB, 24 * MIB)
    without = measured_memory(report(log, exact, model_bytes=27 * MIB))
    assert without.weights_bytes == 27 * MIB
    assert own_host_bytes(planned) == 26 * MIB


def test_all_as_promised_passes() -> None:
    result = judged(reading(), expected=Expected(speed=factories.speed()))
    assert result.verdict == "pass"
    assert result.advice == ()


@pytest.mark.parametrize(
    ("changes", "asked", "verdict", "reason"),
    [
        pytest.param(
            {"decode": Decode(depth=4096, n_tokens=64, tokens_per_s=30.0, throughput_tokens_per_s=30.0)},
            {"expected": Expected(speed=factories.speed())},
            "warn",
            "below the estimate's band of 40.0 to 60.0",
            id="slower than the band",
        ),
        pytest.param(
            {"decode": Decode(depth=4096, n_tokens=64, tokens_per_s=90.0, throughput_tokens_per_s=90.0)},
            {"expected": Expected(speed=factories.speed())},
            "pass",
            "or better",
            id="faster than the band",
        ),
        pytest.param(
            {}, {"needs": Needs(min_tokens_per_s=60)}, "fail", "fewer than the 60", id="slower than asked for"
        ),
        pytest.param({}, {"needs": Needs(max_ttft_s=0.2)}, "fail", "0.30 s", id="first token too late"),
        pytest.param(
            {"output": Output(finite=False, valid=True)}, {}, "fail", "NaN", id="logits are not numbers"
        ),
        pytest.param(
            {"output": Output(finite=True, valid=True, n_distinct=1, n_tokens=65)},
            {},
            "warn",
            "the same token came 65 times",
            id="one token only",
        ),
        pytest.param(
            {},
            {"trial": Trial(settings=Settings(), n_gpu_layers=ALL_LAYERS)},
            "fail",
            "only 0 of 29 planned layers ran on a GPU",
            id="a CPU run is not the GPU's",
        ),
        pytest.param(
            {
                "loaded": Loaded(
                    load_s=1.0,
                    layers=(
                        LayerCount(device="CPU", n_layers=9),
                        LayerCount(device="CUDA0", n_layers=20),
                    ),
                )
            },
            {"trial": Trial(settings=Settings(), n_gpu_layers=20)},
            "pass",
            "no estimate",
            id="partly on the GPU, as planned",
        ),
    ],
)
def test_a_verdict_and_its_reason(
    changes: dict[str, Any], asked: dict[str, Any], verdict: str, reason: str
) -> None:
    result = judged(reading(**changes), **asked)
    assert result.verdict == verdict
    assert reason in result.reasons[0]
    assert bool(result.advice) == (verdict != "pass")


@pytest.mark.parametrize(
    ("kv_bytes", "verdict"),
    [
        pytest.param(8 * MIB, "pass", id="as estimated"),
        pytest.param(9 * MIB, "pass", id="within the slack"),
        pytest.param(40 * MIB, "warn", id="above"),
        pytest.param(MIB, "pass", id="below"),
    ],
)
def test_memory_above_the_estimate_warns(kv_bytes: int, verdict: str) -> None:
    estimate = MemoryEstimate.of(
        (
            DeviceMemory(
                name="a CPU",
                kind="cpu",
                weights_bytes=100 * MIB,
                kv_cache_bytes=8 * MIB,
                overhead_bytes=GIB,
                margin_bytes=GIB,
            ),
        ),
        "gguf-header",
    )
    log = (
        "x:   CPU_Mapped model buffer size =   100.00 MiB\n"
        f"x:          CPU KV buffer size =     {kv_bytes / MIB:.2f} MiB\n"
    )
    memory = measured_memory(report(log, model_bytes=100 * MIB))
    result = judged(reading(), memory, expected=Expected(memory=estimate))
    assert result.verdict == verdict
    kv = next(row for row in result.differences if row.part == "kv_cache_bytes")
    assert (kv.measured, kv.estimated) == (kv_bytes, 8 * MIB)
    total = next(row for row in result.differences if row.part == "total_bytes")
    assert total.estimated == 108 * MIB  # overhead and margin are no buffers


def test_another_model_than_the_plan_s_is_noticed() -> None:
    small = measured_memory(report("x:   CPU_Mapped model buffer size =   100.00 MiB\n"))
    result = judged(reading(), small, expected=Expected(memory=factories.memory()))
    assert result.verdict == "warn"
    assert "is it the plan's file?" in result.reasons[0]


def test_devices_are_compared_one_by_one() -> None:
    expected = Expected(memory=factories.memory())
    result = judged(reading(), measured_memory(report(ON_GPU_LOG)), expected=expected)
    totals = [row.device for row in result.differences if row.part == "total_bytes"]
    assert totals == [None, "GeForce RTX 3070", "host"]


def test_a_shallower_cache_is_noted() -> None:
    decode = Decode(depth=512, n_tokens=64, tokens_per_s=55.0, throughput_tokens_per_s=55.0)
    result = judged(reading(decode=decode), expected=Expected(speed=factories.speed()))
    assert "512 tokens in the cache, the estimate is for 4,096" in result.notes[0]


@pytest.mark.parametrize(
    ("ending", "reason", "advice"),
    [
        pytest.param(
            {"status": -signal.SIGKILL, "stage": "load"}, "most likely memory ran out", "--ctx", id="killed"
        ),
        pytest.param(
            {"status": -signal.SIGABRT, "stage": "decode", "log": ("GGML_ASSERT(x) failed",)},
            "SIGABRT while tokens were generated: an assertion",
            "report it",
            id="assertion",
        ),
        pytest.param({"status": None, "stage": "prefill"}, "stopped after 600 s", "--timeout", id="timeout"),
        pytest.param(
            {
                "status": 1,
                "stage": "load",
                "error": "llama.cpp could not create the context",
                "log": ("ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory",),
            },
            "could not create the context: out of memory",
            "--ctx",
            id="GPU memory",
        ),
        pytest.param(
            {"status": 1, "stage": "load", "error": "x", "log": ("unknown pre-tokenizer type: 'new'",)},
            "tokenizer",
            "newer",
            id="tokenizer",
        ),
        pytest.param({"status": 9, "stage": "start"}, "ended with status 9", "report", id="something else"),
    ],
)
def test_an_ending_is_explained(ending: dict[str, Any], reason: str, advice: str) -> None:
    failure = explain(Ending(**ending), limit_s=600, on_gpu=True)
    assert reason in failure.reason
    assert advice in failure.advice[0]


def test_fewer_gpu_layers_are_proposed_where_there_are_some() -> None:
    ending = Ending(status=-signal.SIGKILL, stage="load")
    assert any("--n-gpu-layers" in line for line in explain(ending, limit_s=1, on_gpu=True).advice)
    assert not any("--n-gpu-layers" in line for line in explain(ending, limit_s=1, on_gpu=False).advice)


def test_the_build_is_named_for_the_vendor() -> None:
    nvidia = 'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir llama-cpp-python'
    assert install_advice("nvidia") == (f"for NVIDIA: {nvidia}",)
    assert [line.split(":")[0] for line in install_advice(None)] == [
        "for NVIDIA",
        "for AMD",
        "for Intel",
        "for Apple",
    ]


def test_a_trial_is_the_plan_to_the_last_parameter() -> None:
    placement = Placement(n_gpu_layers=20, gpu_layers=(12, 8), n_cpu_moe=3)
    choice = factories.candidate(n_ctx=4096, n_seqs=4, kv_type="q8_0", placement=placement)
    trial = trial_of(choice, factories.machine())
    assert trial.settings == Settings(n_ctx=4096, n_seqs=4, kv_type="q8_0")
    assert (trial.n_gpu_layers, trial.gpu_layers, trial.n_cpu_moe) == (20, (12, 8), 3)
    assert (trial.n_threads, trial.depth, trial.prompt_tokens) == (8, 4096, 512)


def test_an_engine_that_places_layers_itself_gets_them_all() -> None:
    choice = factories.candidate(backend="ollama", placement=Placement(n_gpu_layers=None))
    assert trial_of(choice, factories.machine()).n_gpu_layers == ALL_LAYERS


def test_an_embedder_reads_a_text_in_one_graph() -> None:
    artifact = ArtifactChoice(repo="a/b", files=("c.gguf",), bytes=None)
    choice = factories.candidate(kind=ModelKind.EMBEDDING, n_ctx=512, artifact=artifact)
    settings = trial_of(choice, factories.machine()).settings
    assert (settings.n_batch, settings.n_ubatch, settings.embeddings) == (512, 512, True)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(factories.machine(factories.gpu()), False, id="the same"),
        pytest.param(factories.machine(factories.gpu(free_bytes=GIB)), False, id="less is free"),
        pytest.param(factories.machine(), True, id="no GPU"),
        pytest.param(factories.machine(factories.gpu(), ram_gib=16), True, id="less RAM"),
    ],
)
def test_another_machine_is_seen(other: Any, expected: bool) -> None:
    assert differs(factories.machine(factories.gpu()), other) is expected


def warned() -> SmokeResult:
    """A run on a GPU that is slower than promised, and takes more memory."""
    decode = Decode(depth=512, n_tokens=64, tokens_per_s=30.0, throughput_tokens_per_s=30.0)
    on_gpu = DeviceMemory(
        name="GeForce RTX 3070",
        kind="gpu",
        weights_bytes=200 * MIB,
        kv_cache_bytes=8 * MIB,
        compute_bytes=200 * MIB,
    )
    on_host = DeviceMemory(
        name="host", kind="cpu", weights_bytes=100 * MIB, kv_cache_bytes=8 * MIB, compute_bytes=24 * MIB
    )
    return judged(
        reading(decode=decode),
        measured_memory(report(ON_GPU_LOG)),
        expected=Expected(memory=factories.memory(on_gpu, on_host), speed=factories.speed()),
    )


def test_what_people_read(capsys: pytest.CaptureFixture[str], golden: Any) -> None:
    show_smoke_result(warned())
    golden("smoke-test/warn.txt", capsys.readouterr().out)
