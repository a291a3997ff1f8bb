"""Whole stacks: three models on one machine, the passages they read, and the store of their vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scenarios import advise, broken
from simulated import machine

from advisor.api import machine_of
from advisor.assessment import Candidate
from advisor.backends.devices import less
from advisor.catalog import load_catalog
from advisor.i18n import use_language
from advisor.knowledge import approach_notes
from advisor.placement import host_capacity
from advisor.plan import Recommendation, Stack
from advisor.stack import ANSWER_TOKENS, DEFAULT_DOCUMENTS, LEAST_RERANKED, QUESTION_TOKENS
from advisor.units import GIB
from advisor.usecase import PROFILES, Requirements, UseCase
from advisor.vector_stores import choose_store, flat_or_graph_bytes, pgvector_bytes, qdrant_bytes

MACHINES = [
    pytest.param("RTX 3060 Laptop 6 GB, 16 GB RAM", {}, id="small GPU"),
    pytest.param("RTX 3070 8 GB, 32 GB RAM", {"languages": ("ko",)}, id="small GPU, Korean"),
    pytest.param("CPU only, 8 GB RAM, 4 cores", {}, id="little RAM"),
    pytest.param("CPU only, 16 GB RAM, 8 cores", {"languages": ("ko",)}, id="CPU, Korean"),
    pytest.param("RTX 4090, 64 GB RAM", {"license": "commercial"}, id="large GPU, commercial"),
    pytest.param("RTX 4090, 64 GB RAM", {"users": 8, "documents": 20_000}, id="several users"),
    pytest.param("2x RTX 4090, 64 GB RAM", {"languages": ("ko",)}, id="two GPUs, Korean"),
    pytest.param("M2 8 GB", {"languages": ("ko",)}, id="unified, small"),
]


def rag(spec: str, needs: dict[str, Any]) -> tuple[Recommendation, Stack, list[Candidate]]:
    """The recommendation, its stack, and chat model, embedder and reranker."""
    result = advise(spec, use_case="rag", **needs)
    models = [result.choice, result.companions.embedding, result.companions.rerank]
    present = [model for model in models if model is not None]
    assert len(present) == 3
    assert result.stack is not None
    return result, result.stack, present


@pytest.mark.parametrize(("spec", "needs"), MACHINES)
def test_three_models_fit_one_machine_together(spec: str, needs: dict[str, Any]) -> None:
    result, _stack, models = rag(spec, needs)
    assert broken(result) == []
    for device, gpu in enumerate(result.machine.gpus):
        assert sum(model.memory.devices[device].total_bytes for model in models) <= gpu.capacity_bytes
    in_ram = sum(row.total_bytes for m in models for row in m.memory.devices if row.kind == "cpu")
    in_pool = sum(model.memory.total_bytes for model in models)
    assert (in_pool if result.machine.unified else in_ram) <= result.machine.host_capacity_bytes


@pytest.mark.parametrize(("spec", "needs"), MACHINES)
def test_every_model_can_read_the_passages_it_is_given(spec: str, needs: dict[str, Any]) -> None:
    _result, stack, (chat, embedder, reranker) = rag(spec, needs)
    catalog = load_catalog()
    assert stack.chunk_tokens < min(embedder.n_ctx, catalog.get(embedder.model).architecture.n_ctx_train)
    assert stack.chunk_tokens + QUESTION_TOKENS <= reranker.n_ctx
    assert 0 < stack.chunk_overlap < stack.chunk_tokens / 4
    assert stack.retrieved_chunks * stack.chunk_tokens + ANSWER_TOKENS <= chat.n_ctx
    assert stack.rerank_candidates >= LEAST_RERANKED * stack.retrieved_chunks


@pytest.mark.parametrize(("spec", "needs"), MACHINES)
def test_the_index_lies_in_the_ram_that_is_left(spec: str, needs: dict[str, Any]) -> None:
    result, stack, models = rag(spec, needs)
    taken = sum(
        row.total_bytes
        for m in models
        for row in m.memory.devices
        if row.kind == "cpu" or result.machine.unified
    )
    assert stack.vector_store.index_bytes <= result.machine.host_capacity_bytes - taken


def test_all_three_can_be_started_side_by_side() -> None:
    _result, _stack, models = rag("RTX 4090, 64 GB RAM", {})
    ports = [model.command.rpartition("--port ")[2] for model in models]
    assert ports == ["8080", "8081", "8082"]


def test_vllm_is_told_what_the_others_need() -> None:
    result, _stack, (chat, *others) = rag("RTX 4090, 64 GB RAM", {"users": 8, "documents": 20_000})
    assert chat.backend == "vllm"
    share = float(chat.command.rpartition("--gpu-memory-utilization ")[2])
    beside = sum(other.memory.devices[0].total_bytes for other in others)
    assert beside > 0
    assert share * result.machine.gpus[0].vram_bytes + beside <= result.machine.gpus[0].vram_bytes


def test_korean_brings_an_embedder_that_was_measured_in_it_and_longer_passages() -> None:
    spec = "RTX 3070 8 GB, 32 GB RAM"
    _result, korean, (_chat, embedder, _reranker) = rag(spec, {"languages": ("ko",)})
    cells = {cell.axis: cell.score for cell in load_catalog().get(embedder.model).quality}
    assert cells["embedding_ko"] > 50
    assert korean.chunk_tokens > rag(spec, {})[1].chunk_tokens


def test_a_commercial_stack_has_no_licence_that_forbids_it() -> None:
    _result, stack, models = rag("RTX 4090, 64 GB RAM", {"license": "commercial"})
    assert all(load_catalog().get(model.model).license.commercial for model in models)
    assert not any("commercial" in note for note in stack.notes)


def test_less_patience_retrieves_less() -> None:
    slow = "CPU only, 16 GB RAM, 8 cores"
    quick = rag("RTX 4090, 64 GB RAM", {})[1]
    assert rag(slow, {})[1].retrieved_chunks < quick.retrieved_chunks


def test_a_short_context_still_holds_a_passage() -> None:
    _result, stack, (chat, *_others) = rag("CPU only, 8 GB RAM, 4 cores", {"n_ctx": 600})
    assert chat.n_ctx == 600
    assert stack.retrieved_chunks >= 1
    assert stack.retrieved_chunks * stack.chunk_tokens < 600


def test_few_passages_are_all_read() -> None:
    _result, stack, _models = rag("CPU only, 8 GB RAM, 4 cores", {"chunks": 2})
    assert stack.retrieved_chunks == stack.rerank_candidates == 2


def test_vectors_that_exceed_the_ram_are_said_to() -> None:
    _result, stack, _models = rag("CPU only, 8 GB RAM, 4 cores", {"chunks": 50_000_000})
    assert stack.vector_store.name == "Qdrant"
    assert stack.vector_store.index_bytes > 16 * GIB
    assert any("exceed" in note for note in stack.notes)


def test_only_rag_has_a_stack() -> None:
    result = advise("RTX 3070 8 GB, 32 GB RAM")
    assert result.stack is None
    assert result.companions.embedding is None
    assert '"stack":null' in result.model_dump_json()


def test_what_was_assumed_is_said() -> None:
    stack = rag("RTX 4090, 64 GB RAM", {})[1]
    assert any(f"{DEFAULT_DOCUMENTS:,} documents are assumed" in note for note in stack.notes)
    told = rag("RTX 4090, 64 GB RAM", {"users": 8, "documents": 20_000})[1]
    assert not any("assumed" in note for note in told.notes)


@pytest.mark.parametrize(
    ("n", "dimensions", "users", "free_gib", "name"),
    [
        pytest.param(12_000, 768, 1, 8, "FAISS", id="one user's folder"),
        pytest.param(12_000, 768, 4, 8, "pgvector", id="a team's folder"),
        pytest.param(12_000, 4096, 4, 8, "Qdrant", id="more dimensions than pgvector indexes"),
        pytest.param(900_000, 1024, 1, 2, "Qdrant", id="more than the RAM holds"),
        pytest.param(1_000_001, 768, 1, 64, "Qdrant", id="over a million"),
        pytest.param(100_000_001, 768, 8, 1024, "Milvus", id="over a hundred million"),
    ],
)
def test_the_store_grows_with_the_documents(
    n: int, dimensions: int, users: int, free_gib: int, name: str
) -> None:
    store = choose_store(n, dimensions, users, free_gib * GIB)
    assert store.name == name
    assert name not in store.alternatives


@pytest.mark.parametrize(
    ("index_bytes", "n", "dimensions", "expected"),
    [
        pytest.param(flat_or_graph_bytes, 10_000, 1024, 10_000 * 1024 * 4, id="FAISS, exact"),
        pytest.param(
            flat_or_graph_bytes, 200_000, 1024, 200_000 * (1024 * 4 + 32 * 2 * 4), id="FAISS, graph"
        ),
        pytest.param(qdrant_bytes, 1_000_000, 1024, 6_144_000_000, id="Qdrant's own example"),
        pytest.param(pgvector_bytes, 1_000_000, 1536, 8_192_000_000, id="pgvector: a page a vector"),
        pytest.param(pgvector_bytes, 1_000_000, 768, 4_096_000_000, id="pgvector: two in a page"),
        pytest.param(pgvector_bytes, 1_000_000, 384, 2_048_000_000, id="pgvector: four in a page"),
        pytest.param(pgvector_bytes, 40_000, 2000, 41_000 * 8192, id="pgvector: links on pages of their own"),
    ],
)
def test_the_ram_of_an_index_follows_its_project(
    index_bytes: Callable[[int, int], int], n: int, dimensions: int, expected: int
) -> None:
    assert index_bytes(n, dimensions) == expected


@pytest.mark.parametrize(
    ("given", "use_case"),
    [
        pytest.param({}, UseCase.CHAT, id="nothing"),
        pytest.param({"knowledge": "none"}, UseCase.CHAT, id="nothing to learn"),
        pytest.param({"knowledge": "style"}, UseCase.CHAT, id="a style"),
        pytest.param({"knowledge": "documents"}, UseCase.RAG, id="documents"),
        pytest.param({"knowledge": "both"}, UseCase.RAG, id="both"),
        pytest.param({"documents": 5}, UseCase.RAG, id="a number of documents"),
        pytest.param({"chunks": 5}, UseCase.RAG, id="a number of passages"),
        pytest.param({"knowledge": "documents", "use_case": "coding"}, UseCase.CODING, id="asked otherwise"),
    ],
)
def test_documents_are_retrieved_unless_asked_otherwise(given: dict[str, Any], use_case: UseCase) -> None:
    assert Requirements.model_validate(given).use_case is use_case


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({}, [], id="nothing asked"),
        pytest.param({"knowledge": "none"}, ["prompt"], id="none"),
        pytest.param({"knowledge": "documents"}, ["retrieval"], id="documents"),
        pytest.param({"knowledge": "style"}, ["fine-tuning"], id="style"),
        pytest.param({"knowledge": "both"}, ["retrieval"], id="both"),
        pytest.param(
            {"knowledge": "documents", "use_case": "coding"},
            ["retrieval", "--use-case rag"],
            id="not planned",
        ),
    ],
)
def test_the_approach_is_named_with_its_source(given: dict[str, Any], words: list[str]) -> None:
    use_language("en")
    notes = list(approach_notes(Requirements.model_validate(given)))
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_the_approach_is_a_note_of_the_recommendation() -> None:
    result = advise("CPU only, 8 GB RAM, 4 cores", knowledge="style")
    assert result.notes[0].startswith("approach: fine-tuning")
    assert "the pick holds" in result.notes[-1]


def test_every_use_case_has_its_needs() -> None:
    assert set(PROFILES) == set(UseCase)
    axes = {axis.name for axis in load_catalog().quality.axes}
    for use_case, profile in PROFILES.items():
        assert profile.axis in axes
        assert Requirements(use_case=use_case).kind is profile.kind


def test_what_one_service_takes_is_not_taken_twice() -> None:
    """Of 32 GiB the firmware keeps 16 for the GPU: a service on 10 of those leaves the host its 16."""
    pool = machine(16, ram_gib=32, unified=True)
    memory = pool.host.memory.model_copy(update={"gpu_only_bytes": 16 * GIB})
    pool = pool.model_copy(update={"host": pool.host.model_copy(update={"memory": memory})})
    left = less(pool, 10 * GIB, [10 * GIB])
    assert host_capacity(left, 0) == host_capacity(pool, 0) == 16 * GIB
    assert left.gpus[0].capacity_bytes == 6 * GIB


def test_a_described_machine_stays_described_beside_a_service() -> None:
    described = machine_of("RTX 3070 8 GB, 32 GB RAM")
    left = less(described, GIB, [GIB])
    assert left.is_read is described.is_read is False
    assert left.host_capacity_bytes == described.host_capacity_bytes - GIB


def test_rag_prefers_a_model_that_reads_its_passages_in_time() -> None:
    """A larger one with experts in RAM decodes as fast as is wanted, but reads prompts at a walk."""
    spec = "2x RTX 4090, 64 GB RAM"
    chat = advise(spec, languages=("ko",)).choice
    reader = rag(spec, {"languages": ("ko",)})[2][0]
    assert chat is not None
    assert (reader.speed.prefill_tokens_per_s or 0) > 1000
    assert (reader.quality.score or 0) <= (chat.quality.score or 0)
