"""The host of a described machine: memory, its bandwidth, processor and system, with stated defaults."""

from __future__ import annotations

from typing import Final

from advisor.errors import HardwareError
from advisor.hardware import Cpu, GpuSpec, Host, HostMemory, Machine
from advisor.i18n import _
from advisor.sentences.description import Description, gib
from advisor.sentences.names import either
from advisor.units import GIB, format_bandwidth

DEFAULT_RAM_BYTES: Final = 16 * GIB
"""What an ordinary desktop or laptop has, and too little to promise much."""
LEAST_RAM_BYTES: Final = 4 * GIB
"""Boards are sold with less, but then the system leaves no room for a model: not what is meant unasked."""
DEFAULT_CORES: Final = 8
"""The middle of what desktops and laptops have."""
CHANNEL_BITS: Final = 64
"""Of a channel as people count them; DDR5's two halves of 32 bit are one."""
DEFAULT_BUS_BITS: Final = 2 * CHANNEL_BITS
"""Two channels of memory, as in nearly every desktop and laptop."""
DEFAULT_MT_PER_S: Final = 3200
"""DDR4-3200: slower than any current machine's, so that no speed is promised where nothing is known."""
USUAL_MT_PER_S: Final = {3: 1600, 4: 3200, 5: 4800}
"""By generation of DDR: the fastest usual modules of DDR3 and DDR4, the slowest of DDR5 (JEDEC)."""
CURRENT_DDR: Final = 5
APPLE_LARGE_BYTES: Final = 36 * GIB
"""From this size on macOS lets the GPU use 3/4 of the memory (28,991 MB of 36 GB), below it 2/3 (22,906 MB of
32 GB): Metal's recommendedMaxWorkingSetSize, as llama.cpp logs it. macOS 26 was seen to give more."""
APPLE_LARGE_SHARE: Final = 3 / 4
APPLE_SMALL_SHARE: Final = 2 / 3


def make_host(said: Description, chip: GpuSpec | None, assumed: list[str]) -> Host:
    """The host; `chip` is the GPU that is one chip with its processor. Adds to `assumed` what it fills in.

    Raises `HardwareError` for memory that the chip is not sold with or the processor has no channels for.
    """
    memory = _memory(said, chip, assumed)
    return Host(os=_system(said, chip, assumed), cpu=_cpu(said, chip, assumed), memory=memory)


def pool_share(spec: GpuSpec, host: Host, assumed: list[str]) -> int:
    """What of the host's memory the GPU may use: the driver's share, and never what the system keeps."""
    total = host.memory.total_bytes
    share = spec.usable_fraction
    if share is None:
        share = APPLE_LARGE_SHARE if total >= APPLE_LARGE_BYTES else APPLE_SMALL_SHARE
    usable = min(int(total * share), Machine(host=host).host_capacity_bytes)
    if share == 1:
        limit = _("less what the system keeps")
    elif spec.vendor == "apple":
        limit = _("macOS's limit, which can be changed")
    else:
        limit = _("the driver's limit, which can be changed")
    text = _("the GPU may use {usable} of the {total} that it shares with the CPU ({limit})")
    assumed.append(text.format(usable=gib(usable), total=gib(total), limit=limit))
    return usable


def _memory(said: Description, chip: GpuSpec | None, assumed: list[str]) -> HostMemory:
    total = said.ram_bytes
    owners = (said.processor.spec if said.processor else None, chip)
    owner, sold = next(((spec.name, spec.ram_bytes) for spec in owners if spec and spec.ram_bytes), ("", ()))
    if total is None:
        total = min((size for size in sold if size >= LEAST_RAM_BYTES), default=DEFAULT_RAM_BYTES)
        if total not in sold[:1]:
            text = _("RAM: {total}")
        elif len(sold) == 1:
            text = _("RAM: {total}, the only size that {owner} is sold with")
        else:
            text = _("RAM: {total}, the smallest that {owner} is sold with")
        assumed.append(text.format(total=gib(total), owner=owner))
    elif sold and total not in sold:
        raise HardwareError(
            _("{owner} is sold with {sizes}, not {total}").format(
                owner=owner, sizes=either([gib(size) for size in sold]), total=gib(total)
            )
        )
    return HostMemory(total_bytes=total, bandwidth_bytes_per_s=_bandwidth(said, chip, assumed))


def _bandwidth(said: Description, chip: GpuSpec | None, assumed: list[str]) -> int:
    """Theoretical bandwidth of the RAM, all sockets together."""
    if chip and chip.bandwidth_bytes_per_s:
        return chip.bandwidth_bytes_per_s
    bits = _bus_bits(said)
    fastest, reason = _fastest(said)
    mt_per_s = said.mt_per_s or fastest
    rate = said.n_sockets * (bits // 8) * mt_per_s * 10**6
    if not said.mt_per_s or not (said.processor or said.channels):
        bus = (_("{bits} bit") if said.n_sockets == 1 else _("{n} × {bits} bit")).format(
            bits=bits, n=said.n_sockets
        )
        text = _("RAM bandwidth: {rate} ({bus} at {speed} MT/s{reason})")
        reason = "" if said.mt_per_s else reason
        assumed.append(text.format(rate=format_bandwidth(rate), bus=bus, speed=mt_per_s, reason=reason))
    return rate


def _bus_bits(said: Description) -> int:
    """The width of one socket's memory."""
    most = said.processor.spec.memory_bus_bits if said.processor else None
    if said.channels is None:
        return most or DEFAULT_BUS_BITS
    bits = said.channels * CHANNEL_BITS
    if said.processor and most and bits > most:
        channels = most / CHANNEL_BITS
        raise HardwareError(
            _("{processor} has {channels:g} memory channels, not {wanted}").format(
                processor=said.processor.spec.name, channels=channels, wanted=said.channels
            )
        )
    return bits


def _fastest(said: Description) -> tuple[int, str]:
    """The speed of RAM that is not given, and what it rests on."""
    usual = USUAL_MT_PER_S.get(said.ddr) if said.ddr else None
    if said.processor is None:
        return usual or DEFAULT_MT_PER_S, _(", usual for DDR{ddr}").format(ddr=said.ddr) if usual else ""
    supported = said.processor.spec.memory_mt_per_s
    if usual and said.ddr != CURRENT_DDR and usual < supported:
        return usual, _(", usual for DDR{ddr}").format(ddr=said.ddr)
    return supported, _(", the fastest that {processor} supports").format(processor=said.processor.spec.name)


def _cpu(said: Description, chip: GpuSpec | None, assumed: list[str]) -> Cpu:
    if said.processor:
        spec = said.processor.spec
        cores = said.cores or spec.physical_cores * said.n_sockets
        return Cpu(name=spec.name, sockets=said.n_sockets, physical_cores=cores, features=spec.features)
    known = said.cores or (chip.cpu_cores if chip else None)
    if known is None:
        assumed.append(_("CPU: {n} cores").format(n=DEFAULT_CORES))
    return Cpu(name=chip.name if chip else None, physical_cores=known or DEFAULT_CORES)


def _system(said: Description, chip: GpuSpec | None, assumed: list[str]) -> str:
    if chip and chip.vendor == "apple":
        return "macOS"
    if said.system is None:
        assumed.append(_("system: Linux"))
    return said.system or "Linux"
