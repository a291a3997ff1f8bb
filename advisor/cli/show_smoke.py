"""A smoke test's verdict for people: figures beside what was promised, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from advisor.cli.show import titled
from advisor.cli.terminal import console, noted
from advisor.i18n import N_, _
from advisor.units import format_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from advisor.measurements import Difference, Measured, Resident, SmokeResult

_STYLES: Final = {"pass": "bold green", "warn": "bold yellow", "fail": "bold red"}
_VERDICTS: Final = {"pass": N_("PASS"), "warn": N_("WARN"), "fail": N_("FAIL")}
_NAMES: Final = {
    "weights_bytes": N_("weights"),
    "kv_cache_bytes": N_("KV cache"),
    "recurrent_bytes": N_("recurrent state"),
    "compute_bytes": N_("compute buffers"),
    "output_bytes": N_("output buffer"),
    "total_bytes": N_("buffers together"),
    "decode_tokens_per_s": N_("decode, tok/s"),
    "prefill_tokens_per_s": N_("prefill, tok/s"),
    "ttft_s": N_("first token, s"),
}
TEXT_SHOWN: Final = 160
"""Characters of the output that are shown."""


def show_smoke_result(result: SmokeResult) -> None:
    """Print the verdict, the figures, and what to do."""
    from rich.markup import escape

    out, measured = console(), result.measured
    out.print(f"[{_STYLES[result.verdict]}]{_(_VERDICTS[result.verdict])}[/] {escape(result.model_file)}")
    for reason in result.reasons:
        out.print(f"  {escape(reason)}")
    if measured.load_s is not None:
        out.print()
        _show_run(out, measured)
    if result.differences:
        out.print()
        out.print(_table(result.differences))
    if measured.memory and measured.memory.resident.peak_bytes:
        out.print("\n" + titled(_("process"), _peak(measured.memory.resident)))
    for line in result.notes:
        out.print(f"[dim]{escape(noted(line))}[/]")
    for line in result.log:
        out.print(f"[dim]llama.cpp: {escape(line)}[/]")
    for line in result.advice:
        out.print(escape(_("do: {text}").format(text=line)))


def _peak(resident: Resident) -> str:
    peak, own = format_bytes(resident.peak_bytes or 0), resident.anonymous_bytes
    if own is None:
        return _("{size} at its peak").format(size=peak)
    return _("{size} at its peak, {own} of it its own").format(size=peak, own=format_bytes(own))


def _show_run(out: Console, measured: Measured) -> None:
    from rich.markup import escape

    ran_on = ", ".join(
        _("{n} layers on {device}").format(n=count.n_layers, device=count.device) for count in measured.layers
    )
    loaded = _("in {seconds:.1f} s ({places})").format(seconds=measured.load_s, places=ran_on)
    out.print(titled(_("loaded"), loaded))
    if measured.ttft_s is not None:
        prompt = _("{n} tokens in {seconds:.2f} s, {rate:.0f} tok/s").format(
            n=measured.prompt_tokens, seconds=measured.ttft_s, rate=measured.prefill_tokens_per_s
        )
        out.print(titled(_("prompt"), prompt))
    if measured.decode_tokens_per_s is not None:
        decode = _("{rate:.1f} tok/s with {depth:,} tokens in the cache").format(
            rate=measured.decode_tokens_per_s, depth=measured.depth
        )
        out.print(titled(_("decode"), decode))
    if measured.output and measured.output.text:
        text = measured.output.text[:TEXT_SHOWN]
        out.print(titled(_("said"), escape(repr(text))))


def _table(differences: tuple[Difference, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", _("estimated"), _("measured"), "", ""):
        table.add_column(title, justify="left" if not title else "right")
    for row in differences:
        if row.estimated or row.measured:
            table.add_row(*_cells(row))
    return table


def _cells(row: Difference) -> tuple[str, ...]:
    name = _(_NAMES[row.part]) + (f" ({row.device})" if row.device else "")
    percent = "" if row.percent is None else f"{row.percent:+.1f} %" if row.percent else _("equal")
    is_memory = row.part.endswith("_bytes")
    verdict = {True: _("ok"), False: _("over") if is_memory else _("slow"), None: ""}[row.within]
    if is_memory:
        sizes = (format_bytes(round(row.estimated)), format_bytes(round(row.measured)))
        return (name, *sizes, percent, verdict)
    estimated = f"{row.estimated:.2f}"
    if row.low is not None and row.high is not None:
        estimated = _("{figure} ({low:.1f} to {high:.1f})").format(
            figure=estimated, low=row.low, high=row.high
        )
    return (name, estimated, f"{row.measured:.2f}", percent, verdict)
