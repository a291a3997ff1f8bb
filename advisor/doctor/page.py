"""The dump as a page: what people want to know first, then the recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from advisor.describing import GPU_COLUMNS, gpu_row, host_rows, runtimes_line
from advisor.doctor.checks import SIGNS
from advisor.doctor.dump import About, Dump, blocks
from advisor.doctor.examination import Report, differences, examine
from advisor.doctor.scrub import Scrubber, scrubbed
from advisor.doctor.shortening import shortened
from advisor.hardware import GpuSpec, Machine
from advisor.i18n import _
from advisor.probes.recording import Recorded, Transcript
from advisor.quoting import cell
from advisor.resources import TEMPLATES_DIR
from advisor.value import SCHEMA_VERSION

SCRUBBED_FIELDS: Final = frozenset({"host.disk.cache_dir"})
"""What a dump may tell of the machine otherwise: a path that has the user's name in it."""


class Page(NamedTuple):
    """A dump, and how true it is."""

    text: str
    differences: tuple[str, ...]
    """Fields of the machine that the recording tells otherwise, beyond `SCRUBBED_FIELDS`."""


def page_of(report: Report, transcript: Transcript, scrubber: Scrubber, specs: tuple[GpuSpec, ...]) -> Page:
    """Write down a machine that was examined.

    All of the page comes from the recording after what identifies was taken out, so that nothing else can
    get into it; it is examined once more, so that its reader sees what the recording tells.
    """
    shown = scrubbed(shortened(transcript), scrubber)
    again = examine(Recorded(shown), specs, lambda _message: None)
    about = About(
        schema_version=SCHEMA_VERSION, advisor=report.advisor, date=report.date, platform=shown.platform
    )
    differing = tuple(
        field for field in differences(report.machine, again.machine) if field not in SCRUBBED_FIELDS
    )
    notes = list(again.machine.notes)
    if differing:
        otherwise = _("The machine itself told otherwise than this recording: {fields}.")
        notes.append(otherwise.format(fields=", ".join(differing)))
    return Page(_rendered(again, Dump(about=about, transcript=shown), notes), differing)


def unanswered(transcript: Transcript) -> Iterator[tuple[str, str]]:
    """What was asked for, is or may be there, and gave no answer; with the reason."""
    seen = {path for paths in transcript.globs.values() for path in paths}
    for path, text in transcript.files.items():
        if text is None and path in seen:
            yield f"/{path}", _("could not be read")
    for tool in transcript.tools:
        if tool.output is None:
            reason = _("did not end in time") if tool.out_of_time else _("not installed, or printed nothing")
            yield " ".join(tool.argv), reason
    for name, told in transcript.asked.items():
        if told.failure is not None:
            yield name, told.failure


def _rendered(report: Report, dump: Dump, notes: list[str]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR / "doctor"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown, not HTML: `cell` escapes what would break a table
    )
    environment.globals["_"] = _
    environment.filters |= {"cell": cell, "said": _}
    return environment.get_template("dump.md.j2").render(
        about=dump.about,
        rows=tuple(_rows(report.machine)),
        gpu_columns=GPU_COLUMNS,
        gpus=tuple(map(gpu_row, report.machine.gpus)),
        checks=report.checks,
        signs=SIGNS,
        notes=notes,
        unanswered=tuple(unanswered(dump.transcript)),
        blocks=blocks(dump),
    )


def _rows(machine: Machine) -> Iterator[tuple[str, str]]:
    yield from host_rows(machine.host)
    if not machine.gpus:
        yield "GPU", _("none found")
    if machine.interconnect:
        yield _("link"), machine.interconnect
    yield _("runtimes"), runtimes_line(machine)
