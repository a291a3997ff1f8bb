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
CONV_TAPS: Final = 3
"""Length of LFM2's short convolution; it keeps one tap less."""
POOLING_LAST: Final = 3


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
    n_swa: int = 0,
    pools: bool = False,
    quantization: str = "Q8_0",
    seed: int = 7,
) -> Path:
    """Write a model to `path`; the defaults make 52 MB, the same arguments the same bytes.

    arch: llama, qwen2, qwen3, qwen3moe (with n_experts, 2 of them used), gemma3 (with n_swa), lfm2 (every
    second layer a short convolution) or bert. pools: an embedder that pools its last token.
    quantization: of the matrices (Q8_0, Q4_0, F16 …); norms and biases are F32. Weights are normal with the
    scale 1/sqrt(fan in), so that activations stay of order one; the embedding is the output matrix.
    """
    writer = gguf.GGUFWriter(path, arch)
    recurrent = [arch == "lfm2" and layer % 2 == 0 for layer in range(n_layers)]
    writer.add_name(f"random {arch}")
    writer.add_block_count(n_layers)
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(n_embd)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(n_heads)
    writer.add_head_count_kv([0 if r else n_kv_heads for r in recurrent] if any(recurrent) else n_kv_heads)
    writer.add_key_length(n_embd // n_heads)
    writer.add_value_length(n_embd // n_heads)
    writer.add_rope_dimension_count(n_embd // n_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    _add_special_keys(writer, arch, n_experts=n_experts, n_ff=n_ff, n_swa=n_swa)
    if pools:
        writer.add_pooling_type(gguf.PoolingType(POOLING_LAST))
    _add_tokenizer(writer)
    tensors = _Tensors(writer, n_embd, n_heads, n_kv_heads, n_ff, quantization, seed)
    if arch == "bert":
        tensors.add_bert(n_layers, n_ctx_train)
    else:
        tensors.add_decoder(arch, recurrent, n_experts)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_special_keys(writer: gguf.GGUFWriter, arch: str, *, n_experts: int, n_ff: int, n_swa: int) -> None:
    if n_swa:
        writer.add_sliding_window(n_swa)
    if n_experts:
        writer.add_expert_count(n_experts)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(n_ff)
    if arch == "lfm2":
        writer.add_shortconv_l_cache(CONV_TAPS)
    if arch == "bert":
        writer.add_causal_attention(False)
        writer.add_pooling_type(gguf.PoolingType.MEAN)
        writer.add_layer_norm_eps(1e-12)
        writer.add_token_type_count(2)


class _Tensors:
    """Writes a model's tensors, layer by layer."""

    def __init__(
        self,
        writer: gguf.GGUFWriter,
        n_embd: int,
        n_heads: int,
        n_kv_heads: int,
        n_ff: int,
        quantization: str,
        seed: int,
    ) -> None:
        self.writer, self.n_embd, self.n_ff = writer, n_embd, n_ff
        self.head_dim = n_embd // n_heads
        self.kv_width = self.head_dim * n_kv_heads
        self.matrix_type = GGMLQuantizationType[quantization]
        self.random = np.random.default_rng(seed)

    def matrix(self, name: str, *shape: int) -> None:
        """Quantized; the last dimension is the fan in."""
        data = gguf.quants.quantize(self._normal(*shape), self.matrix_type)
        self.writer.add_tensor(f"{name}.weight", data, raw_dtype=self.matrix_type)

    def plain(self, name: str, *shape: int) -> None:
        """F32 at random: routers, convolutions, position embeddings."""
        self.writer.add_tensor(f"{name}.weight", self._normal(*shape))

    def norm(self, name: str, length: int, *, bias: bool = False) -> None:
        """A norm that changes nothing."""
        self.writer.add_tensor(f"{name}.weight", np.ones(length, dtype=np.float32))
        if bias:
            self.bias(name, length)

    def bias(self, name: str, length: int) -> None:
        """A bias that changes nothing."""
        self.writer.add_tensor(f"{name}.bias", np.zeros(length, dtype=np.float32))

    def add_decoder(self, arch: str, recurrent: list[bool], n_experts: int) -> None:
        """Embedding, which is the output matrix too, and the layers."""
        self.matrix("token_embd", len(_tokens()), self.n_embd)
        self.norm("token_embd_norm" if arch == "lfm2" else "output_norm", self.n_embd)
        for layer, is_recurrent in enumerate(recurrent):
            block = f"blk.{layer}"
            self.norm(f"{block}.attn_norm", self.n_embd)
            self.norm(f"{block}.ffn_norm", self.n_embd)
            if is_recurrent:
                self.plain(f"{block}.shortconv.conv", self.n_embd, CONV_TAPS)
                self.matrix(f"{block}.shortconv.in_proj", 3 * self.n_embd, self.n_embd)
                self.matrix(f"{block}.shortconv.out_proj", self.n_embd, self.n_embd)
            else:
                self._attention(block, biases=arch == "qwen2")
                self._attention_norms(block, arch)
            self._feed_forward(block, n_experts)

    def _attention(self, block: str, *, biases: bool) -> None:
        rows = {"attn_q": self.n_embd, "attn_k": self.kv_width, "attn_v": self.kv_width}
        for name, width in rows.items():
            self.matrix(f"{block}.{name}", width, self.n_embd)
            if biases:
                self.bias(f"{block}.{name}", width)
        self.matrix(f"{block}.attn_output", self.n_embd, self.n_embd)

    def _attention_norms(self, block: str, arch: str) -> None:
        if arch in ("qwen3", "qwen3moe", "gemma3", "lfm2"):
            self.norm(f"{block}.attn_q_norm", self.head_dim)
            self.norm(f"{block}.attn_k_norm", self.head_dim)
        if arch == "gemma3":
            self.norm(f"{block}.post_attention_norm", self.n_embd)
            self.norm(f"{block}.post_ffw_norm", self.n_embd)

    def _feed_forward(self, block: str, n_experts: int) -> None:
        experts, suffix = ((n_experts,), "_exps") if n_experts else ((), "")
        if n_experts:
            self.plain(f"{block}.ffn_gate_inp", n_experts, self.n_embd)
        self.matrix(f"{block}.ffn_gate{suffix}", *experts, self.n_ff, self.n_embd)
        self.matrix(f"{block}.ffn_up{suffix}", *experts, self.n_ff, self.n_embd)
        self.matrix(f"{block}.ffn_down{suffix}", *experts, self.n_embd, self.n_ff)

    def add_bert(self, n_layers: int, n_positions: int) -> None:
        """BERT: norms behind the blocks, biases everywhere."""
        self.matrix("token_embd", len(_tokens()), self.n_embd)
        self.plain("position_embd", n_positions, self.n_embd)
        self.plain("token_types", 2, self.n_embd)
        self.norm("token_embd_norm", self.n_embd, bias=True)
        for layer in range(n_layers):
            block = f"blk.{layer}"
            self._attention(block, biases=True)
            self.bias(f"{block}.attn_output", self.n_embd)
            self.norm(f"{block}.attn_output_norm", self.n_embd, bias=True)
            self.matrix(f"{block}.ffn_up", self.n_ff, self.n_embd)
            self.bias(f"{block}.ffn_up", self.n_ff)
            self.matrix(f"{block}.ffn_down", self.n_embd, self.n_ff)
            self.bias(f"{block}.ffn_down", self.n_embd)
            self.norm(f"{block}.layer_output_norm", self.n_embd, bias=True)

    def _normal(self, *shape: int) -> np.ndarray:
        return self.random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """Byte-level BPE: any text becomes tokens and comes back."""
    tokens = _tokens()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token == END else TokenType.NORMAL for token in tokens])
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
