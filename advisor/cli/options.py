"""Flags that several commands share, in one wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from advisor.i18n import _

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
            "that `advisor detect --json` or `advisor doctor --out` wrote.",
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
        click.option(
            "--quant",
            metavar="NAME",
            help="Quantization: Q4_K_M, Q8_0, IQ4_XS, MXFP4 …; for other engines BF16, FP8, AWQ, 4bit …",
        ),
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
            "--kv-offload/--no-kv-offload",
            default=True,
            help="Caches follow their layers onto the GPUs.  [default: yes]",
        ),
        click.option(
            "--n-gpu-layers",
            metavar="N|auto",
            default="auto",
            help="Layers on GPUs, the output layer counted.  [default: auto]",
        ),
    )(command)


def method(command: Command) -> Command:
    """--method."""
    return click.option(
        "--method",
        type=click.Choice(["probe", "rules", "auto"]),
        default="auto",
        envvar="ADVISOR_METHOD",
        help="Memory by llama.cpp's own plan (needs llama-cpp-python), by rule, or by the plan where it is "
        "quickly had.  [default: auto; or ADVISOR_METHOD]",
    )(command)


def fetch(command: Command) -> Command:
    """--fetch."""
    return click.option(
        "--fetch",
        is_flag=True,
        help="Read the headers of a model on the Hugging Face hub that is not in the catalog (megabytes); "
        "afterwards it is known offline.",
    )(command)


def company(command: Command) -> Command:
    """What stands beside the model, on the same machine."""
    return stack(
        click.option(
            "--lora",
            multiple=True,
            metavar="FILE|RANK",
            help="An adapter: its .gguf, or a rank on every matrix. Repeatable.",
        ),
        click.option(
            "--mmproj",
            metavar="FILE|TYPE",
            help="A vision projector: its .gguf, or F16, BF16, Q8_0 or F32 by rule.",
        ),
        click.option(
            "--image-tokens",
            type=click.IntRange(1),
            help="Largest image, in tokens.  [default: what the engine lets in]",
        ),
        click.option(
            "--draft", metavar="MODEL[:QUANT]", help="A draft model for speculative decoding, same context."
        ),
        click.option(
            "--with",
            "others",
            multiple=True,
            metavar="MODEL[:QUANT][@CTX]",
            help="Another model served beside it: an embedder, a reranker. Repeatable.",
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
        text = _("{value!r} is neither a number nor auto").format(value=value)
        raise click.BadParameter(text, param_hint="--n-gpu-layers")
    return int(value)


def recommended_backend(value: str | None, kv_type: str | None) -> None:
    """Refuse a backend that can be estimated, but that no command is written for, or without such a cache."""
    from advisor.backends import BACKENDS as PLANNED

    if value is not None and value not in PLANNED:
        raise click.BadParameter(
            _(
                "{backend} can be estimated (advisor estimate MODEL --backend {backend}), not recommended;"
                " choose {others}"
            ).format(backend=value, others=", ".join(PLANNED)),
            param_hint="--backend",
        )
    if value == "vllm" and kv_type in ("q8_0", "q4_0"):
        text = _("{backend} has no {kv_type} cache; fp8 is its own")
        raise click.BadParameter(text.format(backend=value, kv_type=kv_type), param_hint="--kv-type")
    if value == "mlx" and kv_type not in (None, "f16"):
        text = _("{backend} has no {kv_type} cache when it serves; f16 is its own")
        raise click.BadParameter(text.format(backend=value, kv_type=kv_type), param_hint="--kv-type")
