"""How a model is run: the parameters of a llama.cpp context, in this program's names."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from advisor.units import pad
from advisor.usecase import DEFAULT_N_CTX, KvType
from advisor.value import Value

CELL_PADDING: Final = 256
"""llama.cpp rounds a cache's cells up to this."""


class Settings(Value):
    """Context parameters; the defaults are llama-server's, which differ from the library's."""

    n_ctx: int = Field(default=DEFAULT_N_CTX, ge=1)
    """Tokens per sequence."""
    n_seqs: int = Field(default=1, ge=1)
    """Sequences at once."""
    kv_type: KvType = "f16"
    flash_attn: bool = True
    n_batch: int = Field(default=2048, ge=1)
    n_ubatch: int = Field(default=512, ge=1)
    n_outputs_max: int | None = Field(default=None, ge=1)
    """Logit rows reserved; None: one a sequence, as llama-server does (the library: the batch)."""
    kv_unified: bool = False
    """One cache that the sequences share instead of one each."""
    swa_full: bool = False
    """Sliding-window layers keep the whole context."""
    embeddings: bool = False
    """Output embeddings as well as logits."""
    kv_offload: bool = True
    """Caches follow their layers onto GPUs; False keeps all of them in host memory."""

    @property
    def n_ubatch_used(self) -> int:
        """Tokens of one graph: a batch is never larger than the context."""
        return min(self.n_ubatch, self.n_batch, self.n_ctx_total)

    @property
    def n_outputs(self) -> int:
        """Rows of results that the largest graph computes; pooling an embedding needs one a token."""
        rows = self.n_outputs_max or (self.n_ubatch_used if self.embeddings else self.n_seqs)
        return min(self.n_ubatch_used, rows)

    @property
    def n_ctx_total(self) -> int:
        """Cells of all sequences together, as llama.cpp's n_ctx counts them."""
        return pad(self.n_ctx * self.n_seqs, CELL_PADDING)

    @property
    def n_streams(self) -> int:
        """Separate caches."""
        return 1 if self.kv_unified else self.n_seqs

    @property
    def n_cells(self) -> int:
        """Cells of one stream's full-attention cache."""
        return pad(self.n_ctx_total // self.n_streams, CELL_PADDING)

    def n_cells_swa(self, n_swa: int) -> int:
        """Cells of one stream's sliding-window cache, for a window of `n_swa` tokens."""
        if self.swa_full:
            return self.n_cells
        window = n_swa * (self.n_seqs if self.kv_unified else 1) + self.n_ubatch
        return pad(min(self.n_cells, window), CELL_PADDING)
