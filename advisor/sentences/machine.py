"""The machine that a description means: variants chosen, and a stated default for what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from advisor.errors import HardwareError
from advisor.hardware import Gpu, GpuSpec, Host, Machine
from advisor.i18n import _
from advisor.sentences.description import Description, NamedGpus, gib
from advisor.sentences.grammar import SLOW_CABLE, Slot
from advisor.sentences.host import make_host, pool_share
from advisor.sentences.names import either

VRAM_TOLERANCE: Final = 0.08
"""Error correction takes 1/16 of what is sold; variants of one name differ by 15 % or more (80 and 94 GB)."""


def make_machine(said: Description) -> Machine:
    """The machine, simulated: nothing in it is in use.

    Raises `HardwareError` for a variant that is not sold and for memory that the machine cannot have.
    """
    assumed = list(said.assumptions)
    chosen = [(named, _choose(named, said.ram_bytes, assumed)) for named in said.gpus]
    chip = next((spec for _named, spec in chosen if spec.memory == "unified"), None)
    cards = [spec for named, spec in chosen if spec is not chip for _nth in range(named.part.n)]
    if chip and cards:
        text = _("{chip} is not planned on next to a card: it is slower and shares the RAM")
        assumed.append(text.format(chip=chip.name))
    planned = cards or ([chip] if chip else [])
    host = make_host(said, chip, assumed)
    if not planned and not said.cpu_only:
        assumed.append(_("no GPU is named: the CPU computes alone"))
    return Machine(
        host=host,
        gpus=tuple(_gpu(index, spec, host, assumed) for index, spec in enumerate(planned)),
        interconnect=_interconnect(said, planned, assumed),
        assumptions=tuple(dict.fromkeys(assumed)),
    )


def _choose(named: NamedGpus, ram_bytes: int | None, assumed: list[str]) -> GpuSpec:
    """The variant that is meant: of several, a usual one, and of those the one with the least memory."""
    fitting = _by_memory(_by_cores(named), named, ram_bytes)
    usual = [spec for spec in fitting if spec.default] or fitting
    chosen = min(
        usual, key=lambda spec: (_least_memory(spec), spec.bandwidth_bytes_per_s or 0, spec.gpu_cores or 0)
    )
    others = [spec.name for spec in fitting if spec is not chosen]
    if others:
        text = _("'{part}' is taken as {chosen}, not as {others}")
        assumed.append(text.format(part=named.part.text, chosen=chosen.name, others=either(others)))
    return chosen


def _least_memory(spec: GpuSpec) -> int:
    return spec.vram_bytes or min(spec.ram_bytes, default=0)


def _by_cores(named: NamedGpus) -> tuple[GpuSpec, ...]:
    wanted = named.part.gpu_cores or named.part.cores
    offered = [spec.gpu_cores for spec in named.candidates if spec.gpu_cores]
    if wanted is None or not offered:
        return named.candidates
    if wanted not in offered:
        raise HardwareError(
            _(
                "'{part}': the chip is sold with {offered} GPU cores, not {wanted}; for the "
                "processor write 'N-core CPU'"
            ).format(part=named.part.text, offered=either(offered), wanted=wanted)
        )
    return tuple(spec for spec in named.candidates if spec.gpu_cores == wanted)


def _by_memory(specs: tuple[GpuSpec, ...], named: NamedGpus, ram_bytes: int | None) -> tuple[GpuSpec, ...]:
    """The variants with the memory that was asked for; all where none was."""
    if named.unified:
        return _by_pool(specs, ram_bytes)
    if named.vram is None:
        return specs
    wanted = named.vram.n_bytes
    fitting = tuple(spec for spec in specs if abs((spec.vram_bytes or 0) - wanted) <= VRAM_TOLERANCE * wanted)
    if not fitting:
        variants = either([f"{spec.name} ({gib(spec.vram_bytes or 0)})" for spec in specs])
        raise HardwareError(
            _(
                "no {wanted} variant of '{part}': there is {variants}; if the machine's memory is "
                "meant, write '{size} RAM'"
            ).format(
                wanted=gib(wanted),
                part=named.part.text,
                variants=variants,
                size=gib(wanted).replace("GiB", "GB"),
            )
        )
    return fitting


def _by_pool(specs: tuple[GpuSpec, ...], ram_bytes: int | None) -> tuple[GpuSpec, ...]:
    """The variants that are sold with that much memory; all where any can be fitted."""
    offered = sorted({size for spec in specs for size in spec.ram_bytes})
    if ram_bytes is None or not offered:
        return specs
    if ram_bytes not in offered:
        sizes = either([gib(size) for size in offered])
        raise HardwareError(
            _("{chip} is sold with {sizes} of memory, not {wanted}").format(
                chip=specs[0].name, sizes=sizes, wanted=gib(ram_bytes)
            )
        )
    return tuple(spec for spec in specs if ram_bytes in spec.ram_bytes)


def _gpu(index: int, spec: GpuSpec, host: Host, assumed: list[str]) -> Gpu:
    shared = host.memory.bandwidth_bytes_per_s if spec.memory == "unified" else None
    gpu = Gpu(
        index=index,
        name=spec.name,
        vendor=spec.vendor,
        vram_bytes=spec.vram_bytes or pool_share(spec, host, assumed),
        bandwidth_bytes_per_s=spec.bandwidth_bytes_per_s or shared,
        compute_capability=spec.compute_capability,
        catalog_id=spec.id,
    )
    return gpu.model_copy(update=spec.figures)


def _interconnect(said: Description, gpus: Sequence[GpuSpec], assumed: list[str]) -> str | None:
    """The link between the GPUs, or, where a slot is named, between GPUs and host."""
    links = {spec.link for spec in gpus}
    if len(gpus) > 1 and said.nvlink:
        return "nvlink"
    if said.slot or said.external:
        return _slot(said, gpus, assumed)
    return links.pop() if len(gpus) > 1 and len(links) == 1 else None


def _slot(said: Description, gpus: Sequence[GpuSpec], assumed: list[str]) -> str | None:
    """The slot that is named, as far as the cards can use it; None where generation or lanes are unknown."""
    if said.slot is None:
        assumed.append(_("the external GPU's cable: Thunderbolt 3 or 4, PCIe 3.0 x4"))
    named = said.slot or SLOW_CABLE
    ends = [named, *(_own_slot(spec.pcie) for spec in gpus if spec.pcie)]
    generations = [end.generation for end in ends if end.generation]
    lanes = [end.lanes for end in ends if end.lanes]
    return f"pcie {min(generations)}.0 x{min(lanes)}" if gpus and generations and lanes else None


def _own_slot(pcie: str) -> Slot:
    """What a row's "4.0 x16" says."""
    generation, lanes = pcie.split(".0 x")
    return Slot(int(generation), int(lanes))
