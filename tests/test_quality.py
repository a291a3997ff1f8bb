"""Quality: evidence is used in its order, a guess stays below a measurement, generations rank as known."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from advisor.assessment import Quality
from advisor.catalog import load_catalog
from advisor.model import Model, QualityCell
from advisor.quality import (
    BAND,
    ELO_ZERO,
    QUARTILE,
    Axis,
    Line,
    Loss,
    QualityData,
    SizeLaw,
    axis_of,
    fidelity,
    logit_of,
    quality_of,
)
from advisor.quantization import MIXES
from advisor.usecase import UseCase

CATALOG = load_catalog()
DAY = date(2026, 7, 1)
BASE = CATALOG.get("qwen3-8b")

REFERENCE = "Board 2026 average"
OLDER = "Board 2024 average"
ARENA = "Arena overall"
DATA = QualityData(
    checked=date(2026, 11, 21),
    axes=(
        Axis(
            name="general",
            reference=REFERENCE,
            lines=(
                Line(metric=OLDER, intercept=-1.0, slope=1.0, n=40, residual=0.1),
                Line(metric=ARENA, scale="elo", intercept=0.0, slope=2.0, n=30, residual=0.3),
            ),
        ),
        Axis(
            name="coding",
            reference="Board 2026 coding",
            from_general=Line(metric="general score", intercept=-0.5, slope=1.5, n=100, residual=0.4),
        ),
        Axis(name="embedding_en", reference="Embeddings"),
    ),
    size_law=SizeLaw(
        intercept=-1.0,
        per_decade_total=1.0,
        per_decade_active=0.5,
        per_year=0.5,
        spread_per_year=0.0,
        since=date(2025, 1, 1),
        n=50,
        residual=0.4,
    ),
    losses=(Loss(quantization="Q4_K_M", basis="task", small=0.9, medium=0.95, large=0.98),),
    sources=("a page",),
)


def cell(metric: str, score: float, axis: str = "general") -> QualityCell:
    return QualityCell(axis=axis, metric=metric, score=score, source="a page", date=DAY)


def model(*cells: QualityCell, **changes: Any) -> Model:
    fields = {"quality": cells, "n_params": 10**10, "n_params_active": None, "released": date(2025, 1, 1)}
    return BASE.model_copy(update={**fields, **changes})


def percent(logit: float) -> float:
    return round(100 / (1 + math.exp(-logit)), 1)


def chat(*cells: QualityCell, **changes: Any) -> Quality:
    return quality_of(model(*cells, **changes), UseCase.CHAT, (), DATA)


def score(name: str, use_case: UseCase = UseCase.CHAT, languages: tuple[str, ...] = ()) -> float:
    found = quality_of(CATALOG.get(name), use_case, languages, CATALOG.quality)
    assert found.score is not None
    return found.score


def test_a_cell_of_the_reference_stands_as_it_is() -> None:
    found = chat(cell(OLDER, 90.0), cell(REFERENCE, 61.6))
    assert (found.score, found.evidence, found.metric, found.date) == (61.6, "measured", REFERENCE, DAY)
    assert found.low is found.high is None


def test_an_older_table_is_carried_over_by_its_line() -> None:
    found = chat(cell(ARENA, 1500.0), cell(OLDER, 73.1059))  # a logit of 1, and the line's intercept of -1
    assert found.score == 50.0
    assert found.evidence == "inherited"
    assert (found.low, found.high) == (percent(-0.1 * BAND), percent(0.1 * BAND))
    assert found.metric == f"{REFERENCE}, carried over from {OLDER} (40 models in both)"


def test_an_elo_is_a_win_rate() -> None:
    assert percent(logit_of(ELO_ZERO, "elo")) == 50.0
    assert percent(logit_of(ELO_ZERO + 400, "elo")) == pytest.approx(100 * 10 / 11, abs=0.05)
    assert chat(cell(ARENA, ELO_ZERO + 100)).score == percent(2 * math.log(10) / 4)


@pytest.mark.parametrize("extreme", [0.0, 100.0])
def test_a_score_at_the_edge_stays_finite(extreme: float) -> None:
    found = chat(cell(OLDER, extreme))
    assert found.score is not None
    assert 0 <= found.score <= 100


def test_without_any_table_size_and_date_decide_at_the_lower_quartile() -> None:
    found = chat()
    assert found.evidence == "estimated"
    assert found.score == percent(-1.0 - QUARTILE * 0.4)
    assert (found.low, found.high) == (percent(-1.0 - BAND * 0.4), percent(-1.0 + BAND * 0.4))


@pytest.mark.parametrize(
    "better",
    [
        pytest.param({"n_params": 3 * 10**10}, id="larger"),
        pytest.param({"released": date(2026, 1, 1)}, id="newer"),
    ],
)
def test_the_law_prefers_larger_and_newer(better: dict[str, Any]) -> None:
    assert (chat(**better).score or 0) > (chat().score or 0)


def test_fewer_active_parameters_count_for_less() -> None:
    assert (chat(n_params_active=10**9).score or 0) < (chat().score or 0)


def test_a_guess_does_not_beat_a_measurement_of_what_it_guesses() -> None:
    guess = chat()
    measured = chat(cell(REFERENCE, percent(-1.0)))
    assert (guess.score or 0) < (measured.score or 0)


def test_an_axis_without_tables_follows_the_general_score_with_caution() -> None:
    coder = model(cell(REFERENCE, 50.0))
    found = quality_of(coder, UseCase.CODING, (), DATA)
    assert found.score == percent(-0.5 - QUARTILE * 0.4)
    assert found.evidence == "inherited"
    unknown = quality_of(model(), UseCase.CODING, (), DATA)
    assert unknown.evidence == "estimated"
    assert unknown.score == percent(-0.5 - 1.5 - QUARTILE * math.hypot(0.4, 1.5 * 0.4))


def test_nothing_known_is_nothing() -> None:
    found = quality_of(model(), UseCase.EMBEDDING, (), DATA)
    assert (found.score, found.evidence) == (None, "none")
    assert quality_of(model(), UseCase.RERANK, (), DATA).evidence == "none"


@pytest.mark.parametrize(
    ("use_case", "languages", "axis"),
    [
        pytest.param(UseCase.CHAT, (), "general", id="chat"),
        pytest.param(UseCase.RAG, ("en",), "general", id="rag"),
        pytest.param(UseCase.CHAT, ("en", "ko"), "korean", id="korean chat"),
        pytest.param(UseCase.CODING, ("ko",), "coding", id="korean coding"),
        pytest.param(UseCase.AGENT, (), "coding", id="agent"),
        pytest.param(UseCase.REASONING, (), "reasoning", id="reasoning"),
        pytest.param(UseCase.EMBEDDING, (), "embedding_en", id="embedding"),
        pytest.param(UseCase.EMBEDDING, ("ko",), "embedding_ko", id="korean embedding"),
        pytest.param(UseCase.RERANK, ("ko",), "rerank", id="rerank"),
    ],
)
def test_axis(use_case: UseCase, languages: tuple[str, ...], axis: str) -> None:
    assert axis_of(use_case, languages) == axis
    assert CATALOG.quality.axis(axis) is not None


UNSCORED = {
    *("all-minilm-l12-v2", "bge-reranker-base", "bge-reranker-large", "gte-modernbert-base"),
    *("gte-reranker-modernbert-base", "mxbai-rerank-base-v2", "mxbai-rerank-large-v2"),
}
"""Those that no table holds, or none whole: missing stays missing."""


@pytest.mark.parametrize("use_case", list(UseCase))
def test_every_model_of_the_catalog_has_a_score_for_what_it_is_for(use_case: UseCase) -> None:
    kinds = {UseCase.EMBEDDING: "embedding", UseCase.RERANK: "rerank"}
    for entry in CATALOG.models:
        if entry.kind == kinds.get(use_case, "chat"):
            if entry.id in UNSCORED:
                continue
            in_english = quality_of(entry, use_case, (), CATALOG.quality)
            in_korean = quality_of(entry, use_case, ("ko",), CATALOG.quality)
            found = in_english if in_english.score is not None else in_korean
            assert found.score is not None, entry.id
            assert 0 <= found.score <= 100
            assert found.metric
            assert found.source
            if found.low is not None and found.high is not None:
                assert found.low <= found.score <= found.high


@pytest.mark.parametrize(
    "best_first",
    [
        pytest.param(
            (
                "qwen3.6-27b",
                "qwen3-32b",
                "qwen2.5-32b-instruct",
                "qwen2.5-7b-instruct",
                "qwen2.5-3b-instruct",
            ),
            id="Qwen large",
        ),
        pytest.param(
            (
                "qwen3.5-9b",
                "qwen3-8b",
                "qwen2.5-7b-instruct",
                "qwen2.5-1.5b-instruct",
                "qwen2.5-0.5b-instruct",
            ),
            id="Qwen small",
        ),
        pytest.param(("gemma-4-31b-it", "gemma-3-27b-it", "gemma-2-9b-it", "gemma-2b-it"), id="Gemma"),
        pytest.param(("gemma-4-31b-it", "gemma-4-12b-it", "gemma-4-e4b-it", "gemma-4-e2b-it"), id="Gemma 4"),
        pytest.param(("gemma-3-27b-it", "gemma-3-12b-it", "gemma-3-4b-it", "gemma-3-1b-it"), id="Gemma 3"),
        pytest.param(("gpt-oss-120b", "gpt-oss-20b"), id="gpt-oss"),
        pytest.param(("qwen3.6-27b", "qwen3.6-35b-a3b", "qwen3.5-9b"), id="mixture between"),
        pytest.param(("qwen3.8-27b", "qwen3.6-27b", "qwen3.5-27b"), id="same size, newer"),
        pytest.param(
            ("qwen3.6-27b", "llama-3.3-70b-instruct", "llama-3.1-70b-instruct", "llama-3-70b-instruct"),
            id="70B",
        ),
        pytest.param(
            ("llama-3.1-70b-instruct", "llama-3.1-8b-instruct", "llama-3.2-1b-instruct"), id="Llama"
        ),
    ],
)
def test_generations_and_sizes_rank_as_known(best_first: tuple[str, ...]) -> None:
    scores = [score(name) for name in best_first]
    assert scores == sorted(scores, reverse=True)


def test_coders_and_agents_rank_as_known() -> None:
    names = (
        "qwen3.6-27b",
        "qwen3.6-35b-a3b",
        "qwen3-coder-next",
        "devstral-small-2-24b",
        "qwen2.5-7b-instruct",
    )
    scores = [score(name, UseCase.CODING) for name in names]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "english", ["all-minilm-l6-v2", "all-mpnet-base-v2", "mxbai-embed-large-v1", "nomic-embed-text-v1.5"]
)
def test_english_embedders_collapse_in_korean(english: str) -> None:
    assert score(english, UseCase.EMBEDDING) > 50
    assert score(english, UseCase.EMBEDDING, ("ko",)) < 15
    assert score("bge-m3", UseCase.EMBEDDING, ("ko",)) > 60


def test_every_line_was_fitted_to_anchors_and_says_what_it_leaves() -> None:
    for axis in CATALOG.quality.axes:
        for line in (*axis.lines, *filter(None, [axis.from_general])):
            assert line.n >= 3
            assert 0 < line.residual < 0.8
        assert [line.residual for line in axis.lines] == sorted(line.residual for line in axis.lines)


def test_the_metrics_of_the_catalog_and_of_the_lines_are_the_same() -> None:
    known = {cell.metric for entry in CATALOG.models for cell in entry.quality}
    for axis in CATALOG.quality.axes:
        assert axis.reference in known, axis.name


@pytest.mark.parametrize(
    ("n_params", "kept"),
    [
        pytest.param(10**9, 0.9, id="small"),
        pytest.param(4 * 10**9, 0.95, id="medium"),
        pytest.param(30 * 10**9, 0.98, id="large"),
    ],
)
def test_quantization_costs_small_models_more(n_params: int, kept: float) -> None:
    assert fidelity("Q4_K_M", n_params, DATA) == kept


def test_every_quantization_has_a_figure() -> None:
    names = {artifact.quantization for entry in CATALOG.models for artifact in entry.artifacts}
    assert names | set(MIXES) <= {loss.quantization for loss in CATALOG.quality.losses}
    assert fidelity("unheard of", 10**10, CATALOG.quality) == 0.95


def test_more_bits_keep_more() -> None:
    order = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K")
    for n_params in (10**9, 10**10, 7 * 10**10):
        kept = [fidelity(name, n_params, CATALOG.quality) for name in order]
        assert kept == sorted(kept, reverse=True)
    for loss in CATALOG.quality.losses:
        assert loss.small <= loss.medium <= loss.large
