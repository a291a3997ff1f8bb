"""English that is left in Korean output: what is no id, name, command, path or quotation, yet English."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from texts import DESCRIBED

from advisor.catalog import load_catalog
from advisor.hardware_catalog import load_hardware
from advisor.prices import load_cost_catalog

_WORDS: Final = re.compile(r"(?<![\w-])(?:[A-Za-z][a-z]+[ ,;:()]+){2,}[A-Za-z][a-z]+(?![\w-])")
"""Three words in a row, of letters alone and not in capitals."""
_GRAMMAR: Final = re.compile(
    r"(?<![\w./'-])(?:a|an|and|are|at|by|for|from|has|in|is|it|not|of|on|or|than|that|the|to|unknown|was|with"
    r"|without|yes)(?![\w./'-])"
)
"""Words that hold English together: one of them alone is a word too many."""
_LEFT_OUT: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"`[^`\n]*`",  # a command in a text
        r"\badvisor(?: [a-z]+(?:-[a-z]+)*)+",  # one without them
        r'"[^"\n]*"',  # a quotation, or a sentence that --hardware takes
        r"\[[^\]\n]*\|[^\]\n]*\]",  # the choices of an option
        r"https?://\S+",
        r"[A-Z][\w ]+(?:: | at )line \d+ column \d+",  # what a reader of JSON says
        r"쓸 수 있는 답: .*",  # the keys of an answers file
        r"(?m)^\s*(?:\| )?(?:sh|cd|curl|docker|getent|advisor|pip|python3?) [^|\n]*",  # a line to be typed
        r"(?:getent|llama-server|ollama|vllm|mlx_lm\.server|python -m) [^\n]*",  # an engine's own line
        r"(?m)^(?:출처|source): .*$",  # sources are named as they name themselves
        r"--[\w-]+(?:[ =](?:[A-Z]+|[a-z][\w.-]*))?",  # a flag with what follows it
        r"(?<!\w)-[a-z]{1,4} \S+",  # one of an engine
        r"\b(?:ollama|vllm|sglang|mlx|transformers|onnx)\b",
        r"\b[a-z]{2}(?:, [a-z]{2})+\b",  # codes of languages
        r"\b\w*(?:[0-9_/\\@:=]|[a-z][A-Z]|\.\w)\S*",  # ids, paths, units, names of files
    )
)


@cache
def _names() -> list[str]:
    """What the catalogs call models, GPUs, makers, licences, benchmarks and sources, the longest first."""
    names: set[str] = set()
    models, hardware, costs = load_catalog(), load_hardware(), load_cost_catalog()
    for model in models.models:
        cells = ((cell.metric, cell.source) for cell in model.quality)
        names |= {model.name, model.publisher, model.license.id, *model.names, *sum(cells, ())}
        names |= {model.n_ctx_effective_source or "", model.sampling.source if model.sampling else ""}
        names |= {name for artifact in model.artifacts for name in (artifact.repo, *artifact.files)}
    for axis in models.quality.axes:
        names |= {axis.reference, *(line.metric for line in axis.lines)}
    for row in (*hardware.gpus, *hardware.cpus):
        names |= {row.name, row.source, *row.match, *row.aliases}
    names |= {row.name for row in hardware.gpus} | {row.architecture for row in hardware.gpus}
    for preset in hardware.presets:
        names |= {preset.spec, preset.source or ""} | (
            {preset.title} if not DESCRIBED.search(preset.title) else set()
        )
    for prices in (*costs.rentals, *costs.purchases):
        names |= {prices.seller, prices.source}
    return sorted((name for name in names if len(name.split()) > 1), key=len, reverse=True)


def english_in(text: str) -> list[str]:
    """The lines of a Korean text that hold English."""
    for name in _names():
        text = text.replace(name, "")
    for pattern in _LEFT_OUT:
        text = pattern.sub("", text)
    return [line for line in text.splitlines() if _WORDS.search(line) or _GRAMMAR.search(line)]
