"""How sequences, caches and batches are counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from advisor.settings import CELL_PADDING, Settings


@given(
    st.integers(1, 200_000),
    st.integers(1, 64),
    st.integers(1, 4096),
    st.integers(1, 4096),
    st.integers(1, 8192),
)
def test_cells_hold_what_was_asked_for(
    n_ctx: int, n_seqs: int, n_batch: int, n_ubatch: int, n_swa: int
) -> None:
    for unified in (False, True):
        s = Settings(n_ctx=n_ctx, n_seqs=n_seqs, n_batch=n_batch, n_ubatch=n_ubatch, kv_unified=unified)
        assert s.n_cells % CELL_PADDING == 0
        assert s.n_cells * s.n_streams >= n_ctx * n_seqs
        assert s.n_cells_swa(n_swa) <= s.n_cells
        assert 1 <= s.n_outputs <= s.n_ubatch_used <= s.n_ctx_total


def test_a_full_window_cache_is_the_whole_context() -> None:
    assert Settings(n_ctx=8192, swa_full=True).n_cells_swa(128) == 8192
    assert Settings(n_ctx=8192).n_cells_swa(128) == 768  # 128 + a graph of 512, padded
