"""Which option an expert would defend: quality that survives quantization, against speed that is felt.

Setbacks come first: an option that is below reading speed, that has layers on the host though several users
share GPUs, or that is coarser than the machine demands stands behind every option that is not. Among equals
the utility decides: the model's quality, times what the quantization keeps of it, times how far its speed
goes towards what the use case feels, less a little for guesses and for RAM that is nearly full. Speed beyond
that target earns almost nothing, speed below it costs dearly, and `WEIGHINGS` says how dearly for "balanced",
"best" and "fast". A model whose successor is usable is not weighed at all (`advisor.contest`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from advisor.assessment import Quality, SpeedEstimate
from advisor.candidates import Option
from advisor.downloaded import is_equal
from advisor.hardware import Machine
from advisor.model import Artifact, Model, ModelKind
from advisor.offers import Offers
from advisor.quality import QualityData, fidelity
from advisor.quantization import base_bits
from advisor.units import GIB
from advisor.usecase import Requirements, UseCase


class Weighing(NamedTuple):
    """How quality and speed are traded; one row a preference."""

    slow_exponent: float
    """Power of (speed / target) below the target: 0 ignores speed."""
    target_factor: float
    """Multiplies the use case's target speed."""
    doubling_bonus: float
    """Share of the utility that each doubling of the speed beyond the target adds, up to `MAX_DOUBLINGS`."""
    fidelity_first: bool
    """Between files of one model that lie whole on their devices the bonus does not count: memory that is
    free is spent on fidelity."""


WEIGHINGS: Final[Mapping[str, Weighing]] = {
    "balanced": Weighing(slow_exponent=0.45, target_factor=1.0, doubling_bonus=0.04, fidelity_first=True),
    "best": Weighing(slow_exponent=0.10, target_factor=0.7, doubling_bonus=0.0, fidelity_first=True),
    "fast": Weighing(slow_exponent=0.80, target_factor=3.0, doubling_bonus=0.06, fidelity_first=False),
}
"""Set by hand so that the properties of tests/test_scenarios.py hold; every recommendation says under which
other row its pick changes.
"""

MAX_DOUBLINGS: Final = 3.0
"""Eight times the target is more than anybody follows."""

FLOOR_TOKENS_PER_S: Final = 5.0
"""Below reading speed: proposed only when nothing faster is good, or when quality alone was asked for."""


COARSE_BITS: Final = 4.0
"""Below so many bits a weight, models of every size lose much: proposed only when nothing finer is usable."""
FINE_BITS: Final = 5.0
"""The same floor on a card of `LARGE_CARD_BYTES`, which has room for more, unless speed was asked for."""
LARGE_CARD_BYTES: Final = 70 * GIB
"""What an 80 GB card reports at least, less its reserve."""
CHECKPOINT_BITS: Final[Mapping[str, float]] = {
    "AWQ": 4.25,
    "GPTQ": 4.25,
    "W4A16": 4.25,
    "NVFP4": 4.5,
    "4bit": 4.5,
    "8bit": 8.5,
}
"""Bits a weight of the engines' own 4-bit formats, scales included."""

ESTIMATE_FACTOR: Final = 0.95
"""What a model keeps whose quality is a guess from size and date: evidence wins among near equals."""

CROWDED_SHARE: Final = 0.75
CROWDED_FACTOR: Final = 0.7
"""RAM filled beyond the share costs utility, up to the factor when it is full: people run other programs too,
and a machine that starts to swap is slower than any estimate."""

NONCOMMERCIAL_FACTOR: Final = 0.9
"""What a model keeps that may not be used commercially: most of what is built on models is, in the end."""
UNLISTED_FACTOR: Final = 0.95
"""What a model keeps whose maker does not list the language that is asked for, without ruling it out."""


Setbacks = tuple[bool, bool, bool]
"""Below reading speed, partly on the host though several share GPUs, coarser than the machine demands."""


class Ranked(NamedTuple):
    """An option with its score."""

    option: Option
    quality: Quality
    score: float
    setbacks: Setbacks = (False, False, False)
    unhurried: float = 0.0
    """The score without the bonus for more speed than is felt, not rounded."""

    @property
    def order(self) -> tuple[Setbacks, float, int, str, str]:
        """Sort key, best first; ties are broken by evidence, then by name so that the order never changes."""
        evidence = _EVIDENCE.index(self.quality.evidence)
        return (
            self.setbacks,
            -self.score,
            evidence,
            self.option.model.id,
            self.option.artifact.quantization,
        )


