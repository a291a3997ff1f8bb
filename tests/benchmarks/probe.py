"""llama.cpp's own plan: how long a first one takes, how long a kept one, and how far the rules are from it.

    python tests/benchmarks/probe.py [--runs N] [--catalog]

Times are of one estimate in a process that has imported everything: the first with an empty cache (a child
process, the library's import and the plan), the others from the cache. --catalog asks about every model of
the catalog, in RAM, with 8,192 tokens, and prints what differs from the rules.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import partial

from advisor.api import machine_of
from advisor.architecture import Architecture
from advisor.catalog import load_catalog
from advisor.gguf.sparse import blueprint_by_rule
from advisor.hardware import Machine
from advisor.memory import Split, footprint_of
from advisor.model import ModelKind
from advisor.oracle import Asked, prover
from advisor.placement import estimate_memory
from advisor.proof import Proof
from advisor.settings import Settings
from advisor.units import MIB
from advisor.weights import weights_by_rule

MODELS = ("qwen3-0.6b", "llama-3.1-8b-instruct", "qwen3-30b-a3b-instruct-2507", "gpt-oss-120b")
GOAL_FIRST_S, GOAL_KEPT_MS = 1.0, 10
N_CTX = 8192


def prove(arch: Architecture, quantization: str, kind: ModelKind, machine: Machine) -> tuple[float, Proof]:
    """Seconds that an answer took, and the answer."""
    n_ctx = min(N_CTX, arch.n_ctx_train)
    settings = Settings(n_ctx=n_ctx)
    if kind is not ModelKind.CHAT:
        n_ctx = min(n_ctx, 512)
        settings = Settings(n_ctx=n_ctx, n_batch=n_ctx, n_ubatch=n_ctx, embeddings=True)
    footprint = footprint_of(arch, weights_by_rule(arch, quantization), settings)
    memory = estimate_memory(footprint, Split(), machine, "config-rules")
    asked = Asked(partial(blueprint_by_rule, arch, quantization), settings, kind, "llama.cpp")
    start = time.perf_counter()
    proof = prover(asked, machine, "auto")(footprint, Split(), memory)
    took_s = time.perf_counter() - start
    return took_s, proof._replace(notes=(*proof.notes, f"{memory.total_bytes / MIB:,.1f} MiB by rule"))


def print_times(machine: Machine, runs: int) -> None:
    """First and kept answers of a few models of all sizes."""
    catalog = load_catalog()
    for name in MODELS:
        model = catalog.get(name)
        quantization = next(a.quantization for a in model.artifacts if a.format == "gguf")
        times = [prove(model.architecture, quantization, model.kind, machine)[0] for _ in range(runs + 1)]
        kept_ms = 1e3 * statistics.median(times[1:])
        first = f"first {times[0]:.3f} s (goal {GOAL_FIRST_S})"
        print(f"{name:32} {first}, kept {kept_ms:.1f} ms (goal {GOAL_KEPT_MS})")


def print_differences(machine: Machine) -> None:
    """Every model of the catalog in its first GGUF quantization."""
    for model in load_catalog().models:
        quantization = next((a.quantization for a in model.artifacts if a.format == "gguf"), None)
        if quantization is not None:
            _, proof = prove(model.architecture, quantization, model.kind, machine)
            source = "proven" if proof.memory.proven_by else "by rule"
            print(f"{model.id:34} {quantization:7} {source:8} {'; '.join(proof.notes)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--catalog", action="store_true")
    arguments = parser.parse_args()
    machine = machine_of("CPU only, 2 TB RAM, 8 cores")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        print_times(machine, arguments.runs)
        if arguments.catalog:
            print_differences(machine)


if __name__ == "__main__":
    main()
