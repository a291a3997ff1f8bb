"""A model and a context in llama.cpp, with a trial's parameters, through its low-level functions.

Only a child process may use this: llama.cpp aborts its process when an assertion fails.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from advisor import llama_library, llama_log
from advisor.i18n import _
from advisor.measurements import BufferReport, Trial
from advisor.model import ModelKind
from advisor.units import KIB
from advisor.usecase import KvType

PROMPT: Final = (
    "The quick brown fox jumps over the lazy dog near the river bank, while a small boat drifts past "
    "the old stone bridge. In the village, people talk about the weather, the harvest and the price of "
    "bread. A teacher explains how rain becomes a river, and how a river becomes the sea. "
)
"""Plain text; repeated until it is long enough."""
PROMPT_BYTES_PER_TOKEN: Final = 8
"""More than a token of plain text has on average in any vocabulary."""
ROOM_FOR_SPECIAL_TOKENS: Final = 8

_GGML_TYPES: Final[dict[KvType, int]] = {"f16": 1, "q8_0": 8, "q4_0": 2}
_F32_BYTES: Final = 4
_POOLING_RANK: Final = 4
"""LLAMA_POOLING_TYPE_RANK: a reranker's score."""
_EXPERTS: Final = r"blk\.{layer}\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""Names of a layer's routed experts, as a pattern of llama.cpp's."""
_FEED_FORWARD: Final = r"blk\.{layer}\.ffn_(up|down|gate)\.weight"
"""The same of its ordinary feed-forward block."""


_DEBUG: Final = 1
"""GGML_LOG_LEVEL_DEBUG: which layer goes where, and much that only llama.cpp's makers want to read."""


class LlamaError(Exception):
    """llama.cpp refused; its log says why."""


