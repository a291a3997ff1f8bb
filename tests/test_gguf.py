"""GGUF headers: against the gguf package and against the rules."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import pytest
from architectures import CONFIGS, architecture
from gguf_files import make_gguf
from published_mixtures import MIXTURES
from published_models import PUBLISHED
from tiny_gguf import SHAPES, SSM, WINDOW, Shapes, write

from advisor.architecture import Architecture
from advisor.catalog import load_catalog
from advisor.errors import GgufError
from advisor.gguf import (
    ArrayLength,
    architecture_of_header,
    model_name,
    parse_header,
    quantization_name,
    read_header,
    tensor_sizes,
)
from advisor.gguf.header import BLOCK_BYTES
from advisor.gguf.sparse import write_sparse
from advisor.hf_config import architecture_of
from advisor.memory import kv_cache_bytes, recurrent_bytes
from advisor.settings import Settings
from advisor.units import MIB
from advisor.weights import weights_by_rule, weights_of

# --- architectures that were written are read ---

NOT_IN_THE_FILE: dict[str, dict[str, Any]] = {
    "mixtral-8x7b": {"n_ff": 0},  # no layer has an ordinary block
    "qwen3.5-0.8b": {"n_mtp_layers": 0},  # the sparse file leaves them out
}


@pytest.mark.parametrize("name", CONFIGS)
def test_what_the_rules_write_is_read_back(name: str, tmp_path: Path) -> None:
    arch = architecture(name)
    quantization = "MXFP4" if arch.family == "gpt-oss" else "Q4_K_M"
    header = read_header(write_sparse(tmp_path / "x.gguf", arch, quantization))
    read = architecture_of_header(header)
    assert read == arch.model_copy(update=NOT_IN_THE_FILE.get(name, {}))
    assert weights_of(read, tensor_sizes(header)) == weights_by_rule(arch, quantization)


FAMILIES = {
    **{name: architecture_of(entry.config) for name, entry in (PUBLISHED | MIXTURES).items()},
    **{model.id: model.architecture for model in load_catalog().models},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_read_back_layer_by_layer(name: str, tmp_path: Path) -> None:
    arch = FAMILIES[name]
    header = read_header(write_sparse(tmp_path / "x.gguf", arch, "Q4_K_M"))
    read = architecture_of_header(header)
    settings = Settings(n_ctx=8192, n_seqs=2)
    assert read.layers == arch.layers
    assert (read.moe, read.mla, read.indexer) == (arch.moe, arch.mla, arch.indexer)
    assert (read.compressed, read.recurrent) == (arch.compressed, arch.recurrent)
    assert (read.n_rot or read.head_dim) == (arch.n_rot or arch.head_dim)
    assert kv_cache_bytes(read, settings) == kv_cache_bytes(arch, settings)
    assert recurrent_bytes(read, settings) == recurrent_bytes(arch, settings)
    assert weights_of(read, tensor_sizes(header)) == weights_by_rule(arch, "Q4_K_M")


def read_architecture(
    path: Path, family: str, keys: Mapping[str, Any], shapes: Shapes = SHAPES
) -> Architecture:
    return architecture_of_header(read_header(write(path, family, keys, shapes)))


@pytest.mark.parametrize(
    ("family", "keys", "pattern", "n_swa"),
    [
        pytest.param("llama", WINDOW, "f", 0, id="a window that the family does not use"),
        pytest.param("phi3", WINDOW, "f", 0, id="phi3: disabled in llama.cpp"),
        pytest.param("gemma2", {}, "sf", 4096, id="gemma2: the window is known"),
        pytest.param("gemma2", WINDOW, "sf", 128, id="gemma2"),
        pytest.param("gemma3", {}, "f", 0, id="gemma3 without a window"),
        pytest.param("gemma3", {**WINDOW, "attention.sliding_window_pattern": 4}, "sssf", 128, id="a period"),
        pytest.param("gemma3", {**WINDOW, "attention.sliding_window_pattern": 1}, "f", 0, id="period of one"),
        pytest.param("gemma3", {**WINDOW, "attention.sliding_window_pattern": 0}, "s", 128, id="never full"),
        pytest.param("gpt-oss", WINDOW, "sf", 128, id="gpt-oss"),
        pytest.param("llama4", WINDOW, "sssf", 8192, id="llama4: always the same window"),
        pytest.param("llama4", {"attention.sliding_window": 0}, "f", 0, id="llama4 without a window"),
        pytest.param("exaone4", WINDOW, "f", 0, id="exaone4: only the 64-layer model has windows"),
        pytest.param("cohere2moe", WINDOW, "fsss", 128, id="full layer first"),
        pytest.param(
            "future",
            {**WINDOW, "attention.sliding_window_pattern": [True, False, False, True]},
            "sff",
            128,
            id="listed layers of an unlisted family",
        ),
        pytest.param(
            "qwen35",
            {**SSM, "attention.recurrent_layers": [True, True, False, True]},
            "rrf",
            0,
            id="qwen35: listed layers",
        ),
        pytest.param("qwen35", {**SSM, "full_attention_interval": 2}, "rf", 0, id="qwen35: an interval"),
        pytest.param("qwen35", SSM, "rrrf", 0, id="qwen35: the known interval"),
        pytest.param(
            "granitehybrid", {**SSM, "attention.head_count_kv": [0, 0, 2, 0]}, "rrf", 0, id="no KV heads"
        ),
        pytest.param("jamba", {**SSM, "attention.head_count_kv": [0, 2, 0, 2]}, "rf", 0, id="jamba"),
        pytest.param("falcon-h1", SSM, "p", 0, id="falcon-h1: both at once"),
        pytest.param(
            "nemotron_h",
            {**SSM, "attention.head_count_kv": [0, 2, 0, 0], "feed_forward_length": [0, 0, 128, 0]},
            "rfn",
            0,
            id="nemotron-h: one block a layer",
        ),
        pytest.param("deci", {"attention.head_count_kv": [2, 0, 2, 0]}, "fn", 0, id="pruned attention"),
        pytest.param("deepseek4", WINDOW, "s", 128, id="deepseek4: all slide"),
        pytest.param(
            "lfm2",
            {**WINDOW, "shortconv.l_cache": 3, "attention.head_count_kv": [0, 2, 0, 2]},
            "rs",
            128,
            id="lfm2 with a window",
        ),
    ],
)
def test_kinds_of_layers(family: str, keys: dict[str, Any], pattern: str, n_swa: int, tmp_path: Path) -> None:
    arch = read_architecture(tmp_path / "x.gguf", family, keys)
    assert (arch.layer_pattern, arch.n_swa) == (pattern, n_swa)


def test_an_unlisted_family_is_read_as_a_plain_decoder(tmp_path: Path) -> None:
    arch = read_architecture(tmp_path / "x.gguf", "glm4", {})
    assert arch == Architecture(
        family="glm4",
        n_layers=4,
        n_embd=64,
        n_vocab=320,
        n_ctx_train=4096,
        n_heads=8,
        n_kv_heads=2,
        head_dim=8,
        n_ff=128,
        tied_embeddings=True,
    )


def test_multi_token_prediction_blocks_are_counted_apart(tmp_path: Path) -> None:
    keys = {**SSM, "nextn_predict_layers": 1, "attention.recurrent_layers": [True, True, False, False]}
    arch = read_architecture(tmp_path / "x.gguf", "qwen35", keys)
    assert (arch.n_layers, arch.n_mtp_layers, arch.layer_pattern) == (3, 1, "rrf")


def test_k_and_v_of_different_widths(tmp_path: Path) -> None:
    keys = {"attention.key_length": 24, "attention.value_length": 16}
    arch = read_architecture(tmp_path / "x.gguf", "mimo2", keys)
    assert (arch.head_dim, arch.head_dim_v) == (24, 16)


def test_heads_that_differ_from_layer_to_layer(tmp_path: Path) -> None:
    keys = {"attention.head_count": [8, 0, 4, 8], "attention.head_count_kv": [2, 0, 4, 2]}
    arch = read_architecture(tmp_path / "x.gguf", "deci", keys)
    assert [(layer.n_heads, layer.n_kv_heads) for layer in arch.layers] == [(8, 2), (0, 0), (4, 4), (8, 2)]


def test_widths_that_differ_from_layer_to_layer(tmp_path: Path) -> None:
    shapes = {**SHAPES, "blk.1.ffn_down.weight": (32, 64)}
    del shapes["blk.2.ffn_down.weight"]
    arch = read_architecture(tmp_path / "x.gguf", "deci", {}, shapes)
    assert [layer.n_ff for layer in arch.layers] == [128, 32, 0, 128]


def test_kv_heads_by_kind_of_layer(tmp_path: Path) -> None:
    keys = {**WINDOW, "attention.head_count_kv": [4, 2, 4, 2], "attention.key_length_swa": 8}
    keys |= {"attention.value_length_swa": 8, "attention.key_length": 16, "attention.value_length": 16}
    arch = read_architecture(tmp_path / "x.gguf", "gemma2", keys)
    assert (arch.n_kv_heads, arch.n_kv_heads_full, arch.head_dim, arch.head_dim_full) == (4, 2, 8, 16)


def test_full_layers_without_v(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in SHAPES.items() if name != "blk.3.attn_v.weight"}
    keys = {**WINDOW, "attention.sliding_window_pattern": [True, True, True, False]}
    assert read_architecture(tmp_path / "x.gguf", "gemma4", keys, shapes).v_is_k_full
    assert not read_architecture(tmp_path / "y.gguf", "gemma4", keys).v_is_k_full


def test_encoders_without_rules_have_no_cache(tmp_path: Path) -> None:
    arch = read_architecture(tmp_path / "x.gguf", "jina-bert-v2", {"attention.causal": False})
    assert arch.is_encoder
    assert not arch.tied_embeddings


@pytest.mark.parametrize(
    ("family", "keys", "message"),
    [
        pytest.param("clip", {}, "projector", id="mmproj"),
        pytest.param("llama", {"block_count": None}, "'llama.block_count'", id="no layers given"),
        pytest.param("llama", {"block_count": 100_000}, "100,000 layers", id="too many layers"),
        pytest.param("llama", {"nextn_predict_layers": 4}, "nextn_predict_layers", id="only MTP blocks"),
        pytest.param("llama", {"context_length": None}, "'llama.context_length'", id="no context given"),
        pytest.param("llama", {"context_length": "many"}, "whole number", id="text for a number"),
        pytest.param("llama", {"context_length": 0}, "n_ctx_train", id="no context"),
        pytest.param("llama", {"attention.head_count": None}, "attention.head_count", id="no heads given"),
        pytest.param("llama", {"attention.head_count": 0}, "attention.head_count", id="no heads"),
        pytest.param("llama", {"attention.head_count": 65}, "head_dim", id="more heads than values"),
        pytest.param("llama", {"attention.head_count_kv": 0}, "head_count_kv", id="no KV heads"),
        pytest.param("llama", {"attention.head_count_kv": [2, 2]}, "2 entries for 4", id="short list"),
        pytest.param(
            "gemma2",
            {**WINDOW, "attention.value_length": 16, "attention.value_length_swa": 24},
            "V is 16 or 24 wide",
            id="widths by kind",
        ),
        pytest.param("gpt-oss", {**WINDOW, "expert_count": 8}, "one by one", id="experts missing"),
        pytest.param("mamba2", SSM, "recurrent layers", id="an unlisted recurrent family"),
        pytest.param("t5", {"decoder_block_count": 4}, "an encoder beside", id="encoder and decoder"),
        pytest.param("glm-dsa", {"attention.indexer.key_length": 128}, "index", id="index cache"),
        pytest.param("llada", {"attention.causal": False}, "encoder", id="an unlisted encoder"),
        pytest.param("granitehybrid", {"attention.head_count_kv": [0, 2, 0, 2]}, "ssm.", id="no state given"),
        pytest.param(
            "granitehybrid", {**SSM, "attention.head_count_kv": [0] * 4}, "attention", id="all zero"
        ),
    ],
)
def test_what_cannot_be_estimated_is_named(
    family: str, keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(GgufError, match=message) as error:
        read_architecture(tmp_path / "x.gguf", family, keys)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [("token_embd", r"no tensor token_embd\.weight"), ("ffn_down", r"no tensor blk\.0\.ffn_down")],
)
def test_missing_tensors_are_named(missing: str, message: str, tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in SHAPES.items() if missing not in name}
    with pytest.raises(GgufError, match=message):
        read_architecture(tmp_path / "x.gguf", "llama", {}, shapes)


# --- the header itself ---


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A real file of two layers, with a tokenizer."""
    return make_gguf(tmp_path / "small.gguf", n_layers=2, n_embd=64, n_ff=64)


