"""`advisor recommend`: which model, how quantized, placed where."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.i18n import _

if TYPE_CHECKING:
    from advisor.downloaded import Download
    from advisor.hardware import Accelerator
    from advisor.usecase import Method

USE_CASES = (
    "chat",
    "coding",
    "reasoning",
    "rag",
    "agent",
    "vision",
    "embedding",
    "rerank",
    "fast",
    "summarize",
    "translate",
)
"""As `advisor.usecase.UseCase`, which is not imported for the help text."""


@click.command("recommend", cls=LocalizedCommand)
@click.option("--use-case", type=click.Choice(USE_CASES), help="What the model is for.  [default: chat]")
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="CODE",
    help="Language it must speak: ko, en … (repeatable)",
)
@click.option(
    "--users", type=click.IntRange(1, 4096), help="Requests served at the same moment.  [default: 1]"
)
@click.option(
    "--quality", type=click.Choice(["balanced", "best", "fast"]), help="What to favour.  [default: balanced]"
)
@click.option(
    "--min-tok-s",
    "min_tokens_per_s",
    type=click.FloatRange(0, min_open=True),
    help="Slowest decode that will do.",
)
@click.option(
    "--max-ttft",
    "max_ttft_s",
    type=click.FloatRange(0, min_open=True),
    help="Longest wait for the first token, in seconds.",
)
@click.option(
    "--license",
    type=click.Choice(["permissive", "commercial", "any"]),
    help="Licences to consider; commercial: all that allow commercial use.  [default: any]",
)
@click.option(
    "--knowledge",
    type=click.Choice(["none", "documents", "style", "both"]),
    help="What the model should know that it does not: documents of yours, a style or format, both.",
)
@click.option(
    "--documents", type=click.IntRange(1, 10**10), help="Documents to answer from.  [default: 1000]"
)
@click.option("--chunks", type=click.IntRange(1, 10**12), help="Passages that the documents make, if known.")
@click.option("--offline", is_flag=True, help="The machine has no network: smoke-test downloads nothing.")
@click.option(
    "--privacy",
    type=click.Choice(["local-only", "cloud-ok"]),
    help="Whether APIs may be used: the cost report marks what is ruled out.",
)
@click.option(
    "--budget",
    "budget_usd",
    type=click.FloatRange(0, min_open=True),
    help="USD a month: the cost report marks what is above it.",
)
@options.run
@options.hardware
@options.method
@click.option("--answers", type=click.Path(path_type=Path), help="YAML file with the same answers.")
@click.option("--yes", is_flag=True, help="Never ask.")
@click.option("--limit", type=click.IntRange(0, 50), default=4, help="Alternatives shown.  [default: 4]")
@click.option("--explain", metavar="MODEL", help="Say why MODEL is or is not the pick.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the plan that the later commands take.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it differs.")
@options.as_json
def command(
    hardware: str | None,
    accelerator: Accelerator | None,
    method: Method,
    answers: Path | None,
    yes: bool,
    limit: int,
    explain: str | None,
    save: Path | None,
    force: bool,
    as_json: bool,
    **needs: Any,
) -> None:
    """Pick model, quantization and placement for a machine and a need.

    In a terminal, without any answer given, it asks a few questions; --yes, --json or a pipe never do.
    The exit status is 1 when nothing suits.
    """
    from advisor.api import recommend
    from advisor.cli.questions import as_flags, ask, should_ask
    from advisor.cli.show import show_explanation, show_recommendation
    from advisor.cli.work import machine_from, requirements_from
    from advisor.output import write_whole

    flags = _named(needs)
    machine = machine_from(hardware, accelerator)
    again = sys.argv[1:]
    if should_ask(flags, yes=yes or as_json or answers is not None):
        asked = ask(machine)
        flags |= asked
        again += as_flags(asked)
    requirements = requirements_from(flags, answers)
    result = recommend(
        requirements,
        machine=machine,
        limit=limit,
        method=method,
        on_slow=_say_why_it_takes,
        downloads=_downloads() if hardware is None else (),
    )
    if save is not None:
        write_whole(save, result.model_dump_json(indent=2) + "\n", force=force)
    if as_json:
        click.echo(result.model_dump_json(indent=2))
    elif explain is None:
        show_recommendation(result, saved=save, again=again)
    if explain is not None:
        show_explanation(result, explain, to_stderr=as_json)
    sys.exit(0 if result.choice else 1)


def _downloads() -> tuple[Download, ...]:
    """What the model programs of this machine have on its disk."""
    from advisor.downloads import find_downloads

    return find_downloads(os.environ, Path.home())


def _say_why_it_takes() -> None:
    click.echo(
        _("asking llama.cpp for its own plan of the pick; the answer is kept for the next time"), err=True
    )


def _named(needs: dict[str, Any]) -> dict[str, Any]:
    """The flags under the names of `Requirements`, without those that were not given."""
    names = {"ctx": "n_ctx", "parallel": "n_seqs", "quant": "quantization"}
    defaults = {"parallel": 1, "kv_type": "f16"}
    return {
        names.get(name, name): value
        for name, value in needs.items()
        if value not in (None, (), False) and defaults.get(name) != value
    }