_EVIDENCE: Final = ("measured", "inherited", "estimated", "none")


def target_tokens_per_s(needs: Requirements) -> float:
    """The decode rate beyond which the use case feels little, in tokens/s."""
    return needs.profile.tokens_per_s * _weighing(needs).target_factor


def _weighing(needs: Requirements) -> Weighing:
    return WEIGHINGS["fast" if needs.use_case is UseCase.FAST else needs.quality]


def speed_factor(tokens_per_s: float, needs: Requirements) -> float:
    """How much of the quality is enjoyed at that speed: 1 at the target, less below, little more above."""
    target = target_tokens_per_s(needs)
    if tokens_per_s < target:
        return math.pow(tokens_per_s / target, _weighing(needs).slow_exponent)
    if needs.kind is not ModelKind.CHAT:
        return 1.0  # nobody waits for an encoder that keeps up
    return 1.0 + _weighing(needs).doubling_bonus * min(MAX_DOUBLINGS, math.log2(tokens_per_s / target))


def felt_rate(kind: ModelKind, speed: SpeedEstimate) -> float:
    """The rate, in tokens/s, that the user waits for: of answers, or of texts that an encoder reads."""
    if kind is ModelKind.CHAT or speed.prefill_tokens_per_s is None:
        return speed.decode_tokens_per_s
    return speed.prefill_tokens_per_s


def answering_rate(speed: SpeedEstimate, needs: Requirements) -> float:
    """The same rate, with the prompt that has to be read for every token of an answer."""
    profile = needs.profile
    rate = felt_rate(profile.kind, speed)
    if speed.ttft_s is None or profile.kind is not ModelKind.CHAT:
        return rate
    return 1.0 / (1.0 / rate + profile.prompt_per_token * speed.ttft_s / max(1, speed.prompt_tokens))


def room_factor(option: Option) -> float:
    """How much of the utility is left when RAM is nearly full."""
    crowding = (option.ram_share - CROWDED_SHARE) / (1 - CROWDED_SHARE)
    return 1.0 - (1.0 - CROWDED_FACTOR) * min(1.0, max(0.0, crowding))


def least_bits(machine: Machine, needs: Requirements) -> float:
    """Bits a weight below which an option stands back on the machine."""
    speed_asked = needs.quality == "fast" or needs.use_case is UseCase.FAST or needs.min_tokens_per_s
    large = any(gpu.capacity_bytes >= LARGE_CARD_BYTES and not gpu.unified for gpu in machine.gpus)
    return FINE_BITS if large and not speed_asked else COARSE_BITS


def setbacks(option: Option, needs: Requirements, kept: float, floor_bits: float) -> Setbacks:
    """What puts an option behind all others, worst first; `kept`: of a score, by its quantization."""
    quantization = option.artifact.quantization
    bits = CHECKPOINT_BITS.get(quantization, base_bits(quantization))
    slow = option.speed.decode_tokens_per_s < FLOOR_TOKENS_PER_S and needs.quality != "best"
    return slow, needs.n_at_once > 1 and _leans_on_host(option), kept < 1 and bits < floor_bits


def _leans_on_host(option: Option) -> bool:
    """Whether parts of the model run on the host though there is a GPU: all users would wait for it."""
    whole = option.split.n_gpu_layers > option.footprint.n_layers and not option.split.has_overrides
    return bool(option.split.gpu_layers) and option.served is None and not whole


class Contender(NamedTuple):
    """A model that nothing rules out, with what is known of it before it is placed."""

    model: Model
    quality: Quality
    offers: Offers

    @property
    def most_tokens_per_s(self) -> float:
        """A rate that it cannot exceed here; an encoder's depends on other things, and is not bounded."""
        return self.offers.most_tokens_per_s if self.model.kind is ModelKind.CHAT else math.inf

    def kept(self, data: QualityData) -> dict[str, float]:
        """What each of its files keeps of its quality, by quantization."""
        n_params = self.model.n_params
        return {file.quantization: fidelity(file.quantization, n_params, data) for file in self.offers.files}


