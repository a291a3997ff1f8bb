"""Wall time of the commands people wait for, and where the imports go.

    python tests/benchmarks/startup.py [--runs N]

Prints the median of N cold processes for each command, and for each the modules whose import takes longest.
The first `recommend` of a machine measures its memory bandwidth and is not counted.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "--help": (["--help"], 0.15),
    "recommend --json (this machine)": (["recommend", "--yes", "--json"], 0.5),
    "recommend --json (simulated, by rule)": (
        ["recommend", "--yes", "--json", "--method", "rules", "--hardware", "2x RTX 4090, 64 GB RAM"],
        0.35,
    ),
    "estimate qwen3-8b": (["estimate", "qwen3-8b", "--hardware", "RTX 3070, 32 GB RAM"], None),
    "detect": (["detect", "--json"], 0.3),
}
"""Arguments, and the goal in seconds where there is one."""

TOP = 8
_LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \| ( *)(\S+)")


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "advisor", *arguments], capture_output=True, check=False)
    return time.perf_counter() - start


def import_shares(arguments: list[str]) -> list[tuple[str, float]]:
    """(package, milliseconds spent in its own modules) of one run, longest first."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "advisor", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    shares: dict[str, int] = {}
    for own, _, _, module in _LINE.findall(run.stderr):
        package = module.split(".")[0]
        shares[package] = shares.get(package, 0) + int(own)
    return sorted(((name, us / 1000) for name, us in shares.items()), key=lambda row: -row[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    for title, (arguments, goal) in COMMANDS.items():
        seconds(arguments)  # byte code and caches, as on an installed machine
        times = sorted(seconds(arguments) for _ in range(runs))
        against = f"  goal {goal:.2f} s" if goal else ""
        print(
            f"{title:34} median {statistics.median(times):.3f} s ({times[0]:.3f} to {times[-1]:.3f}){against}"
        )
        shares = import_shares(arguments)
        total = sum(ms for _, ms in shares)
        row = ", ".join(f"{name} {ms:.0f}" for name, ms in shares[:TOP])
        print(f"{'':34} imports {total:.0f} ms: {row}")


if __name__ == "__main__":
    main()
