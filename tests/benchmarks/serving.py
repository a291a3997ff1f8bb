"""How far the simulated engines are from published runs with many users: by engine, quantization, users.

    python tests/benchmarks/serving.py [--held-out | --fit]

`serving_rows.csv` has the runs: "served" ones of vLLM, SGLang and llama-server, and "batch" ones of
llama-batched-bench, which times steps without a scheduler. `--fit` prints the constants as they stand in
advisor/engine_steps.py: what is minimized is the mean absolute logarithm of estimate over measurement, a
source's runs together weighing as the square root of their number. `--held-out` fits without the source that
is estimated; of llama-batched-bench, whose tables are of two GPUs with kernels of their own, without the
model. Runs of llama.cpp are estimated from the same table's run of one sequence and its prompt rate,
since those are the business of advisor/speed: what is judged is how steps grow.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from math import log, sqrt
from statistics import median
from typing import Final, NamedTuple

from fit_speed import descend
from serving_rows import Row, driver_of, gpu_named, group_of, model_of, read_rows, scheduler_of

from advisor import engine_steps
from advisor.batching import Load, Request, Served, run, summary
from advisor.engine_steps import Constants, Kind, Reach, Roofline, roofline
from advisor.serving.steps import flops_16

MOST: Final = 0.95
"""No kernel reaches more of a maker's rate."""
LLAMA_COMPUTE: Final = 0.4
"""Of the FP16 rate, llama.cpp on prompts where the run does not say: advisor/speed has 0.28 to 0.44."""


class Case(NamedTuple):
    """A run and its estimate."""

    row: Row
    served: Served

    @property
    def ratio(self) -> float:
        """Estimated over measured output."""
        return self.served.output_tokens_per_s / self.row.output_tok_s


@cache
def estimate(row: Row, steps: Roofline) -> Served:
    """The run again: so many requests, with as many at once as it had."""
    n_requests = row.n_requests or 4 * row.concurrency
    load = Load(row.input_len, row.output_len, users=min(row.concurrency, n_requests))
    requests: list[Request] = run(steps, scheduler_of(row), load, n_requests)
    return summary(requests, load, requests[-1].end)


def engine_case(row: Row, constants: Constants) -> Case:
    """A run of vLLM or SGLang."""
    model, _ = model_of(row.model, row.quantization, row.kv_type, row.tensor_parallel)
    return Case(row, estimate(row, roofline(model, group_of(row), driver_of(row), constants)))


def llama_case(row: Row, alone: Row, prefill_tok_s: float, constants: Constants) -> Case:
    """A run of llama.cpp, from that of one sequence and the rate on prompts."""
    model, _ = model_of(row.model, row.quantization, row.kv_type)
    group = group_of(row)._replace(kind="nvidia", flops=1.0, flops_16=1.0)  # what computing takes is given
    steps = roofline(model, group, driver_of(row), constants)
    depth = row.input_len + row.output_len / 2
    step_s = (alone.tpot_ms or 1000 / alone.output_tok_s) / 1000
    reading_s = steps.shared_s + steps.experts_s * steps.expert_share
    factor = max(0.1, (step_s - steps(1, depth, 0, 0.0)) / reading_s + 1)
    steps = steps._replace(
        shared_s=steps.shared_s * factor,
        experts_s=steps.experts_s * factor,
        token_s=1 / prefill_tok_s,
        attend_s=0.0,
        n_ubatch=512 if row.kind == "served" else row.token_budget,
    )
    if row.kind == "served":
        return Case(row, estimate(row, steps))
    seconds = steps(row.concurrency, depth, 0, 0.0)
    request = Request(0.0, 0.0, seconds * (row.output_len - 1))
    load = Load(row.input_len, row.output_len, users=row.concurrency)
    return Case(row, summary([request] * row.concurrency, load, seconds * row.output_len))


def cases(rows: Sequence[Row], constants: Constants) -> list[Case]:
    """Every run that can be estimated; those of llama.cpp that lack a run of one sequence cannot."""
    found = [engine_case(row, constants) for row in rows if row.engine != "llama.cpp"]
    for row in (row for row in rows if row.engine == "llama.cpp"):
        alone, prefill_tok_s = _alone(row, rows)
        if alone and alone is not row and prefill_tok_s:
            found.append(llama_case(row, alone, prefill_tok_s, constants))
    return found


def _alone(row: Row, rows: Iterable[Row]) -> tuple[Row | None, float | None]:
    """The run of one sequence like this one, and what the same table reads of prompts when many come."""
    alike = [other for other in rows if _setup(other) == _setup(row)]
    alone = next((other for other in alike if other.concurrency == 1), None)
    rates = [other.prefill_tok_s for other in alike if other.prefill_tok_s]
    if row.kind == "served":
        model, _ = model_of(row.model, row.quantization, row.kv_type)
        rates = [LLAMA_COMPUTE * flops_16(gpu_named(row.gpu)) / (2 * model.n_params_active)]
    return alone, rates[-1] if rates else None


def _setup(row: Row) -> tuple[object, ...]:
    length = row.input_len if row.kind == "batch" else 0
    return row.engine, row.kind, row.source, row.gpu, row.model, row.quantization, length


WEIGHTS_AS: Final[Mapping[Kind, Kind]] = {"nvidia": "nvidia", "hopper": "nvidia", "amd": "amd"}
"""Kinds of GPUs whose memory is used alike."""


