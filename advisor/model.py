"""What a model is: its architecture, its files, and what is known about it.

`Architecture` holds the hyper-parameters that decide memory and speed, in this program's own vocabulary;
catalog entries, GGUF headers and Hugging Face configs are all translated into it at the border.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from advisor.value import Value


class LayerKind(StrEnum):
    """How a layer remembers earlier tokens; the letters are those of `Architecture.layer_pattern`."""

    FULL = "f"
    """Attention over everything: the cache grows with the context."""
    SLIDING = "s"
    """Attention over a window: the cache stops growing at the window."""
    RECURRENT = "r"
    """Mamba, gated delta net or short convolution: a state of fixed size."""


class Moe(Value):
    """Mixture of experts: which part of a feed-forward block a token uses."""

    n_experts: int = Field(gt=1)
    """Routed experts a layer."""
    n_experts_used: int = Field(gt=0)
    """Routed experts a token passes through."""
    n_ff: int = Field(gt=0)
    """Width of one routed expert."""
    n_ff_shared: int = 0
    """Width of the shared experts together; 0 when there are none."""
    n_layers_dense: int = 0
    """Leading layers that have an ordinary feed-forward block of width `Architecture.n_ff`."""
    selection_bias: bool = False
    """One F32 bias an expert that steers the routing (DeepSeek V3's "noaux_tc")."""

    @model_validator(mode="after")
    def _check(self) -> Moe:
        if self.n_experts_used > self.n_experts:
            raise ValueError(f"n_experts_used {self.n_experts_used} exceeds n_experts {self.n_experts}")
        return self


class Mla(Value):
    """Multi-head latent attention (DeepSeek, GLM 4.7 Flash, Kimi): the cache holds one latent."""

    q_lora_rank: int | None
    """Rank of the query's compression; None where the query is not compressed."""
    kv_lora_rank: int = Field(gt=0)
    """Width of the latent that K and V are rebuilt from."""
    qk_nope_head_dim: int = Field(gt=0)
    qk_rope_head_dim: int = Field(gt=0)
    v_head_dim: int = Field(gt=0)


class Recurrent(Value):
    """The recurrent layers of a hybrid, with ggml's names for the dimensions."""

    kind: Literal["mamba2", "delta_net", "short_conv"]
    d_conv: int = Field(gt=0)
    """Length of the convolution; its state keeps d_conv - 1 columns."""
    d_inner: int = 0
    d_state: int = 0
    n_groups: int = 0
    n_heads: int = 0
    """Heads of the state (ggml's time step rank)."""


class PerLayerEmbeddings(Value):
    """Gemma's per-layer embeddings: a second table that every layer reads a slice of."""

    n_embd: int = Field(gt=0)
    """Width of one layer's slice."""


class Architecture(Value):
    """The hyper-parameters that decide what a model needs."""

    family: str
    """llama.cpp's name of the architecture (`general.architecture` of a GGUF)."""
    n_layers: int = Field(gt=0, le=1024)
    n_embd: int = Field(gt=0)
    n_vocab: int = Field(gt=0)
    n_ctx_train: int = Field(gt=0)
    """Longest sequence, in tokens, that the model was trained for."""
    n_heads: int = Field(gt=0)
    n_kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    """Width of one head's K and V (with MLA: not used)."""
    n_ff: int = Field(ge=0)
    """Width of the ordinary feed-forward block; 0 where every layer is a mixture of experts."""
    layer_pattern: str = "f"
    """`LayerKind` letters, repeated over the layers: "f", "sf" (Gemma 2), "sssssf" (Gemma 3), "rrrf"."""
    n_swa: int = 0
    """Window, in tokens, of the sliding layers."""
    n_kv_heads_full: int | None = None
    """KV heads of the full-attention layers where they differ from the sliding ones' (Gemma 4)."""
    head_dim_full: int | None = None
    """Head width of the full-attention layers where it differs from the sliding ones' (Gemma 4)."""
    v_is_k_full: bool = False
    """Full-attention layers have no V projection and store K twice (Gemma 4's larger models)."""
    n_kv_shared_layers: int = 0
    """Last layers that read an earlier layer's cache instead of having one (Gemma 3n and 4)."""
    n_ff_shared_kv: int | None = None
    """Feed-forward width of those layers where it differs (Gemma 4's "double wide" ones)."""
    tied_embeddings: bool = False
    """The output matrix is the token embedding."""
    qkv_bias: bool = False
    """Biases on Q, K and V where the family leaves it to the model."""
    rope_factors: Literal["none", "llama3", "longrope", "proportional"] = "none"
    """Frequency tables stored in the file."""
    n_rot: int | None = None
    """Rotated dimensions of a head where only a part is."""
    moe: Moe | None = None
    mla: Mla | None = None
    recurrent: Recurrent | None = None
    per_layer_embeddings: PerLayerEmbeddings | None = None
    n_token_types: int = 0
    """Encoders: rows of the segment embedding."""
    n_positions: int = 0
    """Encoders: rows of the learned position embedding."""
    n_labels: int = 0
    """Rerankers: width of the classification head."""
    n_mtp_layers: int = 0
    """Multi-token-prediction blocks in the file, which llama.cpp does not load unless asked to."""

    @field_validator("layer_pattern")
    @classmethod
    def _pattern_letters(cls, pattern: str) -> str:
        letters = {kind.value for kind in LayerKind}
        if not pattern or set(pattern) - letters:
            raise ValueError(f"layer_pattern {pattern!r}: use the letters {', '.join(sorted(letters))}")
        return pattern

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        if LayerKind.SLIDING in self.layer_pattern and self.n_swa <= 0:
            raise ValueError("n_swa: the pattern has sliding layers, so give their window in tokens")
        if LayerKind.RECURRENT in self.layer_pattern and self.recurrent is None:
            raise ValueError("recurrent: the pattern has recurrent layers, so give their dimensions")
        if self.n_ff == 0 and (self.moe is None or self.moe.n_layers_dense):
            raise ValueError("n_ff: dense layers need the width of their feed-forward block")
        return self

    @property
    def is_encoder(self) -> bool:
        """Whether llama.cpp runs it without a cache: every token sees every other in one pass."""
        return self.family in ENCODER_FAMILIES

    @property
    def is_bert(self) -> bool:
        """Whether it is of BERT's kind: an encoder without an output matrix."""
        return self.family in BERT_FAMILIES

    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """The kind of every layer, first to last."""
        pattern = self.layer_pattern
        return tuple(LayerKind(pattern[i % len(pattern)]) for i in range(self.n_layers))

    def has_experts(self, layer: int) -> bool:
        """Whether that layer's feed-forward block is a mixture of experts."""
        return self.moe is not None and layer >= self.moe.n_layers_dense


BERT_FAMILIES: Final = frozenset(
    {
        *("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3"),
        *("modern-bert", "neo-bert", "eurobert"),
    }
)
"""Encoders without an output matrix; those beyond the first two have no rules, only their files."""
ENCODER_FAMILIES: Final = BERT_FAMILIES | {"gemma-embedding"}
"""Architectures that llama.cpp runs with no cache at all."""


class ModelKind(StrEnum):
    """What a model is for; a request for one kind never gets another."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


class Artifact(Value):
    """One downloadable set of weights."""

    quantization: str
    """GGUF's own name ("Q4_K_M"), or AWQ, GPTQ, FP8, NVFP4, BF16 …"""
    format: Literal["gguf", "safetensors"]
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """`owner/name` on the Hugging Face hub: the maker's, or a trusted packager's."""
    files: tuple[str, ...] = ()
    """Names inside the repository, in order; empty where the whole repository is the artifact."""
    bytes: int | None = None
    """Published size of the files together; None where it was not read anywhere."""


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
    artifacts: tuple[Artifact, ...] = Field(min_length=1)
    quality: tuple[QualityCell, ...] = ()
    note: str | None = None
    sources: tuple[str, ...] = Field(min_length=1)
    checked: date
    """When the entry was last held against its sources."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that finds this entry."""
        tag = (self.ollama_tag,) if self.ollama_tag else ()
        return (self.id, *tag, *self.aliases)
