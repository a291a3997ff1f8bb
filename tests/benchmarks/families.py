"""Every config.json of a folder, by rule and by llama.cpp's own plan.

    python tests/benchmarks/families.py --configs DIR [--ctx N]

DIR holds files called config.json or …_config.json, at any depth. For each it prints llama.cpp's name of the
architecture, the parameters, the weights in Q4_K_M and the caches and states of one sequence, by rule and as
llama.cpp plans them for a sparse file of the same shapes (needs the extra `smoke`), whether the two are equal
to the byte, and how far the compute buffer is off; or why the config is refused. Configs that describe the
same architecture are planned once. "equal*": but for a tied output matrix, which a plan without mmap holds
twice. Exits 1 when a plan differs or llama.cpp refuses the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path
from typing import NamedTuple

from advisor import oracle
from advisor.architecture import Architecture
from advisor.errors import AdvisorError
from advisor.gguf.sparse import write_sparse
from advisor.hf_config import architecture_of
from advisor.measurements import Trial
from advisor.memory import Split, allocate, footprint_of
from advisor.settings import Settings
from advisor.tensors import tensors
from advisor.units import MIB
from advisor.weights import weights_by_rule

QUANTIZATION = "Q4_K_M"
LIMIT_S = 120.0
NOT_A_CONFIG = ("hf_quant_config.json", "generation_config.json", "tokenizer_config.json")


class Sizes(NamedTuple):
    """Bytes of a model under one setting."""

    weights: int
    context: int
    compute: int
    tied: int = 0
    """The token embedding where it is the output matrix too."""


def configs(folder: Path) -> Iterator[tuple[str, Path]]:
    """The configs of a folder by what their names, or their folders', say."""
    for path in sorted(folder.rglob("*config.json")):
        if not path.name.endswith(NOT_A_CONFIG):
            own = path.name.removesuffix("config.json").rstrip("_")
            yield own or path.parent.name, path


def by_rule(arch: Architecture, settings: Settings) -> Sizes:
    weights = weights_by_rule(arch, QUANTIZATION)
    _, host = allocate(footprint_of(arch, weights, settings), Split())
    context = host.kv_cache_bytes + host.recurrent_bytes
    return Sizes(host.weights_bytes, context, host.compute_bytes, weights.tied_bytes)


@cache
def by_llama(arch: Architecture, settings: Settings) -> Sizes | str:
    """What llama.cpp plans for a file of the architecture's shapes, or why it does not."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_sparse(Path(folder) / "model.gguf", arch, QUANTIZATION)
        answer = oracle.plan(path, Trial(settings=settings, repack=False), LIMIT_S)
    if not answer.buffers or not answer.buffers.exact:
        return answer.refusal or "the breakdown's layout is not known"
    exact = answer.buffers.exact
    return Sizes(
        sum(buffer.weights_bytes for buffer in exact),
        sum(buffer.context_bytes for buffer in exact),
        sum(buffer.compute_bytes for buffer in exact),
    )


class Line(NamedTuple):
    """What is printed of one config."""

    text: str
    outcome: str
    """ "equal", "differs", "refused", or "not planned"."""


def line(name: str, path: Path, settings: Settings) -> Line:
    try:
        arch = architecture_of(json.loads(path.read_text(encoding="utf-8")))
        n_params = sum(prod(row.shape) for row in tensors(arch)) / 1e9
        ours = by_rule(arch, settings)
    except (AdvisorError, ValueError) as error:
        return Line(f"{name:45} refused: {error}", "refused")
    sizes = f"{ours.weights / MIB:12.2f} {ours.context / MIB:10.2f}"
    shown = f"{name:45} {arch.family:15} {n_params:9.3f} B {sizes}"
    theirs = by_llama(arch, settings)
    if isinstance(theirs, str):
        return Line(f"{shown} not planned: {theirs}", "not planned")
    # Without mmap, llama.cpp gives some tied output matrices memory of their own; by default it does not.
    twice = bool(ours.tied) and theirs.weights == ours.weights + ours.tied
    equal = theirs.context == ours.context and (twice or theirs.weights == ours.weights)
    verdict = ("equal*" if twice else "equal") if equal else f"weights {theirs.weights / MIB:.2f}"
    off = 100 * (ours.compute / theirs.compute - 1)
    return Line(
        f"{shown} {theirs.context / MIB:10.2f} {verdict:8} {off:+7.2f} %", "equal" if equal else "differs"
    )


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--configs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--ctx", type=int, default=8192, metavar="N")
    arguments = parser.parse_args()
    settings = Settings(n_ctx=arguments.ctx, n_outputs_max=1)
    print(
        f"{'config':45} {'architecture':15} {'parameters':>11} {'weights MiB':>12} {'cache':>10} "
        f"{'llama.cpp':>10} {'':8} {'compute':>9}"
    )
    outcomes: dict[str, int] = {}
    for name, path in configs(arguments.configs):
        told = line(name, path, settings)
        print(told.text, flush=True)
        outcomes[told.outcome] = outcomes.get(told.outcome, 0) + 1
    if not outcomes:
        print(f"no config.json under {arguments.configs}", file=sys.stderr)
        return 1
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    return int(bool(outcomes.keys() & {"differs", "not planned"}))


if __name__ == "__main__":
    sys.exit(main())
