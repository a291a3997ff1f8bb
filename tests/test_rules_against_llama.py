"""The memory rules against llama.cpp itself, on files of true shapes whose data is a hole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from architectures import CONFIGS, architecture
from plan_memory import plan
from quantize_types import FTYPES, quantizer_types

from advisor.gguf.sparse import write_sparse
from advisor.memory import Split, allocate, footprint_of
from advisor.quantization import WITH_IMATRIX, WITHOUT_IMATRIX, Mix, quantize
from advisor.settings import Settings
from advisor.tensor_types import GGML_TYPES
from advisor.tensors import tensors
from advisor.weights import weights_by_rule

pytestmark = pytest.mark.slow

SETTINGS = {
    "one sequence": Settings(n_ctx=8192, n_outputs_max=1),
    "four sequences": Settings(n_ctx=2048, n_seqs=4, n_outputs_max=4),
    "quantized cache": Settings(n_ctx=4096, kv_type="q8_0", n_outputs_max=1),
}
COMPUTE_SHARE = 0.02
"""Of the total: how far a compute buffer by rule may be off."""
STORED_TWICE = {"gemma-4-e2b"}
"""Without mmap, llama.cpp gives Gemma 4's output matrix memory of its own; with mmap, the default, not."""


CASES = [
    pytest.param(name, setting, id=f"{name}, {setting}")
    for name in CONFIGS
    for setting in SETTINGS
    if not (architecture(name).is_encoder and setting == "quantized cache")  # an encoder has no cache
]


@pytest.mark.parametrize(("name", "setting"), CASES)
def test_rules_are_what_llama_plans(name: str, setting: str, tmp_path: Path) -> None:
    arch = architecture(name)
    settings = SETTINGS[setting]
    if arch.is_encoder:
        settings = Settings(n_ctx=512, n_batch=512, embeddings=True, n_outputs_max=512)
    quantization = "MXFP4" if arch.family == "gpt-oss" else "Q4_K_M"
    path = write_sparse(tmp_path / "model.gguf", arch, quantization)
    theirs = plan(path, settings)

    weights = weights_by_rule(arch, quantization)
    _, ours = allocate(footprint_of(arch, weights, settings), Split())
    again = weights.tied_bytes if name in STORED_TWICE else 0
    assert ours.weights_bytes + again == theirs["weights"]
    assert ours.kv_cache_bytes + ours.recurrent_bytes == theirs["context"]
    total = sum(theirs.values())
    assert abs(ours.compute_bytes - theirs["compute"]) <= COMPUTE_SHARE * total


LARGE_BLOCKS = {"Q1_0"}
"""Types without a fallback for rows that their block does not divide: the quantizer and the rules refuse."""
IMATRIX = [
    pytest.param(True, WITH_IMATRIX, id="with an importance matrix"),
    pytest.param(False, WITHOUT_IMATRIX, id="without"),
]


@pytest.mark.parametrize(("imatrix", "mixes"), IMATRIX)
@pytest.mark.parametrize("name", CONFIGS)
def test_mixes_are_what_the_quantizer_chooses(
    name: str, imatrix: bool, mixes: Mapping[str, Mix], tmp_path: Path
) -> None:
    arch = architecture(name)
    path = write_sparse(tmp_path / "model.gguf", arch, "F16")
    rows = tensors(arch)
    divides = all(row.shape[0] % GGML_TYPES["Q1_0"].block == 0 for row in rows if not row.keep_f32)
    asked = [
        quantization
        for quantization in FTYPES
        if (quantization != "MXFP4" or arch.moe) and (divides or quantization not in LARGE_BLOCKS)
    ]
    for quantization, theirs in quantizer_types(path, asked, imatrix=imatrix).items():
        ours = dict(zip((row.name for row in rows), quantize(arch, rows, quantization, mixes), strict=True))
        assert {n: (ours[n], t) for n, t in theirs.items() if ours[n] != t} == {}, quantization
        assert theirs.keys() == ours.keys()
