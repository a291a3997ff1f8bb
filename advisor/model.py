"""What is known about a model: its files, licence, languages and evidence of quality."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import Field

from advisor.architecture import Architecture
from advisor.tower import Tower
from advisor.value import Value


class ModelKind(StrEnum):
    """What a model is for; a request for one kind never gets another."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


class Artifact(Value):
    """One downloadable set of weights."""

    quantization: str
    """GGUF's own name ("Q4_K_M"), or AWQ, GPTQ, FP8, NVFP4, BF16 …, or MLX's "4bit" and "8bit"."""
    format: Literal["gguf", "safetensors", "mlx"]
    """Who reads it: llama.cpp and Ollama, vLLM and SGLang, or MLX."""
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """`owner/name` on the Hugging Face hub: the maker's, or a trusted packager's."""
    files: tuple[str, ...] = ()
    """Names inside the repository, in order; empty where the whole repository is the artifact."""
    bytes: int | None = None
    """Published size of the files together; None where it was not read anywhere."""

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are in llama.cpp's format."""
        return self.format == "gguf"


class QualityCell(Value):
    """One published score, never blended with another table's."""

    axis: str
    """general, coding, reasoning, korean, rag, embedding_en, embedding_ko, rerank …"""
    metric: str
    """The table and column, with the table's date where it has editions."""
    score: float
    source: str
    date: date
    harness: Literal["operator", "vendor"] = "operator"
    """Who ran it: one operator for all rows, or the model's own maker."""


class License(Value):
    """Under what terms the weights may be used."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.+-]*$")
    """SPDX id in lower case where one exists, else the licence's own short name."""
    commercial: bool | None = None
    """May be used commercially; None where the terms were not read."""
    gated: bool = False
    """The hub asks for an account and an acceptance before the download."""


class Sampling(Value):
    """How the maker says to sample, None for what it does not say; in thinking mode, where there is one."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 takes the likeliest token always."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1000)
    """0 leaves every token in."""
    min_p: float | None = Field(default=None, ge=0, lt=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    """1 changes nothing."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    source: str

    @property
    def values(self) -> tuple[tuple[str, float], ...]:
        """What is known, by the field's name, in the fields' order."""
        known = self.model_dump(exclude={"source"}, exclude_none=True)
        return tuple(known.items())

    def flags(self, names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """An engine's flags, which `names` gives by field, with what is known."""
        known = dict(self.values)
        return tuple(word for name, flag in names if name in known for word in (flag, f"{known[name]:g}"))


class Model(Value):
    """A catalog entry."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """Family, size and variant: "qwen2.5-7b-instruct"."""
    name: str
    family: str
    """Lineage, for diversity among the alternatives: "qwen2.5"."""
    publisher: str
    released: date
    license: License
    n_params: int = Field(gt=0)
    """Of the language model: vision and audio towers and multi-token-prediction blocks aside."""
    n_params_active: int | None = None
    """Parameters a token passes through, for mixtures of experts."""
    kind: ModelKind = ModelKind.CHAT
    modalities: tuple[Literal["text", "image", "audio"], ...] = ("text",)
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that the maker lists."""
    languages_partial: bool = False
    """The maker speaks of more languages than it names: one that is not listed is not ruled out."""
    reasoning: bool = False
    """Has a thinking mode."""
    tools: bool = False
    """Trained to call tools."""
    superseded_by: str | None = None
    """Id of the same maker's clear successor in the same class."""
    aliases: tuple[str, ...] = ()
    """Other names people type: hub ids, Ollama tags, Foundry aliases."""
    ollama_tag: str | None = None
    architecture: Architecture
    architecture_source: str
    vision: Tower | None = None
    """The vision tower, by the source of the architecture; None where it was not read, or there is none."""
    artifacts: tuple[Artifact, ...] = Field(min_length=1)
    quality: tuple[QualityCell, ...] = ()
    n_ctx_effective: int | None = Field(default=None, ge=1024)
    """Tokens up to which it keeps its quality by a published test (RULER); None where none was read."""
    n_ctx_effective_source: str | None = None
    sampling: Sampling | None = None
    template_note: str | None = Field(default=None, max_length=200)
    """One sentence on its chat template that a user must know: how thinking is switched, what it refuses."""
    note: str | None = None
    sources: tuple[str, ...] = Field(min_length=1)
    checked: date
    """When the entry was last held against its sources."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that finds this entry."""
        tag = (self.ollama_tag,) if self.ollama_tag else ()
        return (self.id, *tag, *self.aliases)
