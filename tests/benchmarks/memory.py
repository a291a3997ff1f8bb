"""The memory rules against measured llama.cpp allocations, by architecture.

    python tests/benchmarks/memory.py [--truth DIR]

Rows: llama.cpp's own plan of every catalog model, asked for now (needs the extra `smoke`), and with --truth
those of a folder with memory.csv, gpu_full_offload.csv and configs.json. For each architecture it prints how
many rows have weights, caches, states and outputs exact, how many compute buffers are exact (to 64 bytes) and
within 5 %, the worst total, and the worst of one sequence, F16 cache and flash attention ("plain"). Rows
whose note says that weights were repacked for the machine's own kernels are left out and counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from advisor.architecture import Architecture
from advisor.catalog import load_catalog
from advisor.hf_config import architecture_of
from advisor.memory import Buffers, Footprint, Split, allocate, footprint_of
from advisor.model import ModelKind
from advisor.settings import Settings
from advisor.weights import Weights, weights_by_rule

TESTS = Path(__file__).parent.parent
PLANNED_N_CTX = 8192
LIBRARY_OUTPUTS = 2048
"""0 in a row's n_outputs_max is the library's default: the batch."""
ROUNDING = 64
"""A compute buffer counts as exact within so many bytes: twice the allocator's alignment."""
QUANTIZATIONS = {"MXFP4_MOE": "MXFP4"}


class Row(NamedTuple):
    """One measured context: where it came from, and ours beside theirs in bytes."""

    family: str
    exact: dict[str, tuple[int, int]]
    compute: tuple[int, int]
    plain: bool
    """One sequence, F16 cache, flash attention."""


