"""Which bytes a placement puts where, against measured llama.cpp allocations on one and two devices.

    python tests/benchmarks/placement.py --truth DIR

DIR holds placement_one_device.csv, placement_two_devices.csv and configs.json. Two devices with the same free
memory share the layers as llama.cpp itself divides them. For each model it prints how many buffers have
weights, caches and outputs exact, how many compute buffers lie within 5 %, and the worst compute buffer.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from memory import Configs

from advisor.filling import by_proportion
from advisor.memory import Buffers, Split, allocate, footprint_of
from advisor.settings import Settings

LIBRARY_OUTPUTS = 512
"""Rows of logits that these contexts reserve: their graph's tokens."""


class Row(NamedTuple):
    """One buffer of a measured context, ours beside theirs in bytes."""

    model: str
    exact: dict[str, tuple[int, int]]
    compute: tuple[int, int]


def rows(path: Path, configs: Configs, n_devices: int) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        measured = list(csv.DictReader(file))
    keys = ("model", "quant", "n_layer", "n_gpu_layers", "offload_kqv", "n_ctx")
    for (model, quant, n_layer, n_gpu_layers, offload, n_ctx), group in groupby(
        measured, key=lambda row: tuple(row[key] for key in keys)
    ):
        theirs = list(group)
        on_gpus = [row for row in theirs if row["host"] == "False"]
        on_gpus.sort(key=lambda row: row["buffer"])
        settings = Settings(n_ctx=int(n_ctx), n_outputs_max=LIBRARY_OUTPUTS, kv_offload=offload == "True")
        footprint = footprint_of(configs.architecture(model), configs.weights(model, quant), settings)
        layers = min(int(n_gpu_layers), int(n_layer) + 1)
        split = Split(gpu_layers=by_proportion((1,) * n_devices, layers))
        gpus, host = allocate(footprint, split)
        ours = [*zip(gpus, on_gpus, strict=True), (host, next(r for r in theirs if r["host"] == "True"))]
        yield from (_row(model, part, row, host) for part, row in ours)


def _row(model: str, part: Buffers, row: dict[str, str], host: Buffers) -> Row:
    return Row(
        model,
        {
            "weights": (part.weights_bytes, int(row["model_bytes"])),
            "context": (part.kv_cache_bytes + part.recurrent_bytes, int(row["context_bytes"])),
            "output": (host.output_bytes, int(row["output_bytes"])),
        },
        (part.compute_bytes, int(row["compute_bytes"])),
    )


def print_table(title: str, found: list[Row]) -> None:
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        by_model[row.model].append(row)
    print(f"\n{title}: {len(found)} buffers")
    print(f"{'model':22}{'buffers':>8}  {'inexact parts':26}{'compute exact':>14}{'5 %':>7}{'worst':>9}")
    for model, group in by_model.items():
        wrong = {part: sum(a != b for a, b in (row.exact[part] for row in group)) for part in group[0].exact}
        inexact = ", ".join(f"{part} {n}" for part, n in wrong.items() if n) or "none"
        errors = [ours - theirs for ours, theirs in (row.compute for row in group)]
        near = sum(abs(ours - theirs) <= 0.05 * theirs for ours, theirs in (row.compute for row in group))
        worst = max(errors, key=abs) / 2**20
        print(
            f"{model:22}{len(group):8}  {inexact:26}{errors.count(0) / len(group):>14.0%}"
            f"{near / len(group):>7.0%}{worst:>+5.0f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True, help="folder with the measured rows")
    truth = parser.parse_args().truth
    configs = Configs(truth / "configs.json")
    for name, n_devices in (("placement_one_device.csv", 1), ("placement_two_devices.csv", 2)):
        print_table(name, list(rows(truth / name, configs, n_devices)))


if __name__ == "__main__":
    main()
