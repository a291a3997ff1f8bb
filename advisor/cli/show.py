"""What people read: tables, memory bars and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from advisor.assessment import Candidate, DeviceMemory, MemoryEstimate, SpeculativeSpeed, SpeedEstimate
from advisor.backends.llama_cpp import layer_args
from advisor.cli.terminal import console
from advisor.errors import UnknownModelError
from advisor.model import ModelKind
from advisor.units import GIB, format_bytes, gib_down, gib_up

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from advisor.estimation import Estimate
    from advisor.hardware import Machine
    from advisor.limits import Limits
    from advisor.plan import Recommendation

BAR_WIDTH: Final = 20
NAME_WIDTH: Final = 8
"""Columns that a device's name keeps in the narrowest terminal: "GeForce", one word a line."""
_COLUMNS: Final = {
    "weights": ("weights_bytes",),
    "cache": ("kv_cache_bytes", "recurrent_bytes"),
    "compute": ("compute_bytes", "output_bytes"),
    "overhead": ("overhead_bytes",),
    "margin": ("margin_bytes",),
}
"""Parts of a total by the column they are shown in; --json has each."""


def memory_bar(used: int, capacity: int | None) -> str:
    """Draw what is used of a capacity: "█████░░░░░"."""
    if not capacity:
        return "capacity unknown" if capacity is None else "no room"
    filled = min(BAR_WIDTH, -(-used * BAR_WIDTH // capacity))
    over = " over" if used > capacity else ""
    return "█" * filled + "░" * (BAR_WIDTH - filled) + over


def memory_table(memory: MemoryEstimate) -> Table:
    """One row a device: its parts, the total against the capacity, and a bar."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    # In a narrow terminal bars give way first, then names: figures are what the table is for.
    table.add_column("device", overflow="ellipsis", min_width=NAME_WIDTH)
    for title in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("needs", justify="right", style="bold", no_wrap=True)
    table.add_column("free", justify="right", no_wrap=True)
    table.add_column("", overflow="crop")
    for row in memory.devices:
        if row.total_bytes:
            table.add_row(row.name, *_cells(row), memory_bar(row.total_bytes, row.capacity_bytes))
    return table


def _cells(row: DeviceMemory) -> Iterator[str]:
    for parts in _COLUMNS.values():
        size = sum(getattr(row, part) for part in parts)
        yield format_bytes(size, digits=int(size >= GIB)) if size else "-"
    need, free = gib_up(row.total_bytes), gib_down(row.capacity_bytes or 0)
    if row.fits and need > free:  # by less than the rounding hides
        need = free
    yield f"{need:.1f} GiB"
    yield "unknown" if row.capacity_bytes is None else f"{free:.1f} GiB"


def speed_line(speed: SpeedEstimate | None, kind: ModelKind = ModelKind.CHAT) -> str:
    """The decode rate with its band, the throughput of several sequences, and the first token.

    Of an embedder or reranker, what it reads.
    """
    if speed is None:
        return "unknown"
    if kind is not ModelKind.CHAT and speed.prefill_tokens_per_s is not None and speed.ttft_s is not None:
        text = f"{_seconds(speed.ttft_s)} for a text of {speed.prompt_tokens:,} tokens"
        return f"reads {_rate(speed.prefill_tokens_per_s)} tok/s; {text}"
    text = f"{_rate(speed.decode_tokens_per_s)} tok/s ({_rate(speed.low)} to {_rate(speed.high)})"
    if speed.throughput_tokens_per_s > 1.01 * speed.decode_tokens_per_s:
        text += f" each, {_rate(speed.throughput_tokens_per_s)} together"
    text += f" at {speed.depth:,} tokens of context"
    if speed.ttft_s is not None:
        text += f"; first token of {speed.prompt_tokens:,} after {_seconds(speed.ttft_s)}"
    return text


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def show_estimate(result: Estimate, machine: Machine) -> None:
    """Print an estimate."""
    out = console()
    out.print(f"[bold]{result.model}[/] {result.quantization}, {_context(result)} on {machine.title}\n")
    out.print(memory_table(result.memory))
    verdict = {True: "fits", False: "does not fit", None: "unknown, a capacity could not be read"}[
        result.fits
    ]
    if result.fits is False:
        verdict += f": {format_bytes(result.memory.missing_bytes)} missing"
    out.print(f"\ntotal    {gib_up(result.memory.total_bytes):.1f} GiB, {verdict}")
    for attachment in result.attachments:
        size, places = format_bytes(attachment.total_bytes, digits=1), ", ".join(attachment.places)
        out.print(f"beside   {attachment.name}: {size} on {places}, counted in")
    if result.would_fit:
        out.print(f"         would fit with {', or '.join(change.text for change in result.would_fit)}")
    if result.fits is not False:
        out.print(f"speed    {speed_line(result.speed)}")
    if result.speed and result.speed.speculative:
        out.print(f"         {_speculative_line(result.speed.speculative)}")
    if result.placement.gpu_layers:
        out.print(f"layers   {' '.join(layer_args(result.placement))}")
    out.print(_source_line(result.memory))
    if result.speed:
        out.print(f"basis    {result.speed.basis}")
    if result.limits:
        out.print(_limits_table(result.limits))
    for note in result.assumptions:
        out.print(f"assumed  {note}")


def _speculative_line(speed: SpeculativeSpeed) -> str:
    rates = ", ".join(
        f"{_rate(rate)} where {share:.0%}"
        for share, rate in zip(speed.accepted, speed.decode_tokens_per_s, strict=True)
    )
    return f"with the draft, {speed.n_draft} tokens at a time: {rates} of them are accepted"


def _limits_table(limits: Limits) -> Table:
    """How far each kind of room takes the model, and what would leave nothing to the host."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("at most", "context", "with q8_0 cache", "users", "quantization"):
        table.add_column(title, justify="left" if title == "at most" else "right", no_wrap=True)
    rooms = (("all on GPUs", limits.on_gpus), ("with RAM" if limits.on_gpus else "in RAM", limits.anywhere))
    for name, reach in rooms:
        if reach:
            cells = (reach.n_ctx, reach.n_ctx_q8_0, reach.n_seqs)
            table.add_row(name, *(f"{n:,}" if n else "none" for n in cells), reach.quantization or "none")
    if limits.would_fit_on_gpus:
        table.caption = "all on GPUs with " + ", or ".join(c.text for c in limits.would_fit_on_gpus)
        table.caption_justify = "left"
    return table


def _source_line(memory: MemoryEstimate) -> str:
    if memory.proven_by:
        return f"memory   proven by {memory.proven_by}"
    return "weights  from the file's header" if memory.source == "gguf-header" else "weights  by rule"


def _context(result: Estimate | Candidate) -> str:
    text = f"{result.n_ctx:,} tokens"
    if result.n_seqs > 1:
        text = f"{result.n_seqs} × {text}"
    return text if result.kv_type == "f16" else f"{text} ({result.kv_type} cache)"


def show_recommendation(result: Recommendation, *, saved: Path | None, again: Sequence[str]) -> None:
    """Print a recommendation: the pick, why, what else, and what to type next.

    `again` are the words that ask the same once more.
    """
    out = console()
    needs = result.requirements
    out.print(f"For {needs.use_case.value} on {result.machine.title}\n")
    for text in result.machine.assumptions:
        out.print(f"[dim]assumed: {text}[/]")
    for text in result.machine.notes:
        out.print(f"[dim]note: {text}[/]")
    if result.choice is None:
        why = result.notes[-1]
        out.print(f"[bold]{why[0].upper()}{why[1:]}.[/]")
        return
    _show_choice(out, result.choice)
    for role, companion in (("embedding", result.companions.embedding), ("rerank", result.companions.rerank)):
        if companion:
            devices = ", ".join(companion.placement.devices)
            out.print(f"with     {companion.name} {companion.quantization} ({role}) on {devices}")
    if result.alternatives:
        out.print()
        out.print(_alternatives_table(result.alternatives))
    out.print()
    for note in result.notes:
        out.print(f"[dim]note: {note}[/]")
    others = len(result.rejected)
    out.print(f"[dim]{others} other models were turned down; --explain MODEL or --json tells why.[/]\n")
    _show_next(out, saved, again)


def _show_choice(out: Console, choice: Candidate) -> None:
    out.print(
        f"[bold green]{choice.name}[/] [bold]{choice.quantization}[/], {_context(choice)}, {choice.license}"
    )
    out.print()
    out.print(memory_table(choice.memory))
    out.print(f"\nspeed    {speed_line(choice.speed, choice.kind)}")
    for n, reason in enumerate(choice.reasons):
        out.print(f"{'why' if n == 0 else '':8} {reason}")
    size = format_bytes(choice.artifact.bytes) if choice.artifact.bytes else "unknown size"
    about = "about " if choice.artifact.estimated else ""
    out.print(f"file     {choice.artifact.repo} ({about}{size})")
    out.print(f"start    {choice.command}")


def _alternatives_table(alternatives: Sequence[Candidate]) -> Table:
    from rich.table import Table

    table = Table(title="Alternatives", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, justify in (
        ("model", "left"),
        ("quant", "left"),
        ("needs", "right"),
        ("tok/s", "right"),
        ("score", "right"),
        ("where", "left"),
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]  # rich's literals, read from a table
    for row in alternatives:
        table.add_row(
            row.model,
            row.quantization,
            f"{gib_up(row.memory.total_bytes):.1f} GiB",
            _rate_cell(row),
            f"{row.score:.1f}",
            _where(row),
        )
    return table


def _rate_cell(row: Candidate) -> str:
    speed = row.speed
    if row.kind is ModelKind.CHAT or speed.prefill_tokens_per_s is None:
        return f"{_rate(speed.decode_tokens_per_s)} ({_rate(speed.low)}-{_rate(speed.high)})"
    return _rate(speed.prefill_tokens_per_s)


def _where(row: Candidate) -> str:
    gpus = [d for d in row.memory.devices if d.kind == "gpu" and d.total_bytes]
    if not gpus:
        return "CPU"
    name = "GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
    if row.placement.n_cpu_moe:
        return f"{name}, {row.placement.n_cpu_moe} layers' experts in RAM"
    return name if "CPU" not in row.placement.devices else f"{name} + CPU"


def _show_next(out: Console, saved: Path | None, again: Sequence[str]) -> None:
    plan = shlex.quote(str(saved)) if saved else "plan.json"
    out.print("[bold]Next[/]")
    if saved is None:
        out.print(f"  advisor {shlex.join(again)} --save {plan}")
    out.print(f"  advisor smoke-test {plan}")
    out.print(f"  advisor deploy {plan} --out ./serve")
    out.print(f"  advisor cost {plan}")


def show_explanation(result: Recommendation, name: str, *, to_stderr: bool) -> None:
    """Print why a model is, or is not, the pick.

    Raises `UnknownModelError` for a name that is not in the catalog, or whose kind was not asked for.
    """
    from advisor.user_catalog import load_catalog

    model = load_catalog().get(name)
    out = console(to_stderr=to_stderr)
    picks = [c for c in (result.choice, *result.alternatives) if c is not None]
    for place, pick in enumerate(picks):
        if pick.model == model.id:
            title = "is the pick" if place == 0 else f"is alternative {place}"
            out.print(f"[bold]{model.name}[/] {title} as {pick.quantization}, score {pick.score:.1f}")
            if place:
                out.print(f"  the pick, {picks[0].model}, scores {picks[0].score:.1f}")
            for reason in pick.reasons:
                out.print(f"  {reason}")
            out.print(memory_table(pick.memory))
            return
    for rejection in result.rejected:
        if rejection.model == model.id:
            quant = f" as {rejection.quantization}" if rejection.quantization else ""
            out.print(f"[bold]{model.name}[/]{quant}: {rejection.reason}")
            if rejection.missing_bytes:
                out.print(f"  it would fit with {format_bytes(rejection.missing_bytes)} more memory")
            return
    raise UnknownModelError(
        f"{model.id} is for {model.kind.value}, which was not asked for: try --use-case {model.kind.value}"
    )
