"""Real GGUF files for tests: true structure, random weights, a tokenizer that works.

llama.cpp loads them, tokenizes text with them and generates (nonsense) with them, so a test can hold
every figure of the program against the library itself without a download.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gguf
import numpy as np
from gguf import GGMLQuantizationType, TokenType

BLOCK: Final = 32
"""Values a block of Q8_0, Q4_0 …; every row of a matrix must be a multiple of it."""
END: Final = "<|endoftext|>"
MERGES: Final = (
    *("t h", "th e", "i n", "a n", "e r", "o n", "r e", "a t", "e n", "o r"),
    *("Ġ t", "Ġ a", "Ġ th", "Ġth e", "an d", "in g", "Ġ s", "Ġ w", "i s", "i t"),
)
"""A few merges: enough for a word to become fewer tokens than bytes ("Ġ" stands for a space)."""


def make_gguf(
    path: Path,
    *,
    arch: str = "qwen2",
    n_layers: int = 16,
    n_embd: int = 512,
    n_heads: int = 8,
    n_kv_heads: int = 2,
    n_ff: int = 1536,
    n_ctx_train: int = 32768,
    n_experts: int = 0,
    n_experts_used: int = 0,
    n_swa: int = 0,
    tied_embeddings: bool = True,
    quantization: str = "Q8_0",
    seed: int = 7,
) -> Path:
    """Write a model of `arch` (llama, qwen2, qwen3, qwen3moe, gemma3) to `path`; the defaults make 52 MB.

    Matrices are `quantization` (Q8_0, Q4_0, F16 …), norms and biases F32, weights normal with the scale
    1/sqrt(fan in), so that activations stay of order one. The same arguments give the same bytes.
    """
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(f"random {arch}")
    writer.add_block_count(n_layers)
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(n_embd)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(n_kv_heads)
    writer.add_key_length(n_embd // n_heads)
    writer.add_value_length(n_embd // n_heads)
    writer.add_rope_dimension_count(n_embd // n_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    if n_swa:
        writer.add_sliding_window(n_swa)
    if n_experts:
        writer.add_expert_count(n_experts)
        writer.add_expert_used_count(n_experts_used)
        writer.add_expert_feed_forward_length(n_ff)
    _add_tokenizer(writer)

    kv_width = n_embd // n_heads * n_kv_heads
    random = np.random.default_rng(seed)
    matrix = GGMLQuantizationType[quantization]

    def weight(name: str, *shape: int) -> None:
        values = random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))
        data = gguf.quants.quantize(values, matrix)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=matrix)

    def vector(name: str, length: int, value: float) -> None:
        writer.add_tensor(name, np.full(length, value, dtype=np.float32))

    weight("token_embd", len(_tokens()), n_embd)
    if not tied_embeddings:
        weight("output", len(_tokens()), n_embd)
    vector("output_norm.weight", n_embd, 1.0)
    for layer in range(n_layers):
        block = f"blk.{layer}"
        vector(f"{block}.attn_norm.weight", n_embd, 1.0)
        vector(f"{block}.ffn_norm.weight", n_embd, 1.0)
        weight(f"{block}.attn_q", n_embd, n_embd)
        weight(f"{block}.attn_k", kv_width, n_embd)
        weight(f"{block}.attn_v", kv_width, n_embd)
        weight(f"{block}.attn_output", n_embd, n_embd)
        if arch == "qwen2":
            vector(f"{block}.attn_q.bias", n_embd, 0.0)
            vector(f"{block}.attn_k.bias", kv_width, 0.0)
            vector(f"{block}.attn_v.bias", kv_width, 0.0)
        if arch in ("qwen3", "qwen3moe", "gemma3"):
            vector(f"{block}.attn_q_norm.weight", n_embd // n_heads, 1.0)
            vector(f"{block}.attn_k_norm.weight", n_embd // n_heads, 1.0)
        if arch == "gemma3":
            vector(f"{block}.post_attention_norm.weight", n_embd, 1.0)
            vector(f"{block}.post_ffw_norm.weight", n_embd, 1.0)
        if n_experts:
            vector_shape = (n_experts, n_embd)
            router = random.standard_normal(vector_shape, dtype=np.float32)
            writer.add_tensor(f"{block}.ffn_gate_inp.weight", router)
            weight(f"{block}.ffn_gate_exps", n_experts, n_ff, n_embd)
            weight(f"{block}.ffn_up_exps", n_experts, n_ff, n_embd)
            weight(f"{block}.ffn_down_exps", n_experts, n_embd, n_ff)
        else:
            weight(f"{block}.ffn_gate", n_ff, n_embd)
            weight(f"{block}.ffn_up", n_ff, n_embd)
            weight(f"{block}.ffn_down", n_embd, n_ff)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """Byte-level BPE: any text becomes tokens and comes back."""
    tokens = _tokens()
    types = [TokenType.CONTROL if token == END else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(tokens.index(END))
    writer.add_eos_token_id(tokens.index(END))
    writer.add_add_bos_token(False)


def _tokens() -> list[str]:
    """The 256 bytes, the merged pieces, and the end of text; padded to whole blocks."""
    pieces = [merge.replace(" ", "") for merge in MERGES]
    tokens = [*_byte_letters(), *pieces, END]
    fill = -len(tokens) % BLOCK
    return [*tokens, *(f"<|unused_{i}|>" for i in range(fill))]


def _byte_letters() -> list[str]:
    """GPT-2's alphabet: one printable letter for each byte value, printable bytes as themselves."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
