"""What a checkpoint's quantization does to which module."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cached_property
from typing import Final

from advisor.hf_quantization.formats import WeightFormat
from advisor.value import Value

ALL: Final = "Linear"
"""The target that means every linear layer; the output matrix is one only where it is named."""
OUTPUT: Final = "lm_head"
REGEX: Final = "re:"
_GLOB: Final = re.compile(r"[*?\[]")


class Targets(Value):
    """A set of modules, as checkpoints write one: names, parts of names, globs, or "re:" expressions."""

    patterns: tuple[str, ...] = ()

    def __contains__(self, module: str) -> bool:
        return (ALL in self.patterns and module != OUTPUT) or self.names(module)

    def names(self, module: str) -> bool:
        """Whether a pattern is about this module, or about a part of the model that it belongs to."""
        for spelled in _spellings(module):
            if self._expression and self._expression.match(spelled):
                return True
            if not self._plain.isdisjoint(_parts(spelled)):
                return True
        return False

    @cached_property
    def _plain(self) -> frozenset[str]:
        return frozenset(p for p in self.patterns if not p.startswith(REGEX) and not _GLOB.search(p))

    @cached_property
    def _expression(self) -> re.Pattern[str] | None:
        regexes = [p.removeprefix(REGEX) for p in self.patterns if p.startswith(REGEX)]
        globs = [translate(p) for p in self.patterns if not p.startswith(REGEX) and _GLOB.search(p)]
        # A glob that names a block also means what is inside it.
        inside = [translate(f"{p}.*") for p in self.patterns if not p.startswith(REGEX) and _GLOB.search(p)]
        parts = [f"(?:{part})" for part in (*regexes, *globs, *inside)]
        return re.compile("|".join(parts)) if parts else None


def _spellings(module: str) -> tuple[str, ...]:
    """A module's name in a checkpoint of text, and in the two kinds of multimodal ones."""
    within = module.replace("model.", "model.language_model.", 1)
    return (module, f"language_model.{module}", within) if "." in module else (module,)


def _parts(module: str) -> set[str]:
    """Every run of components of a dotted name."""
    names = module.split(".")
    return {".".join(names[i:j]) for i in range(len(names)) for j in range(i + 1, len(names) + 1)}


class Rule(Value):
    """The format of a set of modules."""

    targets: Targets
    format: WeightFormat


class HfQuantization(Value):
    """A checkpoint's quantization: the first rule that names a module decides, unless it is ignored."""

    name: str
    """As people say it: "FP8", "AWQ 4 bit"."""
    rules: tuple[Rule, ...] = ()
    """None of them: the checkpoint is not quantized."""
    ignored: Targets = Targets()
    plain_bits: int = 16
    """Of everything that stays unquantized."""
    fp8_kv_cache: bool = False
    """The checkpoint brings scales for an 8-bit cache: two F32 numbers a layer."""

    def format_of(self, module: str) -> WeightFormat | None:
        """How the module's matrix is stored; None: unquantized."""
        if self.ignored.names(module):
            return None
        return next((rule.format for rule in self.rules if module in rule.targets), None)
