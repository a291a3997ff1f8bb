"""Published speeds as the estimator's own inputs: read by fit_speed.py and speed.py.

The rows name a model; `speed_models.csv` gives its shape (from the makers' model cards and config.json).
Rows that say too little are left out with a reason, and the reasons are counted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from advisor.speed import DeviceLoad, Engine, Link, Work
from advisor.units import GB, GIB

MODELS: Final = Path(__file__).parent / "speed_models.csv"
OWN: Final = Path(__file__).parent / "speed_own.csv"
"""Runs of our own: files of true shapes filled with random blocks, at the bandwidth that advisor/bandwidth.py
measured on the same machine."""

BITS: Final = (
    ("bf16", 16.0),
    ("f16(mxfp4)", 4.35),
    ("f16", 16.0),
    ("fp16", 16.0),
    ("q5 g32", 6.0),
    ("q4 g32", 5.0),
    ("mlx q4", 4.5),
    ("mlx-4bit", 4.5),
    ("mlx q5", 5.5),
    ("mlx q6", 6.5),
    ("mlx q8", 8.5),
    ("q8_0", 8.5),
    ("q6_k_xl", 6.9),
    ("q6_k", 6.57),
    ("q5_k_xl", 5.7),
    ("q5_0", 5.54),
    ("q4_0", 4.55),
    ("q4_k", 4.9),
    ("q3_k_xl", 3.7),
    ("smol-iq3_k", 3.5),
    ("iq3_kt", 3.2),
    ("iq4_xs", 4.4),
    ("mxfp4", 4.4),
    ("gptq-4bit", 4.3),
    ("awq", 4.3),
    ("w8a8", 8.0),
    ("4-bit", 4.55),
    ("q4", 4.9),
    ("see source", 4.5),
)
"""Bits per weight, the first name that the quantization contains; for rows that do not give the size."""
CAPABILITY: Final = {
    "Pascal": "6.1",
    "Volta": "7.0",
    "Turing": "7.5",
    "Ampere": "8.6",
    "Ada Lovelace": "8.9",
    "Hopper": "9.0",
    "Blackwell": "10.0",
    "Blackwell 2.0": "12.0",
}
HBM_CAPABILITY: Final = {"Tesla P100": "6.0", "A30": "8.0"}
UNIFIED: Final = ("Jetson", "GB10", "Radeon 8060S", "Apple")
CORES: Final = {
    "CPU Ryzen 9 7950X": 16,
    "CPU EPYC 9554": 64,
    "CPU Xeon 6980P": 128,
    "CPU Threadripper PRO 7965WX": 24,
    "CPU Core i9-13900K": 8,
    "CPU 2x Xeon Gold 6138": 40,
}
"""Physical (performance) cores, from the makers' pages."""
APPLE_FLOPS_PER_CORE: Final = {"M1": 0.325e12, "M2": 0.36e12, "M3": 0.36e12, "M4": 0.43e12, "M5": 0.42e12}
"""128 lanes, two operations, at the GPU's clock."""
APPLE_CORES: Final = {"Apple M4 Max": 40, "Apple M1 Ultra": 64, "Apple M2 Ultra": 76}
OWN_COLUMNS: Final = {"backend": "llama.cpp CPU", "gpu_count": "1", "concurrency": "1", "source": "own"}
BANDWIDTH: Final = {"B200": 8_000.0}
"""GB/s where the table of devices has one die of two."""
LOCALSCORE_DEPTH: Final = 1800
"""Mean depth over LocalScore's nine mixes of prompt and generated tokens."""


@dataclass(frozen=True)
class Row:
    """A published run, as the estimator would be asked for it."""

    device: str
    group: str
    """Kind of device and of run, for the table."""
    model: str
    quantization: str
    source: str
    work: Work
    prompt_work: Work
    """The same with the cores that read the prompt, where others decoded."""
    n_seqs: int
    depth: int
    prompt_tokens: int | None
    gen_tokens: int
    prompt_depth: int
    tokens_per_s: float
    """Of one sequence, or of all of them (`aggregate`)."""
    aggregate: bool
    prefill_tokens_per_s: float | None
    fits: bool
    """Whether the constants are fitted to it."""


