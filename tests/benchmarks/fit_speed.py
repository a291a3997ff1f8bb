"""Fit the constants of the speed model to published runs, and write them to advisor/speed/fitted.py.

    python tests/benchmarks/fit_speed.py [--truth DIR] [--write]

DIR holds more runs in a `speed.csv`. What is minimized is the mean absolute logarithm of estimate over
measurement, each device weighing as the square root of its number of runs. A band is what the fit leaves on
devices that were held back from it, without its tails (`TAIL`), and wider for few runs. A device that is
the only one of its kind (Strix Halo) is judged by its own rows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from math import exp, log, sqrt
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple, get_args

from speed_rows import Row, rows

import advisor.speed
from advisor.speed import FITTED, Band, Rates
from advisor.speed.constants import Constants
from advisor.speed.rates import Kernel, kernel_of, rates_key
from advisor.speed.work import MOST_WEIGHTS

LEAST: Final = 1e-7
"""Parameters are searched by their logarithm; seconds below this are none."""
FEW_ROWS: Final = 5
"""A kind of device with fewer runs on other devices is not fitted to those alone."""
TAIL: Final = 0.08
"""Of the runs outside a band on each side: four of five inside, and something for hosts that hold back."""
MANY_ROWS: Final = 30
THIN_SPREAD: Final = 1.3
"""With fewer rows than that, a band reaches at least this factor to both sides."""
FAMILIES: Final = {
    "nvidia": ("NVIDIA",),
    "amd": ("AMD", "AMD unified"),
    "apple": ("Apple",),
    "mlx": ("Apple (MLX)",),
    "intel": ("Intel",),
}
"""Devices that share kernels, by the groups of runs on them."""
SHARED: Final = {
    "nvidia": ("cache", "layer_s"),
    "amd": ("step_s",),
    "apple": ("cache", "layer_s", "step_s"),
    "mlx": ("layer_s",),
    "intel": (),
}
"""Fields that the rows of a family have in common."""
KERNELS: Final[tuple[Kernel, ...]] = get_args(Kernel)
ROUNDS: Final = 3
"""Times that families and kernels are fitted in turn."""


class Terms(NamedTuple):
    """A run's seconds a token, as sums that are linear in what is fitted; taken from `Work` itself."""

    row: Row
    key: str
    kernel: Kernel
    weights_s: float
    """Reading the weights at the whole bandwidth."""
    fixed_s: float
    """What none of the constants changes."""
    kv_bytes: float
    n_layers: float
    n_steps: float

    def ratio(self, rates: Rates, kernel: float) -> float:
        """Measured over estimated tokens/s under constants."""
        share = min(MOST_WEIGHTS, rates.weights * kernel)
        seconds = self.weights_s / share + self.fixed_s + self.n_layers * rates.layer_s
        seconds += self.kv_bytes / rates.cache if rates.cache else 0.0
        return self.row.tokens_per_s * (seconds + self.n_steps * rates.step_s)


@cache
def terms(row: Row) -> Terms:
    """Take a run's estimate apart by asking for it under constants that single out one term each."""
    key = key_of(row)

    def under(**fields: Any) -> float:
        rates = Rates(0.5, None, 0.0, 0.0, FITTED.rates[key].prefill)._replace(**fields)
        plain = dict.fromkeys(KERNELS, 1.0)
        constants = FITTED._replace(rates={**FITTED.rates, key: rates}, kernels=plain)
        return decode_ratio(row, constants) / row.tokens_per_s

    half, quarter = under(), under(weights=0.25)
    weights_s = (quarter - half) / 2
    return Terms(
        row=row,
        key=key,
        kernel=kernel_of(row.work.quantization, row.work.loads[0].bits),
        weights_s=weights_s,
        fixed_s=half - 2 * weights_s,
        kv_bytes=under(cache=1.0) - half,
        n_layers=under(layer_s=1.0) - half,
        n_steps=under(step_s=1.0) - half,
    )


def key_of(row: Row) -> str:
    """The row of `Constants.rates` that estimates a run."""
    return rates_key(row.work.loads[0], row.work.backend)


