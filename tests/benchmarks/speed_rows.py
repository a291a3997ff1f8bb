"""Published runs as the product would estimate them: read by fit_speed.py and speed.py.

A device is looked up in the hardware catalog by the sentence that a user would write, a model by its name in
`speed_models`; what one token reads follows from both as in `advisor estimate`. Rows that say too little are
left out with a reason, and the reasons are counted. `speed_found.csv` and `speed_own.csv` are the project's
own rows: public runs with their links, and runs of files of true shapes filled with random blocks.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from speed_models import subject_named

from advisor.errors import AdvisorError
from advisor.hardware import Cpu, Host, HostMemory, Machine
from advisor.hardware_catalog import load_hardware, resolve_hardware
from advisor.loads import Loads
from advisor.memory import Split
from advisor.resolve import Subject
from advisor.settings import Settings
from advisor.speed import Engine, Work
from advisor.units import GB, GIB
from advisor.weights import Weights

FOUND: Final = Path(__file__).parent / "speed_found.csv"
OWN: Final = Path(__file__).parent / "speed_own.csv"
"""Runs of our own, at the bandwidth that advisor/bandwidth.py measured on the same machine."""

QUANTIZATIONS: Final = (
    (r"f16\(mxfp4\)|mxfp4", "MXFP4"),
    (r"bf16|^fp16|^f16", "F16"),
    (r"q8_k_xl|q8_0|mlx.?q8|w8a8", "Q8_0"),
    (r"q6_k|mlx.?q6", "Q6_K"),
    (r"q5_k|mlx.?q5", "Q5_K_M"),
    (r"q5 g32", "Q5_1"),
    (r"q5_0", "Q5_0"),
    (r"iq3_kt|iq3_k\b|iq3_s\b", "IQ3_S"),
    (r"iq4_xs", "IQ4_XS"),
    (r"iq4_nl|awq|gptq|mlx|^4-?bit$|q4 g32", "IQ4_NL"),
    (r"iq3_xxs", "IQ3_XXS"),
    (r"iq2_m\b", "IQ2_M"),
    (r"iq2_xs\b", "IQ2_XS"),
    (r"iq2_xxs", "IQ2_XXS"),
    (r"q4_0", "Q4_0"),
    (r"q4_1", "Q4_1"),
    (r"q4_k - small|q4_k_s", "Q4_K_S"),
    (r"q4_k|^q4$|see source", "Q4_K_M"),
    (r"q3_k|q3_k - small", "Q3_K_S"),
    (r"q2_k", "Q2_K"),
)
"""The recipe nearest to what a run calls its quantization; its size is then the run's own, where given."""
LARGER_PARTS: Final = {"_XL": 8.5}
"""Bits of what is not routed experts in packagers' mixes: they keep it at eight bits."""
OWN_COLUMNS: Final = {"backend": "llama.cpp CPU", "gpu_count": "1", "concurrency": "1", "source": "own"}
OWN_FEATURES: Final = ("avx2", "avx_vnni", "avx512f")
LOCALSCORE_DEPTH: Final = 1800
"""Mean depth over LocalScore's nine mixes of prompt and generated tokens."""
DEFAULT_GEN_LEN: Final = 256
"""Tokens generated where a run does not say."""


@dataclass(frozen=True, eq=False)
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
    """The same with all cores, where fewer decoded."""
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


def rows(truth: Path | None) -> tuple[list[Row], dict[str, int]]:
    """The rows that can be estimated, and how many others were left out for what reason.

    truth: a folder with a `speed.csv` of more runs.
    """
    table = [OWN_COLUMNS | line for line in csv.DictReader(OWN.open())]
    table += list(csv.DictReader(FOUND.open()))
    if truth is not None:
        table += list(csv.DictReader((truth / "speed.csv").open()))
    columns = {name for line in table for name in line}
    table = [dict.fromkeys(columns, "") | line for line in table]
    sizes = {(r["model"], r["quant"]): float(r["weights_gib"]) for r in table if r["weights_gib"]}
    found: list[Row] = []
    left_out: dict[str, int] = {}
    for raw in table:
        result = _row(raw, sizes.get((raw["model"], raw["quant"])))
        if isinstance(result, str):
            left_out[result] = left_out.get(result, 0) + 1
        else:
            found.append(result)
    return found, left_out


def _unusable(raw: dict[str, str]) -> str | None:
    engines = ("TensorRT", "mlc", "exllama", "ds4", "RPC", "Prism", "CUDA+CPU", "mlx CUDA")
    checks = (
        ("OUTLIER" in raw["note"], "marked as outlier"),
        (any(name in raw["backend"] for name in engines), "another engine"),
        (raw["backend"].lower().startswith("vllm"), "served by vLLM: see serving.py"),
        ("MTP draft" in raw["note"], "speculative decoding"),
        ("GPU/CPU" in raw["note"], "an unknown part is on the host"),
        ("?" in raw["gpu_count"] or "(TP" in raw["hardware"], "tensor parallel over unlike or unknown cards"),
        ("jetson-benchmarks" in raw["source"], "faster than its memory could be"),
        (not raw["device"], "device not named"),
    )
    return next((reason for failed, reason in checks if failed), None)