def rows(truth: Path) -> tuple[list[Row], dict[str, int]]:
    """The rows that can be estimated, and how many others were left out for what reason."""
    table = list(csv.DictReader((truth / "speed.csv").open()))
    specs = {spec["device"]: spec for spec in csv.DictReader((truth / "gpu_specs.csv").open())}
    shapes = [_Shape.parse(line) for line in csv.DictReader(MODELS.open())]
    for own in csv.DictReader(OWN.open()):
        specs[own["device"]] = dict.fromkeys(next(iter(specs.values())), "") | own
        table.append(dict.fromkeys(table[0], "") | own | OWN_COLUMNS)
    sizes = {(r["model"], r["quant"]): float(r["weights_gib"]) for r in table if r["weights_gib"]}
    found: list[Row] = []
    left_out: dict[str, int] = {}
    for raw in table:
        shape = next((s for s in shapes if s.match.match(raw["model"])), None)
        spec = specs.get(raw["device"])
        reason = _unusable(raw, spec, shape)
        if reason is None and shape is not None and spec is not None:
            row = _row(raw, spec, shape, sizes.get((raw["model"], raw["quant"])))
            if row is not None:
                found.append(row)
                continue
            reason = "larger than the GPU's memory: the split is not known"
        left_out[reason or "?"] = left_out.get(reason or "?", 0) + 1
    return found, left_out


def _unusable(raw: dict[str, str], spec: dict[str, str] | None, shape: _Shape | None) -> str | None:
    engines = ("TensorRT", "mlc", "exllama", "ds4", "RPC", "Prism", "CUDA+CPU", "mlx CUDA", "vLLM ROCm")
    checks = (
        ("OUTLIER" in raw["note"], "marked as outlier"),
        (any(name in raw["backend"] for name in engines), "another engine"),
        ("MTP draft" in raw["note"], "speculative decoding"),
        ("GPU/CPU" in raw["note"], "an unknown part is on the host"),
        ("?" in raw["gpu_count"] or "(TP" in raw["hardware"], "tensor parallel over unlike or unknown cards"),
        (spec is None, "device not in the table"),
        (spec is not None and not spec["bandwidth_gb_s"], "bandwidth not known"),
        ("jetson-benchmarks" in raw["source"], "faster than its memory could be"),
        (shape is None, "shape of the model not known"),
    )
    return next((reason for failed, reason in checks if failed), None)


@dataclass(frozen=True)
class _Shape:
    match: re.Pattern[str]
    n_params: float
    n_layers: int
    n_embd: int
    n_vocab: int
    tied: int
    n_layers_full: int
    kv_width_full: int
    n_layers_sliding: int
    kv_width_sliding: int
    n_window: int
    state_bytes: float
    n_params_experts: float
    n_experts: int
    n_experts_used: int

    @classmethod
    def parse(cls, line: dict[str, str]) -> _Shape:
        floats = {"n_params", "state_bytes", "n_params_experts"}
        fields = {k: float(v) if k in floats else int(v) for k, v in line.items() if k != "match"}
        return cls(match=re.compile(line["match"], re.IGNORECASE), **fields)  # type: ignore[arg-type]  # int or float by field

    @property
    def n_looked_up(self) -> int:
        """Parameters of an embedding that is not the output matrix as well."""
        return 0 if self.tied else self.n_embd * self.n_vocab

    def n_active(self) -> float:
        used = self.n_params_experts * self.n_experts_used / max(self.n_experts, 1)
        return self.n_params - self.n_looked_up - self.n_params_experts + used

    def cache_bytes(self, depth: float) -> float:
        full = self.n_layers_full * self.kv_width_full * depth
        sliding = self.n_layers_sliding * self.kv_width_sliding * min(depth, self.n_window)
        return 2 * (full + sliding)


