"""Published runs of engines with many users, as the model of their steps takes them: read by serving.py.

Engines had their defaults where a run does not say otherwise, and the memory that those leave for caches.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from speed_models import subject_named

from advisor.batching import Scheduler
from advisor.engine_steps import Driver, Group, Model
from advisor.hardware import GpuSpec
from advisor.hardware_catalog import load_hardware
from advisor.serving.formats import engine_weights
from advisor.serving.steps import engine_group, engine_model
from advisor.settings import Settings
from advisor.units import GIB
from advisor.usecase import KvType
from advisor.value import Value
from advisor.weights import Weights

ROWS: Final = Path(__file__).parent / "serving_rows.csv"
ENGINE_FORMATS: Final = {name: name for name in ("BF16", "FP8", "AWQ", "GPTQ", "INT8")} | {
    "F16": "BF16",
    "GPTQ-8bit": "INT8",
}
XGMI: Final = ("mi100", "mi300x")
UTILIZATION: Final = 0.9
"""Of a GPU's memory: vLLM's default to 2026-04, about SGLang's as well."""
BESIDE_BYTES: Final = 2 * GIB
"""Activations, graphs and what is outside of torch."""
UNIFIED_BYTES: Final = 96 * GIB


class Row(Value):
    """A published run."""

    kind: str
    source: str
    date: str
    engine: str
    version: str = ""
    gpu: str
    gpu_count: int
    tensor_parallel: int
    model: str
    quantization: str
    kv_type: KvType
    concurrency: int
    n_requests: int | None = None
    input_len: int
    output_len: int
    max_seqs: int | None = None
    token_budget: int | None = None
    output_tok_s: float
    total_tok_s: float | None = None
    request_per_s: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    prefill_tok_s: float | None = None
    note: str = ""

    @property
    def group(self) -> str:
        """Who published it; of the tables of steps, of which model."""
        name = self.source.split()[0].removeprefix("https://").removeprefix("github.com/")
        return f"{name} {self.model}" if self.kind == "batch" else name

    @property
    def fits(self) -> bool:
        """Whether constants are fitted to it.

        Not outliers, GPUs that the engine does not support, engines of 2024 where there are newer runs, and
        prompts and answers of unequal length: an engine is busy with the longest of those when it has
        little else to do.
        """
        marked = any(word in self.note for word in ("OUTLIER", "UNSUPPORTED", "lengths are means"))
        return not marked and (self.date >= "2025" or self.gpu == "mi300x")


def read_rows() -> list[Row]:
    """All runs."""
    with ROWS.open(encoding="utf-8", newline="") as file:
        return [Row.model_validate({k: v for k, v in raw.items() if v}) for raw in csv.DictReader(file)]


@cache
def _gpus() -> Mapping[str, GpuSpec]:
    return {gpu.id: gpu for gpu in load_hardware().gpus}


def gpu_named(name: str) -> GpuSpec:
    """A row of the hardware catalog, by its id."""
    return _gpus()[name]


@cache
def model_of(name: str, quantization: str, kv_type: KvType, tensor_parallel: int = 1) -> tuple[Model, int]:
    """What a model's steps read, and the bytes of its file."""
    subject = subject_named(name)
    assert subject is not None, name
    arch = subject.architecture
    named = ENGINE_FORMATS.get(quantization)
    weights: Weights = engine_weights(arch, named) if named else subject.weights(quantization)
    model = engine_model(arch, weights, Settings(kv_type=kv_type), subject.n_params_active, tensor_parallel)
    return model, weights.total_bytes


def group_of(row: Row) -> Group:
    """The GPUs of a run."""
    gpu = gpu_named(row.gpu)
    is_linked = gpu.link is not None or gpu.id in XGMI
    group = engine_group(gpu, row.quantization, row.tensor_parallel, is_linked=is_linked)
    assert group is not None, gpu.id
    return group


def scheduler_of(row: Row) -> Scheduler:
    """The engine's defaults on that GPU, and the room for caches."""
    if row.engine == "llama.cpp":
        return Scheduler(budget=row.token_budget or 2048, max_seqs=row.max_seqs or row.concurrency)
    gpu = gpu_named(row.gpu)
    vram_bytes = gpu.vram_bytes or UNIFIED_BYTES
    large = vram_bytes >= 70 * GIB and not row.gpu.startswith("a100")
    model, file_bytes = model_of(row.model, row.quantization, row.kv_type, row.tensor_parallel)
    n, length = row.tensor_parallel, row.input_len + row.output_len / 2
    fixed = model.window_bytes * min(model.window, length) + model.state_bytes
    pool_bytes = n * (vram_bytes * UTILIZATION - BESIDE_BYTES) - file_bytes
    kv_tokens = max(1, int(pool_bytes / (model.cache_bytes + fixed / length)))
    if row.engine == "sglang":
        return Scheduler(8192, row.max_seqs or 4096, mixes=False, kv_tokens=kv_tokens)
    budget, max_seqs = (8192, 1024) if large else (2048, 256)
    return Scheduler(row.token_budget or budget, row.max_seqs or max_seqs, kv_tokens=kv_tokens)


def driver_of(row: Row) -> Driver:
    """Whose constants a run goes by."""
    if row.engine == "llama.cpp":
        return "metal" if gpu_named(row.gpu).vendor == "apple" else "llama.cpp"
    return "sglang" if row.engine == "sglang" else "vllm"