def _row(raw: dict[str, str], size_gib: float | None) -> Row | str:
    """The run, or why it cannot be estimated."""
    if reason := _unusable(raw):
        return reason
    subject = subject_named(raw["model"])
    if subject is None:
        return "model's hyper-parameters not at hand"
    try:
        machine = _machine(raw)
    except AdvisorError:
        return "device not in the catalog"
    engine = _engine(raw)
    weights, quantization = _weights(raw, subject, size_gib)
    n_gpus = len(machine.gpus)
    arch, depth = subject.architecture, int(_depth(raw))
    discrete = machine.gpus and not machine.unified and not raw["n_gpu_layers"]
    if discrete and weights.total_bytes - weights.input_bytes > sum(gpu.vram_bytes for gpu in machine.gpus):
        return "larger than the GPU's memory: the split is not known"
    model = Loads(arch, weights, Settings(), machine, depth=depth, n_params_active=subject.n_params_active)
    moe = arch.moe
    work = Work(
        model.under(_split(raw, arch.n_layers, n_gpus)),
        engine,
        quantization,
        moe.n_experts if moe else 0,
        moe.n_experts_used if moe else 0,
    )
    if any(load.bandwidth_bytes_per_s is None for load in work.loads):
        return "bandwidth not known"
    group = _group(raw, work)
    return Row(
        device=raw["device"],
        group=group,
        model=raw["model"],
        quantization=raw["quant"],
        source=raw["source"],
        work=work,
        prompt_work=_with_all_cores(work, machine),
        n_seqs=int(raw["concurrency"]),
        depth=depth,
        prompt_tokens=int(raw["prompt_len"]) if raw["prompt_len"] else None,
        gen_tokens=int(raw["gen_len"] or 128),
        prompt_depth=int(raw["context_depth"] or 0),
        tokens_per_s=float(raw["decode_tok_s"]),
        aggregate=raw["decode_scope"] == "aggregate" or "incl TTFT" in raw["note"],
        prefill_tokens_per_s=float(raw["prefill_tok_s"]) if raw["prefill_tok_s"] else None,
        fits=group in FITTED,
    )


def _machine(raw: dict[str, str]) -> Machine:
    """The machine as the hardware catalog knows it."""
    if raw["source"] == "own":
        rate = int(float(raw["bandwidth_gb_s"]) * GB)
        memory = HostMemory(total_bytes=8 * GIB, available_bytes=8 * GIB, bandwidth_bytes_per_s=rate)
        cpu = Cpu(name=raw["device"], physical_cores=int(raw["threads"]), features=OWN_FEATURES)
        return Machine(host=Host(os="Linux", cpu=cpu, memory=memory))
    sentence = raw["device"].removeprefix("CPU ").replace("2x Xeon", "2 x Xeon")
    if "A770" in sentence and "16" not in sentence:
        sentence = sentence.replace("A770", "A770 16 GB") if not sentence.endswith("M") else sentence
    if sentence.startswith("Apple"):
        sentence = _with_cores(sentence, raw["hardware"])
    if raw["host"]:
        sentence = f"{sentence}, {raw['host']}"
    if raw["gpu_count"] not in ("", "1"):
        sentence = f"{raw['gpu_count']}x {sentence}"
    machine = _resolve(sentence)
    if raw["device"].startswith("CPU") or _on_cpu(raw):
        cpu = machine.host.cpu
        if "tg threads 2" in raw["note"]:
            cpu = cpu.model_copy(update={"limit_cores": 2.0})
        return machine.model_copy(update={"gpus": (), "host": machine.host.model_copy(update={"cpu": cpu})})
    if "Vulkan" in raw["backend"] and "ROCm" not in raw["backend"]:
        gpus = tuple(gpu.model_copy(update={"accelerator": "vulkan"}) for gpu in machine.gpus)
        return machine.model_copy(update={"gpus": gpus})
    return machine


@cache
def _resolve(sentence: str) -> Machine:
    return resolve_hardware(sentence, load_hardware())


def _with_cores(device: str, hardware: str) -> str:
    """An Apple chip with its number of GPU cores, where the run tells it."""
    device = re.sub(r" (\d+)c$", r" \1-core GPU", device)
    found = re.search(r"(\d+)(?: GPU Core|GPU|-Core GPU|-core GPU)", hardware)
    if found and "-core" not in device:
        return f"{device} {found[1]}-core GPU"
    usual = {"Apple M1 Ultra": 64, "Apple M2 Ultra": 76}.get(device)
    return f"{device} {usual}-core GPU" if usual else device


def _split(raw: dict[str, str], n_layers: int, n_gpus: int) -> Split:
    """Where the layers stood: as the run says, or all of them on its GPUs."""
    if not n_gpus:
        return Split()
    if raw["n_gpu_layers"]:
        n = min(int(raw["n_gpu_layers"]), n_layers + 1)
        return Split(gpu_layers=(n,), n_cpu_moe=int(raw["n_cpu_moe"]))
    each, more = divmod(n_layers + 1, n_gpus)
    return Split(gpu_layers=tuple(each + (i < more) for i in range(n_gpus)))


