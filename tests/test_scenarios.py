"""Whole recommendations on simulated machines: the picks that an expert would defend."""

from __future__ import annotations

from typing import Any

import pytest
from scenarios import ADVISED, ALL_PRESETS, NEEDS, SEEDS, Scenario, advise, broken, every_candidate

from advisor.api import explain, machine_of, recommend
from advisor.assessment import Candidate
from advisor.catalog import load_catalog
from advisor.contest import successors
from advisor.proposal import projector_room
from advisor.ranking import FLOOR_TOKENS_PER_S
from advisor.usecase import Requirements

MACHINES = (
    "CPU only, 16 GB RAM, 8 cores",
    "RTX 3070 8 GB, 32 GB RAM",
    "2x RTX 4090, 64 GB RAM",
    "M3 Max 40-core 64 GB",
    "Raspberry Pi 5 8 GB",
)


@pytest.mark.parametrize("scenario", [*SEEDS, *NEEDS], ids=lambda scenario: scenario.id)
def test_an_answer_keeps_every_property(scenario: Scenario) -> None:
    assert broken(advise(scenario.machine, **scenario.needs)) == []


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ALL_PRESETS, ids=lambda scenario: scenario.id)
def test_every_preset_keeps_every_property(scenario: Scenario) -> None:
    assert broken(advise(scenario.machine, **scenario.needs)) == []


def pick(machine: str, use_case: str = "chat", **needs: Any) -> Candidate:
    choice = advise(machine, use_case=use_case, **needs).choice
    assert choice is not None
    return choice


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


def test_korean_search_needs_a_multilingual_embedder() -> None:
    for candidate in every_candidate(
        advise("RTX 3070 8 GB, 32 GB RAM", use_case="embedding", languages=("ko",))
    )[:1]:
        assert "ko" in candidate.languages or candidate.family in ("bge", "qwen3-embedding")


@pytest.mark.parametrize(
    ("n_ctx", "said"), [pytest.param(16_384, False, id="short"), pytest.param(65_536, True, id="long")]
)
def test_a_context_beyond_the_effective_one_is_said(n_ctx: int, said: bool) -> None:
    catalog = load_catalog()
    alone = catalog.model_copy(update={"models": (catalog.get("llama-3.1-8b-instruct"),)})
    needs = Requirements(n_ctx=n_ctx)
    result = recommend(needs, machine=machine_of("RTX 4090, 64 GB RAM"), catalog=alone)
    assert result.choice is not None
    assert result.choice.n_ctx_effective == 32_768
    text = "trained for 131,072 tokens, but holds its quality to about 32,768 (RULER)"
    assert any(text in note for note in result.notes) is said


def test_a_language_that_no_maker_lists_is_said() -> None:
    result = advise("RTX 3070 8 GB, 32 GB RAM", languages=("ko",))
    choice = result.choice
    assert choice is not None
    assert ("ko" in choice.languages) != any("list of languages" in note for note in result.notes)


def test_rag_brings_an_embedder_and_a_reranker() -> None:
    companions = advise("RTX 3070 8 GB, 32 GB RAM", use_case="rag").companions
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


def test_every_recommendation_says_when_it_would_change() -> None:
    result = advise("RTX 3070 8 GB, 32 GB RAM")
    assert "the pick holds" in result.notes[-1]
    fast = advise("RTX 3070 8 GB, 32 GB RAM", quality="fast")
    assert result.choice is not None
    assert fast.choice is not None
    changes = fast.choice.model != result.choice.model
    assert (f"--quality fast is asked for (then {fast.choice.model}" in result.notes[-1]) is changes


@pytest.mark.parametrize("machine", ["strix-halo-128", "macbook-pro-m4-max-128", "RTX 3070 8 GB, 32 GB RAM"])
def test_much_memory_of_little_bandwidth_gets_a_mixture(machine: str) -> None:
    assert pick(machine).n_params_active is not None


def test_a_small_card_with_little_ram_gets_a_model_that_lies_whole_on_it() -> None:
    choice = pick("RTX 3070 8 GB, 8 GB RAM")
    assert choice.placement.n_cpu_moe is None
    assert choice.n_params_active is None


def test_what_was_outranked_says_by_what_and_what_it_lacks() -> None:
    reasons = [
        r.reason for r in advise("RTX 4090, 64 GB RAM", license="permissive", languages=("ko",)).rejected
    ]
    ranked = [reason for reason in reasons if reason.startswith("fits, but scores")]
    assert ranked
    assert all(" against " in reason and "tok/s" in reason for reason in ranked)


def test_successors_are_followed_to_the_newest() -> None:
    models = {model.id: model for model in load_catalog().models}
    old, middle, new = list(models.values())[:3]
    chain = {
        old.id: old.model_copy(update={"superseded_by": middle.id}),
        middle.id: middle.model_copy(update={"superseded_by": new.id}),
        new.id: new.model_copy(update={"superseded_by": None}),
    }
    assert successors(chain[old.id], chain) == [middle.id, new.id]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.id)
def test_what_was_advised_before_is_behind_the_pick(seed: Scenario) -> None:
    result = advise(seed.machine, **seed.needs)
    assert result.choice is not None
    for name in ADVISED[seed.id].models:
        told = explain(result, name)
        assert told.reasons
        assert told.candidate is None or told.candidate.score < result.choice.score
