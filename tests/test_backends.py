from __future__ import annotations

import shlex
from typing import Any

import pytest
from deployments import (
    CPU_CHAT,
    CPU_ONLY,
    EMBEDDER,
    MAC,
    ON_3070,
    ON_MAC,
    ON_MLX,
    PARTIAL_MOE,
    RERANKER,
    RTX_3070,
    SAMPLING,
    SPLIT_70B,
    TWO_4090,
    VLLM_32B,
    on_gpus,
)
from factories import gpu, machine

from advisor.assessment import ArtifactChoice, Candidate, Placement
from advisor.backends import BACKENDS, llama_cpp, vllm
from advisor.backends.devices import accelerators, host_bytes, threads, used_gpus, without
from advisor.hardware import Machine
from advisor.model import ModelKind
from advisor.quoting import by_flag
from advisor.serving.vllm import DEFAULT_UTILIZATION
from advisor.units import GIB, MIB


def flags(candidate: Candidate, on: Machine, **changes: Any) -> dict[str, list[str]]:
    """What the server is told, by flag; the model's own argument, where there is one, under ""."""
    backend = BACKENDS[candidate.backend]
    args = backend.server_args(candidate, on, **{"port": 8080, "host": "127.0.0.1", **changes})
    return {g[0]: g[1:] if g[0].startswith("-") else g for g in by_flag(args)}


@pytest.mark.parametrize(
    ("candidate", "on", "expected"),
    [
        pytest.param(
            CPU_CHAT, CPU_ONLY, {"-c": ["8192"], "-np": ["1"], "-ngl": ["0"], "-t": ["8"]}, id="cpu"
        ),
        pytest.param(
            PARTIAL_MOE,
            RTX_3070,
            {"-c": ["16384"], "-np": ["2"], "-ngl": ["49"], "--n-cpu-moe": ["38"], "-ctk": ["q8_0"]},
            id="two-slots-of-8192",
        ),
        pytest.param(SPLIT_70B, TWO_4090, {"-ngl": ["81"], "-sm": ["layer"], "-ts": ["41,40"]}, id="split"),
        pytest.param(EMBEDDER, CPU_ONLY, {"--embeddings": [], "-ub": ["2048"], "-cram": ["0"]}, id="embed"),
        pytest.param(RERANKER, CPU_ONLY, {"--rerank": [], "-b": ["2048"]}, id="rerank"),
        pytest.param(
            VLLM_32B,
            TWO_4090,
            {
                "Qwen/Qwen2.5-32B-Instruct-AWQ": ["Qwen/Qwen2.5-32B-Instruct-AWQ"],
                "--max-model-len": ["8192"],
                "--max-num-seqs": ["16"],
                "--tensor-parallel-size": ["2"],
                "--kv-cache-dtype": ["fp8"],
                "--gpu-memory-utilization": ["0.920"],  # 23.5 of 24 GiB are free: vLLM's own default
            },
            id="vllm",
        ),
    ],
)
def test_the_plan_becomes_flags(candidate: Candidate, on: Machine, expected: dict[str, list[str]]) -> None:
    assert flags(candidate, on).items() >= expected.items()


def test_the_makers_sampling_is_the_servers_default() -> None:
    told = flags(CPU_CHAT.model_copy(update={"sampling": SAMPLING}), CPU_ONLY)
    assert told.items() >= {"--temp": ["0.7"], "--top-p": ["0.8"], "--repeat-penalty": ["1.05"]}.items()
    assert not told.keys() & {"--top-k", "--min-p", "--presence-penalty"}  # of which it says nothing
    assert "--temp" not in flags(CPU_CHAT, CPU_ONLY)


def test_mlx_is_given_a_folder_or_the_repository() -> None:
    assert flags(ON_MLX, MAC)["--model"] == ["mlx-community/Qwen2.5-7B-Instruct-4bit"]
    assert flags(ON_MLX, MAC, model_dir="/m")["--model"] == ["/m/Qwen2.5-7B-Instruct-4bit"]


def test_what_a_plan_does_not_have_is_not_said() -> None:
    assert not flags(CPU_CHAT, CPU_ONLY).keys() & {"-ctk", "--n-cpu-moe", "-ts", "--embeddings", "-ub"}
    assert "-fa" not in flags(EMBEDDER, CPU_ONLY)


@pytest.mark.parametrize("name", ["llama.cpp", "vllm"])
def test_port_and_host_are_always_given(name: str) -> None:
    candidate, on = {"llama.cpp": (CPU_CHAT, CPU_ONLY), "vllm": (VLLM_32B, TWO_4090)}[name]
    given = flags(candidate, on, port=1234, host="0.0.0.0")
    assert (given["--port"], given["--host"]) == (["1234"], ["0.0.0.0"])


