"""The names that drivers and tools print for GPUs, without what they add: marks, drivers, code names, buses.

Two names mean the same GPU where their keys are equal, word by word: nothing here guesses, and a name with
one word more or less is another name.

    "AMD Radeon RX 6600 (RADV NAVI23) (radv)"            → "AMD Radeon RX 6600"
    "Intel(R) Arc(TM) A770 Graphics (DG2)"               → "Intel Arc A770 Graphics"
    "NVIDIA GeForce RTX 3060/PCIe/SSE2"                  → "NVIDIA GeForce RTX 3060"
    "NVIDIA Corporation AD107 [GeForce RTX 4060] (rev a1)" → "GeForce RTX 4060"
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_MARKS: Final = re.compile(r"\((?:r|tm|c)\)|[®™©]", re.IGNORECASE)
_ADDED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)\s*/PCIe(?:/SSE2)?$",  # OpenGL
        r"(?i)\s*\(rev [0-9a-f]{2}\)$",  # lspci
        r"(?i)\s*\((?:RADV \w+|radv|AMD (?:open-source|proprietary) driver)\)$",  # Vulkan, and llama.cpp
        r"(?i)\s*\((?:NVIDIA|Intel Corporation|Intel open-source Mesa driver)\)$",
        r"(?i)\s*\((?:radeonsi|gfx\d+)\b[^()]*\)$",  # Mesa's OpenGL: chip, LLVM, kernel
        r"(?<=\S)\s*\((?:DG[12]|[A-Z]{3})(?:[ -][A-Z0-9]+)?\)$",  # Mesa: Intel's code name
        r"(?i)\s*\(\d+ ?GB\)$",  # Intel on Windows: the machine's RAM
    )
)
"""What is taken off the end of a name, as often as it is there."""
_BEFORE: Final = re.compile(r"^(?:Mesa|(?:NVIDIA|Intel) Corporation)\s+", re.IGNORECASE)
_LISTED: Final = re.compile(r"^[^\[\]]+\[([^\[\]/]+)\]$")
"""The PCI ID repository: "AD107 [GeForce RTX 4060]"; with a slash the brackets hold several cards."""
_VIRTUAL: Final = re.compile(r"^(?:NVIDIA\s+|GRID\s+)*(?P<card>\S.*?)-(?:\d-)?\d+[ABCQ]\d?$")
"""NVIDIA's virtual GPUs: card, size in GB, and kind of licence ("GRID T4-4C", "NVIDIA A10-24Q")."""
_MIG: Final = re.compile(r"^(?P<card>.+?) MIG \d+(?:c\.\d+)?g\.\S+$")
"""NVML: the card's name and the profile of the slice ("NVIDIA H100 80GB HBM3 MIG 1g.10gb")."""
_WORD: Final = re.compile(r"[^\s-]+")
_MAKERS: Final = frozenset({"nvidia", "amd", "ati", "intel", "tesla"})
"""Words that some tools and driver versions print and others do not."""
_ENDINGS: Final = frozenset({"graphics", "gpu"})
"""Left out by some drivers; without a number before it, such a word is all the name there is."""
_FORMS: Final = frozenset({"oam", "vf"})
"""AMD Instinct: the kind of module, and a GPU passed to a virtual machine (its memory tells the share)."""


class DeviceName(NamedTuple):
    """What a name says."""

    words: tuple[str, ...]
    """Of the model, spelled as printed."""
    part: bool = False
    """Whether the name is that of a slice or a virtual GPU: memory and speed may be a share of the card's."""

    @property
    def key(self) -> tuple[str, ...]:
        """The words for comparing names whatever their capitals."""
        return tuple(word.lower() for word in self.words)


def plain_name(name: str) -> str:
    """The name without what tools add to it; unchanged where nothing is known to be added."""
    name = " ".join(_MARKS.sub(" ", name).split())
    while (shorter := _shorter(name)) != name:
        name = shorter
    listed = _LISTED.match(name)
    return listed[1].strip() if listed else name


@lru_cache(maxsize=4096)
def device_name(name: str) -> DeviceName:
    """The name's model, and whether only a part of such a GPU bears it."""
    name = plain_name(name)
    for pattern in (_MIG, _VIRTUAL):
        if part := pattern.match(name):
            return DeviceName(_words(part["card"]), part=True)
    return DeviceName(_words(name))


def _shorter(name: str) -> str:
    for pattern in _ADDED:
        name = pattern.sub("", name)
    return _BEFORE.sub("", name)


def _words(name: str) -> tuple[str, ...]:
    words = [word for word in _WORD.findall(name) if word.lower() not in _MAKERS]
    numbered = any(character.isdigit() for word in words for character in word)
    if numbered and words[-1].lower() in _ENDINGS:
        words.pop()
    if words and words[0].lower() == "instinct" and words[-1].lower() in _FORMS:
        words.pop()
    return tuple(words)
