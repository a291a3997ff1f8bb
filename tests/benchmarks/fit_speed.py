"""Fit the constants of advisor/speed.py to published runs, and print them as they stand there.

    python tests/benchmarks/fit_speed.py --truth DIR

DIR holds `speed.csv` (runs) and `gpu_specs.csv` (devices). What is minimized is the mean absolute logarithm
of estimate over measurement, each device weighing as the square root of its number of runs. A band is what
the fit leaves on devices that were held back from it: the tenth and ninetieth percentile, wider for few
runs. A device that is the only one of its kind (Strix Halo) is judged by its own rows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, log, sqrt
from pathlib import Path
from typing import Final

from speed_rows import Row, rows

from advisor import speed
from advisor.speed import Rates

Table = dict[str, Rates]
Loss = Callable[[], float]

MOST: Final = 0.95
"""No kernel reads faster than this share of the bandwidth."""
LEAST: Final = 1e-7
"""Parameters are searched by their logarithm; seconds below this are none."""
MANY_ROWS: Final = 30
THIN_SPREAD: Final = 1.3
"""With fewer rows than that, a band reaches at least this factor to both sides."""
FAMILIES: Final = {
    "nvidia": ("NVIDIA",),
    "amd": ("AMD", "AMD unified"),
    "apple": ("Apple",),
    "mlx": ("Apple (MLX)",),
    "intel": ("Intel",),
    "cpu": ("CPU",),
    "vllm": ("vLLM",),
}
SHARED: Final = {
    "nvidia": ("cache", "layer_s"),
    "amd": ("step_s",),
    "apple": ("cache", "layer_s", "step_s"),
    "mlx": ("layer_s",),
    "intel": (),
    "cpu": (),
    "vllm": (),
}
"""Fields that the rows of a family have in common."""


def key_of(row: Row) -> str:
    """The row of `RATES` that estimates a run."""
    return speed.rates_key(row.work.loads[0], row.work.backend)


def decode_ratio(row: Row, table: Mapping[str, Rates]) -> float:
    """Measured over estimated tokens/s of one sequence."""
    work = row.work._replace(table=table)
    seconds = work.decode_s(row.n_seqs)
    assert seconds is not None
    if row.aggregate and row.prompt_tokens:  # what a server put out while it read the prompts as well
        prompts_s = work.prompt_s(row.prompt_tokens, row.depth) or 0.0
        seconds = seconds / row.n_seqs + prompts_s / row.gen_tokens
    return row.tokens_per_s * seconds


def prefill_ratio(row: Row, table: Mapping[str, Rates]) -> float | None:
    """Measured over estimated prompt tokens/s; None where no compute rate is known."""
    work = row.prompt_work._replace(table=table)
    n_tokens = row.prompt_tokens or 512
    alone = work.prompt_s(n_tokens, row.depth)
    if alone is None or row.prefill_tokens_per_s is None:
        return None
    if row.prompt_depth:  # the prompt comes on top of a cache: what both take, less what the cache took
        both = work.prompt_s(n_tokens + row.prompt_depth, row.depth)
        before = work.prompt_s(row.prompt_depth, row.depth)
        assert both is not None
        assert before is not None
        alone = both - before
    return row.prefill_tokens_per_s * alone / n_tokens


def weights(found: Sequence[Row]) -> list[float]:
    """What each run counts: a device's runs together as the square root of their number."""
    counts = Counter(row.device for row in found)
    return [1 / sqrt(counts[row.device]) for row in found]


def loss(found: Sequence[Row], ratio: Callable[[Row], float | None]) -> float:
    """Mean absolute logarithm of the ratios."""
    total = summed = 0.0
    for row, weight in zip(found, weights(found), strict=True):
        value = ratio(row)
        if value is not None:
            total += weight * abs(log(value))
            summed += weight
    return total / summed if summed else 0.0


