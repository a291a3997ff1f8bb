"""What people read: tables, memory bars and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from advisor.assessment import (
    ArtifactChoice,
    Candidate,
    DeviceMemory,
    MemoryEstimate,
    SpeculativeSpeed,
    SpeedEstimate,
)
from advisor.backends.llama_cpp import layer_args
from advisor.cli.sampling import whose_sampling
from advisor.cli.terminal import assumed, console, noted
from advisor.i18n import N_, _
from advisor.model import ModelKind
from advisor.units import GIB, format_bytes, gib_down, gib_up, ljust

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from advisor.estimation import Estimate
    from advisor.hardware import Machine
    from advisor.limits import Change, Limits
    from advisor.plan import Recommendation

BAR_WIDTH: Final = 20
TITLE_WIDTH: Final = 9
"""Columns of the words that lines begin with."""
NAME_WIDTH: Final = 8
"""Columns that a device's name keeps in the narrowest terminal: "GeForce", one word a line."""
_COLUMNS: Final = {
    N_("weights"): ("weights_bytes",),
    N_("cache"): ("kv_cache_bytes", "recurrent_bytes"),
    N_("compute"): ("compute_bytes", "output_bytes"),
    N_("overhead"): ("overhead_bytes",),
    N_("margin"): ("margin_bytes",),
}
"""Parts of a total by the column they are shown in; --json has each."""


def titled(title: str, text: str) -> str:
    """A line that begins with what it is about."""
    return ljust(title, TITLE_WIDTH) + text