def decode_ratio(row: Row, constants: Constants = FITTED) -> float:
    """Measured over estimated tokens/s of one sequence."""
    work = row.work._replace(constants=constants)
    seconds = work.decode_s(row.n_seqs)
    assert seconds is not None
    if row.aggregate and row.prompt_tokens:  # what a server put out while it read the prompts as well
        prompts_s = work.prompt_s(row.prompt_tokens) or 0.0
        seconds = seconds / row.n_seqs + prompts_s / row.gen_tokens
    return row.tokens_per_s * seconds


def prefill_ratio(row: Row, constants: Constants = FITTED) -> float | None:
    """Measured over estimated prompt tokens/s; None where no compute rate is known."""
    n_tokens = row.prompt_tokens or 512
    seconds = row.prompt_work._replace(constants=constants).prompt_s(n_tokens, row.prompt_depth)
    if seconds is None or not row.prefill_tokens_per_s:
        return None
    return row.prefill_tokens_per_s * seconds / n_tokens


def weights(found: Sequence[Row]) -> list[float]:
    """What each run counts: a device's runs together as the square root of their number."""
    counts = Counter(row.device for row in found)
    return [1 / sqrt(counts[row.device]) for row in found]


def loss(found: Sequence[Row], ratios: Iterable[float | None]) -> float:
    """Mean absolute logarithm of the ratios."""
    total = summed = 0.0
    for value, weight in zip(ratios, weights(found), strict=True):
        if value is not None:
            total += weight * abs(log(value))
            summed += weight
    return total / summed if summed else 0.0


def descend(start: Mapping[str, float], at: Callable[[dict[str, float]], float]) -> dict[str, float]:
    """Minimize by steps along one parameter's logarithm at a time."""
    best, least = dict(start), at(dict(start))
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


def fit_family(found: Sequence[Row], family: str, constants: Constants) -> Constants:
    """Fit the decode constants of the devices that share their kernels."""
    own = [terms(row) for row in found if row.group in FAMILIES[family]]
    keys = sorted({one.key for one in own})
    if not keys:
        return constants
    own_rows = [one.row for one in own]
    start = {f"{key}/weights": constants.rates[key].weights for key in keys}
    start |= {f"{key}/layer_s": max(LEAST, constants.rates[key].layer_s) for key in keys if family == "amd"}
    start |= {name: max(LEAST, getattr(constants.rates[keys[0]], name) or 0) for name in SHARED[family]}

    def at(point: dict[str, float]) -> float:
        table = _table(constants.rates, family, keys, point)
        return loss(own_rows, (one.ratio(table[one.key], constants.kernels[one.kernel]) for one in own))

    table = _table(constants.rates, family, keys, descend(start, at))
    fitted = constants._replace(rates=table)
    return _fit_unknown_nvidia(own, fitted, keys) if family == "nvidia" else fitted


def _table(
    table: Mapping[str, Rates], family: str, keys: Iterable[str], point: Mapping[str, float]
) -> dict[str, Rates]:
    """The table with a family's rows at a point."""
    changed = dict(table)
    for key in keys:
        fields = {field: point[field] for field in SHARED[family]}
        own = {name.split("/")[1]: value for name, value in point.items() if name.startswith(f"{key}/")}
        changed[key] = changed[key]._replace(**fields, **own)
        changed[key] = changed[key]._replace(weights=min(MOST_WEIGHTS, changed[key].weights))
    return changed


def _fit_unknown_nvidia(own: Sequence[Terms], constants: Constants, keys: Sequence[str]) -> Constants:
    """The row of a card of unknown generation, which held-back generations fall back to as well."""
    rates = constants.rates
    missing = [key for key in rates if key.startswith("nvidia ") and key not in keys]
    common = rates[keys[0]]

    def at(point: dict[str, float]) -> float:
        trial = common._replace(weights=min(MOST_WEIGHTS, point["weights"]))
        ratios = (one.ratio(trial, constants.kernels[one.kernel]) for one in own)
        return loss([one.row for one in own], ratios)

    unknown = common._replace(weights=descend({"weights": common.weights}, at)["weights"])
    filled = {key: unknown._replace(prefill=rates[key].prefill) for key in ("nvidia", *missing)}
    return constants._replace(rates={**rates, **filled})