def descend(start: dict[str, float], at: Callable[[dict[str, float]], float]) -> dict[str, float]:
    """Minimize by steps along one parameter's logarithm at a time."""
    best, least = dict(start), at(start)
    steps = dict.fromkeys(start, 0.2)
    for _ in range(60):
        for name in start:
            for sign in (1, -1):
                trial = {**best, name: best[name] * exp(sign * steps[name])}
                value = at(trial)
                if value < least - 1e-7:
                    best, least = trial, value
                    steps[name] *= 1.3
                    break
            else:
                steps[name] *= 0.5
        if max(steps.values(), default=0) < 2e-3:
            break
    return best


def _table(table: Table, family: str, keys: Iterable[str], point: Mapping[str, float]) -> Table:
    """The table with a family's rows at a point."""
    changed = dict(table)
    for key in keys:
        fields = {field: point[field] for field in SHARED[family]}
        own = {name.split("/")[1]: value for name, value in point.items() if name.startswith(f"{key}/")}
        changed[key] = changed[key]._replace(**fields, **own)
        changed[key] = changed[key]._replace(weights=min(MOST, changed[key].weights))
    return changed


def fit_family(found: Sequence[Row], family: str, table: Table) -> Table:
    """Fit the decode constants of the devices that share their kernels."""
    own = [row for row in found if row.group in FAMILIES[family]]
    keys = sorted({key_of(row) for row in own})
    if not keys:
        return table
    start = {f"{key}/weights": table[key].weights for key in keys}
    start |= {f"{key}/layer_s": table[key].layer_s for key in keys if family == "amd"}
    start |= {field: max(LEAST, getattr(table[keys[0]], field)) for field in SHARED[family]}

    def at(point: dict[str, float]) -> float:
        trial = _table(table, family, keys, point)
        return loss(own, lambda row: decode_ratio(row, trial))

    table = _table(table, family, keys, descend(start, at))
    return _fit_unknown_nvidia(own, table, keys) if family == "nvidia" else table


def _fit_unknown_nvidia(own: Sequence[Row], table: Table, keys: Sequence[str]) -> Table:
    """The row of a card of unknown generation, which held-back generations fall back to as well."""
    missing = [key for key in table if key.startswith("nvidia ") and key not in keys]
    common = table[keys[0]]

    def at(point: dict[str, float]) -> float:
        trial = dict.fromkeys(table, common._replace(weights=min(MOST, point["weights"])))
        return loss(own, lambda row: decode_ratio(row, trial))

    unknown = common._replace(weights=descend({"weights": common.weights}, at)["weights"])
    return {
        **table,
        **{key: unknown._replace(prefill=table[key].prefill) for key in ("nvidia", *missing)},
    }


def fit_split(found: Sequence[Row], table: Table) -> float:
    """Seconds that a layer takes more where GPUs share the layers."""
    own = [row for row in found if row.group == "several GPUs" and row.work.is_split]

    def at(point: dict[str, float]) -> float:
        def ratio(row: Row) -> float:
            layers = sum(load.n_layers for load in row.work.loads)
            more_s = layers * (point["layer_s"] - speed.SPLIT_LAYER_S)
            return decode_ratio(row, table) + row.tokens_per_s * more_s

        return loss(own, ratio)

    return descend({"layer_s": speed.SPLIT_LAYER_S}, at)["layer_s"]


def fit_prefill(found: Sequence[Row], table: Table) -> tuple[Table, float, float]:
    """Fit every share of the FP16 rate, and the two constants they have in common."""
    own = [row for row in found if row.fits and len(row.work.loads) == 1]
    own = [row for row in own if row.work.loads[0].kind == "gpu" and prefill_ratio(row, table)]
    keys = sorted({key_of(row) for row in own})
    start = {key: table[key].prefill or 0.3 for key in keys}
    start |= {"MOE_PREFILL": speed.MOE_PREFILL, "PREFILL_CACHE_FLOPS": speed.PREFILL_CACHE_FLOPS}

    def at(point: dict[str, float]) -> float:
        speed.MOE_PREFILL = point["MOE_PREFILL"]  # type: ignore[misc]  # searched here
        speed.PREFILL_CACHE_FLOPS = point["PREFILL_CACHE_FLOPS"]  # type: ignore[misc]  # searched here
        trial = {**table, **{key: table[key]._replace(prefill=point[key]) for key in keys}}
        return loss(own, lambda row: prefill_ratio(row, trial))

    best = descend(start, at)
    fitted = {**table, **{key: table[key]._replace(prefill=best[key]) for key in keys}}
    return fitted, best["MOE_PREFILL"], best["PREFILL_CACHE_FLOPS"]


