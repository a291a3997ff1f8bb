"""Ask llama.cpp what it would allocate: run as a child process, since a failed assertion aborts it.

    python tests/plan_memory.py FILE SETTINGS_JSON

Prints {"weights": …, "context": …, "compute": …} in bytes. Nothing is allocated (`no_alloc`), so that a file
whose data is a hole plans a model of any size in milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

from llama_child import last_json

from advisor.settings import Settings


def plan(path: Path, settings: Settings) -> dict[str, int]:
    """The plan of another process; raises `AssertionError` with its last words when there is none."""
    return last_json(__file__, path, settings.model_dump_json())


def main(path: str, settings: Settings) -> None:
    from llama_cpp import llama_cpp as api

    from advisor.llama_library import breakdown

    types = {"f16": api.GGML_TYPE_F16, "q8_0": api.GGML_TYPE_Q8_0, "q4_0": api.GGML_TYPE_Q4_0}
    api.llama_backend_init()
    model_params = api.llama_model_default_params()
    model_params.no_alloc, model_params.load_mode = True, 0
    model_params.n_gpu_layers, model_params.use_extra_bufts = 0, False
    model = api.llama_model_load_from_file(path.encode(), model_params)
    assert model, f"{path} does not load"
    params = api.llama_context_default_params()
    params.n_ctx, params.n_seq_max = settings.n_ctx_total, settings.n_seqs
    params.n_batch, params.n_ubatch = settings.n_batch, settings.n_ubatch
    params.n_outputs_max = settings.n_outputs_max or 0
    params.type_k = params.type_v = types[settings.kv_type]
    params.flash_attn_type = 1 if settings.flash_attn else 0
    params.kv_unified, params.swa_full = settings.kv_unified, settings.swa_full
    params.embeddings = settings.embeddings
    context = api.llama_init_from_model(model, params)
    assert context, "no context"
    buffers = breakdown(ctypes.cast(context, ctypes.c_void_p))
    assert buffers, "the breakdown's layout is not known here"
    print(
        json.dumps(
            {
                "weights": sum(b.weights_bytes for b in buffers),
                "context": sum(b.context_bytes for b in buffers),
                "compute": sum(b.compute_bytes for b in buffers),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Settings.model_validate_json(sys.argv[2]))
