"""What the user wants: answers in their words, turned into requirements in the program's."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

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


Quality = Literal["balanced", "best", "fast"]
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
    license: Literal["permissive", "any"] = "any"
    offline: bool = False
    privacy: Literal["local-only", "cloud-ok"] | None = None
    """What was asked about APIs; None: nothing was."""
    quality: Quality = "balanced"
    budget_usd: float | None = Field(default=None, gt=0)
    depth: int | None = Field(default=None, ge=0)
    """Tokens already in the cache where decode speed is stated; None: half of `n_ctx`."""
    prompt_tokens: int | None = Field(default=None, ge=1)
    """Prompt length for TTFT and prefill; None: 512 or half of `n_ctx`, the smaller."""

    @property
    def kind(self) -> ModelKind:
        """The kind of model that serves this use case."""
        kinds = {UseCase.EMBEDDING: ModelKind.EMBEDDING, UseCase.RERANK: ModelKind.RERANK}
        return kinds.get(self.use_case, ModelKind.CHAT)

    @property
    def n_at_once(self) -> int:
        """Sequences that are served at the same moment."""
        return max(self.users, self.n_seqs)