@pytest.mark.parametrize(
    ("file", "quantization", "expected"),
    [
        pytest.param("q-7b-q4_k_m.gguf", "Q4_K_M", ["-hf", "a/b:Q4_K_M"], id="quantization-names-it"),
        pytest.param("q.Q8_0.gguf", "Q8_0", ["-hf", "a/b:Q8_0"], id="behind-a-dot"),
        pytest.param("Q4/q-Q4_K_M-00001-of-00002.gguf", "Q4_K_M", ["-hf", "a/b:Q4_K_M"], id="split"),
        pytest.param("q-F16.gguf", "F16", ["-hf", "a/b", "-hff", "q-F16.gguf"], id="f16-would-find-bf16"),
        pytest.param("model.gguf", "Q4_K_M", ["-hf", "a/b", "-hff", "model.gguf"], id="no-name"),
    ],
)
def test_llama_cpp_finds_the_very_file(file: str, quantization: str, expected: list[str]) -> None:
    artifact = ArtifactChoice(repo="a/b", files=(file,), bytes=1)
    candidate = CPU_CHAT.model_copy(update={"artifact": artifact, "quantization": quantization})
    args = llama_cpp.server_args(candidate, CPU_ONLY, port=1, host="h")
    assert list(args[: len(expected)]) == expected


def test_a_projector_is_loaded_only_where_the_plan_counts_it() -> None:
    seeing = CPU_CHAT.model_copy(update={"modalities": ("text", "image")})
    assert "--no-mmproj" in flags(seeing, CPU_ONLY)
    assert "--no-mmproj" not in flags(CPU_CHAT, CPU_ONLY)
    artifact = ArtifactChoice(repo="a/b", files=("q-Q4_K_M.gguf", "mmproj-F16.gguf"), bytes=1)
    counted = seeing.model_copy(update={"artifact": artifact})
    assert "--no-mmproj" not in flags(counted, CPU_ONLY)
    assert flags(counted, CPU_ONLY, model_dir="/m")["--mmproj"] == ["/m/mmproj-F16.gguf"]


@pytest.mark.parametrize(
    ("candidate", "on", "expected"),
    [
        pytest.param(
            CPU_CHAT,
            CPU_ONLY,
            "llama-server -hf Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M -c 8192 -np 1 -fa on -ngl 0 -fit off"
            " -cram 2048 --port 8080",  # a quarter of the 8 GiB left
            id="llama.cpp",
        ),
        pytest.param(
            ON_3070.model_copy(update={"backend": "ollama"}),
            RTX_3070,
            "ollama run hf.co/Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M",
            id="ollama",
        ),
        pytest.param(
            VLLM_32B,
            TWO_4090,
            "vllm serve Qwen/Qwen2.5-32B-Instruct-AWQ --max-model-len 8192 --max-num-seqs 16"
            " --tensor-parallel-size 2 --kv-cache-dtype fp8",
            id="vllm",
        ),
        pytest.param(
            ON_MLX,
            MAC,
            "mlx_lm.server --model mlx-community/Qwen2.5-7B-Instruct-4bit --max-tokens 4096"
            " --decode-concurrency 1 --temp 0.7 --top-p 0.8 --port 8080",  # a penalty is a request's alone
            id="mlx",
        ),
    ],
)
def test_command(candidate: Candidate, on: Machine, expected: str) -> None:
    assert BACKENDS[candidate.backend].command(candidate) == expected


def test_command_is_quoted_for_a_shell() -> None:
    artifact = ArtifactChoice(repo="a/b", files=("my model.gguf",), bytes=1)
    line = llama_cpp.command(CPU_CHAT.model_copy(update={"artifact": artifact}))
    assert shlex.split(line)[3:5] == ["-hff", "my model.gguf"]


SPLIT_FILES = ArtifactChoice(repo="a/b", files=("q-Q4_K_M-00001.gguf", "q-Q4_K_M-00002.gguf"), bytes=1)
GTX_1080 = machine(gpu(name="GeForce GTX 1080", compute_capability="6.1"))
WEIGHTS = ArtifactChoice(repo="a/b", files=(), bytes=1, format="safetensors")


