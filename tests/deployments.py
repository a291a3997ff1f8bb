"""Plans that cover every kind of deployment."""

from __future__ import annotations

import re
from typing import Any, Final

from factories import candidate, gpu, machine, memory, recommendation

from advisor.assessment import ArtifactChoice, Candidate, DeviceMemory, Placement
from advisor.deployment import Options
from advisor.hardware import Gpu, Machine
from advisor.model import ModelKind, Sampling
from advisor.plan import Companions, Recommendation
from advisor.units import GIB


def on_cpu(weights_gib: float = 5, *, capacity_gib: int = 13) -> dict[str, Any]:
    """Everything in host memory."""
    row = DeviceMemory(
        name="CPU", kind="cpu", weights_bytes=int(weights_gib * GIB), capacity_bytes=capacity_gib * GIB
    )
    return {"memory": memory(row), "placement": Placement(n_gpu_layers=0, devices=("CPU",))}


def on_gpus(gpus: tuple[Gpu, ...], weights_gib: tuple[float, ...], host_gib: float = 1) -> dict[str, Any]:
    """So much on each GPU (0: not used), the rest on the host."""
    rows = [
        DeviceMemory(name=g.name, kind="gpu", weights_bytes=int(size * GIB), capacity_bytes=g.capacity_bytes)
        for g, size in zip(gpus, weights_gib, strict=True)
    ]
    host = DeviceMemory(name="CPU", kind="cpu", weights_bytes=int(host_gib * GIB), capacity_bytes=58 * GIB)
    return {"memory": memory(*rows, host)}


CPU_ONLY: Final = machine(ram_gib=16)
RTX_3070: Final = machine(gpu())
TWO_4090: Final = machine(
    *(gpu(i, name="GeForce RTX 4090", vram_bytes=24 * GIB, compute_capability="8.9") for i in (0, 1)),
    ram_gib=64,
)
RADEON: Final = machine(gpu(name="Radeon RX 7900 XTX", vendor="amd", vram_bytes=24 * GIB))
ARC: Final = machine(gpu(name="Arc B580", vendor="intel", vram_bytes=12 * GIB))
MAC: Final = machine(gpu(name="Apple M3 Max", vendor="apple", vram_bytes=48 * GIB, memory="unified"))

