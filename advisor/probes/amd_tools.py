"""What AMD's own tools tell: amd-smi of ROCm 6 and 7, rocm-smi of those before.

They are asked only where /sys leaves a name or the memory open, since each takes up to a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from advisor.device_names import plain_name
from advisor.probes.amd_names import known_name
from advisor.probes.answers import inner, json_answer, rows, size, whole, words
from advisor.probes.source import Source

STATIC: Final = ("amd-smi", "static", "--json")
METRIC: Final = ("amd-smi", "metric", "--mem-usage", "--json")
ROCM_SMI: Final = ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--showbus", "--json")
LIMIT_S: Final = 1.1
"""For each: two of them may hang before detection takes longer than it may."""
CARD: Final = re.compile(r"card\d+")
SEVERAL: Final = "["
"""In names such as "Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]": the chip of several cards."""


class ToolGpu(NamedTuple):
    """A GPU as a tool tells of it; sizes in bytes."""

    bus: str | None = None
    name: str | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None


def read_amd_tools(source: Source) -> tuple[ToolGpu, ...]:
    """The GPUs that the first tool which answers tells of; none where no tool does."""
    return _amd_smi(source) or _rocm_smi(source)


def _amd_smi(source: Source) -> tuple[ToolGpu, ...]:
    cards = rows(json_answer(source.run(*STATIC, limit_s=LIMIT_S)))
    if not any("asic" in card for card in cards):
        return ()
    use = {str(row.get("gpu")): row for row in rows(json_answer(source.run(*METRIC, limit_s=LIMIT_S)))}
    return tuple(_of_amd_smi(card, use.get(str(card.get("gpu")), {})) for card in cards)


def _of_amd_smi(card: dict[str, Any], use: dict[str, Any]) -> ToolGpu:
    total = size(inner(card, "vram", "size"))  # the key before ROCm 6.2 had its unit in the name
    total = size(inner(card, "vram", "vram_size_mb")) if total is None else total
    total = size(inner(use, "mem_usage", "total_vram")) if total is None else total
    return ToolGpu(
        bus=_bus(inner(card, "bus", "bdf")),
        name=_name(
            inner(card, "asic", "device_id"),
            inner(card, "asic", "rev_id"),
            [inner(card, "asic", "market_name"), inner(card, "board", "product_name")],
        ),
        total_bytes=total,
        used_bytes=size(inner(use, "mem_usage", "used_vram")),
    )


def _rocm_smi(source: Source) -> tuple[ToolGpu, ...]:
    answer = json_answer(source.run(*ROCM_SMI, limit_s=LIMIT_S))
    return tuple(_of_rocm_smi(answer)) if isinstance(answer, dict) else ()


def _of_rocm_smi(answer: dict[str, Any]) -> Iterator[ToolGpu]:
    for key, card in answer.items():
        if not CARD.fullmatch(key) or not isinstance(card, dict):
            continue
        told = {str(field).casefold(): value for field, value in card.items()}  # "Card series" until ROCm 5
        yield ToolGpu(
            bus=_bus(told.get("pci bus")),
            name=_name(
                told.get("card model") or told.get("device id"),
                told.get("device rev"),
                [told.get("card series"), told.get("device name"), told.get("card model")],
            ),
            total_bytes=whole(told.get("vram total memory (b)")),
            used_bytes=whole(told.get("vram total used memory (b)")),
        )


def _name(device: Any, revision: Any, candidates: list[Any]) -> str | None:
    """The name by number, which leaves nothing open; else the first that is one card's."""
    known = known_name(_digits(device), _digits(revision))
    named = (plain_name(words(name)) for name in candidates)
    single = (name for name in named if name and SEVERAL not in name and not name.startswith("0x"))
    return known or next((_full(name) for name in single), None)


def _full(name: str) -> str:
    """With the maker's name, which rocm-smi leaves out."""
    return name if name.upper().startswith("AMD") else f"AMD {name}"


def _digits(value: Any) -> str:
    return words(value).lower().removeprefix("0x")


def _bus(value: Any) -> str | None:
    return words(value).lower() or None
