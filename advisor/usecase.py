"""What the user wants: answers in their words, turned into requirements in the program's."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from pydantic import Field, model_validator

from advisor.model import ModelKind
from advisor.value import Value

DEFAULT_N_CTX: Final = 8192
"""Tokens a sequence may hold unless asked otherwise: long enough for a chat and a file, cheap to keep."""


DEFAULT_PROMPT_TOKENS: Final = 512
"""Prompt length that TTFT is stated for, unless half of the context is less."""


class UseCase(StrEnum):
    """What the model is for."""

    CHAT = "chat"
    CODING = "coding"
    REASONING = "reasoning"
    RAG = "rag"
    AGENT = "agent"
    VISION = "vision"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    FAST = "fast"
    SUMMARIZE = "summarize"
    TRANSLATE = "translate"


WHOLE_ATTENTION_S: Final = 10.0
"""Who waits longer turns to something else (Nielsen, Usability Engineering, 1993, chapter 5)."""
FLOW_S: Final = 1.0
"""Up to here a train of thought goes on undisturbed (the same)."""
LONG_N_CTX: Final = 32_768
"""What coding tools want at least (docs.ollama.com/integrations/cline, read 2026-11-21) and what makers of
thinking models advise for one answer (Qwen3's model cards, 2025); also a report of fifty pages."""
AGENT_N_CTX: Final = 65_536
"""Definitions and results of tools stay in it: at least 64,000 (docs.ollama.com/context-length, that day)."""


class Profile(NamedTuple):
    """What a use case asks of a model and of its speed, where nothing else was asked for."""

    kind: ModelKind
    axis: str
    """Scale of `catalog/quality.yaml` that ranks models for it; a Korean counterpart is taken by itself."""
    tokens_per_s: float
    """Rate beyond which more is hardly felt: of answers, or of texts that an encoder reads."""
    ttft_s: float = WHOLE_ATTENTION_S
    """Longest wait for the first token that nobody complains about."""
    prompt_per_token: float = 0.0
    """New tokens of prompt that are read for every token of an answer; 0 where a question is all."""
    n_ctx: int = DEFAULT_N_CTX
    """Tokens that its work usually fills; asked for only where somebody says so."""
    images: bool = False
    """The model must take images."""
    tools: bool = False
    """The model must be trained to call tools."""
    companions: tuple[UseCase, ...] = ()
    """What stands beside the model."""


READING: Final = 10.0
"""People read 5 to 10 tokens a second (Brysbaert 2019: 238 words a minute, silent reading of English)."""
SKIMMING: Final = 15.0
"""Code is skimmed faster than prose is read."""
WAITING: Final = 25.0
"""Nothing is read before a chain of thought or a tool call is whole: every second of it is waited for."""
SNAPPY: Final = 20.0
"""Twice what can be read: the answer stands before it is looked at."""
A_PAGE: Final = 500.0
"""An embedder is felt by what it reads: a page of text a second."""
A_SEARCH: Final = 12_800.0
"""A reranker reads for every question 20 passages of 640 tokens, which may take a second."""
LONG_PROMPT: Final = 10.0
"""Five passages of 600 tokens, or a text of six pages, for an answer of 300."""

PROFILES: Final[Mapping[UseCase, Profile]] = {
    UseCase.CHAT: Profile(ModelKind.CHAT, "general", READING),
    # LiveBench's agentic column: in the other one, models that differ widely are close together.
    UseCase.CODING: Profile(ModelKind.CHAT, "coding", SKIMMING, n_ctx=LONG_N_CTX),
    UseCase.REASONING: Profile(ModelKind.CHAT, "reasoning", WAITING, n_ctx=LONG_N_CTX),
    # The general axis: published hallucination rates favour terse models of any size.
    UseCase.RAG: Profile(
        ModelKind.CHAT,
        "general",
        READING,
        prompt_per_token=LONG_PROMPT,
        companions=(UseCase.EMBEDDING, UseCase.RERANK),
    ),
    UseCase.AGENT: Profile(ModelKind.CHAT, "coding", WAITING, n_ctx=AGENT_N_CTX, tools=True),
    UseCase.VISION: Profile(ModelKind.CHAT, "general", READING, images=True),
    UseCase.EMBEDDING: Profile(ModelKind.EMBEDDING, "embedding_en", A_PAGE, FLOW_S),
    UseCase.RERANK: Profile(ModelKind.RERANK, "rerank", A_SEARCH, FLOW_S),
    UseCase.FAST: Profile(ModelKind.CHAT, "general", SNAPPY, FLOW_S),
    UseCase.SUMMARIZE: Profile(
        ModelKind.CHAT, "general", READING, prompt_per_token=LONG_PROMPT, n_ctx=LONG_N_CTX
    ),
    UseCase.TRANSLATE: Profile(ModelKind.CHAT, "general", READING),
}
"""Every use case with its needs; what is asked for with a flag goes before."""


Quality = Literal["balanced", "best", "fast"]
Knowledge = Literal["none", "documents", "style", "both"]
"""What the model should know that it does not: nothing, documents of one's own, a style or format, both."""
KvType = Literal["f16", "q8_0", "q4_0", "fp8"]
Backend = Literal["llama.cpp", "ollama", "vllm", "sglang", "mlx", "transformers", "onnx"]

Method = Literal["probe", "rules", "auto"]
"""Where memory comes from: llama.cpp's own plan, this program's rules, or the plan where that is quick."""


class Requirements(Value):
    """Everything that `recommend` decides by; the flags, the answers file and the questions all end here."""

    use_case: UseCase = UseCase.CHAT
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that the model must speak."""
    users: int = Field(default=1, ge=1, le=4096)
    """Requests served at the same moment."""
    n_ctx: int = Field(default=DEFAULT_N_CTX, ge=1)
    """Tokens per sequence."""
    n_seqs: int = Field(default=1, ge=1, le=4096)
    """Sequences at once; a model is run with at least `users`."""
    kv_type: KvType = "f16"
    backend: Backend | None = None
    quantization: str | None = None
    min_tokens_per_s: float | None = Field(default=None, gt=0)
    max_ttft_s: float | None = Field(default=None, gt=0)
    license: Literal["permissive", "commercial", "any"] = "any"
    """Permissive: of a few well-known licences; commercial: whatever allows commercial use."""
    offline: bool = False
    privacy: Literal["local-only", "cloud-ok"] | None = None
    """What was asked about APIs; None: nothing was."""
    quality: Quality = "balanced"
    budget_usd: float | None = Field(default=None, gt=0)
    depth: int | None = Field(default=None, ge=0)
    """Tokens already in the cache where decode speed is stated; None: half of `n_ctx`."""
    prompt_tokens: int | None = Field(default=None, ge=1)
    """Prompt length for TTFT and prefill; None: 512 or half of `n_ctx`, the smaller."""
    knowledge: Knowledge | None = None
    """What it should learn; None: nothing was asked about that."""
    documents: int | None = Field(default=None, ge=1, le=10**10)
    """Documents to answer from (RAG)."""
    chunks: int | None = Field(default=None, ge=1, le=10**12)
    """Passages that the documents are cut into, where that is known; goes before `documents`."""

    @model_validator(mode="before")
    @classmethod
    def _documents_are_retrieved(cls, data: object) -> object:
        """Who wants answers from documents, and says no other use case, wants RAG."""
        if not isinstance(data, dict) or data.get("use_case") is not None:
            return data
        told = data.get("knowledge") in ("documents", "both") or data.get("documents") or data.get("chunks")
        return {**data, "use_case": UseCase.RAG} if told else data

    @property
    def profile(self) -> Profile:
        """What the use case asks for by itself."""
        return PROFILES[self.use_case]

    @property
    def kind(self) -> ModelKind:
        """The kind of model that serves this use case."""
        return self.profile.kind

    @property
    def n_at_once(self) -> int:
        """Sequences that are served at the same moment."""
        return max(self.users, self.n_seqs)
