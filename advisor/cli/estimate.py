"""`advisor estimate`: memory and speed of one model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from advisor.cli import options
from advisor.cli.localized import LocalizedCommand

if TYPE_CHECKING:
    from advisor.hardware import Accelerator


@click.command("estimate", cls=LocalizedCommand)
@click.argument("model")
@options.run
@options.context
@options.hardware
@options.method
@options.fetch
@options.company
@click.option(
    "--limits", is_flag=True, help="Add the longest context, the most users and the finest quantization."
)
@options.as_json
def command(
    model: str, hardware: str | None, accelerator: Accelerator | None, as_json: bool, **flags: Any
) -> None:
    """Say how much memory MODEL needs, device by device, and how fast it would be.

    MODEL is a catalog id or alias (qwen3-8b, llama3.1:8b, Qwen/Qwen3-8B), a .gguf file, a config.json or its
    folder, or with --fetch a hub id: owner/name, owner/name:Q4_K_M, owner/name/file.gguf. The exit status is
    1 when it does not fit.
    """
    from advisor.cli.show import show_estimate
    from advisor.cli.work import estimate_from, machine_from

    machine = machine_from(hardware, accelerator)
    result = estimate_from(model, machine, flags)
    if as_json:
        click.echo(result.model_dump_json(indent=2))
    else:
        show_estimate(result, machine)
    sys.exit(1 if result.fits is False else 0)
