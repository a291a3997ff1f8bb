"""`advisor deploy`: the files that start a plan."""

from __future__ import annotations

import ipaddress
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from advisor.cli.localized import LocalizedCommand
from advisor.cli.options import ACCELERATORS
from advisor.deployment import Options
from advisor.errors import OutputError
from advisor.i18n import _
from advisor.plans import read_plan
from advisor.rendering import RenderedFile, Rendering, render, write_all
from advisor.value import SCHEMA_VERSION

MAX_PORT = 65533
"""Companions take the two ports above the choice's."""


def _address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise click.BadParameter(
            _("{value!r} is not an IP address, like 127.0.0.1 or 0.0.0.0").format(value=value)
        ) from None


@click.command("deploy", cls=LocalizedCommand)
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
@click.option(
    "--target",
    type=click.Choice(["compose", "script", "kubernetes"]),
    default="compose",
    show_default=True,
    help="Docker Compose, or a script that runs the engine installed here. Kubernetes: planned.",
)
@click.option(
    "--backend",
    type=click.Choice(["llama.cpp", "ollama", "vllm"]),
    help="Another engine than the plan's, where it can serve the same files.",
)
@click.option(
    "--accelerator",
    type=click.Choice(ACCELERATORS),
    help="What drives the GPUs.  [default: the vendor's own]",
)
@click.option("--port", type=click.IntRange(1, MAX_PORT), help="Port to serve on.  [default: the engine's]")
@click.option(
    "--bind",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    callback=_address,
    help="Address to serve on.",
)
@click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    help="Folder that holds the model files already.  [default: the engine downloads them]",
)
@click.option("--force", is_flag=True, help="Replace files that differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    plan: Path,
    out: Path,
    target: str,
    model_dir: Path | None,
    force: bool,
    as_json: bool,
    **settings: object,
) -> None:
    """Write the files that start PLAN, as recommend --save wrote it."""
    recommendation = read_plan(plan)
    if target == "kubernetes":
        raise OutputError(_("--target kubernetes is planned, not built yet: use compose or script"))
    folder = None if model_dir is None else str(model_dir.absolute())
    options = Options.model_validate({**settings, "target": target, "model_dir": folder})
    rendering = render(recommendation, options)
    files = write_all(rendering.files, out, force=force)
    for warning in rendering.warnings:
        click.echo(_("warning: {text}").format(text=warning), err=True)
    if as_json:
        click.echo(json.dumps(_document(rendering, files, out, target), indent=2, ensure_ascii=False))
    else:
        click.echo(_summary(rendering, files, out))


def _next(rendering: Rendering, out: Path) -> list[str]:
    return [shlex.join(["cd", str(out)]), *rendering.commands]


def _document(
    rendering: Rendering, files: Sequence[RenderedFile], out: Path, target: str
) -> dict[str, object]:
    choice = rendering.services[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "out": str(out),
        "target": target,
        "model": choice.candidate.model,
        "quantization": choice.candidate.quantization,
        "backend": choice.backend,
        "files": [{"path": file.path, "bytes": file.n_bytes, "sha256": file.sha256} for file in files],
        "next": _next(rendering, out),
        "warnings": list(rendering.warnings),
    }


def _summary(rendering: Rendering, files: Sequence[RenderedFile], out: Path) -> str:
    wrote = _("Wrote {files}").format(files=", ".join(str(out / file.path) for file in files))
    lines = [wrote, "", _("Next:")]
    return "\n".join(lines + [f"  {line}" for line in _next(rendering, out)])