class _BufferOverride(ctypes.Structure):
    """llama_model_tensor_buft_override: tensors of that name go to that buffer type."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


class Log:
    """The log of llama.cpp: kept to be read, and passed on to stderr without its finest details."""

    def __init__(self, api: Any) -> None:
        self._parts: list[str] = []
        self._callback = api.llama_log_callback(self._add)
        api.llama_log_set(self._callback, ctypes.c_void_p(0))

    @property
    def text(self) -> str:
        """Everything said so far."""
        return "".join(self._parts)

    def _add(self, level: int, text: bytes, _data: object) -> None:
        line = text.decode("utf-8", "replace")
        self._parts.append(line)
        if level != _DEBUG:
            sys.stderr.write(line)
            sys.stderr.flush()


class Session:
    """One model and one context; they live as long as the process."""

    def __init__(self, path: str, trial: Trial, *, plan: bool) -> None:
        """Load the model and make its context, ready to serve; with `plan`, sizes only.

        Raises `LlamaError` when llama.cpp refuses, `ImportError` without llama-cpp-python.
        """
        from llama_cpp import llama_cpp as api

        self.api, self.trial = api, trial
        self.log = Log(api)
        self._kept: list[object] = []  # what llama.cpp holds pointers to
        api.llama_backend_init()
        started = time.perf_counter()
        self.model = api.llama_model_load_from_file(os.fsencode(path), self._model_params(plan=plan))
        if not self.model:
            raise LlamaError(_("llama.cpp could not load the model"))
        self.vocab = api.llama_model_get_vocab(self.model)
        self.n_vocab: int = api.llama_vocab_n_tokens(self.vocab)
        self.context = api.llama_init_from_model(self.model, self._context_params())
        if not self.context:
            raise LlamaError(_("llama.cpp could not create the context"))
        if not plan:
            self._warm_up()
        self.load_s = time.perf_counter() - started

    def _model_params(self, *, plan: bool) -> Any:
        api, trial = self.api, self.trial
        params = api.llama_model_default_params()
        params.n_gpu_layers = trial.n_gpu_layers
        params.use_extra_bufts = trial.repack
        if plan:
            params.no_alloc, params.load_mode = True, api.LLAMA_LOAD_MODE_NONE
        if trial.n_cpu_moe or trial.n_cpu_ffn:
            overrides = self._keep(self._overrides())
            params.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
        self._choose_gpus(params)
        return params

    def _choose_gpus(self, params: Any) -> None:
        """As the server is told by `backends.llama_cpp.layer_args`: unused GPUs are not even opened."""
        api, trial = self.api, self.trial
        used = [i for i, n in enumerate(trial.gpu_layers) if n]
        if not trial.uses_gpu:  # else a GPU would lend itself for large batches, and get a buffer for it
            params.devices = ctypes.cast(self._keep((ctypes.c_void_p * 1)()), ctypes.c_void_p)
        elif len(trial.gpu_layers) > len(used) == 1:
            params.split_mode, params.main_gpu = api.LLAMA_SPLIT_MODE_NONE, used[0]
        elif len(used) > 1:
            params.tensor_split = self._keep((ctypes.c_float * api.llama_max_devices())(*trial.gpu_layers))

    def _overrides(self) -> Any:
        host = llama_library.cpu_buffer_type()
        names = [_EXPERTS.format(layer=layer) for layer in range(self.trial.n_cpu_moe)]
        names += (_FEED_FORWARD.format(layer=layer) for layer in range(self.trial.n_cpu_ffn))
        rows = [_BufferOverride(name.encode(), host) for name in names]
        return (_BufferOverride * (len(rows) + 1))(*rows)  # the last one stays null: the end

    def _context_params(self) -> Any:
        api, trial, settings = self.api, self.trial, self.trial.settings
        params = api.llama_context_default_params()
        params.n_ctx, params.n_seq_max = settings.n_ctx_total, settings.n_seqs
        params.n_batch, params.n_ubatch = settings.n_batch, settings.n_ubatch
        rows = settings.n_batch if settings.embeddings else settings.n_seqs
        params.n_outputs_max = settings.n_outputs_max or rows
        params.type_k = params.type_v = _GGML_TYPES[settings.kv_type]
        flash = (
            api.LLAMA_FLASH_ATTN_TYPE_ENABLED if settings.flash_attn else api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        params.flash_attn_type = flash
        params.kv_unified, params.swa_full = settings.kv_unified, settings.swa_full
        params.embeddings, params.offload_kqv = settings.embeddings, settings.kv_offload
        if trial.kind is ModelKind.RERANK:
            params.pooling_type = _POOLING_RANK
        params.n_threads = params.n_threads_batch = trial.n_threads or _cores()
        return params

    def _keep(self, value: Any) -> Any:
        self._kept.append(value)
        return value

    def _warm_up(self) -> None:
        """One pass over two tokens, as llama-server makes: kernels are compiled, weights paged in."""
        self.decode([self.tokens(2)], [0])
        memory = self.api.llama_get_memory(self.context)
        if memory:
            self.api.llama_memory_clear(memory, True)

    def tokens(self, count: int) -> list[int]:
        """The first `count` tokens of `PROMPT`, repeated as needed."""
        text = (PROMPT * (1 + PROMPT_BYTES_PER_TOKEN * count // len(PROMPT))).encode()
        buffer = (self.api.llama_token * (len(text) + ROOM_FOR_SPECIAL_TOKENS))()
        found = self.api.llama_tokenize(self.vocab, text, len(text), buffer, len(buffer), True, False)
        if found <= 0:
            raise LlamaError(_("the model's tokenizer made no tokens of plain text"))
        some: list[int] = buffer[:found]
        return [some[i % found] for i in range(count)]

    def decode(self, sequences: Sequence[Sequence[int]], positions: Sequence[int]) -> float:
        """Process the next tokens of each sequence, results of the last ones wanted; returns seconds."""
        rows = [
            (token, at + i, number, i + 1 == len(tokens))
            for number, (tokens, at) in enumerate(zip(sequences, positions, strict=True))
            for i, token in enumerate(tokens)
        ]
        batch = self.api.llama_batch_init(len(rows), 0, 1)
        try:
            batch.n_tokens = len(rows)
            for i, (token, position, sequence, is_last) in enumerate(rows):
                batch.token[i], batch.pos[i] = token, position
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
                batch.logits[i] = is_last or self.trial.settings.embeddings
            started = time.perf_counter()
            status = self.api.llama_decode(self.context, batch)
            self.api.llama_synchronize(self.context)
            took_s = time.perf_counter() - started
        finally:
            self.api.llama_batch_free(batch)
        if status != 0:
            raise LlamaError(
                _("llama.cpp could not compute a batch of {n} tokens (status {status})").format(
                    n=len(rows), status=status
                )
            )
        return took_s

    def fill(self, tokens: Sequence[int], at: int = 0) -> float:
        """Process a long text in sequence 0, a batch at a time; returns seconds."""
        size = self.trial.settings.n_batch
        return sum(self.decode([tokens[i : i + size]], [at + i]) for i in range(0, len(tokens), size))

    def spread(self) -> None:
        """Copy what sequence 0 holds to all others."""
        memory = self.api.llama_get_memory(self.context)
        for sequence in range(1, self.trial.settings.n_seqs):
            self.api.llama_memory_seq_cp(memory, 0, sequence, -1, -1)

    def logits(self, row: int) -> Any:
        """The last batch's `row`-th logits, as an array."""
        pointer = self.api.llama_get_logits_ith(self.context, row)
        return _array(pointer, self.n_vocab)

    def embedding(self) -> Any:
        """Sequence 0's vector or score, as an array; the last token's where the model does not pool."""
        pointer = self.api.llama_get_embeddings_seq(self.context, 0)
        if not pointer:
            pointer = self.api.llama_get_embeddings_ith(self.context, -1)
        is_score = self.trial.kind is ModelKind.RERANK
        return _array(pointer, 1 if is_score else self.api.llama_model_n_embd_out(self.model))

    def text(self, tokens: Sequence[int]) -> str:
        """The tokens as text, up to the first end of a text."""
        pieces = bytearray()
        buffer = ctypes.create_string_buffer(KIB)
        for token in tokens:
            if self.api.llama_vocab_is_eog(self.vocab, token):
                break
            size = self.api.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, True)
            pieces += buffer.raw[: max(0, size)]
        return pieces.decode("utf-8", "replace")

    def buffers(self) -> BufferReport:
        """The buffers, by the log and the public functions."""
        logged = llama_log.buffers(self.log.text)
        said = next((line.bytes for line in logged if line.kind == "output"), None)
        return BufferReport(
            logged=logged,
            kv_cache_bytes=llama_log.kv_cache_bytes(self.log.text),
            model_bytes=self.api.llama_model_size(self.model),
            output_bytes=None if said is None else self._output_bytes(said),
        )

    def _output_bytes(self, said: int) -> int | None:
        """Rows of logits (and vectors), where they explain what the log says."""
        n_embd = self.api.llama_model_n_embd_out(self.model) if self.trial.settings.embeddings else 0
        size = _F32_BYTES * self.trial.settings.n_seqs * (self.n_vocab + n_embd)
        return size if abs(size - said) <= llama_log.LOG_ROUNDING_BYTES else None


def _array(pointer: Any, length: int) -> Any:
    import numpy as np

    if not pointer:
        raise LlamaError(_("llama.cpp returned no results"))
    return np.ctypeslib.as_array(pointer, shape=(length,))


def _cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1
