"""What sparse attention adds: an index over the tokens, DeepSeek V4's summaries and its mixed residuals."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Architecture, CompressedAttention, Indexer, Layer, Mla
from advisor.tensors.tensor import Tensor, f32, matrix, norm


def index(arch: Architecture, layer: Layer) -> Iterator[Tensor]:
    """A layer's index; nothing where it has none."""
    if arch.indexer is None or not layer.index_dim:
        return
    if arch.compressed:
        yield from _index_of_summaries(arch, arch.compressed, arch.indexer, layer.compress_ratio)
    elif arch.mla:
        yield from _index_of_latents(arch, arch.mla, arch.indexer)
    else:
        yield from _index_of_blocks(arch, arch.indexer)


def _index_of_latents(arch: Architecture, mla: Mla, indexer: Indexer) -> Iterator[Tensor]:
    """DeepSeek V3.2 and GLM 5: queries from the compressed query of the attention itself."""
    dim = indexer.head_dim
    yield from norm("indexer.k_norm", dim, bias=True)
    yield matrix("indexer.proj", arch.n_embd, indexer.n_heads)
    yield matrix("indexer.attn_k", arch.n_embd, dim)
    yield matrix("indexer.attn_q_b", mla.q_lora_rank or arch.n_embd, indexer.n_heads * dim)


def _index_of_blocks(arch: Architecture, indexer: Indexer) -> Iterator[Tensor]:
    """MiniMax M3: small enough to stay F32."""
    dim = indexer.head_dim
    yield f32("indexer.q_proj.weight", arch.n_embd, indexer.n_heads * dim)
    yield f32("indexer.k_proj.weight", arch.n_embd, dim)
    yield from norm("indexer.q_norm", dim)
    yield from norm("indexer.k_norm", dim)


def _index_of_summaries(
    arch: Architecture, compressed: CompressedAttention, indexer: Indexer, ratio: int
) -> Iterator[Tensor]:
    dim = indexer.head_dim
    yield matrix("indexer.proj", arch.n_embd, indexer.n_heads)
    yield matrix("indexer.attn_q_b", compressed.q_lora_rank, indexer.n_heads * dim)
    yield from _compressor("indexer_compressor", arch.n_embd, dim, 2 * dim, ratio)


def compressed_attention(
    arch: Architecture, compressed: CompressedAttention, layer: Layer
) -> Iterator[Tensor]:
    """DeepSeek V4's attention, without its index."""
    n, dim, heads = arch.n_embd, layer.head_dim, layer.n_heads
    groups, rank = compressed.o_groups, compressed.o_lora_rank
    yield f32("attn_sinks.weight", heads)
    yield matrix("attn_q_a", n, compressed.q_lora_rank)
    yield from norm("attn_q_a_norm", compressed.q_lora_rank)
    yield matrix("attn_q_b", compressed.q_lora_rank, heads * dim)
    yield matrix("attn_kv", n, dim)
    yield from norm("attn_kv_a_norm", dim)
    yield matrix("attn_output_a", heads * dim // groups, rank * groups)
    yield matrix("attn_output_b", groups * rank, n)
    if layer.compress_ratio:
        width = dim * (2 if layer.index_dim else 1)
        yield from _compressor("attn_compressor", n, dim, width, layer.compress_ratio)


def _compressor(name: str, n: int, dim: int, width: int, ratio: int) -> Iterator[Tensor]:
    """What makes one entry of width `dim` of every `ratio` tokens."""
    yield matrix(f"{name}_kv", n, width)
    yield matrix(f"{name}_gate", n, width)
    yield matrix(f"{name}_ape", width, ratio)
    yield from norm(f"{name}_norm", dim)


def hyper_connections(arch: Architecture) -> Iterator[Tensor]:
    """How a layer reads from the copies of the residual stream, and writes to them: once a block."""
    copies = arch.n_hyper_connections
    mixed = (2 + copies) * copies
    for block in ("hc_attn", "hc_ffn") if copies else ():
        yield matrix(f"{block}_fn", copies * arch.n_embd, mixed)
        yield f32(f"{block}_base.weight", mixed)
        yield f32(f"{block}_scale.weight", 3)


def hyper_output(arch: Architecture) -> Iterator[Tensor]:
    """How the copies become one again after the layers."""
    if copies := arch.n_hyper_connections:
        yield matrix("output_hc_fn", copies * arch.n_embd, copies)
        yield f32("output_hc_base.weight", copies)
        yield f32("output_hc_scale.weight", 1)
