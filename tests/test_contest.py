"""Models weighed best first: the same as if all of them had been weighed, and no bound is ever exceeded."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from advisor import ranking
from advisor.api import machine_of
from advisor.catalog import load_catalog
from advisor.contest import Contest, Shelf
from advisor.ranking import Ranked
from advisor.usecase import Requirements

CATALOG = load_catalog()
SHELF = Shelf(
    CATALOG.models,
    CATALOG.weights,
    CATALOG.quality,
    CATALOG.date,
    CATALOG.compute,
    CATALOG.checkpoints,
)
PLACES = 12

ASKED = (
    pytest.param("RTX 3070 8 GB, 32 GB RAM", {}, id="small card"),
    pytest.param("RTX 3060 Laptop 6 GB, 16 GB RAM", {"quality": "fast"}, id="laptop, fast"),
    pytest.param("2x RTX 4090, 64 GB RAM", {"use_case": "coding"}, id="two cards"),
    pytest.param("2x RTX 4090, 64 GB RAM", {"users": 8, "backend": "vllm"}, id="served"),
    pytest.param("M2 8 GB", {"quality": "best"}, id="shared memory, best"),
    pytest.param("CPU only, 16 GB RAM, 8 cores", {"min_tokens_per_s": 8.0}, id="processor, at least 8 tok/s"),
    pytest.param("RTX 3070 8 GB, 32 GB RAM", {"use_case": "embedding", "languages": ("ko",)}, id="embedders"),
)


def contest(machine: str, needs: dict[str, Any]) -> Contest:
    return Contest(SHELF, Requirements.model_validate(needs), machine_of(machine))


def in_order(rows: list[Ranked]) -> list[tuple[str, str, float]]:
    return [(row.option.model.id, row.option.artifact.quantization, row.score) for row in rows]


@pytest.mark.parametrize(("machine", "needs"), ASKED)
def test_best_first_is_what_weighing_all_gives(
    machine: str, needs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_order(list(islice(contest(machine, needs).ranked(), PLACES)))
    monkeypatch.setattr(ranking, "_is_settled", lambda *_of: False)  # every file of every model
    whole = contest(machine, needs)
    rows = [whole.weigh(model.id) for model in whole.models if whole.successor_in_use(model.id) is None]
    assert (
        first
        == in_order(sorted((row for row in rows if isinstance(row, Ranked)), key=lambda row: row.order))[
            :PLACES
        ]
    )


@pytest.mark.parametrize(("machine", "needs"), ASKED)
def test_no_model_exceeds_its_bound(
    machine: str, needs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "_is_settled", lambda *_of: False)
    whole = contest(machine, needs)
    weighed = 0
    for model in whole.models:
        row = whole.weigh(model.id)
        if isinstance(row, Ranked):
            contender, most = whole.bound(model.id)
            assert row.score <= most
            assert row.option.speed.decode_tokens_per_s <= contender.offers.at_most(row.option.artifact)
            weighed += 1
    assert weighed >= PLACES
