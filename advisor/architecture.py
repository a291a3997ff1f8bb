"""What a model is made of: the hyper-parameters that decide memory and speed, in this program's words.

Catalog entries, GGUF headers and Hugging Face configs are all translated into `Architecture` at the border.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Final, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from advisor.i18n import _
from advisor.value import Value


class LayerKind(StrEnum):
    """How a layer remembers earlier tokens; the letters are those of `Architecture.layer_pattern`."""

    FULL = "f"
    """Attention over everything: the cache grows with the context."""
    SLIDING = "s"
    """Attention over a window: the cache stops growing at the window."""
    RECURRENT = "r"
    """Mamba, gated delta net or short convolution: a state of fixed size."""
    PARALLEL = "p"
    """Full attention and a recurrent block side by side (Falcon-H1): both a cache and a state."""
    NONE = "n"
    """No mixer: the layer is a feed-forward block alone (Nemotron-H, pruned Nemotrons)."""

    @property
    def has_attention(self) -> bool:
        return self in _ATTENDING

    @property
    def has_state(self) -> bool:
        return self in _RECURRING


_ATTENDING: Final = frozenset({LayerKind.FULL, LayerKind.SLIDING, LayerKind.PARALLEL})
_RECURRING: Final = frozenset({LayerKind.RECURRENT, LayerKind.PARALLEL})


class FeedForwardKind(StrEnum):
    """What follows a layer's mixer; the letters are those of `Architecture.ffn_pattern`."""

    DENSE = "d"
    EXPERTS = "e"
    NONE = "n"


class Layer(NamedTuple):
    """The dimensions of one layer."""

    kind: LayerKind
    n_heads: int
    """Query heads; 0 without attention."""
    n_kv_heads: int
    head_dim: int
    """Width of a head's Q and K."""
    head_dim_v: int
    """Width of a head's V."""
    n_ff: int
    """Width of the ordinary feed-forward block; 0 where there is none beside experts, or none at all."""
    has_experts: bool
    owns_cache: bool
    """Keeps keys and values of its own; False without attention, and where it reads an earlier layer's."""
    index_dim: int = 0
    """Width of the index's keys in a cache of their own; 0 where the layer has no index."""
    compress_ratio: int = 0
    """Tokens behind one entry of the layer's compressed cache; 0 where it has none."""
    hashes_experts: bool = False
    """Experts are chosen by the token itself, from a table."""


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
    n_latent: int = 0
    """Width that tokens are projected to for the routed experts (Nemotron 3 Super); 0: the model's own."""
    n_layers_hashed: int = 0
    """Leading layers whose experts are chosen by the token itself, from a table (DeepSeek V4)."""

    @model_validator(mode="after")
    def _check(self) -> Moe:
        if self.n_experts_used > self.n_experts:
            raise ValueError(
                _("n_experts_used {n_used} exceeds n_experts {n_experts}").format(
                    n_used=self.n_experts_used, n_experts=self.n_experts
                )
            )
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


class Indexer(Value):
    """Sparse attention (DeepSeek V3.2 and V4, GLM 5, MiniMax M3): small keys choose what is attended to."""

    n_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    """Width of a key, of which a token has one."""
    top_k: int = Field(gt=0)
    """Tokens, or blocks of them, that are chosen."""
    in_layers: tuple[bool, ...] = ()
    """Whether each layer has an index of its own, instead of none or an earlier layer's; empty: all have."""


class CompressedAttention(Value):
    """DeepSeek V4's attention: one K and V for all heads, and older tokens only as summaries of several."""

    q_lora_rank: int = Field(gt=0)
    o_lora_rank: int = Field(gt=0)
    """Rank of the output projection in each of its groups."""
    o_groups: int = Field(gt=0)
    ratios: tuple[int, ...]
    """Tokens behind one summary, layer by layer: 4 (chosen by an index), 128, or 0 for the window alone."""


class Recurrent(Value):
    """The recurrent layers of a hybrid, with ggml's names for the dimensions."""

    kind: Literal["mamba", "mamba2", "delta_net", "kda", "short_conv"]
    d_conv: int = Field(gt=0)
    """Length of the convolution; its state keeps d_conv - 1 columns."""
    d_inner: int = 0
    d_state: int = 0
    n_groups: int = 0
    n_heads: int = 0
    """Heads of the state (ggml's time step rank)."""
    has_norm: bool = True
    """A norm over the inner width before the output projection (most Falcon-H1 models have none)."""


