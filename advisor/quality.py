"""How good a model is for a use case, and how that is known (being written)."""

from __future__ import annotations

from collections.abc import Collection

from advisor.assessment import Quality
from advisor.model import Model
from advisor.usecase import UseCase
from advisor.value import Value


class QualityData(Value):
    """The fitted figures of `catalog/quality.yaml`."""


def quality_of(model: Model, use_case: UseCase, languages: Collection[str], data: QualityData) -> Quality:
    return Quality(score=None, metric=None, source=None, date=None, evidence="none")


def fidelity(quantization: str, n_params: int, data: QualityData) -> float:
    return 1.0
