"""The table of picks: every scenario's answer with its figures, and the properties that it breaks.

    python tests/benchmarks/scenarios.py [--all]

`--all` adds every preset of catalog/machines.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scenarios import ADVISED, ALL_PRESETS, NEEDS, SEEDS, advise, broken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every preset too")
    scenarios = [*SEEDS, *NEEDS, *(ALL_PRESETS if parser.parse_args().all else ())]
    n_broken = 0
    for scenario in scenarios:
        result = advise(scenario.machine, **scenario.needs)
        pick = result.choice
        figures = result.notes[-1]
        if pick:
            where = f"{pick.backend:9} {pick.speed.decode_tokens_per_s:5.0f} tok/s"
            figures = f"{pick.model:34} {pick.quantization:7} {where}  score {pick.score:5.1f}"
        problems = broken(result)
        n_broken += bool(problems)
        print(f"{scenario.id:62} {figures} {'; '.join(problems)}")
        if advised := ADVISED.get(scenario.id):
            print(f"    advised before: {', '.join(advised.models)}; outdated: {advised.outdated}")
    print(f"{len(scenarios)} scenarios, {n_broken} break a property")


if __name__ == "__main__":
    main()