@pytest.mark.parametrize(
    ("backend", "candidate", "on", "reason"),
    [
        pytest.param("vllm", ON_3070, RTX_3070, "no longer reads GGUF", id="vllm-gguf"),
        pytest.param("llama.cpp", VLLM_32B, TWO_4090, "GGUF files only", id="llama.cpp-awq"),
        pytest.param("ollama", VLLM_32B, TWO_4090, "GGUF files only", id="ollama-awq"),
        pytest.param(
            "ollama",
            ON_3070.model_copy(update={"artifact": SPLIT_FILES}),
            RTX_3070,
            "several files",
            id="split",
        ),
        pytest.param("ollama", RERANKER, CPU_ONLY, "no reranking", id="ollama-rerank"),
        pytest.param(
            "ollama",
            ON_3070.model_copy(update={"family": "qwen3.5", "n_seqs": 4}),
            RTX_3070,
            "one request at a time",
            id="ollama-single-slot",
        ),
        pytest.param(
            "llama.cpp", ON_3070.model_copy(update={"kv_type": "fp8"}), RTX_3070, "no fp8 cache", id="fp8"
        ),
        pytest.param(
            "vllm", VLLM_32B.model_copy(update={"kv_type": "q8_0"}), TWO_4090, "no q8_0 cache", id="q8_0"
        ),
        pytest.param(
            "vllm",
            VLLM_32B,
            RTX_3070,
            "needs 2 of the machine's GPUs here, and the plan uses 1",
            id="too-few-gpus",
        ),
        pytest.param(
            "vllm",
            ON_3070.model_copy(update={"artifact": WEIGHTS}),
            GTX_1080,
            "older than vLLM's kernels",
            id="old-gpu",
        ),
        pytest.param(
            "vllm", ON_MAC.model_copy(update={"artifact": WEIGHTS}), MAC, "NVIDIA and AMD", id="apple"
        ),
        pytest.param("mlx", ON_MAC, MAC, "no GGUF files", id="mlx-gguf"),
        pytest.param("mlx", ON_MLX, RTX_3070, "Apple silicon only", id="mlx-nvidia"),
        pytest.param(
            "mlx", ON_MLX.model_copy(update={"kv_type": "q8_0"}), MAC, "no q8_0 cache", id="mlx-q8_0"
        ),
        pytest.param(
            "mlx", ON_MLX.model_copy(update={"kind": ModelKind.RERANK}), MAC, "chat models", id="mlx-rerank"
        ),
    ],
)
def test_refusal(backend: Any, candidate: Candidate, on: Machine, reason: str) -> None:
    refusal = BACKENDS[backend].refusal(candidate, on)
    assert refusal is not None
    assert reason in refusal


@pytest.mark.parametrize("backend", ["llama.cpp", "ollama"])
def test_no_refusal(backend: Any) -> None:
    assert BACKENDS[backend].refusal(ON_3070, RTX_3070) is None


def test_vllm_takes_what_is_free_and_no_more() -> None:
    busy = machine(*(g.model_copy(update={"free_bytes": 18 * GIB}) for g in TWO_4090.gpus))
    assert vllm.utilization(VLLM_32B, busy) == 0.744  # 18 GiB less the context, of 23.5 that CUDA offers
    assert vllm.utilization(VLLM_32B, TWO_4090) == DEFAULT_UTILIZATION


def test_vllm_uses_the_gpus_of_the_plan() -> None:
    gpus = TWO_4090.gpus
    second = VLLM_32B.model_copy(update={"placement": Placement(n_gpu_layers=None), **on_gpus(gpus, (0, 18))})
    assert used_gpus(second, TWO_4090) == gpus[1:]
    assert ("CUDA_VISIBLE_DEVICES", "1") in vllm.environment(second, TWO_4090)
    assert "CUDA_VISIBLE_DEVICES" not in dict(vllm.environment(VLLM_32B, TWO_4090))


def test_a_plan_without_gpu_layers_runs_on_the_cpu_of_a_gpu_machine() -> None:
    idle = CPU_CHAT.model_copy(update=on_gpus(RTX_3070.gpus, (0,), host_gib=5))
    assert accelerators(idle, RTX_3070) == ("cpu",)
    assert accelerators(ON_3070, RTX_3070) == ("cuda",)


@pytest.mark.parametrize(
    ("spare_bytes", "mib"),
    [
        pytest.param(64 * GIB, 8192, id="llama-servers-default"),
        pytest.param(8 * GIB, 2048, id="a-quarter"),
        pytest.param(-GIB, 0, id="nothing-left"),
    ],
)
def test_the_prompt_cache_leaves_room(spare_bytes: int, mib: int) -> None:
    assert llama_cpp.prompt_cache_mib(CPU_CHAT, spare_bytes) == mib


