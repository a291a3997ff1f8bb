"""Ask llama.cpp which type its quantizer would give every tensor: run as a child process.

    python tests/quantize_types.py FILE with|without FTYPE_NUMBER...

"with": as if an importance matrix were given. Prints a JSON object from the number to tensor name and type.
The file's data is never read (dry run).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from collections.abc import Sequence
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
    "IQ2_XXS": 19,
    "IQ2_XS": 20,
    "Q2_K_S": 21,
    "IQ3_XS": 22,
    "IQ3_XXS": 23,
    "IQ1_S": 24,
    "IQ4_NL": 25,
    "IQ3_S": 26,
    "IQ3_M": 27,
    "IQ2_S": 28,
    "IQ2_M": 29,
    "IQ4_XS": 30,
    "IQ1_M": 31,
    "TQ1_0": 36,
    "TQ2_0": 37,
    "MXFP4": 38,
    "Q1_0": 40,
    "Q2_0": 41,
}
"""llama_ftype of llama.h."""

_LINE = re.compile(
    r"\[\s*\d+/\s*\d+\] (\S+)\s+- \[[^\]]*\], type =\s+(\w+), (?:warning[^\n]*\n)?"
    r"size =\s+[\d.]+ MiB(?: ->\s+[\d.]+ MiB \((\w+)\))?"
)


def quantizer_types(
    path: Path, quantizations: Sequence[str], *, imatrix: bool = False
) -> dict[str, dict[str, str]]:
    """The types that llama-quantize would write, by quantization."""
    numbers = [FTYPES[name] for name in quantizations]
    answer = last_json(__file__, path, "with" if imatrix else "without", *numbers)
    return {name: answer[str(FTYPES[name])] for name in quantizations}


def main(path: str, imatrix: str, ftypes: Sequence[str]) -> None:
    from llama_cpp import llama_cpp as api

    log: list[str] = []

    @api.llama_log_callback
    def keep(level: int, text: bytes, user_data: Any) -> None:
        log.append(text.decode("utf-8", "replace"))

    api.llama_log_set(keep, ctypes.c_void_p(0))
    api.llama_backend_init()
    params = api.llama_model_quantize_default_params()
    params.dry_run, params.nthread, params.allow_requantize = True, 1, True
    nothing = (api.llama_model_imatrix_data * 1)()  # a list that ends at once: given, and never looked at
    if imatrix == "with":
        params.imatrix = nothing
    types = {}
    for ftype in ftypes:
        log.clear()
        params.ftype = int(ftype)
        status = api.llama_model_quantize(path.encode(), os.devnull.encode(), ctypes.byref(params))
        assert status == 0, "".join(log)[-1500:]
        types[ftype] = {name: (new or old).upper() for name, old, new in _LINE.findall("".join(log))}
    print(json.dumps(types))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