def _expert_bytes(quantization: str, total: float, shape: _Shape, *, published: bool) -> float:
    """Bytes of the routed experts: some mixes keep the other tensors at 8 bits and more."""
    name = quantization.upper()
    for part, bits in (("BF16", 16.0), ("Q8_K_XL", 8.5), ("MXFP4", 4.25)):
        if part in name:
            return shape.n_params_experts * bits / 8
    if "_XL" in name and published and shape.n_experts:
        return total - (shape.n_params - shape.n_params_experts) * 8.5 / 8
    return total * shape.n_params_experts / shape.n_params


def _row(raw: dict[str, str], spec: dict[str, str], shape: _Shape, size_gib: float | None) -> Row | None:
    bits = next(bits for name, bits in BITS if name in raw["quant"].lower()) if not size_gib else 0.0
    total = size_gib * GIB if size_gib else shape.n_params * bits / 8
    n_gpus = int(raw["gpu_count"])
    kind: Literal["gpu", "cpu"] = "cpu" if _on_cpu(raw) else "gpu"
    discrete = kind == "gpu" and not raw["device"].startswith(UNIFIED)
    resident = total * (1 - shape.n_looked_up / shape.n_params)
    if discrete and spec["vram_gb"] and resident > float(spec["vram_gb"]) * GIB * n_gpus:
        return None
    experts = _expert_bytes(raw["quant"], total, shape, published=bool(size_gib))
    rest = total - experts
    shared = rest * (1 - shape.n_looked_up / (shape.n_params - shape.n_params_experts))
    used = experts * shape.n_experts_used / max(shape.n_experts, 1)
    depth = _depth(raw)
    engine = _engine(raw)
    n_parallel = n_gpus if "tensor parallel" in raw["note"] or engine == "vllm" else 1
    load = DeviceLoad(
        name=raw["device"].removeprefix("CPU "),
        kind=kind,
        vendor=spec["vendor"].lower() or None,
        unified=raw["device"].startswith(UNIFIED),
        bandwidth_bytes_per_s=int(BANDWIDTH.get(raw["device"], float(spec["bandwidth_gb_s"])) * GB),
        fp16_flops=_flops(raw, spec),
        compute_capability=_capability(spec),
        physical_cores=_cores(raw),
        features=("avx512f",) if raw["source"] == "own" else (),
        weight_bytes=int((shared + used) / n_gpus),
        shared_bytes=int(shared / n_gpus),
        expert_bytes_total=int(experts / n_gpus),
        kv_bytes=int(shape.cache_bytes(depth) / n_gpus),
        recurrent_bytes=int(shape.state_bytes / n_gpus),
        n_params_active=int(shape.n_active() / n_gpus),
        n_layers=shape.n_layers if n_parallel > 1 else max(1, round(shape.n_layers / n_gpus)),
    )
    link: Link = "nvlink" if "SXM" in raw["device"] else "pcie"
    experts_used = shape.n_experts_used
    work = Work((load,) * n_gpus, engine, raw["quant"], shape.n_experts, experts_used, n_parallel, link)
    group = _group(raw, work)
    return Row(
        device=raw["device"],
        group=group,
        model=raw["model"],
        quantization=raw["quant"],
        source=raw["source"],
        work=work,
        prompt_work=work._replace(loads=tuple(_with_cores(load, raw["device"]) for load in work.loads)),
        n_seqs=int(raw["concurrency"]),
        depth=int(depth),
        prompt_tokens=int(raw["prompt_len"]) if raw["prompt_len"] else None,
        gen_tokens=int(raw["gen_len"] or 128),
        prompt_depth=int(raw["context_depth"] or 0),
        tokens_per_s=float(raw["decode_tok_s"]),
        aggregate=raw["decode_scope"] == "aggregate" or "incl TTFT" in raw["note"],
        prefill_tokens_per_s=float(raw["prefill_tok_s"]) if raw["prefill_tok_s"] else None,
        fits=group in FITTED,
    )


FITTED: Final = (
    "NVIDIA",
    "AMD",
    "AMD unified",
    "Apple",
    "Apple (MLX)",
    "Intel",
    "CPU",
    "vLLM",
    "several GPUs",
)
"""Groups of runs that the constants are fitted to; the others are other builds, or hosts that hold back."""


