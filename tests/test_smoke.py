"""The smoke test on real llama.cpp: figures that can be computed here, and everything that can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import factories
import gguf
import psutil
import pytest
from gguf_files import make_gguf

from advisor import api
from advisor.assessment import ArtifactChoice, Placement
from advisor.errors import SmokeTestError
from advisor.hardware import Machine
from advisor.measurements import ALL_LAYERS, Expected, Library, LibraryDevice, SmokeResult, Trial
from advisor.model import ModelKind
from advisor.settings import Settings
from advisor.smoke import read_library, run_smoke_test
from advisor.units import GIB
from advisor.usecase import Requirements

pytestmark = pytest.mark.slow

CPU = LibraryDevice(name="CPU", description="a CPU", kind="cpu", free_bytes=GIB, total_bytes=GIB)
CPU_ONLY = Library(version="0.3.36", gpu_offload=False, devices=(CPU,))


@pytest.fixture(scope="module")
def library() -> Library:
    return read_library()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    """52 MB, as a small real model."""
    return make_gguf(folder / "qwen2.gguf")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return make_gguf(folder / "tiny.gguf", n_layers=2, n_embd=256, n_heads=4, n_ff=512)


@pytest.fixture(scope="module")
def result(model: Path, library: Library) -> SmokeResult:
    settings = Settings(n_ctx=1024)
    estimate = api.estimate(str(model), settings=settings, machine=_here())
    return run_smoke_test(
        model,
        Trial(settings=settings, depth=700),
        library=library,
        expected=Expected(memory=estimate.memory, speed=estimate.speed),
        machine=_here(),
    )


def _here() -> Machine:
    """The machine without its GPUs, so that none changes what a test expects."""
    return api.detect().model_copy(update={"gpus": ()})


def _tensor_bytes(path: Path) -> int:
    return sum(int(tensor.n_bytes) for tensor in gguf.GGUFReader(path).tensors)


def _try(path: Path, trial: Trial, **options: Any) -> SmokeResult:
    return run_smoke_test(path, trial, library=CPU_ONLY, **options)


def test_the_library_tells_its_devices(library: Library) -> None:
    assert library.version
    assert [device.name for device in library.devices].count("CPU") == 1
    assert library.gpu_offload == bool(library.gpus)


@pytest.mark.parametrize(
    "figure",
    ["load_s", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "throughput_tokens_per_s"],
)
def test_every_figure_is_measured(result: SmokeResult, figure: str) -> None:
    assert getattr(result.measured, figure) > 0


def test_it_generates_from_the_depth_asked_for(result: SmokeResult) -> None:
    measured = result.measured
    assert (measured.prompt_tokens, measured.depth) == (512, 700)
    assert measured.decoded_tokens
    assert 2 <= measured.decoded_tokens <= 64
    assert measured.output_ok
    assert measured.output
    assert measured.output.text
    assert [(count.device, count.n_layers) for count in measured.layers] == [("CPU", 17)]


def test_buffers_are_exact(result: SmokeResult, model: Path) -> None:
    memory = result.measured.memory
    assert memory
    assert memory.source == "breakdown"
    assert memory.weights_bytes == _tensor_bytes(model)
    # K and V, 1024 cells, 16 layers, 2 KV heads of 64 values of 2 bytes
    assert memory.kv_cache_bytes == 2 * 1024 * 16 * (2 * 64) * 2
    assert memory.recurrent_bytes == 0
    assert memory.output_bytes == 4 * 288  # one row of logits
    assert memory.total_bytes == sum(device.total_bytes for device in memory.devices)


def test_the_estimate_is_met(result: SmokeResult) -> None:
    memory = [row for row in result.differences if row.part.endswith("_bytes")]
    assert {row.part for row in memory} >= {"weights_bytes", "kv_cache_bytes", "compute_bytes", "total_bytes"}
    assert [(row.part, row.estimated) for row in memory] == [(row.part, row.measured) for row in memory]


def test_the_process_owns_what_llama_cpp_says(result: SmokeResult) -> None:
    memory = result.measured.memory
    assert memory
    if memory.resident.anonymous_bytes is None:
        pytest.skip("this system does not tell")
    assert memory.resident.anonymous_bytes >= memory.kv_cache_bytes
    assert memory.resident.peak_bytes
    assert memory.resident.peak_bytes >= memory.resident.anonymous_bytes


@pytest.mark.parametrize(
    ("model_keys", "settings", "parts"),
    [
        pytest.param(
            {"arch": "gemma3", "n_layers": 6, "n_swa": 128},
            Settings(n_ctx=2048),
            # 5 of 6 layers keep their window of 128 and a graph of 512: 640 padded to 768 cells
            {"kv_cache_bytes": 2 * (2048 + 5 * 768) * (2 * 64) * 2},
            id="sliding windows",
        ),
        pytest.param(
            {"arch": "lfm2", "n_layers": 4},
            Settings(n_ctx=512, n_seqs=2),
            # 2 attention layers; 2 convolutions with 2 columns of 512 values in F32, a sequence
            {
                "kv_cache_bytes": 2 * 2 * 512 * 2 * (2 * 64) * 2,
                "recurrent_bytes": 2 * 2 * 2 * 512 * 4,
                "output_bytes": 4 * 2 * 288,
            },
            id="recurrent layers, two sequences",
        ),
        pytest.param(
            {"arch": "qwen3", "n_layers": 4},
            Settings(n_ctx=512, kv_type="q8_0"),
            {"kv_cache_bytes": 2 * 512 * 4 * (2 * 64) // 32 * 34},
            id="quantized cache",
        ),
    ],
)
def test_every_kind_of_cache(
    folder: Path,
    library: Library,
    model_keys: Mapping[str, Any],
    settings: Settings,
    parts: Mapping[str, int],
) -> None:
    path = make_gguf(folder / f"{model_keys['arch']}.gguf", **model_keys)
    result = run_smoke_test(path, Trial(settings=settings), library=library)
    assert result.measured.memory
    assert {part: getattr(result.measured.memory, part) for part in parts} == parts
    assert result.measured.memory.weights_bytes == _tensor_bytes(path)
    assert result.measured.output_ok


def test_repacked_weights_are_not_counted_twice(folder: Path, library: Library) -> None:
    path = make_gguf(folder / "q4.gguf", n_layers=4, quantization="Q4_0")
    result = run_smoke_test(path, Trial(settings=Settings(n_ctx=256)), library=library)
    assert result.measured.memory
    # The tied output matrix may be there as rows to look up and, repacked, as a matrix.
    tied = 288 * 512 // 32 * 18
    assert 0 <= result.measured.memory.weights_bytes - _tensor_bytes(path) <= tied


@pytest.mark.parametrize(
    "model_keys",
    [
        pytest.param({"arch": "bert", "n_layers": 2, "n_kv_heads": 8, "n_ctx_train": 512}, id="bert"),
        pytest.param({"arch": "qwen3", "n_layers": 2, "pools": True}, id="decoder that pools"),
    ],
)
def test_an_embedder_is_timed_and_looked_at(
    folder: Path, library: Library, model_keys: Mapping[str, Any]
) -> None:
    path = make_gguf(folder / f"embedder-{model_keys['arch']}.gguf", **model_keys)
    settings = Settings(n_ctx=256, n_batch=256, n_ubatch=256, embeddings=True)
    result = run_smoke_test(path, Trial(settings=settings, kind=ModelKind.EMBEDDING), library=library)
    assert result.measured.output_ok, result.reasons
    assert result.measured.ttft_s
    assert result.measured.decode_tokens_per_s is None


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _no_gguf(path: Path) -> None:
    path.write_text("hello")


def _unknown_architecture(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"qwen2", b"qwenX"))


@pytest.mark.parametrize(
    ("harm", "reason", "advice"),
    [
        pytest.param(_truncated, "truncated", "download the file again", id="truncated"),
        pytest.param(_no_gguf, "not a GGUF", "download the file again", id="not a GGUF"),
        pytest.param(_unknown_architecture, "architecture", "newer llama-cpp-python", id="architecture"),
    ],
)
def test_a_bad_file_fails(
    tmp_path: Path, tiny: Path, harm: Callable[[Path], None], reason: str, advice: str
) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(tiny.read_bytes())
    harm(path)
    result = _try(path, Trial(settings=Settings(n_ctx=256)))
    assert result.verdict == "fail"
    assert reason in result.reasons[0]
    assert advice in result.advice[0]
    assert result.log
    assert not result.measured.output_ok


def _kill(number: signal.Signals, when: str, times: int) -> Callable[[str], None]:
    """Kills the child when it says that, so often."""
    left = [times]

    def on_progress(message: str) -> None:
        if message == when and left[0]:
            left[0] -= 1
            for child in psutil.Process().children():
                child.send_signal(number)

    return on_progress


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param(signal.SIGKILL, "most likely memory ran out", id="out of memory"),
        pytest.param(signal.SIGABRT, "SIGABRT", id="assertion"),
        pytest.param(signal.SIGSEGV, "SIGSEGV", id="segmentation fault"),
    ],
)
def test_a_killed_child_is_a_verdict(tiny: Path, number: signal.Signals, reason: str) -> None:
    result = _try(
        tiny, Trial(settings=Settings(n_ctx=256)), on_progress=_kill(number, "Loading the model", times=2)
    )
    assert result.verdict == "fail"
    assert reason in result.reasons[0]
    assert "while the model was loaded" in result.reasons[0]
    assert result.advice


def test_a_crash_with_repacked_weights_is_tried_without_them(tiny: Path) -> None:
    crash = _kill(signal.SIGABRT, "Loading the model", times=1)
    result = _try(tiny, Trial(settings=Settings(n_ctx=256)), on_progress=crash)
    assert result.verdict == "pass"
    assert not result.trial.repack
    assert any("--no-repack" in note for note in result.notes)


def test_what_was_measured_before_the_end_is_kept(tiny: Path) -> None:
    killed = _kill(signal.SIGKILL, "Generating", times=1)
    result = _try(tiny, Trial(settings=Settings(n_ctx=256)), on_progress=killed)
    assert result.verdict == "fail"
    assert result.measured.load_s
    assert result.measured.ttft_s


def test_the_time_limit_ends_it(tiny: Path) -> None:
    stop = _kill(signal.SIGSTOP, "Loading the model", times=1)  # hangs for ever
    result = _try(tiny, Trial(settings=Settings(n_ctx=256)), on_progress=stop, limit_s=5)
    assert result.verdict == "fail"
    assert "stopped after 5 s" in result.reasons[0]
    assert not psutil.Process().children()


def test_a_context_beyond_the_memory_is_not_loaded(tiny: Path) -> None:
    small = factories.machine(ram_gib=4)
    result = _try(tiny, Trial(settings=Settings(n_ctx=8_000_000)), machine=small)
    assert result.verdict == "fail"
    assert "out of memory" in result.reasons[0]
    assert "it was not loaded" in result.reasons[0]
    assert result.measured.load_s is None


@pytest.mark.parametrize(
    ("gpu_offload", "vendor", "advice"),
    [
        pytest.param(False, "nvidia", "-DGGML_CUDA=on", id="nvidia"),
        pytest.param(False, "amd", "-DGGML_HIP=on", id="amd"),
        pytest.param(False, "apple", "-DGGML_METAL=on", id="apple"),
        pytest.param(False, None, "-DGGML_CUDA=on", id="any"),
        pytest.param(True, "nvidia", "nvidia-smi", id="built for it, no device"),
    ],
)
def test_a_gpu_plan_on_a_library_without_gpu_fails(
    tmp_path: Path, gpu_offload: bool, vendor: Any, advice: str
) -> None:
    library = CPU_ONLY.model_copy(update={"gpu_offload": gpu_offload})
    trial = Trial(settings=Settings(), n_gpu_layers=ALL_LAYERS)
    result = run_smoke_test(tmp_path / "not-needed.gguf", trial, library=library, vendor=vendor)
    assert result.verdict == "fail"
    assert advice in result.advice[0]
    assert result.measured.decode_tokens_per_s is None


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SmokeTestError, match="no file"):
        _try(tmp_path / "gone.gguf", Trial(settings=Settings()))


def advisor(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "advisor", "smoke-test", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )


def _plan(folder: Path, machine: Machine, **candidate: Any) -> Path:
    choice = factories.candidate(
        **{"n_ctx": 512, "placement": Placement(n_gpu_layers=0), "memory": factories.memory(), **candidate}
    )
    path = folder / "plan.json"
    path.write_text(factories.recommendation(machine=machine, choice=choice).model_dump_json())
    return path


def test_a_file_on_the_command_line(tiny: Path) -> None:
    done = advisor(str(tiny), "--ctx", "512", "--n-gpu-layers", "0", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert document["schema_version"] == 1
    assert document["verdict"] in ("pass", "warn")
    assert {"load_s", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "memory", "output_ok"} <= set(
        document["measured"]
    )
    assert {"estimated", "differences", "advice"} <= set(document)
    assert "Loading the model" in done.stderr


def test_people_read_a_table(tiny: Path) -> None:
    done = advisor(str(tiny), "--ctx", "512", "--n-gpu-layers", "0")
    assert done.returncode == 0, done.stderr
    assert "buffers together" in done.stdout
    assert "tok/s" in done.stdout


def test_a_truncated_file_on_the_command_line(tmp_path: Path, tiny: Path) -> None:
    path = tmp_path / "half.gguf"
    path.write_bytes(tiny.read_bytes()[:-100_000])
    done = advisor(str(path), "--n-gpu-layers", "0", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "fail"
    assert "Traceback" not in done.stderr


def test_a_plan_with_a_local_file(tmp_path: Path, tiny: Path) -> None:
    plan = _plan(tmp_path, _here())
    done = advisor(str(plan), "--model-file", str(tiny), "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert document["trial"]["settings"]["n_ctx"] == 512
    assert document["estimated"]["memory"]["source"] == "config-rules"


def test_a_plan_with_another_context_is_estimated_anew(tmp_path: Path, tiny: Path) -> None:
    plan = _plan(tmp_path, _here())
    done = advisor(str(plan), "--model-file", str(tiny), "--ctx", "1024", "--json")
    document = json.loads(done.stdout)
    assert document["trial"]["settings"]["n_ctx"] == 1024
    assert document["estimated"]["memory"]["source"] == "gguf-header"
    kv = next(row for row in document["differences"] if row["part"] == "kv_cache_bytes")
    assert kv["estimated"] == kv["measured"] > 0


def test_an_offline_plan_downloads_nothing(tmp_path: Path) -> None:
    choice = factories.candidate(
        placement=Placement(n_gpu_layers=0),
        memory=factories.memory(),
        artifact=ArtifactChoice(repo="owner/name", files=("model.gguf",), bytes=1),
    )
    plan = tmp_path / "plan.json"
    needs = Requirements(offline=True)
    written = factories.recommendation(machine=_here(), choice=choice, requirements=needs)
    plan.write_text(written.model_dump_json(), encoding="utf-8")
    # An endpoint that nobody listens at: a request would be told so in other words.
    done = advisor(
        str(plan), "--yes", env={"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    )
    assert done.returncode == 1
    assert "made with --offline: give --model-file" in done.stderr
    assert list(tmp_path.iterdir()) == [plan]


def test_a_plan_for_another_machine_is_run_on_request_only(tmp_path: Path, tiny: Path) -> None:
    plan = _plan(tmp_path, factories.machine(ram_gib=8))
    refused = advisor(str(plan), "--model-file", str(tiny))
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert refused.stdout == ""
    agreed = advisor(str(plan), "--model-file", str(tiny), "--yes", "--json")
    assert agreed.returncode == 0, agreed.stderr
    assert "warning: the plan is for Ryzen 7 5800X" in agreed.stderr


def test_a_gpu_plan_is_refused_before_a_download(tmp_path: Path, library: Library) -> None:
    if library.gpus:
        pytest.skip("llama-cpp-python can use a GPU here")
    plan = _plan(tmp_path, factories.machine(factories.gpu()), placement=Placement(n_gpu_layers=29))
    done = advisor(str(plan), "--json", env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["verdict"] == "fail"
    assert "-DGGML_CUDA=on" in document["advice"][0]


def test_a_plan_for_another_engine_is_told_so(tmp_path: Path) -> None:
    artifact = ArtifactChoice(repo="Qwen/Qwen3-8B", files=("model.safetensors",), bytes=None)
    plan = _plan(tmp_path, _here(), backend="vllm", artifact=artifact)
    done = advisor(str(plan))
    assert done.returncode == 1
    assert "runs llama.cpp" in done.stderr