class PerLayerEmbeddings(Value):
    """Gemma's per-layer embeddings: a second table that every layer reads a slice of."""

    n_embd: int = Field(gt=0)
    """Width of one layer's slice."""
    n_altup: int = 0
    """Copies of the residual stream that Gemma 3n keeps (AltUp); 0 in Gemma 4."""
    laurel_rank: int = 0
    """Rank of Gemma 3n's learned residual (LAuReL)."""


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
    head_dim_v: int | None = None
    """Width of one head's V where it differs from K's (MiMo V2)."""
    n_heads_by_layer: tuple[int, ...] = ()
    """Query heads of every layer where they differ between layers; empty where they do not."""
    n_kv_heads_by_layer: tuple[int, ...] = ()
    """KV heads of every layer where they differ within a kind of layer; empty where they do not."""
    n_ff_by_layer: tuple[int, ...] = ()
    """Width of every layer's ordinary feed-forward block where they differ (0: none); else empty."""
    ffn_pattern: str = ""
    """`FeedForwardKind` letters, repeated over the layers; empty: experts in every layer after
    `Moe.n_layers_dense`, or dense blocks in a model without experts."""
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
    qk_norm: bool = False
    """Norms over Q and K where the family leaves them to the model (Command R+)."""
    rope_factors: Literal["none", "llama3", "longrope", "proportional"] = "none"
    """Frequency tables stored in the file."""
    n_rot: int | None = None
    """Rotated dimensions of a head where only a part is."""
    moe: Moe | None = None
    mla: Mla | None = None
    indexer: Indexer | None = None
    compressed: CompressedAttention | None = None
    n_hyper_connections: int = 0
    """Copies of the residual stream that the layers mix anew (DeepSeek V4); 0: one plain stream."""
    recurrent: Recurrent | None = None
    per_layer_embeddings: PerLayerEmbeddings | None = None
    n_token_types: int = 0
    """Encoders: rows of the segment embedding."""
    n_positions: int = 0
    """Encoders: rows of the learned position embedding."""
    n_labels: int = 0
    """Rerankers: width of the classification head."""
    n_deepstack_layers: int = 0
    """Layers that take in features of the image beside the embeddings (Qwen 3 VL)."""
    n_mtp_layers: int = 0
    """Multi-token-prediction blocks in the file, which llama.cpp does not load unless asked to."""

    @field_validator("layer_pattern")
    @classmethod
    def _pattern_letters(cls, pattern: str) -> str:
        letters = {kind.value for kind in LayerKind}
        if not pattern or set(pattern) - letters:
            raise ValueError(
                _("layer_pattern {pattern!r}: use the letters {letters}").format(
                    pattern=pattern, letters=", ".join(sorted(letters))
                )
            )
        return pattern

    @field_validator("ffn_pattern")
    @classmethod
    def _ffn_letters(cls, pattern: str) -> str:
        letters = {kind.value for kind in FeedForwardKind}
        if set(pattern) - letters:
            raise ValueError(
                _("ffn_pattern {pattern!r}: use the letters {letters}").format(
                    pattern=pattern, letters=", ".join(sorted(letters))
                )
            )
        return pattern

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        if LayerKind.SLIDING in self.layer_pattern and self.n_swa <= 0:
            raise ValueError(_("n_swa: the pattern has sliding layers, so give their window in tokens"))
        if self.recurrent is None and any(kind in self.layer_pattern for kind in _RECURRING):
            raise ValueError(_("recurrent: the pattern has recurrent layers, so give their dimensions"))
        if self.moe is None and FeedForwardKind.EXPERTS in self.ffn_pattern:
            raise ValueError(_("moe: the pattern has layers of experts, so give their dimensions"))
        for name, values in self._by_layer().items():
            if len(values) not in (0, self.n_layers):
                raise ValueError(
                    _("{name}: {n} entries for {n_layers} layers").format(
                        name=name, n=len(values), n_layers=self.n_layers
                    )
                )
        if any(kind is FeedForwardKind.DENSE for kind in self.ffn_kinds()) and not (
            self.n_ff or self.n_ff_by_layer
        ):
            raise ValueError(_("n_ff: dense layers need the width of their feed-forward block"))
        return self

    def _by_layer(self) -> dict[str, tuple[int, ...]]:
        """What is listed layer by layer."""
        names = ("n_heads_by_layer", "n_kv_heads_by_layer", "n_ff_by_layer")
        lists: dict[str, tuple[int, ...]] = {name: getattr(self, name) for name in names}
        if self.indexer:
            lists["indexer.in_layers"] = self.indexer.in_layers
        if self.compressed:
            lists["compressed.ratios"] = self.compressed.ratios
        return lists

    @property
    def is_encoder(self) -> bool:
        """Whether llama.cpp's graph reads no cache: every token sees every other in one pass."""
        return self.family in ENCODER_FAMILIES

    @property
    def has_cache(self) -> bool:
        """Whether llama.cpp allocates a cache, read or not."""
        return not self.is_encoder or self.family in UNREAD_CACHE

    @property
    def is_bert(self) -> bool:
        """Whether it is of BERT's kind: an encoder without an output matrix."""
        return self.family in BERT_FAMILIES

    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """The kind of every layer, first to last."""
        pattern = self.layer_pattern
        return tuple(LayerKind(pattern[i % len(pattern)]) for i in range(self.n_layers))

    def ffn_kinds(self) -> tuple[FeedForwardKind, ...]:
        """What follows the mixer of every layer, first to last."""
        if pattern := self.ffn_pattern:
            return tuple(FeedForwardKind(pattern[i % len(pattern)]) for i in range(self.n_layers))
        n_dense = self.n_layers if self.moe is None else min(self.moe.n_layers_dense, self.n_layers)
        experts = (FeedForwardKind.EXPERTS,) * (self.n_layers - n_dense)
        return (FeedForwardKind.DENSE,) * n_dense + experts

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The dimensions of every layer, first to last."""
        kinds = zip(self.layer_kinds(), self.ffn_kinds(), strict=True)
        return tuple(self._layer(i, kind, ffn) for i, (kind, ffn) in enumerate(kinds))

    def _layer(self, i: int, kind: LayerKind, ffn: FeedForwardKind) -> Layer:
        attends, full = kind.has_attention, kind is not LayerKind.SLIDING
        kv_heads = self.n_kv_heads_full if full and self.n_kv_heads_full else self.n_kv_heads
        if self.n_kv_heads_by_layer:
            kv_heads = self.n_kv_heads_by_layer[i]
        head_dim = self.head_dim_full if full and self.head_dim_full else self.head_dim
        owns_cache = attends and i < self.n_layers - self.n_kv_shared_layers
        return Layer(
            kind=kind,
            n_heads=(self.n_heads_by_layer[i] if self.n_heads_by_layer else self.n_heads) if attends else 0,
            n_kv_heads=kv_heads if attends else 0,
            head_dim=head_dim,
            head_dim_v=self.head_dim_v or head_dim,
            n_ff=self._n_ff(i, ffn),
            has_experts=ffn is FeedForwardKind.EXPERTS,
            owns_cache=owns_cache,
            index_dim=self._index_dim(i),
            compress_ratio=self.compressed.ratios[i] if self.compressed else 0,
            hashes_experts=self.moe is not None and i < self.moe.n_layers_hashed,
        )

    def _index_dim(self, i: int) -> int:
        if self.indexer is None or (self.indexer.in_layers and not self.indexer.in_layers[i]):
            return 0
        return self.indexer.head_dim

    @property
    def _keeps_dense(self) -> bool:
        return self.family in DENSE_BESIDE_EXPERTS

    def _n_ff(self, i: int, ffn: FeedForwardKind) -> int:
        """Width of layer i's ordinary block; a family may have one beside the experts."""
        if ffn is FeedForwardKind.NONE or (ffn is FeedForwardKind.EXPERTS and not self._keeps_dense):
            return 0
        if self.n_ff_by_layer:
            return self.n_ff_by_layer[i]
        shares_cache = i >= self.n_layers - self.n_kv_shared_layers
        return self.n_ff_shared_kv if self.n_ff_shared_kv and shares_cache else self.n_ff


BERT_FAMILIES: Final = frozenset(
    {
        *("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3"),
        *("modern-bert", "neo-bert", "eurobert"),
    }
)
"""Encoders without an output matrix."""
ENCODER_FAMILIES: Final = BERT_FAMILIES | {"gemma-embedding", "llama-embed"}
"""Architectures whose graph in llama.cpp reads no cache."""
UNREAD_CACHE: Final = frozenset({"llama-embed"})
"""Those among them that llama.cpp gives a cache all the same."""
DENSE_BESIDE_EXPERTS: Final = frozenset({"gemma4"})
"""Architectures whose layers of experts have an ordinary block of width `n_ff` as well."""