def memory_bar(used: int, capacity: int | None) -> str:
    """Draw what is used of a capacity: "█████░░░░░"."""
    if not capacity:
        return _("capacity unknown") if capacity is None else _("no room")
    filled = min(BAR_WIDTH, -(-used * BAR_WIDTH // capacity))
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    return _("{bar} over").format(bar=bar) if used > capacity else bar


def memory_table(memory: MemoryEstimate) -> Table:
    """One row a device: its parts, the total against the capacity, and a bar."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    # In a narrow terminal bars give way first, then names: figures are what the table is for.
    table.add_column(_("device"), overflow="ellipsis", min_width=NAME_WIDTH)
    for title in _COLUMNS:
        table.add_column(_(title), justify="right", no_wrap=True)
    table.add_column(_("needs"), justify="right", style="bold", no_wrap=True)
    table.add_column(_("free"), justify="right", no_wrap=True)
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
    yield _("unknown") if row.capacity_bytes is None else f"{free:.1f} GiB"


def speed_line(speed: SpeedEstimate | None, kind: ModelKind = ModelKind.CHAT) -> str:
    """The decode rate with its band, the throughput of several sequences, and the first token.

    Of an embedder or reranker, what it reads.
    """
    if speed is None:
        return _("unknown")
    if kind is not ModelKind.CHAT and speed.prefill_tokens_per_s is not None and speed.ttft_s is not None:
        return _("reads {rate} tok/s; {seconds} for a text of {n:,} tokens").format(
            rate=_rate(speed.prefill_tokens_per_s), seconds=_seconds(speed.ttft_s), n=speed.prompt_tokens
        )
    text = _("{rates} at {depth:,} tokens of context").format(rates=decode_rates(speed), depth=speed.depth)
    if speed.ttft_s is None:
        return text
    first = _("first token of {n:,} after {seconds}")
    return f"{text}; {first.format(n=speed.prompt_tokens, seconds=_seconds(speed.ttft_s))}"


def decode_rates(speed: SpeedEstimate) -> str:
    """The decode rate with its band, and the throughput of several sequences."""
    rates = {
        "rate": _rate(speed.decode_tokens_per_s),
        "low": _rate(speed.low),
        "high": _rate(speed.high),
        "together": _rate(speed.throughput_tokens_per_s),
    }
    if speed.throughput_tokens_per_s > 1.01 * speed.decode_tokens_per_s:
        return _("{rate} tok/s ({low} to {high}) each, {together} together").format(**rates)
    return _("{rate} tok/s ({low} to {high})").format(**rates)


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def show_estimate(result: Estimate, machine: Machine) -> None:
    """Print an estimate."""
    out = console()
    out.print(
        _("[bold]{model}[/] {quantization}, {context} on {machine}").format(
            model=result.model,
            quantization=result.quantization,
            context=_context(result),
            machine=machine.title,
        )
        + "\n"
    )
    out.print(memory_table(result.memory))
    total = f"{gib_up(result.memory.total_bytes):.1f} GiB, {_verdict(result)}"
    out.print("\n" + titled(_("total"), total))
    for attachment in result.attachments:
        size, places = format_bytes(attachment.total_bytes, digits=1), ", ".join(attachment.places)
        text = _("{name}: {size} on {places}, counted in")
        out.print(titled(_("beside"), text.format(name=attachment.name, size=size, places=places)))
    if result.would_fit:
        out.print(titled("", _("would fit with {changes}").format(changes=_any_of(result.would_fit))))
    if result.fits is not False:
        out.print(titled(_("speed"), speed_line(result.speed)))
    if result.speed and result.speed.speculative:
        out.print(titled("", _speculative_line(result.speed.speculative)))
    if result.placement.gpu_layers and result.placement.n_gpu_layers is not None:
        out.print(titled(_("layers"), " ".join(layer_args(result.placement))))
    out.print(_source_line(result.memory))
    if result.speed:
        out.print(titled(_("basis"), result.speed.basis))
    if result.limits:
        out.print(_limits_table(result.limits))
    for note in result.assumptions:
        out.print(titled(_("assumed"), note))


def _verdict(result: Estimate) -> str:
    if result.fits is False:
        return _("does not fit: {size} missing").format(size=format_bytes(result.memory.missing_bytes))
    return _("fits") if result.fits else _("unknown, a capacity could not be read")


def _any_of(changes: Sequence[Change]) -> str:
    return _(", or ").join(change.text for change in changes)


def _speculative_line(speed: SpeculativeSpeed) -> str:
    rates = ", ".join(
        _("{rate} where {share:.0%}").format(rate=_rate(rate), share=share)
        for share, rate in zip(speed.accepted, speed.decode_tokens_per_s, strict=True)
    )
    text = _("with the draft, {n} tokens at a time: {rates} of them are accepted")
    return text.format(n=speed.n_draft, rates=rates)


def _limits_table(limits: Limits) -> Table:
    """How far each kind of room takes the model, and what would leave nothing to the host."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(_("at most"), no_wrap=True)
    for title in (_("context"), _("with q8_0 cache"), _("users"), _("quantization")):
        table.add_column(title, justify="right", no_wrap=True)
    everywhere = _("with RAM") if limits.on_gpus else _("in RAM")
    rooms = ((_("all on GPUs"), limits.on_gpus), (everywhere, limits.anywhere))
    for name, reach in rooms:
        if reach:
            cells = (reach.n_ctx, reach.n_ctx_q8_0, reach.n_seqs)
            none = _("none")
            table.add_row(name, *(f"{n:,}" if n else none for n in cells), reach.quantization or none)
    if limits.would_fit_on_gpus:
        table.caption = _("all on GPUs with {changes}").format(changes=_any_of(limits.would_fit_on_gpus))
        table.caption_justify = "left"
    return table


def _source_line(memory: MemoryEstimate) -> str:
    if memory.proven_by:
        return titled(_("memory"), _("proven by {prover}").format(prover=memory.proven_by))
    return titled(
        _("weights"), _("from the file's header") if memory.source == "gguf-header" else _("by rule")
    )


def _context(result: Estimate | Candidate) -> str:
    text = _("{n:,} tokens").format(n=result.n_ctx)
    if result.n_seqs > 1:
        text = f"{result.n_seqs} × {text}"
    if result.kv_type == "f16":
        return text
    return _("{context} ({kv_type} cache)").format(context=text, kv_type=result.kv_type)


def show_recommendation(result: Recommendation, *, saved: Path | None, again: Sequence[str]) -> None:
    """Print a recommendation: the pick, why, what else, and what to type next.

    `again` are the words that ask the same once more.
    """
    out = console()
    needs = result.requirements
    heading = _("For {use_case} on {machine}")
    out.print(heading.format(use_case=needs.use_case.value, machine=result.machine.title) + "\n")
    for text in result.machine.assumptions:
        out.print(f"[dim]{assumed(text)}[/]")
    for text in result.machine.notes:
        out.print(f"[dim]{noted(text)}[/]")
    if result.choice is None:
        why = result.notes[-1]
        out.print(f"[bold]{why[0].upper()}{why[1:]}.[/]")
        return
    _show_choice(out, result.choice)
    for role, companion in (("embedding", result.companions.embedding), ("rerank", result.companions.rerank)):
        if companion:
            devices = ", ".join(companion.placement.devices)
            text = _("{name} {quantization} ({role}) on {devices}").format(
                name=companion.name, quantization=companion.quantization, role=role, devices=devices
            )
            out.print(titled(_("with"), text))
            out.print(titled("", companion.command))
    if result.stack:
        from advisor.cli.show_stack import show_stack

        show_stack(out, result.stack)
    if result.alternatives:
        out.print()
        out.print(_alternatives_table(result.alternatives))
    out.print()
    for note in result.notes:
        out.print(f"[dim]{noted(note)}[/]")
    rest = _("{n} other models were turned down; --explain MODEL or --json tells why.")
    out.print(f"[dim]{rest.format(n=len(result.rejected))}[/]\n")
    _show_next(out, saved, again)


def _show_choice(out: Console, choice: Candidate) -> None:
    out.print(
        f"[bold green]{choice.name}[/] [bold]{choice.quantization}[/], {_context(choice)}, {choice.license}"
    )
    out.print()
    out.print(memory_table(choice.memory))
    out.print("\n" + titled(_("speed"), speed_line(choice.speed, choice.kind)))
    for n, reason in enumerate(choice.reasons):
        out.print(titled("" if n else _("why"), reason))
    out.print(titled(_("file"), f"{choice.artifact.repo} ({_file_size(choice.artifact)})"))
    if choice.sampling:
        out.print(titled(_("sampling"), whose_sampling(choice.sampling, choice.backend)))
    out.print(titled(_("start"), choice.command))


def _file_size(artifact: ArtifactChoice) -> str:
    if not artifact.bytes:
        return _("about unknown size") if artifact.estimated else _("unknown size")
    size = format_bytes(artifact.bytes)
    return _("about {size}").format(size=size) if artifact.estimated else size


def _alternatives_table(alternatives: Sequence[Candidate]) -> Table:
    from rich.table import Table

    heading = _("Alternatives")
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, justify in (
        (_("model"), "left"),
        (_("quant"), "left"),
        (_("needs"), "right"),
        ("tok/s", "right"),
        (_("score"), "right"),
        (_("where"), "left"),
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
    name = "GPU" if len(gpus) == 1 else _("{n} GPUs").format(n=len(gpus))
    if row.placement.n_cpu_moe:
        return _("{gpus}, {n} layers' experts in RAM").format(gpus=name, n=row.placement.n_cpu_moe)
    return name if "CPU" not in row.placement.devices else f"{name} + CPU"


def _show_next(out: Console, saved: Path | None, again: Sequence[str]) -> None:
    plan = shlex.quote(str(saved)) if saved else "plan.json"
    out.print(f"[bold]{_('Next')}[/]")
    if saved is None:
        out.print(f"  advisor {shlex.join(again)} --save {plan}")
    out.print(f"  advisor smoke-test {plan}")
    out.print(f"  advisor deploy {plan} --out ./serve")
    out.print(f"  advisor cost {plan}")


def show_explanation(result: Recommendation, name: str, *, to_stderr: bool) -> None:
    """Print why a model is, or is not, the pick.

    Raises `UnknownModelError` for a name that is not in the catalog, or whose kind was not asked for.
    """
    from advisor.api import explain
    from advisor.user_catalog import load_catalog

    catalog = load_catalog()
    model = catalog.get(name)
    out = console(to_stderr=to_stderr)
    picks = [c for c in (result.choice, *result.alternatives) if c is not None]
    for place, pick in enumerate(picks):
        if pick.model == model.id:
            title = (
                _("[bold]{name}[/] is alternative {place} as {quantization}, score {score:.1f}")
                if place
                else _("[bold]{name}[/] is the pick as {quantization}, score {score:.1f}")
            )
            out.print(
                title.format(name=model.name, place=place, quantization=pick.quantization, score=pick.score)
            )
            if place:
                best = _("the pick, {model}, scores {score:.1f}")
                out.print("  " + best.format(model=picks[0].model, score=picks[0].score))
            for reason in pick.reasons:
                out.print(f"  {reason}")
            out.print(memory_table(pick.memory))
            return
    explanation = explain(result, name, catalog=catalog)
    title = f"[bold]{model.name}[/]"
    candidate = explanation.candidate
    if candidate is not None:
        title = _("{name} as {quantization}").format(name=title, quantization=candidate.quantization)
    first, *others = explanation.reasons
    out.print(f"{title}: {first}")
    for line in (*others, *(candidate.reasons if candidate else ())):
        out.print(f"  {line}")
    if explanation.changes:
        out.print("  " + _("it takes {changes}").format(changes=_(", or ").join(explanation.changes)))
    if candidate is not None:
        out.print(memory_table(candidate.memory))