def fit_kernels(found: Sequence[Row], constants: Constants) -> Constants:
    """Fit how much faster GPUs read other weights than K blocks."""
    groups = {group for names in FAMILIES.values() for group in names} - {"Apple (MLX)"}
    own = [terms(row) for row in found if row.group in groups]
    own_rows = [one.row for one in own]
    start = {name: constants.kernels[name] for name in KERNELS if name != "K"}

    def at(point: dict[str, float]) -> float:
        kernels = {"K": 1.0, **point}
        return loss(own_rows, (one.ratio(constants.rates[one.key], kernels[one.kernel]) for one in own))

    best: dict[Any, float] = {"K": 1.0, **descend(start, at)}
    return constants._replace(kernels={name: best[name] for name in KERNELS})


def fit_split(found: Sequence[Row], constants: Constants) -> Constants:
    """Fit the seconds that further GPUs cost, to runs of one source on one and on several of a card."""

    def name(row: Row) -> tuple[str, str, str, int, str]:
        return row.device, row.model, row.quantization, row.depth, row.source

    alone = {name(row): row for row in found if row.group == "NVIDIA"}
    pairs = [(row, alone[name(row)]) for row in found if row.work.is_split and name(row) in alone]

    def at(point: dict[str, float]) -> float:
        trial = constants._replace(boundary_s=point["boundary_s"])
        ratios = (decode_ratio(row, trial) / decode_ratio(one, trial) for row, one in pairs)
        return loss([row for row, _ in pairs], ratios)

    return constants._replace(**descend({"boundary_s": constants.boundary_s}, at))


def _search(
    own: Sequence[Row],
    constants: Constants,
    names: Sequence[str],
    ratio: Callable[[Row, Constants], float | None],
) -> Constants:
    """Fit constants that are single numbers."""

    def at(point: dict[str, float]) -> float:
        trial = constants._replace(**point)
        return loss(own, (ratio(row, trial) for row in own))

    best: dict[str, Any] = descend({name: getattr(constants, name) for name in names}, at)
    return constants._replace(**best)


def fit_prefill_key(found: Sequence[Row], key: str, constants: Constants) -> Constants:
    """Fit one kind of device's share of its FP16 rate."""
    own = [row for row in found if key_of(row) == key and prefill_ratio(row, constants)]
    if not own:
        return constants

    def under(point: Mapping[str, float]) -> Constants:
        rates = {**constants.rates, key: constants.rates[key]._replace(prefill=point["prefill"])}
        return constants._replace(rates=rates)

    def at(point: dict[str, float]) -> float:
        trial = under(point)
        return loss(own, (prefill_ratio(row, trial) for row in own))

    return under(descend({"prefill": constants.rates[key].prefill or 0.3}, at))


PREFILL: Final = ("attention_prefill", "experts_prefill")


def fit_prefill(found: Sequence[Row], constants: Constants) -> Constants:
    """Fit every share of the FP16 rate, and the constants they have in common."""
    own = [row for row in found if len(row.work.loads) == 1 and row.work.loads[0].kind == "gpu"]
    own = [row for row in own if prefill_ratio(row, constants)]
    for _ in range(ROUNDS):
        for key in sorted({key_of(row) for row in own}):
            constants = fit_prefill_key(own, key, constants)
        constants = _search(own, constants, PREFILL, prefill_ratio)
    return constants


def fit_sockets(found: Sequence[Row], constants: Constants) -> Constants:
    """Fit what several processors lose; these runs decide nothing else."""
    own = [row for row in found if row.group == "CPU, two sockets"]
    return _search(own, constants, ("sockets_share",), decode_ratio) if own else constants


