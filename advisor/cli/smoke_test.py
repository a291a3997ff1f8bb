"""`advisor smoke-test`: load the pick, measure it, and hold it against the estimate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import click

from advisor.api import workload_of
from advisor.assessment import ArtifactChoice, Candidate
from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.errors import ConfigError, DownloadError, GgufError, SmokeTestError
from advisor.estimation import estimate_on
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.machines import detect
from advisor.measurements import ALL_LAYERS, Expected, Library, Needs, SmokeResult, Trial
from advisor.model import ModelKind
from advisor.plans import chosen, read_plan
from advisor.resolve import resolve_model
from advisor.settings import Settings
from advisor.smoke import DEFAULT_LIMIT_S, lacks_gpu, read_library, run_smoke_test
from advisor.trials import differs, trial_of, trial_of_file
from advisor.units import format_bytes
from advisor.usecase import DEFAULT_N_CTX
from advisor.user_catalog import load_catalog


class Changes(NamedTuple):
    """What the user wants otherwise than in the plan; None: as planned."""

    n_ctx: int | None
    n_gpu_layers: int | None


class Job(NamedTuple):
    """What is to be tried, and what was promised."""

    file: Path
    trial: Trial
    expected: Expected
    needs: Needs = Needs()
    planned: Machine | None = None


@click.command("smoke-test", cls=LocalizedCommand)
@click.argument("target", metavar="PLAN|MODEL.gguf", type=click.Path(path_type=Path))
@click.option(
    "--model-file",
    type=click.Path(path_type=Path),
    help="The plan's model, where it is here already: nothing is downloaded.",
)
@click.option("--ctx", type=click.IntRange(1), help="Tokens per sequence.  [default: the plan's, or 8192]")
@click.option(
    "--n-gpu-layers",
    metavar="N|auto",
    default="auto",
    help="Layers on GPUs, the output layer counted.  [default: the plan's, or what fits]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=DEFAULT_LIMIT_S,
    help=f"Seconds after which it is stopped.  [default: {DEFAULT_LIMIT_S:.0f}]",
)
@click.option("--yes", is_flag=True, help="Never ask: download, and run a plan for another machine here.")
@options.as_json
def command(
    target: Path,
    model_file: Path | None,
    ctx: int | None,
    n_gpu_layers: str,
    timeout: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Load the picked model, measure it, and compare with the estimate.

    Takes a plan that recommend --save wrote, and downloads its model; or a local .gguf file, offline. A
    failed test prints its figures all the same, and exits with status 1.
    """
    here, library = detect(), read_library()
    changes = Changes(ctx, options.gpu_layers(n_gpu_layers))
    if target.suffix == ".gguf":
        job = job_of_file(target, here, library, changes)
    else:
        job = job_of_plan(target, model_file, here, library, changes, yes=yes)
    result = run_smoke_test(
        job.file,
        job.trial,
        library=library,
        expected=job.expected,
        needs=job.needs,
        machine=here,
        vendor=next((gpu.vendor for gpu in (*here.gpus, *(job.planned.gpus if job.planned else ()))), None),
        limit_s=timeout,
        on_progress=lambda message: click.echo(message, err=True),
    )
    show(result, as_json=as_json)
    sys.exit(1 if result.verdict == "fail" else 0)


def job_of_file(file: Path, here: Machine, library: Library, changes: Changes) -> Job:
    """A local file as `advisor estimate` places it on this machine.

    Raises `SmokeTestError` when it is not there.
    """
    if not file.is_file():
        raise SmokeTestError(
            _("no file {file}: give the path of an existing .gguf, or of a plan").format(file=file)
        )
    whole = ALL_LAYERS if library.gpus else 0
    on_gpu = whole if changes.n_gpu_layers is None else changes.n_gpu_layers
    blind = Trial(settings=Settings(n_ctx=changes.n_ctx or DEFAULT_N_CTX), n_gpu_layers=on_gpu)
    trial, expected = estimated(file, None, here, changes) or (blind, Expected())
    return Job(file, _changed(trial, changes), expected)


