"""Ask llama.cpp which type its quantizer would give every tensor: run as a child process.

    python tests/quantize_types.py FILE FTYPE_NUMBER

Prints a JSON object from tensor name to type. The file's data is never read (dry run).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from llama_child import last_json

FTYPES = {
    "Q4_0": 2,
    "Q4_1": 3,
    "Q8_0": 7,
    "Q5_0": 8,
    "Q5_1": 9,
    "Q2_K": 10,
    "Q3_K_S": 11,
    "Q3_K_M": 12,
    "Q3_K_L": 13,
    "Q4_K_S": 14,
    "Q4_K_M": 15,
    "Q5_K_S": 16,
    "Q5_K_M": 17,
    "Q6_K": 18,
    "IQ4_NL": 25,
    "IQ4_XS": 30,
    "MXFP4": 38,
}
"""llama_ftype of llama.h."""

_LINE = re.compile(
    r"\[\s*\d+/\s*\d+\] (\S+)\s+- \[[^\]]*\], type =\s+(\w+), (?:warning[^\n]*\n)?"
    r"size =\s+[\d.]+ MiB(?: ->\s+[\d.]+ MiB \((\w+)\))?"
)


def quantizer_types(path: Path, quantization: str) -> dict[str, str]:
    """The types that llama-quantize would write."""
    return last_json(__file__, path, FTYPES[quantization])


def main(path: str, ftype: int) -> None:
    from llama_cpp import llama_cpp as api

    log: list[str] = []

    @api.llama_log_callback
    def keep(level: int, text: bytes, user_data: Any) -> None:
        log.append(text.decode("utf-8", "replace"))

    api.llama_log_set(keep, ctypes.c_void_p(0))
    api.llama_backend_init()
    params = api.llama_model_quantize_default_params()
    params.ftype, params.dry_run, params.nthread, params.allow_requantize = ftype, True, 1, True
    status = api.llama_model_quantize(path.encode(), os.devnull.encode(), ctypes.byref(params))
    assert status == 0, "".join(log)[-1500:]
    print(json.dumps({name: (new or old).upper() for name, old, new in _LINE.findall("".join(log))}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
