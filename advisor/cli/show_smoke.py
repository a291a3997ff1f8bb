"""A smoke test's verdict for people: figures beside what was promised, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from advisor.cli.terminal import console
from advisor.units import format_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from advisor.measurements import Difference, Measured, SmokeResult

_STYLES: Final = {"pass": "bold green", "warn": "bold yellow", "fail": "bold red"}
_NAMES: Final = {
    "weights_bytes": "weights",
    "kv_cache_bytes": "KV cache",
    "recurrent_bytes": "recurrent state",
    "compute_bytes": "compute buffers",
    "output_bytes": "output buffer",
    "total_bytes": "buffers together",
    "decode_tokens_per_s": "decode, tok/s",
    "prefill_tokens_per_s": "prefill, tok/s",
    "ttft_s": "first token, s",
}
TEXT_SHOWN: Final = 160
"""Characters of the output that are shown."""


def show_smoke_result(result: SmokeResult) -> None:
    """Print the verdict, the figures, and what to do."""
    from rich.markup import escape

    out, measured = console(), result.measured
    out.print(f"[{_STYLES[result.verdict]}]{result.verdict.upper()}[/] {escape(result.model_file)}")
    for reason in result.reasons:
        out.print(f"  {escape(reason)}")
    if measured.load_s is not None:
        out.print()
        _show_run(out, measured)
    if result.differences:
        out.print()
        out.print(_table(result.differences))
    if measured.memory and measured.memory.resident.peak_bytes:
        own = measured.memory.resident.anonymous_bytes
        detail = f", {format_bytes(own)} of it its own" if own is not None else ""
        out.print(f"\nprocess  {format_bytes(measured.memory.resident.peak_bytes)} at its peak{detail}")
    for line in result.notes:
        out.print(f"[dim]note: {escape(line)}[/]")
    for line in result.log:
        out.print(f"[dim]llama.cpp: {escape(line)}[/]")
    for line in result.advice:
        out.print(f"do: {escape(line)}")


def _show_run(out: Console, measured: Measured) -> None:
    from rich.markup import escape

    ran_on = ", ".join(f"{count.n_layers} layers on {count.device}" for count in measured.layers)
    out.print(f"loaded   in {measured.load_s:.1f} s ({ran_on})")
    if measured.ttft_s is not None:
        out.print(
            f"prompt   {measured.prompt_tokens} tokens in {measured.ttft_s:.2f} s,"
            f" {measured.prefill_tokens_per_s:.0f} tok/s"
        )
    if measured.decode_tokens_per_s is not None:
        out.print(
            f"decode   {measured.decode_tokens_per_s:.1f} tok/s with {measured.depth:,} tokens in the cache"
        )
    if measured.output and measured.output.text:
        text = measured.output.text[:TEXT_SHOWN]
        out.print(f"said     {escape(repr(text))}")


def _table(differences: tuple[Difference, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", "estimated", "measured", "", ""):
        table.add_column(title, justify="left" if not title else "right")
    for row in differences:
        if row.estimated or row.measured:
            table.add_row(*_cells(row))
    return table


def _cells(row: Difference) -> tuple[str, ...]:
    name = _NAMES[row.part] + (f" ({row.device})" if row.device else "")
    percent = "" if row.percent is None else f"{row.percent:+.1f} %" if row.percent else "equal"
    is_memory = row.part.endswith("_bytes")
    verdict = {True: "ok", False: "over" if is_memory else "slow", None: ""}[row.within]
    if is_memory:
        sizes = (format_bytes(round(row.estimated)), format_bytes(round(row.measured)))
        return (name, *sizes, percent, verdict)
    band = f" ({row.low:.1f} to {row.high:.1f})" if row.low is not None and row.high is not None else ""
    return (name, f"{row.estimated:.2f}{band}", f"{row.measured:.2f}", percent, verdict)