def fit_cpu(found: Sequence[Row], constants: Constants) -> Constants:
    """Fit the memory's share, and what one core computes by kind of weights."""
    own = [row for row in found if row.group == "CPU"]
    prompts = [row for row in own if prefill_ratio(row, constants)]
    kinds = {kernel_of(row.work.quantization, row.work.loads[0].bits) for row in own}

    def under(point: Mapping[str, float], field: str) -> Constants:
        cores = {k: v._replace(**{field: point[k]}) if k in kinds else v for k, v in constants.cores.items()}
        plain = constants.plain_core._replace(**{field: min(1.0, point["plain"])})
        rates = constants.rates
        if "weights" in point:
            cpu = rates["cpu"]._replace(weights=min(MOST_WEIGHTS, point["weights"]), layer_s=point["layer_s"])
            measured = cpu._replace(weights=min(MOST_WEIGHTS, point["measured"]))
            rates = {**rates, "cpu": cpu, "cpu measured": measured}
        return constants._replace(
            cores=cores,
            plain_core=plain,
            rates=rates,
            core_cache=point.get("core_cache", constants.core_cache),
            wide_prefill=point.get("wide_prefill", constants.wide_prefill),
        )

    cpu = constants.rates["cpu"]
    start = {kind: constants.cores[kind].decode for kind in kinds} | {"plain": constants.plain_core.decode}
    start |= {"weights": cpu.weights, "measured": constants.rates["cpu measured"].weights}
    start |= {"layer_s": cpu.layer_s, "core_cache": constants.core_cache}

    def decode(point: dict[str, float]) -> float:
        trial = under(point, "decode")
        return loss(own, (decode_ratio(row, trial) for row in own))

    constants = under(descend(start, decode), "decode")
    start = {kind: constants.cores[kind].prefill for kind in kinds}
    start |= {"plain": constants.plain_core.prefill, "wide_prefill": constants.wide_prefill}

    def prefill(point: dict[str, float]) -> float:
        trial = under(point, "prefill")
        return loss(prompts, (prefill_ratio(row, trial) for row in prompts))

    return under(descend(start, prefill), "prefill")


def fit(found: Sequence[Row], constants: Constants = FITTED) -> Constants:
    """Fit everything but the bands."""
    for _ in range(ROUNDS):
        for family in FAMILIES:
            constants = fit_family(found, family, constants)
        constants = fit_kernels(found, constants)
    constants = fit_split(found, constants)
    constants = fit_prefill(found, constants)
    split = [row for row in found if row.group == "several GPUs" and prefill_ratio(row, constants)]
    return fit_cpu(found, _search(split, constants, ("pipeline_share",), prefill_ratio))


def fitted_rows(found: Sequence[Row]) -> list[Row]:
    """The runs that the constants are fitted to."""
    return [row for row in found if row.fits]


def held_out(found: Sequence[Row], constants: Constants) -> list[tuple[Row, float, float | None]]:
    """Every run with its decode and prefill ratio under constants fitted without its device.

    What all devices have in common (kernels, experts, attention) stays as fitted to all of them.
    """
    result: list[tuple[Row, float, float | None]] = []
    for device in sorted({row.device for row in found}):
        own = [row for row in found if row.device == device]
        rest = [row for row in found if row.device != device and row.fits]
        groups = {row.group for row in own if row.fits}
        groups |= {"NVIDIA"} if groups & {"several GPUs", "GPU and RAM"} else set()
        trial = constants
        for family, names in FAMILIES.items():
            if groups & set(names):
                trial = fit_family(rest, family, trial)
        others = Counter(key_of(row) for row in rest)
        alone = {key: constants.rates[key] for key in map(key_of, own) if others[key] < FEW_ROWS}
        trial = trial._replace(rates={**trial.rates, **alone})
        for key in {key_of(row) for row in own if row.fits}.difference(alone):
            trial = fit_prefill_key([row for row in rest if len(row.work.loads) == 1], key, trial)
        if "CPU" in groups:
            trial = fit_cpu(rest, trial)
        result.extend((row, decode_ratio(row, trial), prefill_ratio(row, trial)) for row in own)
    return result