def _group(raw: dict[str, str], work: Work) -> str:
    note = raw["note"]
    special = (
        (work.backend == "vllm", "vLLM"),
        ("llamafile" in raw["backend"], "llamafile (LocalScore)"),
        ("mac-llm-bench" in raw["source"] and work.backend != "mlx", "Apple M5 (mac-llm-bench)"),
        ("host is a Pi" in note or "x1 host" in note, "GPU on a Pi's PCIe x1"),
        ("serving benchmark" in note or "rounded" in note, "served, or rounded"),
        ("2x Xeon" in raw["device"], "CPU, two sockets"),
        ("ik_llama" in raw["backend"] and "CPU" in raw["backend"], "CPU (ik_llama.cpp)"),
        (work.loads[0].kind == "cpu" and work.loads[0].unified, "CPU beside a unified GPU"),
        (work.loads[0].kind == "cpu", "CPU"),
        (raw["device"].startswith("Apple") and "Vulkan" in raw["backend"], "Apple under Vulkan"),
        (len(work.loads) > 1, "several GPUs"),
        (work.backend == "mlx", "Apple (MLX)"),
        (work.loads[0].vendor == "amd" and work.loads[0].unified, "AMD unified"),
    )
    names = {"nvidia": "NVIDIA", "amd": "AMD", "apple": "Apple", "intel": "Intel"}
    return next((name for holds, name in special if holds), names.get(work.loads[0].vendor or "", "?"))


def _on_cpu(raw: dict[str, str]) -> bool:
    return "CPU" in raw["device"] or raw["backend"].endswith("CPU") or raw["note"].startswith("CPU;")


def _with_cores(load: DeviceLoad, device: str) -> DeviceLoad:
    return load.model_copy(update={"physical_cores": CORES.get(device, load.physical_cores)})


def _cores(raw: dict[str, str]) -> int | None:
    """Cores that decoded."""
    if raw.get("threads"):
        return int(raw["threads"])
    return 2 if "tg threads 2" in raw["note"] else CORES.get(raw["device"])


def _depth(raw: dict[str, str]) -> float:
    """Mean tokens in the cache while decoding."""
    if "LocalScore" in raw["note"]:
        return LOCALSCORE_DEPTH
    generated = float(raw["gen_len"] or 256) / 2
    if raw["concurrency"] != "1" or raw["backend"].startswith("vLLM"):
        generated += float(raw["prompt_len"] or 0)  # served: the prompt is in the cache
    return float(raw["context_depth"] or 0) + generated


def _engine(raw: dict[str, str]) -> Engine:
    name = raw["backend"].lower()
    if name.startswith("vllm"):
        return "vllm"
    if name.startswith("mlx"):
        return "mlx"
    return "ollama" if name.startswith("ollama") else "llama.cpp"


def _capability(spec: dict[str, str]) -> str | None:
    if spec["vendor"] != "NVIDIA":
        return None
    name = spec["device"]
    return "8.0" if name.startswith("A100") else HBM_CAPABILITY.get(name, CAPABILITY[spec["architecture"]])


def _flops(raw: dict[str, str], spec: dict[str, str]) -> int | None:
    if spec["vendor"] == "Apple":
        found = re.search(r"(\d+)(?: GPU Core|GPU|-Core GPU|-core GPU)", raw["hardware"])
        n_cores = int(found[1]) if found else APPLE_CORES.get(raw["hardware"], 0)
        return int(n_cores * APPLE_FLOPS_PER_CORE[raw["device"].split()[1]]) or None
    tflops = float(spec["fp16_tensor_tflops_dense"] or 0)
    crippled = "do not use" in spec["note"]
    return None if crippled or not tflops else int(tflops * 1e12)


def by(found: list[Row], key: str) -> Iterator[tuple[str, list[Row]]]:
    """The rows grouped by an attribute, sorted by its value."""
    names = sorted({str(getattr(row, key)) for row in found})
    for name in names:
        yield name, [row for row in found if str(getattr(row, key)) == name]
