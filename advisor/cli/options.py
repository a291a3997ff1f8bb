"""Flags that several commands share, in one wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from advisor.usecase import Backend

Command = TypeVar("Command", bound=Callable[..., Any])

BACKENDS = ("llama.cpp", "ollama", "vllm", "sglang", "mlx", "transformers", "onnx")
ACCELERATORS = ("cuda", "rocm", "vulkan", "metal", "sycl", "cpu")


def stack(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several click decorators as one; the first is the first in the help."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def hardware(command: Command) -> Command:
    """--hardware and --accelerator."""
    return stack(
        click.option(
            "--hardware",
            metavar="SPEC",
            help='Plan for another machine: a sentence ("RTX 3070 8 GB, 32 GB RAM"), a preset, or a file '
            "that `advisor detect --json` wrote.",
        ),
        click.option(
            "--accelerator",
            type=click.Choice(ACCELERATORS),
            help="What drives the GPUs; cpu leaves them out.  [default: the vendor's own]",
        ),
    )(command)


def run(command: Command) -> Command:
    """How the model is run: context, sequences, cache, backend, quantization."""
    return stack(
        click.option("--ctx", type=click.IntRange(1), help="Tokens per sequence.  [default: 8192]"),
        click.option(
            "--parallel", type=click.IntRange(1, 4096), default=1, help="Sequences at once.  [default: 1]"
        ),
        click.option(
            "--kv-type",
            type=click.Choice(["f16", "q8_0", "q4_0", "fp8"]),
            default="f16",
            help="Type of the key-value cache.  [default: f16]",
        ),
        click.option("--backend", type=click.Choice(BACKENDS), help="Engine.  [default: llama.cpp]"),
        click.option("--quant", metavar="NAME", help="Quantization: Q4_K_M, Q8_0, IQ4_XS, MXFP4, F16 …"),
        click.option(
            "--depth",
            type=click.IntRange(0),
            help="Tokens in the cache where decode speed is stated.  [default: half of --ctx]",
        ),
        click.option(
            "--prompt-tokens",
            type=click.IntRange(1),
            help="Prompt length for the time to the first token.  [default: 512 or half of --ctx]",
        ),
    )(command)


def context(command: Command) -> Command:
    """The finer parameters of a llama.cpp context."""
    return stack(
        click.option(
            "--flash-attn",
            type=click.Choice(["on", "off", "auto"]),
            default="auto",
            help="Flash attention; auto is on.  [default: auto]",
        ),
        click.option(
            "--batch", type=click.IntRange(1), default=2048, help="Tokens of a batch.  [default: 2048]"
        ),
        click.option(
            "--ubatch", type=click.IntRange(1), default=512, help="Tokens of a graph.  [default: 512]"
        ),
        click.option(
            "--outputs-max",
            type=click.IntRange(1),
            help="Logit rows reserved.  [default: one a sequence, as llama-server]",
        ),
        click.option(
            "--kv-unified/--no-kv-unified", default=False, help="One cache for all sequences.  [default: no]"
        ),
        click.option(
            "--swa-full/--no-swa-full", default=False, help="Sliding windows keep everything.  [default: no]"
        ),
        click.option(
            "--embeddings/--no-embeddings",
            default=None,
            help="Output embeddings.  [default: for embedders and rerankers]",
        ),
        click.option(
            "--n-gpu-layers",
            metavar="N|auto",
            default="auto",
            help="Layers on GPUs, the output layer counted.  [default: auto]",
        ),
    )(command)


def as_json(command: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")(
        command
    )


def gpu_layers(value: str) -> int | None:
    """The number in --n-gpu-layers, or None for auto."""
    if value == "auto":
        return None
    if not value.isdigit():
        raise click.BadParameter(f"{value!r} is neither a number nor auto", param_hint="--n-gpu-layers")
    return int(value)


def planned_backend(value: str | None) -> Backend | None:
    """The backend, refused where its memory is not known by rule yet."""
    planned: tuple[Backend, ...] = ("llama.cpp", "ollama")
    if value is None:
        return None
    for backend in planned:
        if value == backend:
            return backend
    raise click.BadParameter(
        f"{value}'s own memory is not estimated yet; choose llama.cpp or ollama "
        "(deploy can write vLLM's files for a model that has some)",
        param_hint="--backend",
    )
