"""Published startup logs of vLLM and SGLang against the rules: run `python tests/benchmarks/vllm.py`.

A row holds what a log or an issue says of one start: the pool in GiB and the tokens in it, the requests that
fit at once, the longest sequence, the weights. Each figure that is there is computed from the others and
compared. Rows come from public issues, pages and repositories, named by their link or their title.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator
from math import floor
from pathlib import Path
from typing import Literal, NamedTuple

from advisor.architecture import Architecture, Mla, Moe
from advisor.catalog import load_catalog
from advisor.errors import UnknownModelError
from advisor.serving import vllm
from advisor.serving.activations import activation_bytes
from advisor.serving.blocks import NULL_BLOCKS, Layout, layout_of, token_bytes
from advisor.serving.formats import engine_weights
from advisor.serving.ranks import rank_weights
from advisor.units import GIB
from advisor.usecase import KvType
from advisor.value import Value

ROWS = Path(__file__).parent / "vllm_logs.csv"

OTHERS = {
    "qwen3-235b-a22b": Architecture(
        family="qwen3moe", n_layers=94, n_embd=4096, n_vocab=151936, n_ctx_train=40960, n_heads=64,
        n_kv_heads=4, head_dim=128, n_ff=0, moe=Moe(n_experts=128, n_experts_used=8, n_ff=1536),
    ),
    "minimax-m2.7": Architecture(
        family="minimax-m2", n_layers=62, n_embd=3072, n_vocab=200064, n_ctx_train=196608, n_heads=48,
        n_kv_heads=8, head_dim=128, n_ff=0, moe=Moe(n_experts=256, n_experts_used=8, n_ff=1536),
    ),
    "kimi-k2.5": Architecture(
        family="deepseek2", n_layers=61, n_embd=7168, n_vocab=163840, n_ctx_train=262144, n_heads=64,
        n_kv_heads=64, head_dim=192, n_ff=18432,
        moe=Moe(n_experts=384, n_experts_used=8, n_ff=2048, n_ff_shared=2048, n_layers_dense=1),
        mla=Mla(
            q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128
        ),
    ),
}  # fmt: skip
"""Shapes of models outside the catalog, from their public config.json files, read 2026-11-21."""


class Log(Value):
    """One start of an engine; what was not said is None or empty."""

    engine: Literal["vllm", "sglang"]
    source: str
    date: str
    version: str = ""
    model: str
    gpu: str = ""
    tensor_parallel: int = 1
    kv_type: KvType = "f16"
    states_kept: int | None = None
    n_ctx: int | None = None
    batched_tokens: int = 2048
    max_seqs: int = 256
    utilization: float | None = None
    total_gib: float | None = None
    quantization: str = ""
    weights_gib: float | None = None
    kv_gib: float | None = None
    kv_tokens: int | None = None
    concurrency: float | None = None
    needed_gib: float | None = None
    max_n_ctx: int | None = None
    note: str = ""

    @property
    def architecture(self) -> Architecture:
        try:
            return load_catalog().get(self.model).architecture
        except UnknownModelError:
            return OTHERS[self.model]

    @property
    def layout(self) -> Layout:
        layout = layout_of(self.architecture, self.kv_type, self.tensor_parallel)
        return (
            layout
            if self.states_kept is None
            else layout.model_copy(update={"states_kept": self.states_kept})
        )


class Figure(NamedTuple):
    """A figure of a log, and what the rules say."""

    name: str
    said: float
    computed: float

    @property
    def error(self) -> float:
        return self.computed / self.said - 1


def read_logs() -> list[Log]:
    with ROWS.open(encoding="utf-8", newline="") as file:
        rows = [{name: text for name, text in row.items() if text} for row in csv.DictReader(file)]
    return [Log.model_validate(row) for row in rows]


def figures(log: Log) -> Iterator[Figure]:
    """Every figure that can be computed from the row's others."""
    if log.weights_gib and log.quantization:
        arch = log.architecture
        weights = engine_weights(arch, log.quantization)
        size = rank_weights(arch, weights, log.tensor_parallel, range(arch.n_layers))
        yield Figure("weights GiB", log.weights_gib, size / GIB)
    if log.kv_gib and log.engine == "sglang" and log.kv_tokens:
        yield Figure("tokens", log.kv_tokens, log.kv_gib * GIB / _token_bytes(log))
    elif log.kv_gib:
        yield from _pool(log, log.kv_gib)
    if log.needed_gib and log.n_ctx:
        layout, arch = log.layout, log.architecture
        size = layout.blocks(log.n_ctx, _in_flight(log)) * layout.bytes_per_block(range(arch.n_layers))
        yield Figure("needed GiB", log.needed_gib, size / GIB)
    if log.kv_gib and log.total_gib and log.weights_gib and log.utilization:
        yield Figure("available GiB", log.kv_gib, _available_gib(log))


def _token_bytes(log: Log) -> int:
    arch = log.architecture
    layers = [i for i, layer in enumerate(arch.layers) if layer.owns_cache]
    return sum(token_bytes(arch, i, log.kv_type, log.tensor_parallel) for i in layers)


def _in_flight(log: Log) -> int:
    return 2 * log.batched_tokens


def _pool(log: Log, kv_gib: float) -> Iterator[Figure]:
    layout, arch = log.layout, log.architecture
    blocks = floor(kv_gib * GIB) // layout.bytes_per_block(range(arch.n_layers))
    if log.n_ctx and log.concurrency:
        per_request = layout.blocks(log.n_ctx, _in_flight(log))
        yield Figure("concurrency", log.concurrency, blocks / per_request)
    elif log.kv_tokens:
        n_ctx = log.n_ctx or 32_768
        yield Figure("tokens", log.kv_tokens, blocks / layout.blocks(n_ctx, _in_flight(log)) * n_ctx)
    if log.max_n_ctx:
        longest = layout.max_n_ctx(blocks - NULL_BLOCKS, _in_flight(log), log.n_ctx or arch.n_ctx_train)
        yield Figure("longest", log.max_n_ctx, longest)


def _available_gib(log: Log) -> float:
    """The pool from the GPU's size, with the log's own weights: what the rules say of the rest."""
    assert log.total_gib
    assert log.weights_gib
    assert log.utilization
    tokens, seqs = log.batched_tokens, log.max_seqs
    activations = activation_bytes(log.architecture, tokens, seqs, log.tensor_parallel)
    batch = vllm.Batch(tokens, seqs)
    other = vllm.NON_TORCH_BYTES if log.tensor_parallel == 1 else vllm.NCCL_BYTES
    counted = vllm.graph_bytes(batch) if _counts_graphs(log.version) else 0
    return log.total_gib * log.utilization - log.weights_gib - (activations + other + counted) / GIB


def _counts_graphs(version: str) -> bool:
    return tuple(int(part) for part in version.split(".")[:2]) >= (0, 21) if version else True


def main() -> None:
    errors: dict[str, list[float]] = {}
    for log in read_logs():
        for figure in figures(log):
            errors.setdefault(figure.name, []).append(abs(figure.error))
            print(
                f"{log.engine:7}{log.version:8}{log.model:30}{log.gpu:11} tp{log.tensor_parallel} "
                f"{figure.name:14}{figure.said:>12,.2f}{figure.computed:>12,.2f} {figure.error:+8.2%}  "
                f"{log.note or log.source}"
            )
    for name, values in errors.items():
        median = statistics.median(values)
        print(f"{name:14} {len(values):2} figures, median {median:.2%}, worst {max(values):.2%}")


if __name__ == "__main__":
    main()