def best_of(
    contender: Contender,
    needs: Requirements,
    data: QualityData,
    floor_bits: float,
    is_here: Callable[[Artifact], bool] = lambda file: False,
) -> Ranked | None:
    """The best of a model's files; None where none gives an option.

    They are tried by what they can be worth at most, as long as one could still win. is_here: a file that is
    on the disk already is taken where it is as good as the best.
    """
    rows: list[Ranked] = []
    kept_of = contender.kept(data)
    bounds = {file.quantization: _bound(contender, file, kept_of, needs) for file in contender.offers.files}

    def weighed(file: Artifact) -> Ranked | None:
        return _weighed(contender, file, kept_of[file.quantization], needs, floor_bits)

    for file in sorted(contender.offers.files, key=lambda file: bounds[file.quantization], reverse=True):
        if not _is_settled(rows, bounds[file.quantization], needs) and (row := weighed(file)):
            rows.append(row)
    if _weighing(needs).fidelity_first:
        rows = _finest_whole(rows, needs)
    best = min(rows, key=lambda r: r.order, default=None)
    if best is None or is_here(best.option.artifact):
        return best
    here = (row for file in contender.offers.files if is_here(file) and (row := weighed(file)))
    return next((row for row in here if _is_as_good(row, best)), best)


def _weighed(
    contender: Contender, file: Artifact, kept: float, needs: Requirements, floor_bits: float
) -> Ranked | None:
    """A model in one of its files; kept: of its quality."""
    option = contender.offers.option(file)
    if option is None:
        return None
    felt = speed_factor(answering_rate(option.speed, needs), needs)
    value = worth_of(contender, needs) * kept * room_factor(option)
    behind = setbacks(option, needs, kept, floor_bits)
    return Ranked(option, contender.quality, round(value * felt, 4), behind, value * min(1.0, felt))


def _is_as_good(row: Ranked, best: Ranked) -> bool:
    equal = is_equal(row.score, best.score) and is_equal(row.unhurried, best.unhurried)
    return equal and row.setbacks == best.setbacks


class _Bound(NamedTuple):
    """What a file can be worth at most; sorted as they are tried."""

    unhurried: float
    """Without the bonus for more speed than is felt."""
    score: float


def _bound(contender: Contender, file: Artifact, kept: Mapping[str, float], needs: Requirements) -> _Bound:
    rate = contender.offers.at_most(file) if contender.model.kind is ModelKind.CHAT else math.inf
    value = worth_of(contender, needs) * kept[file.quantization]
    felt = speed_factor(rate, needs)
    return _Bound(value * min(1.0, felt), value * felt)


def worth_of(contender: Contender, needs: Requirements) -> float:
    """What a model is worth whole and at the speed that is wanted."""
    quality, model = contender.quality, contender.model
    worth = quality.score or 0.0
    if quality.evidence == "estimated":
        worth *= ESTIMATE_FACTOR
    if model.license.commercial is False:
        worth *= NONCOMMERCIAL_FACTOR
    if any(code not in model.languages for code in needs.languages):
        worth *= UNLISTED_FACTOR
    return worth


def most_worth(contender: Contender, needs: Requirements, data: QualityData) -> float:
    """A score that no file of the model can exceed."""
    kept = contender.kept(data)
    return round(max(_bound(contender, file, kept, needs).score for file in contender.offers.files), 4)


def _is_settled(rows: Sequence[Ranked], most: _Bound, needs: Requirements) -> bool:
    """Whether a file worth at most `most` cannot be the best any more.

    Of files that lie whole on their devices the bonus does not decide; one that is tried after such a file,
    and could be worth more by the bonus alone, lies whole on them too.
    """
    sound = [row for row in rows if not any(row.setbacks)]
    whole = [row for row in sound if not _leans_on_host(row.option)]
    if _weighing(needs).fidelity_first and whole:
        return max(row.unhurried for row in whole) >= most.unhurried
    return bool(sound) and max(row.score for row in sound) >= most.score


def _finest_whole(rows: Sequence[Ranked], needs: Requirements) -> list[Ranked]:
    """Of the options that lie whole on their devices the one worth most without the bonus, and the others.

    Where quality alone is not what counts, nobody spills a model for the last bits of it: a usable file that
    lies whole rules out those that do not.
    """
    whole = [row for row in rows if not _leans_on_host(row.option)]
    best = sorted(whole, key=lambda r: (r.setbacks, -r.unhurried, r.order))[:1]
    if needs.quality != "best" and any(not any(row.setbacks) for row in best):
        return best
    return [*best, *(row for row in rows if row not in whole)]