def fit(found: Sequence[Row], table: Mapping[str, Rates] = speed.RATES) -> Table:
    """Fit all decode constants."""
    fitted = dict(table)
    for family in FAMILIES:
        fitted = fit_family(found, family, fitted)
    return fitted


def held_out(found: Sequence[Row], table: Table) -> list[tuple[Row, float]]:
    """Every run with its ratio under constants fitted without its device."""
    ratios: list[tuple[Row, float]] = []
    for device in sorted({row.device for row in found}):
        own = [row for row in found if row.device == device]
        rest = [row for row in found if row.device != device and row.fits]
        groups = {row.group for row in own if row.fits}
        groups |= {"NVIDIA"} if "several GPUs" in groups else set()
        trial = table
        for family, names in FAMILIES.items():
            if groups & set(names):
                trial = fit_family(rest, family, trial)
        ratios.extend((row, decode_ratio(row, trial)) for row in own)
    return ratios


def band(ratios: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Tenth and ninetieth percentile of (ratio, weight), farther from 1 the fewer there are."""
    wider = 1 + 1 / sqrt(len(ratios))
    least = 1.05 if len(ratios) >= MANY_ROWS else THIN_SPREAD
    low, high = (_percentile(ratios, share) for share in (0.1, 0.9))
    return min(low**wider, 1 / least), max(high**wider, least)


def _percentile(ratios: Sequence[tuple[float, float]], share: float) -> float:
    summed = 0.0
    total = sum(weight for _, weight in ratios)
    for ratio, weight in sorted(ratios):
        summed += weight
        if summed >= share * total:
            return ratio
    return max(ratios)[0]


def main() -> None:
    """Fit, and print what stands in advisor/speed.py."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True, help="folder of speed.csv and gpu_specs.csv")
    found, _ = rows(parser.parse_args().truth)
    used = [row for row in found if row.fits]
    table, moe, cache = fit_prefill(used, fit(used))
    print("RATES")
    for key, rates in table.items():
        n_rows = sum(key_of(row) == key for row in used)
        prefill = None if rates.prefill is None else round(rates.prefill, 2)
        cache_rate = rates.cache and f"{rates.cache:.1e}".replace("e+", "e")
        step_s = rates.step_s if rates.step_s > LEAST else 0.0
        seconds = f"{rates.layer_s:.1e}, {step_s:.1e}".replace("e-0", "e-").replace("0.0e+00", "0.0")
        print(f'    "{key}": Rates({rates.weights:.2f}, {cache_rate}, {seconds}, {prefill}),  # {n_rows}')
    print(f"SPLIT_LAYER_S {fit_split(found, table):.1e}")
    print(f"MOE_PREFILL {moe:.2f}\nPREFILL_CACHE_FLOPS {cache:.0f}")
    print("BANDS")
    ratios = held_out(used, table)
    for name in speed.BANDS:
        own = [(row, ratio) for row, ratio in ratios if row.work.band_name() == name]
        if own:
            shares = weights([row for row, _ in own])
            low, high = band([(ratio, share) for (_, ratio), share in zip(own, shares, strict=True)])
            inside = sum(low <= ratio <= high for _, ratio in own) / len(own)
            print(f'    "{name}": Band({low:.2f}, {high:.2f}, {len(own)}),  # {inside:.0%} inside')


if __name__ == "__main__":
    main()
