"""Runs of this machine's processor beside their estimates, nothing calibrated.

    python tests/benchmarks/own_speed.py [MODEL:QUANT@DEPTH ...]

Each model is a file of true shapes whose weights are random but finite: llama.cpp is as fast with it as with
the published file of that name. The estimate is that of `advisor estimate` on this machine, with the memory
bandwidth as `advisor detect --measure` finds it at the start. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

import llama_cpp

from advisor import bandwidth
from advisor.api import machine_of, workload_of
from advisor.backends.devices import threads
from advisor.catalog import load_catalog
from advisor.estimation import estimate_on
from advisor.gguf.sparse import blueprint_by_rule
from advisor.hardware import Machine
from advisor.resolve import resolve_model
from advisor.settings import Settings
from advisor.units import GB

CASES: Final = (
    "qwen2.5-0.5b-instruct:Q8_0@0",
    "qwen2.5-1.5b-instruct:Q4_0@0",
    "qwen2.5-1.5b-instruct:Q6_K@0",
    "llama-3.2-3b-instruct:Q4_K_M@0",
    "llama-3.2-3b-instruct:Q5_K_M@2000",
    "qwen3-4b-instruct-2507:Q4_K_M@0",
    "qwen3.5-4b:Q4_K_M@0",
    "llama-3.1-8b-instruct:Q4_K_M@0",
    "gpt-oss-20b:MXFP4@0",
    "qwen3-30b-a3b-instruct-2507:Q4_K_M@0",
)
CHUNK_BYTES: Final = 16 << 20
FINITE: Final = bytes(n & 0x3F for n in range(256))
"""Bytes such that every number made of them, whatever its type, is finite and below two."""
N_CTX: Final = 4096


PROMPT_TOKENS: Final = 256
DECODE_S: Final = 4.0
"""Decoding is timed for at least that long, the first token aside."""


class Rates(NamedTuple):
    """Tokens/s."""

    decode: float
    prefill: float | None


def run(case: str, machine: Machine, folder: Path) -> tuple[Rates, Rates]:
    """Make the file, estimate it, measure it: estimated and measured rates."""
    name, _, rest = case.partition(":")
    quantization, _, depth = rest.partition("@")
    subject = resolve_model(name, load_catalog)
    workload = workload_of(
        subject,
        Settings(n_ctx=N_CTX),
        quantization=quantization,
        depth=int(depth or 0),
        prompt_tokens=PROMPT_TOKENS,
    )
    speed = estimate_on(workload, machine).speed
    assert speed is not None
    blueprint = blueprint_by_rule(subject.architecture, quantization)
    path = folder / "model.gguf"
    with path.open("wb") as file:
        file.write(blueprint.header)
        file.writelines(_random(blueprint.data_bytes))
    try:
        measured = measure(path, workload.depth, threads(machine) or 1, subject.architecture.n_vocab)
    finally:
        path.unlink()
    return Rates(speed.decode_tokens_per_s, speed.prefill_tokens_per_s), measured


def measure(path: Path, depth: int, n_threads: int, n_vocab: int) -> Rates:
    """Read a prompt, then decode behind `depth` tokens, with llama.cpp's defaults."""
    llama_cpp.llama_log_set(_silent, None)
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = N_CTX, n_threads, n_threads
    context = llama_cpp.llama_init_from_model(model, params)
    random = Random(1)

    def feed(n: int) -> float:
        tokens = (llama_cpp.llama_token * n)(*(random.randrange(n_vocab // 2) for _ in range(n)))
        start = perf_counter()
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, n)) == 0
        llama_cpp.llama_synchronize(context)
        return perf_counter() - start

    feed(PROMPT_TOKENS)  # pages of the file are read in
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    prompt_s = feed(PROMPT_TOKENS)
    for _ in range(max(0, depth - PROMPT_TOKENS) // PROMPT_TOKENS):
        feed(PROMPT_TOKENS)
    feed(1)
    n_tokens, taken = 0, 0.0
    while taken < DECODE_S:
        taken += feed(1)
        n_tokens += 1
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return Rates(n_tokens / taken, PROMPT_TOKENS / prompt_s)


@llama_cpp.llama_log_callback
def _silent(level: int, text: bytes, user_data: object) -> None:
    """llama.cpp's log, which is not wanted."""


def _random(n_bytes: int) -> Iterator[bytes]:
    """So many bytes, chunk by chunk; the chunks are rotations of one, so that no two pages are shared."""
    chunk = Random(0).randbytes(CHUNK_BYTES).translate(FINITE)
    for start in range(0, n_bytes, CHUNK_BYTES):
        yield chunk[: min(CHUNK_BYTES, n_bytes - start)]


def main() -> None:
    """Print a line a model, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", default=CASES, metavar="MODEL:QUANT@DEPTH")
    options = parser.parse_args()
    bandwidth.forget_bandwidth(bandwidth.cache_file())
    machine = machine_of(None).model_copy(update={"gpus": ()})
    rate = machine.host.memory.bandwidth_bytes_per_s or 0
    print(f"{machine.title}, {rate / GB:.0f} GB/s measured")
    found: list[Rates] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases:
            estimated, measured = run(case, machine, Path(folder))
            off = Rates(estimated.decode / measured.decode - 1, _off(estimated.prefill, measured.prefill))
            found.append(off)
            print(
                f"{case:42} {measured.decode:7.2f} tok/s, estimated {estimated.decode:7.2f}"
                f" ({off.decode:+.0%}); prompt {measured.prefill or 0:7.1f}, estimated"
                f" {estimated.prefill or 0:7.1f}",
                flush=True,
            )
    decode = median(abs(off.decode) for off in found)
    prefill = median(abs(off.prefill) for off in found if off.prefill is not None)
    print(f"median error over {len(found)} models: decode {decode:.1%}, prompts {prefill:.1%}")


def _off(estimated: float | None, measured: float | None) -> float | None:
    return estimated / measured - 1 if estimated and measured else None


if __name__ == "__main__":
    main()