@pytest.mark.parametrize("backend", ["llama.cpp", "ollama", "vllm"])
@pytest.mark.parametrize(
    ("candidate", "on"),
    [
        pytest.param(CPU_CHAT, CPU_ONLY, id="cpu"),
        pytest.param(ON_3070, RTX_3070, id="gpu"),
        pytest.param(ON_MAC, MAC, id="unified"),
        pytest.param(CPU_CHAT, machine(ram_gib=6), id="too-small"),
    ],
)
def test_the_limit_holds_the_need_and_stays_within_the_machine(
    backend: Any, candidate: Candidate, on: Machine
) -> None:
    need = host_bytes(candidate, on)
    limit = BACKENDS[backend].host_limit_bytes(candidate, on)
    assert need <= limit <= max(need, on.host_capacity_bytes)


def test_llama_cpp_limit_has_room_for_its_prompt_cache() -> None:
    need = host_bytes(CPU_CHAT, CPU_ONLY)
    cache = int(flags(CPU_CHAT, CPU_ONLY)["-cram"][0]) * MIB
    assert llama_cpp.host_limit_bytes(CPU_CHAT, CPU_ONLY) == need + cache + GIB


def test_what_others_take_is_gone() -> None:
    left = without(RTX_3070, [ON_3070])
    gpu_need, host_need = (row.total_bytes for row in ON_3070.memory.devices)
    assert left.gpus[0].capacity_bytes == RTX_3070.gpus[0].capacity_bytes - gpu_need
    assert left.host_capacity_bytes == RTX_3070.host_capacity_bytes - host_need
    assert without(RTX_3070, []) == RTX_3070


def test_a_shared_pool_is_counted_once() -> None:
    total = ON_MAC.memory.total_bytes
    assert host_bytes(ON_MAC, MAC) == total
    assert without(MAC, [ON_MAC]).host_capacity_bytes == MAC.host_capacity_bytes - total


@pytest.mark.parametrize(
    ("physical", "limit", "expected"),
    [
        pytest.param(8, None, 8, id="no-limit"),
        pytest.param(8, 2.5, 2, id="container"),
        pytest.param(8, 0.5, 1, id="half-a-core"),
        pytest.param(None, None, None, id="unknown"),
    ],
)
def test_threads(physical: int | None, limit: float | None, expected: int | None) -> None:
    cpu = CPU_ONLY.host.cpu.model_copy(update={"physical_cores": physical, "limit_cores": limit})
    host = CPU_ONLY.host.model_copy(update={"cpu": cpu})
    on = CPU_ONLY.model_copy(update={"host": host})
    assert threads(on) == expected
    assert ("-t" in flags(CPU_CHAT, on)) == (expected is not None)


def test_images_are_pinned() -> None:
    images = [
        image
        for backend in BACKENDS.values()
        for image in map(backend.image, ("cpu", "cuda", "rocm", "vulkan", "sycl"))
        if image is not None
    ]
    assert len(images) == 12
    for image in images:
        tag = image.rpartition(":")[2]
        assert any(digit.isdigit() for digit in tag), image
    assert not any(backend.image("metal") for backend in BACKENDS.values())


def test_an_embedder_of_vllm_pools() -> None:
    embedder = VLLM_32B.model_copy(update={"kind": ModelKind.EMBEDDING})
    assert flags(embedder, TWO_4090)["--runner"] == ["pooling"]


def test_vllm_loads_no_tower_that_the_plan_does_not_count() -> None:
    seeing = VLLM_32B.model_copy(update={"modalities": ("text", "image")})
    assert "--language-model-only" in flags(seeing, TWO_4090)
    assert "--language-model-only" not in flags(seeing.model_copy(update={"projector": True}), TWO_4090)
    assert "--language-model-only" not in flags(VLLM_32B, TWO_4090)


def test_vllm_is_told_the_layers_of_unlike_gpus() -> None:
    uneven = VLLM_32B.model_copy(
        update={"placement": Placement(n_gpu_layers=None, gpu_layers=(40, 24), pipeline_parallel=2)}
    )
    assert ("VLLM_PP_LAYER_PARTITION", "40,24") in vllm.environment(uneven, TWO_4090)
    assert "VLLM_PP_LAYER_PARTITION" not in dict(vllm.environment(VLLM_32B, TWO_4090))


def test_unlike_gpus_are_numbered_by_their_slots() -> None:
    unlike = machine(
        TWO_4090.gpus[0], TWO_4090.gpus[1].model_copy(update={"name": "GeForce RTX 4080"}), ram_gib=64
    )
    backend = BACKENDS["llama.cpp"]
    assert backend.environment(SPLIT_70B, unlike) == (("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),)
    assert backend.environment(SPLIT_70B, TWO_4090) == ()