def _with_all_cores(work: Work, machine: Machine) -> Work:
    cores = {"physical_cores": machine.host.cpu.physical_cores}
    loads = (load.model_copy(update=cores) if load.kind == "cpu" else load for load in work.loads)
    return work._replace(loads=tuple(loads))


def _weights(raw: dict[str, str], subject: Subject, size_gib: float | None) -> tuple[Weights, str]:
    """The weights of the nearest recipe, made as large as the run's file, and the recipe's name."""
    name = raw["quant"]
    quantization = next(to for pattern, to in QUANTIZATIONS if re.search(pattern, name, re.IGNORECASE))
    weights = subject.weights(quantization)
    if not size_gib:
        return weights, quantization
    total = int(size_gib * GIB)
    bits = next((bits for part, bits in LARGER_PARTS.items() if part in name.upper()), None)
    if bits and weights.experts:
        return _mixed(weights, subject.weights("Q8_0"), total), quantization
    return _scaled(weights, total / weights.total_bytes), quantization


def _scaled(weights: Weights, factor: float) -> Weights:
    grown = {
        name: int(getattr(weights, name) * factor) for name in ("input_bytes", "tied_bytes", "output_bytes")
    }
    parts = {
        name: tuple(int(n * factor) for n in getattr(weights, name)) for name in ("layers", "experts", "ffn")
    }
    return weights.model_copy(update={**grown, **parts})


def _mixed(weights: Weights, at_eight: Weights, total: int) -> Weights:
    """Everything at eight bits but the routed experts, which are what is left of the file."""
    rest = at_eight.total_bytes - sum(at_eight.experts)
    factor = max(0.0, total - rest) / sum(weights.experts)
    return at_eight.model_copy(update={"experts": tuple(int(n * factor) for n in weights.experts)})


FITTED: Final = (
    "NVIDIA",
    "AMD",
    "AMD unified",
    "Apple",
    "Apple (MLX)",
    "Intel",
    "CPU",
    "several GPUs",
    "GPU and RAM",
)
"""Groups of runs that the constants are fitted to; the others are other builds, or hosts that hold back."""


def _group(raw: dict[str, str], work: Work) -> str:
    note = raw["note"]
    first = work.loads[0]
    special = (
        (bool(raw["n_gpu_layers"]), "GPU and RAM"),
        ("llamafile" in raw["backend"], "llamafile (LocalScore)"),
        ("mac-llm-bench" in raw["source"] and work.backend != "mlx", "Apple M5 (mac-llm-bench)"),
        ("host is a Pi" in note or "x1 host" in note, "GPU on a Pi's PCIe x1"),
        ("serving benchmark" in note or "rounded" in note, "served, or rounded"),
        ("GTX 1050 Ti" in raw["device"], "GTX 1050 Ti: six multiprocessors"),
        ("2x Xeon" in raw["device"], "CPU, two sockets"),
        ("ik_llama" in raw["backend"] and "CPU" in raw["backend"], "CPU (ik_llama.cpp)"),
        ("llama.cpp/issues/34" in raw["source"], "CPU, of llama.cpp's first weeks"),
        (first.kind == "cpu" and first.unified, "CPU beside a unified GPU"),
        (first.kind == "cpu", "CPU"),
        (raw["device"].startswith("Apple") and "Vulkan" in raw["backend"], "Apple under Vulkan"),
        (len(work.loads) > 1, "several GPUs"),
        (work.backend == "mlx", "Apple (MLX)"),
        (first.vendor == "amd" and first.unified, "AMD unified"),
    )
    names = {"nvidia": "NVIDIA", "amd": "AMD", "apple": "Apple", "intel": "Intel"}
    return next((name for holds, name in special if holds), names.get(first.vendor or "", "?"))


def _on_cpu(raw: dict[str, str]) -> bool:
    return "CPU" in raw["device"] or raw["backend"].endswith("CPU") or raw["note"].startswith("CPU;")


def _depth(raw: dict[str, str]) -> float:
    """Mean tokens in the cache while decoding."""
    if "LocalScore" in raw["note"]:
        return LOCALSCORE_DEPTH
    generated = float(raw["gen_len"] or DEFAULT_GEN_LEN) / 2
    if raw["concurrency"] != "1":
        generated += float(raw["prompt_len"] or 0)  # served: the prompt is in the cache
    return float(raw["context_depth"] or 0) + generated


def _engine(raw: dict[str, str]) -> Engine:
    name = raw["backend"].lower()
    if name.startswith("mlx"):
        return "mlx"
    return "ollama" if name.startswith("ollama") else "llama.cpp"


def by(found: list[Row], key: str) -> Iterator[tuple[str, list[Row]]]:
    """The rows grouped by an attribute, sorted by its value."""
    names = sorted({str(getattr(row, key)) for row in found})
    for name in names:
        yield name, [row for row in found if str(getattr(row, key)) == name]