def settings_of(row: dict[str, str], arch: Architecture) -> Settings:
    n_seqs = int(row["n_seq"])
    return Settings(
        n_ctx=-(-int(row["n_ctx"]) // n_seqs),
        n_seqs=n_seqs,
        kv_type=row["kv_type"],  # type: ignore[arg-type]  # pydantic checks the text
        flash_attn=row["flash_attn"] == "1",
        n_ubatch=int(row["n_ubatch"]),
        n_outputs_max=int(row["n_outputs_max"]) or LIBRARY_OUTPUTS,
        kv_unified=row["kv_unified"] == "1",
        swa_full=row.get("swa_full") == "1",
        embeddings=arch.is_encoder,
    )


class Configs:
    """Architectures and weights by the names that the rows use."""

    def __init__(self, path: Path) -> None:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self._configs = {name: entry["config"] for name, entry in data.items()}

    @cache  # noqa: B019 - lives as long as the benchmark
    def architecture(self, model: str) -> Architecture:
        return architecture_of(self._configs[model])

    @cache  # noqa: B019 - the same
    def weights(self, model: str, quantization: str) -> Weights:
        return weights_by_rule(self.architecture(model), QUANTIZATIONS.get(quantization, quantization))

    def footprint(self, row: dict[str, str]) -> Footprint:
        arch = self.architecture(row["model"])
        return footprint_of(arch, self.weights(row["model"], row["quant"]), settings_of(row, arch))


def is_plain(row: dict[str, str]) -> bool:
    return row["n_seq"] == "1" and row["kv_type"] == "f16" and row["flash_attn"] == "1"


def host_rows(path: Path, configs: Configs) -> Iterator[Row | None]:
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if "use_extra_bufts" in row["note"]:
                yield None
                continue
            _, host = allocate(configs.footprint(row), Split())
            yield Row(
                row["arch"],
                {
                    "weights": (host.weights_bytes, int(row["weights_buffer_bytes"])),
                    "KV": (host.kv_cache_bytes, int(row["kv_bytes"])),
                    "state": (host.recurrent_bytes, int(row["recurrent_bytes"])),
                    "output": (host.output_bytes, int(row["output_bytes"])),
                },
                (host.compute_bytes, int(row["compute_bytes"])),
                is_plain(row),
            )


def device_rows(path: Path, configs: Configs) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            (gpu,), host = allocate(configs.footprint(row), Split(gpu_layers=(int(row["n_gpu_layers"]),)))
            yield Row(
                row["arch"],
                {
                    "weights": (gpu.weights_bytes, int(row["device_weights_bytes"])),
                    "host weights": (host.weights_bytes, int(row["host_weights_bytes"])),
                    "context": (_context(gpu), int(row["device_context_bytes"])),
                    "output": (host.output_bytes, int(row["output_bytes"])),
                },
                (gpu.compute_bytes, int(row["device_compute_bytes"])),
                is_plain(row),
            )


def _context(part: Buffers) -> int:
    return part.kv_cache_bytes + part.recurrent_bytes


def planned_rows(folder: Path) -> Iterator[Row]:
    """Every catalog model in its first GGUF quantization, under llama-server's settings."""
    sys.path.insert(0, str(TESTS))
    from plan_memory import plan

    from advisor.gguf.sparse import write_sparse

    catalog = load_catalog()
    for model in catalog.models:
        arch = model.architecture
        for quantization, weights in list(catalog.weights.get(model.id, {}).items())[:1]:
            n_ctx = min(PLANNED_N_CTX, arch.n_ctx_train)
            settings = Settings(n_ctx=n_ctx, n_outputs_max=1)
            if model.kind is not ModelKind.CHAT:
                n_ctx = min(n_ctx, 512)
                settings = Settings(n_ctx=n_ctx, n_batch=n_ctx, embeddings=True, n_outputs_max=n_ctx)
            theirs = plan(write_sparse(folder / "model.gguf", arch, quantization), settings)
            _, host = allocate(footprint_of(arch, weights, settings), Split())
            # Without mmap llama.cpp holds Gemma 4's tied matrix twice; its default is mmap.
            again = weights.tied_bytes if arch.family == "gemma4" else 0
            yield Row(
                arch.family,
                {
                    "weights": (host.weights_bytes + again, theirs["weights"]),
                    "context": (_context(host), theirs["context"]),
                },
                (host.compute_bytes, theirs["compute"]),
                plain=True,
            )


def print_table(title: str, rows: list[Row | None]) -> None:
    by_family: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row is not None:
            by_family[row.family].append(row)
    left_out = sum(row is None for row in rows)
    print(f"\n{title}: {len(rows) - left_out} rows, {left_out} repacked ones left out")
    head = f"{'architecture':16}{'rows':>6}  {'inexact parts':34}"
    print(f"{head}{'compute exact':>15}{'5 %':>7}{'worst':>10}{'plain':>9}")
    for family, group in sorted(by_family.items()):
        wrong = {
            part: sum(row.exact[part][0] != row.exact[part][1] for row in group) for part in group[0].exact
        }
        inexact = ", ".join(f"{part} {n}" for part, n in wrong.items() if n) or "none"
        equal = sum(abs(row.compute[0] - row.compute[1]) <= ROUNDING for row in group) / len(group)
        near = sum(abs(row.compute[0] / max(1, row.compute[1]) - 1) <= 0.05 for row in group) / len(group)
        worst = max((total_error(row) for row in group), key=abs)
        plain = max((total_error(row) for row in group if row.plain), key=abs, default=0.0)
        print(
            f"{family:16}{len(group):6}  {inexact:34}{equal:>15.0%}{near:>7.0%}{worst:>+10.2%}{plain:>+9.2%}"
        )


def total_error(row: Row) -> float:
    ours = sum(pair[0] for pair in row.exact.values()) + row.compute[0]
    theirs = sum(pair[1] for pair in row.exact.values()) + row.compute[1]
    return ours / theirs - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, help="folder with more measured rows")
    truth = parser.parse_args().truth
    with tempfile.TemporaryDirectory() as folder:
        print_table("the catalog as llama.cpp plans it, host", list(planned_rows(Path(folder))))
    if truth:
        configs = Configs(truth / "configs.json")
        print_table("memory.csv, host", list(host_rows(truth / "memory.csv", configs)))
        print_table(
            "gpu_full_offload.csv, one GPU", list(device_rows(truth / "gpu_full_offload.csv", configs))
        )


if __name__ == "__main__":
    main()
