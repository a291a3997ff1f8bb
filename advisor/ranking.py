"""Which option an expert would defend: quality that survives quantization, against speed that is felt.

The utility of an option is its model's quality, times what the quantization keeps of it, times how far its
speed goes towards what the use case feels, less a little for guesses and for RAM that is nearly full. Speed
beyond that target earns almost nothing, speed below it costs dearly, and the exponents say how dearly for
"balanced", "best" and "fast".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from advisor.assessment import Quality, SpeedEstimate
from advisor.candidates import Option
from advisor.model import ModelKind
from advisor.quality import QualityData, fidelity, quality_of
from advisor.quantization import base_bits
from advisor.usecase import Requirements, UseCase


class Weighing(NamedTuple):
    """How quality and speed are traded; one row a preference."""

    slow_exponent: float
    """Power of (speed / target) below the target: 0 ignores speed."""
    target_factor: float
    """Multiplies the use case's target speed."""


WEIGHINGS: Final[Mapping[str, Weighing]] = {
    "balanced": Weighing(slow_exponent=0.45, target_factor=1.0),
    "best": Weighing(slow_exponent=0.10, target_factor=0.7),
    "fast": Weighing(slow_exponent=0.80, target_factor=3.0),
}
"""Set by hand so that the defended picks of tests/test_scenarios.py hold; the notes of a recommendation say
by how much the runner-up's score differs."""

TARGET_TOKENS_PER_S: Final[Mapping[UseCase, float]] = {
    UseCase.CHAT: 10.0,
    UseCase.RAG: 10.0,
    UseCase.SUMMARIZE: 10.0,
    UseCase.TRANSLATE: 10.0,
    UseCase.VISION: 10.0,
    UseCase.CODING: 15.0,
    UseCase.REASONING: 25.0,
    UseCase.AGENT: 25.0,
    UseCase.FAST: 20.0,
    UseCase.EMBEDDING: 500.0,
    UseCase.RERANK: 500.0,
}
"""Rate, in tokens/s, beyond which more is hardly felt. People read 5 to 10 tokens/s, skim code at twice that,
and wait for the whole of a chain of thought or a tool call before anything useful appears; an embedder
or reranker is felt by what it reads: a page of text a second."""

FAST_BONUS: Final = 0.02
"""Share of the utility that each doubling of the speed beyond the target adds, for three doublings."""
MAX_DOUBLINGS: Final = 3.0

SUPERSEDED_FACTOR: Final = 0.93
"""What a model keeps whose successor also fits: its scores come from older tests, which flatter it."""

FLOOR_TOKENS_PER_S: Final = 5.0
"""Below reading speed: proposed only when nothing faster is good, or when quality alone was asked for."""


COARSE_BITS: Final = 4.0
"""Below so many bits a weight, models of every size lose much: proposed only when nothing finer is usable."""

ESTIMATE_FACTOR: Final = 0.95
"""What a model keeps whose quality is a guess from size and date: evidence wins among near equals."""

CROWDED_SHARE: Final = 0.85
CROWDED_FACTOR: Final = 0.8
"""RAM filled beyond the share costs utility, up to the factor when it is full: people run other programs too,
and a machine that starts to swap is slower than any estimate."""


class Ranked(NamedTuple):
    """An option with its score."""

    option: Option
    quality: Quality
    score: float

    @property
    def order(self) -> tuple[bool, bool, float, int, str, str]:
        """Sort key, best first; ties are broken by evidence, then by name so that the order never changes."""
        artifact = self.option.artifact
        slow = self.option.speed.decode_tokens_per_s < FLOOR_TOKENS_PER_S
        evidence = _EVIDENCE.index(self.quality.evidence)
        coarse = base_bits(artifact.quantization) < COARSE_BITS
        return (slow, coarse, -self.score, evidence, self.option.model.id, artifact.quantization)


_EVIDENCE: Final = ("measured", "inherited", "estimated", "none")


def target_tokens_per_s(needs: Requirements) -> float:
    """The decode rate beyond which the use case feels little, in tokens/s."""
    return TARGET_TOKENS_PER_S[needs.use_case] * _weighing(needs).target_factor


def _weighing(needs: Requirements) -> Weighing:
    return WEIGHINGS["fast" if needs.use_case is UseCase.FAST else needs.quality]


def speed_factor(tokens_per_s: float, needs: Requirements) -> float:
    """How much of the quality is enjoyed at that speed: 1 at the target, less below, little more above."""
    target = target_tokens_per_s(needs)
    if tokens_per_s < target:
        return math.pow(tokens_per_s / target, _weighing(needs).slow_exponent)
    return 1.0 + FAST_BONUS * min(MAX_DOUBLINGS, math.log2(tokens_per_s / target))


def felt_rate(kind: ModelKind, speed: SpeedEstimate) -> float:
    """The rate, in tokens/s, that the user waits for: of answers, or of texts that an encoder reads."""
    if kind is ModelKind.CHAT or speed.prefill_tokens_per_s is None:
        return speed.decode_tokens_per_s
    return speed.prefill_tokens_per_s


def room_factor(option: Option) -> float:
    """How much of the utility is left when RAM is nearly full."""
    crowding = (option.ram_share - CROWDED_SHARE) / (1 - CROWDED_SHARE)
    return 1.0 - (1.0 - CROWDED_FACTOR) * min(1.0, max(0.0, crowding))


def rank_model(options: Sequence[Option], needs: Requirements, data: QualityData) -> Ranked:
    """The best of one model's options."""
    model = options[0].model
    quality = quality_of(model, needs.use_case, needs.languages, data)
    ranked = []
    known = ESTIMATE_FACTOR if quality.evidence == "estimated" else 1.0
    for option in options:
        kept = fidelity(option.artifact.quantization, model.n_params, data)
        felt = speed_factor(felt_rate(model.kind, option.speed), needs)
        score = (quality.score or 0.0) * known * kept * felt * room_factor(option)
        ranked.append(Ranked(option, quality, score))
    return min(ranked, key=lambda r: r.order)


def rank(best_of_each: Collection[Ranked], needs: Requirements) -> list[Ranked]:
    """All models, best first; a superseded one steps back where its successor is also an option."""
    present = {ranked.option.model.id for ranked in best_of_each}
    rows = []
    for ranked in best_of_each:
        stale = ranked.option.model.superseded_by in present
        score = ranked.score * (SUPERSEDED_FACTOR if stale else 1.0)
        rows.append(ranked._replace(score=round(score, 4)))
    rows.sort(key=lambda r: r.order)
    if needs.quality == "best":
        rows.sort(key=lambda r: (-r.score, *r.order))
    return rows
