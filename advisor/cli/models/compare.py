"""`advisor models compare`: models side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from advisor.assessment import EVIDENCE_WORDS
from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.cli.models.wording import with_active
from advisor.cli.recommend import USE_CASES
from advisor.cli.sampling import sampling_text
from advisor.cli.show import decode_rates, speed_line
from advisor.i18n import N_, _
from advisor.units import format_bytes, format_count

if TYPE_CHECKING:
    from advisor.assessment import Quality
    from advisor.comparison import Comparison, Side
    from advisor.hardware import Accelerator

_UNKNOWN: Final = N_("unknown")
_TERMS: Final = {
    True: N_("{license}, commercial use"),
    False: N_("{license}, not commercial"),
    None: "{license}",
}
_FITS: Final = {True: N_("yes"), False: N_("no"), None: _UNKNOWN}


@click.command("compare", cls=LocalizedCommand)
@click.argument("names", metavar="MODEL MODEL...", nargs=-1, required=True)
@click.option(
    "--use-case", type=click.Choice(USE_CASES), help="What they are for.  [default: what the first is]"
)
@click.option("--quant", metavar="NAME", help="Quantization of all.  [default: each one's usual one]")
@click.option("--ctx", type=click.IntRange(1), help="Tokens per sequence.  [default: 8192]")
@options.hardware
@options.as_json
def compare_command(
    names: tuple[str, ...],
    use_case: str | None,
    quant: str | None,
    ctx: int | None,
    hardware: str | None,
    accelerator: Accelerator | None,
    as_json: bool,
) -> None:
    """Show models side by side: terms, size, languages, quality with its evidence, memory and speed here.

    A MODEL is anything that `advisor estimate` takes without the network. The last lines say what the
    difference is.
    """
    from advisor.cli.work import known_quantization, machine_from
    from advisor.comparison import compare
    from advisor.usecase import UseCase
    from advisor.user_catalog import load_catalog

    if len(names) < 2:
        raise click.UsageError(_("name two models or more"))
    result = compare(
        names,
        machine_from(hardware, accelerator),
        load_catalog(),
        UseCase(use_case) if use_case else None,
        quantization=known_quantization(quant),
        n_ctx=ctx,
    )
    if as_json:
        click.echo(result.model_dump_json(indent=2))
    else:
        _show(result)


def _show(result: Comparison) -> None:
    from rich.table import Table

    from advisor.cli.terminal import console

    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", *(side.model for side in result.models)):
        table.add_column(title, overflow="fold")
    for title, cell in _ROWS:
        table.add_row(_(title), *(cell(side) for side in result.models))
    for title, cells in _scores(result.models):
        table.add_row(title, *cells)
    out.print(_("[bold]On[/] {machine}").format(machine=result.machine) + "\n")
    out.print(table)
    out.print()
    for sentence in result.differences:
        out.print(sentence, markup=False)


def _scores(sides: Sequence[Side]) -> Iterator[tuple[str, list[str]]]:
    """A row an axis that any of the models has a score on."""
    rows = {(score.use_case, score.language): None for side in sides for score in side.scores}
    for use_case, language in rows:
        found = [
            next((s.quality for s in side.scores if (s.use_case, s.language) == (use_case, language)), None)
            for side in sides
        ]
        spoken = f", {language}" if language else ""
        if any(quality and quality.score is not None for quality in found):
            title = _("score, {use_case}").format(use_case=use_case.value)
            yield title + spoken, [_score(quality) for quality in found]


def _score(quality: Quality | None) -> str:
    if quality is None or quality.score is None:
        return _(_UNKNOWN)
    band = f", {quality.low:.0f}-{quality.high:.0f}" if quality.low and quality.high else ""
    return f"{quality.score:.0f} ({_(EVIDENCE_WORDS[quality.evidence])}{band})"


def _parameters(side: Side) -> str:
    total = format_count(side.n_params)
    mixed = side.n_params != side.n_params_active
    return with_active(total, side.n_params_active) if mixed else total


def _abilities(side: Side) -> str:
    if side.reasoning is None:
        return _(_UNKNOWN)
    named = [name for name, has in ((_("thinking"), side.reasoning), (_("tools"), side.tools)) if has]
    return ", ".join(named) or "-"


def _speed(side: Side) -> str:
    if side.estimate.fits is False:
        return "-"
    if side.estimate.speed is not None and side.kind == "chat":
        return decode_rates(side.estimate.speed)
    return speed_line(side.estimate.speed, side.kind)


def _terms(side: Side) -> str:
    return _(_TERMS[side.commercial]).format(license=_(_known(side.license)))


def _known(value: object) -> str:
    """What is known, or the word for what is not."""
    return str(value or _(_UNKNOWN))


_ROWS: Final[Sequence[tuple[str, Callable[[Side], str]]]] = (
    (N_("licence"), _terms),
    (N_("released"), lambda side: _known(side.released)),
    (N_("parameters"), _parameters),
    (N_("context"), lambda side: f"{side.n_ctx_train:,}"),
    (N_("effective context"), lambda side: _known(side.n_ctx_effective and f"{side.n_ctx_effective:,}")),
    (N_("sampling"), lambda side: _known(side.sampling and sampling_text(side.sampling))),
    (N_("takes"), lambda side: _known(", ".join(side.modalities))),
    (N_("languages"), lambda side: _known(", ".join(side.languages))),
    (N_("trained for"), _abilities),
    (N_("quantization"), lambda side: side.estimate.quantization),
    (N_("file"), lambda side: _known(side.file_bytes and format_bytes(side.file_bytes))),
    (N_("memory"), lambda side: format_bytes(side.estimate.memory.total_bytes)),
    (N_("fits"), lambda side: _(_FITS[side.estimate.fits])),
    (N_("speed"), _speed),
)
