"""How far the speed estimates are from published runs, by kind of run.

    python tests/benchmarks/speed.py [--truth DIR] [--as-fitted]

The project's own rows are used, and those of DIR, a folder with a `speed.csv` of more runs. The constants
that estimate a device are fitted without it (one that is the only one of its kind keeps those of its own
rows); with `--as-fitted` they are the product's, which its own rows are part of.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from fit_speed import decode_ratio, fitted_rows, held_out, prefill_ratio
from speed_rows import Row, rows

from advisor.speed import FITTED

NEAR = 0.25
"""Errors up to this share count as near: what the sources differ by between themselves."""


class Case(NamedTuple):
    """A run, and measured over estimated tokens/s."""

    row: Row
    ratio: float

    @property
    def error(self) -> float:
        """How far the estimate is off, as a share of the measurement."""
        return abs(1 / self.ratio - 1)

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the band."""
        _, band = self.row.work.band()
        return band.low <= self.ratio <= band.high


def report(title: str, cases: Sequence[Case], key: Callable[[Case], str]) -> None:
    """Print one line a group."""
    print(f"\n{title:34} {'rows':>5} {'median':>7} {'in 25 %':>8} {'in band':>8} {'bias':>6}")
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    for name, group in sorted(groups.items()):
        near = sum(case.error <= NEAR for case in group) / len(group)
        inside = sum(case.inside for case in group) / len(group)
        bias = median(1 / case.ratio - 1 for case in group)
        middle = median(case.error for case in group)
        print(f"{name[:34]:34} {len(group):5} {middle:7.1%} {near:8.0%} {inside:8.0%} {bias:+6.0%}")


def _kind(case: Case) -> str:
    work = case.row.work
    load, n_gpus = work.loads[0], len(work.gpus)
    experts = "experts" if work.n_experts else "dense"
    with_host = " + RAM" if n_gpus and n_gpus < len(work.loads) else ""
    count = f"{n_gpus} × " if n_gpus > 1 else ""
    unified = "unified " if load.unified and load.kind == "gpu" and load.vendor != "apple" else ""
    return f"{load.vendor or ''} {unified}{count}{load.kind}{with_host} {experts}".strip()


def _goal(case: Case) -> str:
    work = case.row.work
    load, n_gpus = work.loads[0], len(work.gpus)
    if not n_gpus:
        return "CPU (goal 25 %)"
    if n_gpus < len(work.loads):
        return "GPU and RAM"
    if n_gpus > 1:
        return "multi-GPU (goal 15 %)"
    if work.n_experts:
        return "one GPU, experts (goal 18 %)"
    other = {"apple": "Apple, dense (goal 12 %)", "amd": "AMD, dense (goal 15 %)"}
    return other.get(load.vendor or "", "one GPU, dense (goal 10 %, 85 % near)")


def _quantization(case: Case) -> str:
    name = re.split(r"[ _]", case.row.quantization.removeprefix("UD-"))[0]
    return f"{case.row.work.loads[0].kind} {name}"


def _accelerator(case: Case) -> str:
    return f"{case.row.work.backend} {case.row.work.loads[0].accelerator or ''}".strip()


def _depth(case: Case) -> str:
    limits = (1_000, 5_000, 20_000, 50_000)
    return next((f"up to {limit:6,}" for limit in limits if case.row.depth <= limit), "more than 50,000")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, help="folder with a speed.csv of more runs")
    parser.add_argument("--as-fitted", action="store_true", help="the product's constants, nothing held back")
    options = parser.parse_args()
    found, left_out = rows(options.truth)
    print(f"{len(found)} runs on {len({row.device for row in found})} devices")
    print("left out:", ", ".join(f"{n} {why}" for why, n in sorted(left_out.items())))
    ratios = (
        [(row, decode_ratio(row), prefill_ratio(row)) for row in found]
        if options.as_fitted
        else held_out(found, FITTED)
    )
    cases = [Case(row, decode) for row, decode, _ in ratios]
    report("all runs, by group", cases, lambda case: case.row.group)
    used = set(fitted_rows(found))
    fitted = [case for case in cases if case.row in used]
    report("decode", fitted, lambda case: "all")
    report("decode, by goal", fitted, _goal)
    report("by device and model", fitted, _kind)
    report("by backend", fitted, _accelerator)
    report("by quantization", fitted, _quantization)
    report("by depth", fitted, _depth)
    report("by sequences", fitted, lambda case: f"{case.row.n_seqs:3}")
    prompts = [Case(row, prefill) for row, _, prefill in ratios if prefill and row in used]
    report("prefill (goal 25 %)", prompts, lambda case: "all")
    report("prefill, by device and model", prompts, _kind)


if __name__ == "__main__":
    main()
