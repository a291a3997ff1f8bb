"""Runs a script that uses llama.cpp in a process of its own: a failed assertion there aborts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def last_json(script: str, *arguments: object) -> dict[str, Any]:
    """What the script printed last; its last words are the message of the `AssertionError` when it fails."""
    run = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
    )
    assert run.returncode == 0, run.stderr[-1500:]
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result
