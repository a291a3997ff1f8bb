"""What people read of the hardware catalog: presets by kind, rows in tables, one row in full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from advisor.hardware import CpuSpec, Gpu, GpuSpec, Machine, Preset, PresetKind
from advisor.i18n import N_, _
from advisor.units import format_bandwidth, format_bytes

if TYPE_CHECKING:
    from rich.table import Table

KINDS: Final[dict[PresetKind, str]] = {
    "desktop": N_("Desktops"),
    "laptop": N_("Laptops"),
    "mac": N_("Macs"),
    "small": N_("Mini PCs and boards"),
    "workstation": N_("Workstations and servers"),
    "cloud": N_("Cloud instances"),
}
VENDORS: Final = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "apple": "Apple", "huawei": "Huawei"}


def preset_tables(presets: Sequence[Preset]) -> Iterator[tuple[str, Table]]:
    """A heading and a table for each kind of preset that there is."""
    for kind, heading in KINDS.items():
        table = _table(_("preset"), _("machine"), _("the same as a sentence"))
        for row in presets:
            if row.kind == kind:
                table.add_row(row.id, _(row.title), row.spec)
        if table.row_count:
            yield _(heading), table


def gpu_groups(gpus: Sequence[GpuSpec]) -> Table:
    """The ids by maker and generation."""
    return _groups("GPUs", ((_generation(row), row.id) for row in gpus))


def cpu_groups(cpus: Sequence[CpuSpec]) -> Table:
    """The ids by family, which a processor's name begins with."""
    return _groups(_("processors"), ((row.name.split()[0], row.id) for row in cpus))


def _groups(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    ids: dict[str, list[str]] = {}
    for group, row_id in rows:
        ids.setdefault(group, []).append(row_id)
    table = _table(title, _("ids"))
    for group, members in ids.items():
        table.add_row(group, ", ".join(members))
    return table


def gpu_table(gpus: Sequence[GpuSpec]) -> Table:
    """One line a GPU."""
    numbers = (_("memory"), _("bandwidth"), "FP16", "TDP")
    table = _table("GPU", _("name"), *numbers, right=numbers)
    for row in gpus:
        memory = _("shared") if row.vram_bytes is None else format_bytes(row.vram_bytes, digits=1)
        table.add_row(
            row.id,
            row.name,
            memory,
            _rate(row.bandwidth_bytes_per_s),
            _tera(row.fp16_flops, "FLOPS"),
            _unit(row.tdp_watts, "W"),
        )
    return table


def cpu_table(cpus: Sequence[CpuSpec]) -> Table:
    """One line a processor."""
    numbers = (_("cores"), _("memory bandwidth"))
    table = _table(_("processor"), _("name"), *numbers, right=numbers)
    for row in cpus:
        table.add_row(row.id, row.name, str(row.physical_cores), _rate(row.bandwidth_bytes_per_s))
    return table


def device_table(machine: Machine) -> Table:
    """The devices of a machine, with what may be planned on."""
    numbers = (_("memory"), _("to plan on"), _("bandwidth"), "FP16")
    table = _table(_("device"), *numbers, right=numbers)
    for gpu in machine.gpus:
        table.add_row(*_gpu_cells(gpu))
    host = machine.host
    capacity = format_bytes(machine.host_capacity_bytes, digits=1)
    total = format_bytes(host.memory.total_bytes, digits=1)
    name = host.cpu.name or "CPU"
    if host.cpu.physical_cores:
        name = _("{cpu}, {n} cores").format(cpu=name, n=host.cpu.physical_cores)
    table.add_row(f"{name} ({host.os})", total, capacity, _rate(host.memory.bandwidth_bytes_per_s), "-")
    return table


def gpu_row(row: GpuSpec) -> Table:
    """Everything that the catalog has of a GPU."""
    discrete = row.vram_bytes is not None
    sizes = ", ".join(format_bytes(size, digits=0) for size in row.ram_bytes) or _("any size")
    cells = {
        "id": row.id,
        _("generation"): _generation(row),
        _("memory"): format_bytes(row.vram_bytes, digits=1)
        if row.vram_bytes
        else _("the machine's ({sizes})").format(sizes=sizes),
        _("bandwidth"): _rate(row.bandwidth_bytes_per_s) if discrete or row.ram_bytes else _("the machine's"),
        "FP16": _tera(row.fp16_flops, "FLOPS"),
        "BF16": _tera(row.bf16_flops, "FLOPS"),
        "INT8": _tera(row.int8_ops, "OPS"),
        "FP8": _tera(row.fp8_flops, "FLOPS"),
        "TDP": _unit(row.tdp_watts, "W"),
        _("idle"): _unit(row.idle_watts, "W"),
        _("compute capability"): _unit(row.compute_capability),
        "PCIe": _unit(row.pcie),
        _("link"): _unit(row.link),
        _("link rate"): _rate(row.link_bytes_per_s),
        _("drivers' names"): _list(row.match),
        _("also written"): _list(row.aliases),
    }
    if row.vendor != "nvidia":
        del cells[_("compute capability")]
    return _facts(row.name, cells, row)


def cpu_row(row: CpuSpec) -> Table:
    """Everything that the catalog has of a processor."""
    cells = {
        "id": row.id,
        _("cores"): str(row.physical_cores),
        _("memory"): _("{bits} bit at {rate} MT/s").format(
            bits=row.memory_bus_bits, rate=row.memory_mt_per_s
        ),
        _("bandwidth"): _rate(row.bandwidth_bytes_per_s),
        "SIMD": _list(row.features),
        _("systems' names"): _list(row.match),
        _("also written"): _list(row.aliases),
    }
    return _facts(row.name, cells, row)


def _generation(row: GpuSpec) -> str:
    """Maker and generation: "NVIDIA Ampere"; Apple's bear the maker's name already."""
    maker = VENDORS[row.vendor]
    return row.architecture if row.architecture.startswith(maker) else f"{maker} {row.architecture}"


def _facts(title: str, cells: dict[str, str], row: GpuSpec | CpuSpec) -> Table:
    from rich.markup import escape

    table = _table(title, "")
    source = _("{source} (checked {date})").format(source=row.source, date=row.checked)
    for name, cell in {**cells, _("source"): source}.items():
        table.add_row(name, escape(cell))
    return table


def _table(*titles: str, right: Sequence[str] = ()) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        # Names may be broken where the terminal is narrow; ids and figures are copied, so they stay whole.
        whole = title in right or title == titles[0]
        table.add_column(title, justify="right" if title in right else "left", no_wrap=whole)
    return table


def _gpu_cells(gpu: Gpu) -> tuple[str, ...]:
    sizes = (format_bytes(size, digits=1) for size in (gpu.vram_bytes, gpu.capacity_bytes))
    return (gpu.name, *sizes, _rate(gpu.bandwidth_bytes_per_s), _tera(gpu.fp16_flops, "FLOPS"))


def _rate(bytes_per_s: int | None) -> str:
    return _("unknown") if bytes_per_s is None else format_bandwidth(bytes_per_s)


def _tera(per_s: int | None, unit: str) -> str:
    return _("unknown") if per_s is None else f"{per_s / 10**12:.1f} T{unit}"


def _unit(value: float | str | None, unit: str = "") -> str:
    return _("unknown") if value is None else f"{value} {unit}".strip()


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or _("none known")