def test_it_reads_what_the_gguf_package_reads(small: Path) -> None:
    header, theirs = read_header(small), gguf.GGUFReader(small)
    assert header.data_offset == theirs.data_offset
    assert header.alignment == theirs.alignment
    assert header.file_size == small.stat().st_size
    assert [
        (t.name, t.shape, t.type_name, t.size_bytes, t.offset + header.data_offset) for t in header.tensors
    ] == [
        (t.name, tuple(t.shape.tolist()), t.tensor_type.name, t.n_bytes, t.data_offset)
        for t in theirs.tensors
    ]
    for key, field in theirs.fields.items():
        if key.startswith("GGUF."):
            continue
        value, read = field.contents(), header.metadata[key]
        if isinstance(value, list):
            assert read == (ArrayLength(length=len(value)) if isinstance(value[0], str) else tuple(value))
        else:
            assert read == value
    assert model_name(header) == "random qwen2"


def test_short_lists_of_numbers_are_kept(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "x.gguf", "llama", {"flags": [True, False], "scales": [0.5, -1.0]}))
    assert header.metadata["llama.flags"] == (True, False)
    assert header.metadata["llama.scales"] == (0.5, -1.0)


@pytest.mark.parametrize(
    ("file_type", "name"),
    [(15, "Q4_K_M"), (1024 + 7, "Q8_0"), (38, "MXFP4"), (4242, "F16"), (None, "F16")],
    ids=["known", "guessed by llama.cpp", "MXFP4", "unknown number", "not given"],
)
def test_quantization_name(file_type: int | None, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", "llama", {})
    header = read_header(path)
    named = {**header.metadata, "general.file_type": file_type} if file_type else header.metadata
    assert quantization_name(header.model_copy(update={"metadata": named})) == name


def test_a_name_stays_on_one_line(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "x.gguf", "llama", {}))
    assert model_name(header) is None
    hostile = {**header.metadata, "general.name": "a\x1b[2J\nb"}
    assert model_name(header.model_copy(update={"metadata": hostile})) == "a [2J b"