def engine_point(constants: Constants) -> dict[str, float]:
    """What is searched for vLLM and SGLang."""
    return {
        **{f"{kind}/compute": reach.compute for kind, reach in constants.reach.items()},
        "nvidia/weights": constants.reach["nvidia"].weights,
        "amd/weights": constants.reach["amd"].weights,
        **{
            name: getattr(constants, name)
            for name in ("layer_s", "experts_layer_s", "group_layer_s", "experts")
        },
        **{name: constants.arithmetic[name] for name in ("8 bit", "4 bit")},
        "pcie": constants.pcie_bytes_per_s,
        "alike": constants.alike,
        "sequence_s": constants.sequence_s["vllm"],
    }


def at_engine_point(point: Mapping[str, float]) -> Constants:
    """The constants of vLLM and SGLang at a point of the search."""
    base = engine_steps.FITTED
    return base._replace(
        sequence_s={**base.sequence_s, "vllm": point["sequence_s"], "sglang": point["sequence_s"]},
        alike=min(1.0, point["alike"]),
        reach={
            kind: Reach(min(MOST, point[f"{weights}/weights"]), min(MOST, point[f"{kind}/compute"]))
            for kind, weights in WEIGHTS_AS.items()
        },
        layer_s=point["layer_s"],
        experts_layer_s=point["experts_layer_s"],
        group_layer_s=point["group_layer_s"],
        experts=min(1.0, point["experts"]),
        arithmetic={"16 bit": 1.0, "8 bit": point["8 bit"], "4 bit": point["4 bit"]},
        pcie_bytes_per_s=point["pcie"],
    )


def at_llama_point(point: Mapping[str, float], base: Constants) -> Constants:
    """The constants of llama.cpp at a point of the search."""
    return base._replace(sequence_s={name: point.get(name, value) for name, value in base.sequence_s.items()})


def loss(found: Sequence[Case]) -> float:
    """Mean absolute logarithm of the ratios, a source's runs weighing as the square root of their number."""
    counts = Counter(case.row.group for case in found)
    weights = [1 / sqrt(counts[case.row.group]) for case in found]
    errors = (weight * abs(log(case.ratio)) for case, weight in zip(found, weights, strict=True))
    return sum(errors) / sum(weights)


def fit(rows: Sequence[Row], base: Constants = engine_steps.FITTED) -> Constants:
    """Fit all constants."""
    used = [row for row in rows if row.fits]
    engines = [row for row in used if row.engine != "llama.cpp"]
    llama = [row for row in used if row.kind == "batch"]
    if engines:
        point = descend(engine_point(base), lambda point: loss(cases(engines, at_engine_point(point))))
        base = at_engine_point(point)
    if llama:
        start = {driver: base.sequence_s[driver] for driver in ("llama.cpp", "metal")}
        point = descend(start, lambda point: loss(cases(llama, at_llama_point(point, base))))
        base = at_llama_point(point, base)
    return base


def held_out(rows: Sequence[Row], constants: Constants) -> list[Case]:
    """Every run under constants fitted without its source."""
    found: list[Case] = []
    for name in sorted({row.group for row in rows}):
        own = [row for row in rows if row.group == name]
        rest = [row for row in rows if row.group != name and row.kind == own[0].kind]
        found += cases(own, fit(rest, constants) if any(row.fits for row in own) else constants)
    return found


def report(title: str, found: Sequence[Case], key: Callable[[Case], str]) -> None:
    """Print one line a group: throughput, and what one user sees of it."""
    print(f"\n{title:34} {'rows':>5} {'output':>7} {'in 30 %':>8} {'bias':>6} {'TPOT':>7} {'TTFT':>7}")
    groups: dict[str, list[Case]] = {}
    for case in found:
        groups.setdefault(key(case), []).append(case)
    for name, group in sorted(groups.items()):
        errors = [abs(case.ratio - 1) for case in group]
        near = sum(error <= 0.3 for error in errors) / len(group)
        bias = median(case.ratio for case in group) - 1
        tpot = _middle(case.served.tpot_mean * 1000 / case.row.tpot_ms for case in group if case.row.tpot_ms)
        ttft = _middle(case.served.ttft_mean * 1000 / case.row.ttft_ms for case in group if case.row.ttft_ms)
        line = f"{name[:34]:34} {len(group):5} {median(errors):7.1%} {near:8.0%} {bias:+6.0%}"
        print(f"{line} {tpot:>7} {ttft:>7}")


def _middle(ratios: Iterable[float]) -> str:
    errors = [abs(ratio - 1) for ratio in ratios]
    return f"{median(errors):.1%}" if errors else ""


def _users(case: Case) -> str:
    most = next((limit for limit in (1, 4, 16, 64, 256) if case.row.concurrency <= limit), 9999)
    return f"{case.row.kind} to {most:4}"


def tables(found: Sequence[Case]) -> None:
    """Print every table."""
    fitted = [case for case in found if case.row.fits]
    report("by source, outliers too", found, lambda case: case.row.group)
    report("what constants are fitted to", fitted, lambda case: "all")
    report(
        "engines",
        fitted,
        lambda case: case.row.engine if case.row.kind == "served" else "llama-batched-bench",
    )
    report("by GPU", fitted, lambda case: case.row.gpu)
    report("by quantization", fitted, lambda case: f"{case.row.kind} {case.row.quantization}")
    report("by users", fitted, _users)
    report("by GPUs together", fitted, lambda case: f"{case.row.tensor_parallel}")


def main() -> None:
    """Print the tables or the constants."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--held-out", action="store_true", help="fit without the source that is estimated")
    parser.add_argument("--fit", action="store_true", help="fit, and print the constants")
    options = parser.parse_args()
    rows, constants = read_rows(), engine_steps.FITTED
    if options.fit:
        constants = fit(rows)
        for name, value in constants._asdict().items():
            print(name, value)
    tables(held_out(rows, constants) if options.held_out else cases(rows, constants))


if __name__ == "__main__":
    main()
