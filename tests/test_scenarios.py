"""Whole recommendations on simulated machines: the picks that an expert would defend."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from advisor.advice import projector_room
from advisor.api import machine_of, recommend
from advisor.assessment import Candidate
from advisor.catalog import load_catalog
from advisor.model import ModelKind
from advisor.plan import Recommendation
from advisor.ranking import FLOOR_TOKENS_PER_S
from advisor.usecase import Requirements

MACHINES = (
    "CPU only, 16 GB RAM, 8 cores",
    "RTX 3070 8 GB, 32 GB RAM",
    "RTX 3060 Laptop 6 GB, 16 GB RAM",
    "2x RTX 4090, 64 GB RAM",
    "4x A100 40GB, 512 GB RAM",
    "M2 8 GB",
    "M3 Max 40-core 64 GB",
    "Raspberry Pi 5 8 GB",
    "RTX 5090 + RTX 5080, 96 GB RAM",
    "Ryzen AI Max+ 395 128 GB",
)
USE_CASES = ("chat", "coding", "rag", "embedding")


@cache
def advise(machine: str, use_case: str = "chat", **needs: Any) -> Recommendation:
    requirements = Requirements(use_case=use_case, **needs)  # type: ignore[arg-type]  # checked by pydantic
    return recommend(requirements, machine=machine_of(machine))


def pick(machine: str, use_case: str = "chat", **needs: Any) -> Candidate:
    choice = advise(machine, use_case, **needs).choice
    assert choice is not None
    return choice


def every_candidate(result: Recommendation) -> list[Candidate]:
    return [c for c in (result.choice, *result.alternatives) if c is not None]


@pytest.mark.parametrize("use_case", USE_CASES)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_model_of_the_kind_is_accounted_for_once(machine: str, use_case: str) -> None:
    result = advise(machine, use_case)
    named = [c.model for c in every_candidate(result)] + [r.model for r in result.rejected]
    expected = sorted(m.id for m in load_catalog().models if m.kind is result.requirements.kind)
    assert sorted(named) == expected


@pytest.mark.parametrize("use_case", USE_CASES)
@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_proposed_exceeds_the_capacity_left_free(machine: str, use_case: str) -> None:
    result = advise(machine, use_case)
    together: dict[int, int] = {}
    for candidate in every_candidate(result):
        assert candidate.memory.fits is True
        assert candidate.n_ctx <= result.requirements.n_ctx
    beside = [c for c in (result.choice, result.companions.embedding, result.companions.rerank) if c]
    for candidate in beside:
        for i, device in enumerate(candidate.memory.devices):
            together[i] = together.get(i, 0) + device.total_bytes
    capacities = [gpu.capacity_bytes for gpu in result.machine.gpus] + [result.machine.host_capacity_bytes]
    for i, total in together.items():
        assert total <= capacities[i]


@pytest.mark.parametrize("use_case", ["chat", "coding"])
@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_below_reading_speed_when_a_faster_one_fits(machine: str, use_case: str) -> None:
    result = advise(machine, use_case)
    rates = [c.speed.decode_tokens_per_s for c in every_candidate(result)]
    if max(rates) >= FLOOR_TOKENS_PER_S:
        assert rates[0] >= FLOOR_TOKENS_PER_S


@pytest.mark.parametrize("machine", MACHINES)
def test_alternatives_span_families(machine: str) -> None:
    result = advise(machine)
    families = {c.family for c in every_candidate(result)}
    assert len(families) >= min(3, len(result.alternatives))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_newest_generation_is_chosen(machine: str) -> None:
    assert pick(machine).released.year >= 2025


def test_a_small_card_with_much_ram_gets_a_mixture_or_a_model_that_fits_whole() -> None:
    choice = pick("RTX 3070 8 GB, 32 GB RAM", "coding")
    assert choice.n_params >= 8 * 10**9
    assert choice.speed.decode_tokens_per_s >= 15


def test_sixteen_gigabytes_without_a_gpu() -> None:
    choice = pick("CPU only, 16 GB RAM, 8 cores")
    assert 3 * 10**9 <= choice.n_params <= 22 * 10**9
    assert choice.speed.decode_tokens_per_s >= FLOOR_TOKENS_PER_S


def test_two_large_cards_get_a_large_model_at_high_fidelity() -> None:
    choice = pick("2x RTX 4090, 64 GB RAM")
    assert choice.n_params >= 26 * 10**9
    if choice.n_params < 40 * 10**9:  # memory is free for more than 4 bits
        assert choice.quantization in ("Q5_K_M", "Q6_K", "Q8_0", "BF16")


def test_quality_is_worth_waiting_for_when_asked() -> None:
    best = pick("RTX 3070 8 GB, 32 GB RAM", quality="best")
    fast = pick("RTX 3070 8 GB, 32 GB RAM", quality="fast")
    assert (best.quality.score or 0) >= (fast.quality.score or 0)
    assert fast.speed.decode_tokens_per_s >= best.speed.decode_tokens_per_s


@pytest.mark.parametrize("machine", MACHINES)
def test_embedders_are_served_at_eight_bits_or_more(machine: str) -> None:
    for candidate in every_candidate(advise(machine, "embedding")):
        assert candidate.kind is ModelKind.EMBEDDING
        assert candidate.quantization in ("Q8_0", "F16", "BF16", "F32")


def test_korean_search_needs_a_multilingual_embedder() -> None:
    for candidate in every_candidate(advise("RTX 3070 8 GB, 32 GB RAM", "embedding", languages=("ko",)))[:1]:
        assert "ko" in candidate.languages or candidate.family in ("bge", "qwen3-embedding")


def test_a_language_that_no_maker_lists_is_said() -> None:
    result = advise("RTX 3070 8 GB, 32 GB RAM", languages=("ko",))
    choice = result.choice
    assert choice is not None
    assert bool(choice.languages) != any("no list of languages" in note for note in result.notes)


def test_rag_brings_an_embedder_and_a_reranker() -> None:
    companions = advise("RTX 3070 8 GB, 32 GB RAM", "rag").companions
    assert companions.embedding is not None
    assert companions.rerank is not None


def test_nothing_fits_says_what_is_missing() -> None:
    result = advise("CPU only, 2 GB RAM, 2 cores", languages=("en",), min_tokens_per_s=10_000.0)
    assert result.choice is None
    assert result.notes[-1]


def test_a_permissive_licence_is_a_hard_need() -> None:
    result = advise("2x RTX 4090, 64 GB RAM", license="permissive")
    assert {c.license for c in every_candidate(result)} <= {"apache-2.0", "mit"}
    reasons = {r.model: r.reason for r in result.rejected}
    assert "licence" in reasons["llama-3.1-8b-instruct"]


def test_vision_keeps_room_for_the_projector() -> None:
    choice = pick("RTX 3070 8 GB, 32 GB RAM", "vision")
    assert "image" in choice.modalities
    assert "--no-mmproj" not in choice.command
    gpu, _ = choice.memory.devices
    size = projector_room(load_catalog().get(choice.model))
    assert gpu.total_bytes + size <= machine_of("RTX 3070 8 GB, 32 GB RAM").gpus[0].capacity_bytes
    assert "--no-mmproj" in pick("RTX 3070 8 GB, 32 GB RAM", "chat").command


def test_the_same_question_has_the_same_answer() -> None:
    first = recommend(Requirements(), machine=machine_of(MACHINES[1]))
    again = recommend(Requirements(), machine=machine_of(MACHINES[1]))
    assert first == again


@pytest.mark.parametrize("machine", MACHINES)
def test_more_memory_never_makes_the_pick_worse(machine: str) -> None:
    small = advise(machine)
    if small.machine.gpus and not small.machine.unified:
        gpus = tuple(g.model_copy(update={"vram_bytes": 2 * g.vram_bytes}) for g in small.machine.gpus)
        larger = recommend(Requirements(), machine=small.machine.model_copy(update={"gpus": gpus}))
        assert larger.choice is not None
        assert small.choice is not None
        assert larger.choice.score >= small.choice.score - 0.01