def test_a_large_vocabulary_is_walked_over_in_blocks(tmp_path: Path) -> None:
    tokens = [f"token {i}" for i in range(150_000)]
    data = write(tmp_path / "x.gguf", "llama", {"tokens": tokens, "scores": [0.5] * 150_000}).read_bytes()
    reads: list[int] = []

    def read(offset: int, n: int) -> bytes:
        reads.append(n)
        return data[offset : offset + n]

    tracemalloc.start()
    header = parse_header(read, len(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.metadata["llama.tokens"] == ArrayLength(length=150_000)
    assert header.metadata["llama.scores"] == ArrayLength(length=150_000)
    assert architecture_of_header(header).n_vocab == SHAPES["token_embd.weight"][1]
    assert len(reads) <= 2 + header.data_offset // BLOCK_BYTES
    assert peak < 4 * MIB


# --- split files ---


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    write(tmp_path / "model.gguf", "llama", {}, split_max_tensors=5)
    return sorted(tmp_path.glob("model-*.gguf"))


@pytest.mark.parametrize("given_part", [0, 1, 2])
def test_the_parts_of_a_split_file_are_joined(parts: list[Path], given_part: int, tmp_path: Path) -> None:
    whole = read_header(write(tmp_path / "whole.gguf", "llama", {}))
    header = read_header(parts[given_part])
    assert len(parts) == 3
    assert tensor_sizes(header) == tensor_sizes(whole)
    assert architecture_of_header(header) == architecture_of_header(whole)
    assert header.file_size == sum(part.stat().st_size for part in parts)


def test_missing_parts_are_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(GgufError, match=r"1 of its 3 parts.*model-00002-of-00003\.gguf.*download"):
        read_header(parts[0])


def test_a_renamed_part_cannot_find_its_others(parts: list[Path]) -> None:
    with pytest.raises(GgufError, match=r"one of 3 parts.*NAME-00001-of-00003\.gguf"):
        read_header(parts[0].rename(parts[0].with_name("mine.gguf")))


def test_a_part_in_the_place_of_another_is_refused(parts: list[Path]) -> None:
    parts[2].write_bytes(parts[1].read_bytes())
    with pytest.raises(GgufError, match=r"model-00003-of-00003\.gguf: not part 3 of 3"):
        read_header(parts[0])


def test_a_truncated_part_is_named(parts: list[Path]) -> None:
    os.truncate(parts[1], parts[1].stat().st_size - 64)
    with pytest.raises(GgufError, match=r"model-00002-of-00003\.gguf: truncated"):
        read_header(parts[0])