def band(ratios: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The percentiles of (ratio, weight) between the tails, farther from 1 the fewer there are."""
    wider = 1 + 1 / sqrt(len(ratios))
    least = 1.05 if len(ratios) >= MANY_ROWS else THIN_SPREAD
    low, high = (_percentile(ratios, share) for share in (TAIL, 1 - TAIL))
    return min(low**wider, 1 / least), max(high**wider, least)


def _percentile(ratios: Sequence[tuple[float, float]], share: float) -> float:
    summed = 0.0
    total = sum(weight for _, weight in ratios)
    for ratio, weight in sorted(ratios):
        summed += weight
        if summed >= share * total:
            return ratio
    return max(ratios)[0]


Held = Sequence[tuple[Row, float, float | None]]
"""Runs with their decode and prefill ratio, as `held_out` has them."""


def fit_bands(held: Held, constants: Constants) -> Constants:
    """The bands that the fit leaves on devices held back from it."""
    bands = dict(constants.bands)
    for name in bands:
        own = [(row, ratio) for row, ratio, _ in held if row.work.band_name() == name]
        if own:
            shares = weights([row for row, _ in own])
            low, high = band([(ratio, share) for (_, ratio), share in zip(own, shares, strict=True)])
            bands[name] = Band(low, high, len(own), len({row.device for row, _ in own}))
    fastest = max(load.bandwidth_bytes_per_s or 0 for row, _, _ in held for load in row.work.gpus)
    return constants._replace(bands=bands, measured_bandwidth=fastest)


def errors(held: Held) -> Iterator[tuple[str, float, float]]:
    """Median errors of decoding and of prompts, by constants' rows; 0 where there are no runs."""
    for key in sorted({key_of(row) for row, _, _ in held}):
        own = [(decode, prefill) for row, decode, prefill in held if key_of(row) == key]
        decode = median(abs(1 / ratio - 1) for ratio, _ in own)
        prompts = [abs(1 / ratio - 1) for _, ratio in own if ratio]
        yield key, decode, median(prompts) if prompts else 0.0


def source(constants: Constants, held: Held, date: str) -> str:
    """The text of advisor/speed/fitted.py."""
    counts = Counter(key_of(row) for row, _, _ in held)
    off = {key: f"{decode:.0%} off, prompts {prefill:.0%}" for key, decode, prefill in errors(held)}
    lines = [
        f'"""What tests/benchmarks/fit_speed.py found on {date} in {len(held)} runs: its file.',
        "",
        "How far off decoding and prompts are is the median of devices held back from the fit.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "from advisor.speed.constants import Constants",
        "from advisor.speed.rates import Band, CoreRates, Rates",
        "",
        "FITTED: Final = Constants(",
        "    rates={",
    ]
    for key, rates in constants.rates.items():
        step_s = rates.step_s if rates.step_s > 2 * LEAST else 0.0
        prefill = None if rates.prefill is None else round(rates.prefill, 3)
        fields = f"{rates.weights:.3f}, {_number(rates.cache)}, {_number(rates.layer_s)}, {_number(step_s)}"
        lines.append(f'        "{key}": Rates({fields}, {prefill}),  # {_told(counts[key], off.get(key))}')
    lines += ["    },", "    kernels={"]
    lines += [f'        "{name}": {value:.3f},' for name, value in constants.kernels.items()]
    lines += ["    },", "    cores={"]
    lines += [
        f'        "{name}": CoreRates({_number(core.decode)}, {_number(core.prefill)}),'
        for name, core in constants.cores.items()
    ]
    plain = constants.plain_core
    lines += [
        "    },",
        f"    plain_core=CoreRates({plain.decode:.2f}, {plain.prefill:.2f}),",
        f"    wide_prefill={constants.wide_prefill:.2f},",
        f"    core_cache={_number(constants.core_cache)},",
        *(
            f"    {name}={getattr(constants, name):.3f},"
            for name in ("sockets_share", *PREFILL, "pipeline_share")
        ),
        f"    boundary_s={_number(constants.boundary_s)},",
        f"    sequence_share={constants.sequence_share},",
        "    bands={",
    ]
    lines += [
        f'        "{name}": Band({one.low:.2f}, {one.high:.2f}, {one.n_rows}, {one.n_devices}),'
        for name, one in constants.bands.items()
    ]
    return "\n".join([*lines, "    },", f"    measured_bandwidth={constants.measured_bandwidth:_},", ")", ""])


def _told(n_runs: int, off: str | None) -> str:
    return f"{n_runs} runs: {off}" if off else "no runs"


def _number(value: float | None) -> str:
    return "None" if value is None else "0.0" if not value else f"{value:.2e}".replace("e+", "e")


def main() -> None:
    """Fit, and print or write advisor/speed/fitted.py."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, help="folder with a speed.csv of more runs")
    parser.add_argument("--write", action="store_true", help="write advisor/speed/fitted.py")
    parser.add_argument("--date", default="2026-11-21", help="day that the file states")
    options = parser.parse_args()
    found, _ = rows(options.truth)
    used = fitted_rows(found)
    constants = fit_sockets(found, fit(used))
    held = held_out(used, constants)
    text = source(fit_bands(held, constants), held, options.date)
    if options.write:
        (Path(advisor.speed.__file__).parent / "fitted.py").write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