def job_of_plan(
    path: Path,
    model_file: Path | None,
    here: Machine,
    library: Library,
    changes: Changes,
    *,
    yes: bool,
) -> Job:
    """A plan's choice, its model downloaded unless a file is given or the library could not run it.

    Raises `PlanError`, `DownloadError`; `SmokeTestError` when the plan is not for llama.cpp, or for another
    machine and nobody agreed to run it here.
    """
    plan = read_plan(path)
    choice, needs = chosen(plan), plan.requirements
    artifact = _weights(choice, model_file)
    trial = _changed(trial_of(choice, here), changes)
    expected = Expected(memory=choice.memory, speed=choice.speed)
    lacking = lacks_gpu(trial, library)  # then nothing is run: nothing to agree to, nothing to download
    if differs(plan.machine, here):
        _agree(plan.machine, here, yes=yes or lacking)
    if lacking:
        file = model_file or Path(artifact.files[0])
    else:
        file = model_file or _fetch(artifact, yes=yes, offline=needs.offline)
        if changes != Changes(None, None):
            settings = trial.settings.model_copy(update={"n_ctx": changes.n_ctx or choice.n_ctx})
            trial = trial.model_copy(update={"settings": settings, "depth": settings.n_ctx // 2})
            _trial, expected = estimated(file, settings, here, changes) or (trial, Expected())
    asked = Needs(min_tokens_per_s=needs.min_tokens_per_s, max_ttft_s=needs.max_ttft_s)
    return Job(file, trial, expected, asked, plan.machine)


def estimated(
    file: Path, settings: Settings | None, here: Machine, changes: Changes
) -> tuple[Trial, Expected] | None:
    """What `advisor estimate` says of the file; None where it cannot read it, which llama.cpp may."""
    try:
        subject = resolve_model(str(file), load_catalog)
    except (GgufError, ConfigError) as error:
        click.echo(_("no estimate: {error}").format(error=error), err=True)
        return None
    if settings is None:
        n_ctx = changes.n_ctx or min(DEFAULT_N_CTX, subject.architecture.n_ctx_train)
        encoder = {} if subject.kind is ModelKind.CHAT else {"n_batch": n_ctx, "n_ubatch": n_ctx}
        settings = Settings(n_ctx=n_ctx, embeddings=subject.kind is not ModelKind.CHAT, **encoder)
    workload = workload_of(subject, settings)
    estimate = estimate_on(workload, here, changes.n_gpu_layers)
    trial = trial_of_file(settings, subject.kind, estimate.placement, here, workload.depth)
    return trial, Expected(memory=estimate.memory, speed=estimate.speed)


def _changed(trial: Trial, changes: Changes) -> Trial:
    """The trial with the layers on GPUs that were asked for, wherever an estimate would put them."""
    if changes.n_gpu_layers is None:
        return trial
    return trial.model_copy(update={"n_gpu_layers": changes.n_gpu_layers, "gpu_layers": (), "n_cpu_moe": 0})


def _weights(choice: Candidate, model_file: Path | None) -> ArtifactChoice:
    """The choice's weights; a vision projector is not loaded."""
    artifact = choice.artifact
    files = tuple(name for name in artifact.files if name.endswith(".gguf") and "mmproj" not in name)
    if not files and model_file is None:
        raise SmokeTestError(
            _(
                "the plan has no GGUF file ({backend}): the smoke test runs llama.cpp, so plan with"
                " --backend llama.cpp, or give a .gguf with --model-file"
            ).format(backend=choice.backend)
        )
    return artifact.model_copy(update={"files": files or artifact.files})


def _agree(planned: Machine, here: Machine, *, yes: bool) -> None:
    """Say that the machine is another one, and go on only when that is wanted."""
    message = _("the plan is for {planned}, this machine is {here}").format(
        planned=planned.title, here=here.title
    )
    if yes:
        click.echo(_("warning: {text}").format(text=message), err=True)
    elif not sys.stdin.isatty():
        raise SmokeTestError(_("{text}: pass --yes to run it here all the same").format(text=message))
    else:
        click.confirm(_("{text}. Run it here?").format(text=message), abort=True, err=True)


def _fetch(artifact: ArtifactChoice, *, yes: bool, offline: bool) -> Path:
    """The first of the artifact's files in the hub's cache; asks before a download in a terminal.

    Raises `DownloadError`, also for a plan made with --offline whose files are not in the cache.
    """
    from advisor import hub

    if offline and None in hub.cached(artifact):
        raise DownloadError(
            _("{repo} is not in the cache, and the plan was made with --offline: give --model-file").format(
                repo=artifact.repo
            )
        )
    if None in hub.cached(artifact) and not yes and sys.stdin.isatty():
        size = f" ({format_bytes(artifact.bytes)})" if artifact.bytes else ""
        question = _("Download {file} from {repo}?")
        question = question.format(file=artifact.files[0] + size, repo=artifact.repo)
        click.confirm(question, default=True, abort=True, err=True)
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from advisor.cli.terminal import console

    columns = (TextColumn(_("Downloading")), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console(to_stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None, visible=False)

        def update(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total, visible=True)

        return hub.download(artifact, progress=update)[0]


def show(result: SmokeResult, *, as_json: bool) -> None:
    """Print the document, or what a person wants to read of it."""
    if as_json:
        click.echo(result.model_dump_json(indent=2))
    else:
        from advisor.cli.show_smoke import show_smoke_result

        show_smoke_result(result)
