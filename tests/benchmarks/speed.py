"""How far the speed estimates are from published runs, by kind of run.

    python tests/benchmarks/speed.py --truth DIR [--held-out]

DIR holds `speed.csv` (runs) and `gpu_specs.csv` (devices). With `--held-out` the constants that estimate a
device are fitted without it; one that is the only one of its kind keeps the constants of its own rows.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from fit_speed import decode_ratio, held_out, prefill_ratio
from speed_rows import Row, rows

from advisor import speed


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
        near = sum(case.error <= 0.25 for case in group) / len(group)
        inside = sum(case.inside for case in group) / len(group)
        bias = median(1 / case.ratio - 1 for case in group)
        middle = median(case.error for case in group)
        print(f"{name[:34]:34} {len(group):5} {middle:7.1%} {near:8.0%} {inside:8.0%} {bias:+6.0%}")


def _experts(case: Case) -> str:
    return "experts" if case.row.work.n_experts else "dense"


def _kind(case: Case) -> str:
    load = case.row.work.loads[0]
    n_gpus = len(case.row.work.gpus)
    return f"{load.vendor or ''} {f'{n_gpus} × ' if n_gpus > 1 else ''}{load.kind} {_experts(case)}".strip()


def _quantization(case: Case) -> str:
    name = re.split(r"[ _]", case.row.quantization.removeprefix("UD-"))[0]
    return f"{case.row.work.loads[0].kind} {name}"


def _depth(case: Case) -> str:
    limits = (1_000, 5_000, 20_000, 50_000)
    return next((f"up to {limit:6,}" for limit in limits if case.row.depth <= limit), "more than 50,000")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True, help="folder of speed.csv and gpu_specs.csv")
    parser.add_argument("--held-out", action="store_true", help="fit without the device that is estimated")
    options = parser.parse_args()
    found, left_out = rows(options.truth)
    print("left out:", ", ".join(f"{n} {why}" for why, n in sorted(left_out.items())))
    table = dict(speed.RATES)
    pairs = held_out(found, table) if options.held_out else [(row, decode_ratio(row, table)) for row in found]
    cases = [Case(row, ratio) for row, ratio in pairs]
    report("all runs, by group", cases, lambda case: case.row.group)
    fitted = [case for case in cases if case.row.fits]
    report("decode", fitted, lambda case: "all")
    report("by device and model", fitted, _kind)
    report("by backend", fitted, lambda case: case.row.work.backend)
    report("by quantization", fitted, _quantization)
    report("by depth", fitted, _depth)
    report("by sequences", fitted, lambda case: f"{case.row.n_seqs:3}")
    read = [Case(row, ratio) for row in found if row.fits if (ratio := prefill_ratio(row, table))]
    report("prefill", read, _kind)


if __name__ == "__main__":
    main()
