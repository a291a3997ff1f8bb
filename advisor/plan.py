"""The document that `recommend --save` writes and the later commands take."""

from __future__ import annotations

from datetime import date
from typing import Literal

from advisor.assessment import Candidate
from advisor.hardware import Machine
from advisor.model import ModelKind
from advisor.usecase import Requirements
from advisor.value import SCHEMA_VERSION, Value


class Rejection(Value):
    """A model that is not proposed, with the main reason."""

    model: str
    quantization: str | None = None
    backend: str | None = None
    reason: str
    missing_bytes: int | None = None


class Companions(Value):
    """Models that serve beside the choice (RAG)."""

    embedding: Candidate | None = None
    rerank: Candidate | None = None


class VectorStore(Value):
    """Where the vectors of the documents are kept and searched."""

    name: str
    reason: str
    """Why this one, with its source."""
    index_bytes: int
    """RAM that vectors and index take together."""
    alternatives: tuple[str, ...] = ()
    """Other stores for as many vectors."""


class Stack(Value):
    """What a service that answers from documents needs beside its models."""

    chunk_tokens: int
    """Tokens of a passage, as the embedder counts them."""
    chunk_overlap: int
    """Tokens that it shares with the one before."""
    retrieved_chunks: int
    """Passages that the chat model is given with a question."""
    rerank_candidates: int
    """Passages that the reranker chooses those from; 0 without a reranker."""
    vector_store: VectorStore
    notes: tuple[str, ...] = ()


class Recommendation(Value):
    """The answer of `advisor recommend`: also the plan file."""

    schema_version: Literal[1] = SCHEMA_VERSION
    machine: Machine
    requirements: Requirements
    choice: Candidate | None
    alternatives: tuple[Candidate, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    companions: Companions = Companions()
    stack: Stack | None = None
    """For RAG, with the companions."""
    notes: tuple[str, ...] = ()
    catalog_date: date

    @property
    def kind(self) -> ModelKind:
        """What the chosen model is for."""
        return self.requirements.kind