CPU_CHAT: Final = candidate(**on_cpu())
PARTIAL_MOE: Final = candidate(
    model="qwen3-30b-a3b",
    name="Qwen3 30B A3B",
    quantization="Q4_K_M",
    kv_type="q8_0",
    n_seqs=2,
    placement=Placement(n_gpu_layers=49, gpu_layers=(49,), n_cpu_moe=38),
    artifact=ArtifactChoice(
        repo="Qwen/Qwen3-30B-A3B-GGUF", files=("Qwen3-30B-A3B-Q4_K_M.gguf",), bytes=18_556_685_824
    ),
    **on_gpus(RTX_3070.gpus, (6,), host_gib=13),
)
SPLIT_70B: Final = candidate(
    model="llama-3.1-70b-instruct",
    name="Llama 3.1 70B Instruct",
    family="llama-3.1",
    placement=Placement(n_gpu_layers=81, gpu_layers=(41, 40)),
    artifact=ArtifactChoice(
        repo="bartowski/Meta-Llama-3.1-70B-Instruct-GGUF",
        files=("Meta-Llama-3.1-70B-Instruct-Q4_K_M.gguf",),
        bytes=42_520_000_000,
    ),
    **on_gpus(TWO_4090.gpus, (20, 20)),
)
VLLM_32B: Final = candidate(
    model="qwen2.5-32b-instruct",
    name="Qwen2.5 32B Instruct",
    backend="vllm",
    quantization="AWQ",
    kv_type="fp8",
    n_seqs=16,
    placement=Placement(n_gpu_layers=None, tensor_parallel=2),
    artifact=ArtifactChoice(
        repo="Qwen/Qwen2.5-32B-Instruct-AWQ", files=(), bytes=19_300_000_000, format="safetensors"
    ),
    **on_gpus(TWO_4090.gpus, (18, 18)),
)
EMBEDDER: Final = candidate(
    model="nomic-embed-text-v1.5",
    name="Nomic Embed Text v1.5",
    family="nomic-embed",
    kind=ModelKind.EMBEDDING,
    n_ctx=2048,
    quantization="F16",
    artifact=ArtifactChoice(
        repo="nomic-ai/nomic-embed-text-v1.5-GGUF",
        files=("nomic-embed-text-v1.5.f16.gguf",),
        bytes=274_290_560,
    ),
    **on_cpu(0.5, capacity_gib=28),
)
RERANKER: Final = EMBEDDER.model_copy(
    update={"model": "bge-reranker-v2-m3", "name": "BGE Reranker v2 M3", "kind": ModelKind.RERANK}
)
ON_3070: Final = candidate(placement=Placement(n_gpu_layers=29, gpu_layers=(29,)))
ON_RADEON: Final = ON_3070.model_copy(update=on_gpus(RADEON.gpus, (5,)))
ON_ARC: Final = ON_3070.model_copy(update=on_gpus(ARC.gpus, (5,)))
ON_MAC: Final = ON_3070.model_copy(update=on_gpus(MAC.gpus, (5,)))
SAMPLING: Final = Sampling(temperature=0.7, top_p=0.8, repetition_penalty=1.05, source="its card")
ON_MLX: Final = ON_MAC.model_copy(
    update={
        "backend": "mlx",
        "quantization": "4bit",
        "artifact": ArtifactChoice(
            repo="mlx-community/Qwen2.5-7B-Instruct-4bit", files=(), bytes=1, format="mlx"
        ),
        "sampling": SAMPLING,
    }
)


def plan(choice: Candidate, on: Machine, **changes: Any) -> Recommendation:
    """A plan of that choice for that machine."""
    return recommendation(choice=choice, machine=on, **changes)


CASES: Final[dict[str, tuple[Recommendation, Options]]] = {
    "llama-cpp-cpu": (plan(CPU_CHAT, CPU_ONLY), Options()),
    "llama-cpp-partial": (plan(PARTIAL_MOE, RTX_3070), Options()),
    "llama-cpp-two-gpus": (plan(SPLIT_70B, TWO_4090), Options(bind="0.0.0.0", port=9000)),
    "llama-cpp-rocm": (plan(ON_RADEON, RADEON), Options(bind="::1")),
    "llama-cpp-vulkan": (plan(ON_ARC, ARC), Options(accelerator="vulkan")),
    "llama-cpp-sycl": (plan(ON_ARC, ARC), Options()),
    "llama-cpp-local-files": (plan(ON_3070, RTX_3070), Options(model_dir="/srv/it's $models #1")),
    "ollama": (plan(ON_3070, RTX_3070), Options(backend="ollama")),
    "ollama-rocm": (plan(ON_RADEON, RADEON), Options(backend="ollama")),
    "vllm-two-gpus": (plan(VLLM_32B, TWO_4090), Options()),
    "rag": (
        plan(ON_3070, RTX_3070, companions=Companions(embedding=EMBEDDER, rerank=RERANKER)),
        Options(),
    ),
}


def read_dotenv(text: str) -> dict[str, str]:
    r"""As Docker Compose reads it: bare values end before " #", single quotes hold everything but \'."""
    values = {}
    for row in text.splitlines():
        if not row.strip() or row.startswith("#"):
            continue
        name, _, raw = row.partition("=")
        if raw.startswith("'"):
            quoted = re.fullmatch(r"'((?:[^'\\]|\\.)*)'", raw)
            assert quoted, f"an open quote in {raw!r}"
            values[name] = quoted[1].replace(r"\'", "'")
        else:
            assert "$" not in raw, f"{raw!r} would be expanded"
            values[name] = raw.partition(" #")[0].rstrip()
    return values
