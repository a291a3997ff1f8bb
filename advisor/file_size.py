"""The size of a GGUF file that need not exist: its tensors, what describes them, and its tokenizer.

A tokenizer takes the same bytes in every file of its vocabulary; what differs between two makers' files of
one model (name, licence, chat template) is a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from advisor.architecture import Architecture
from advisor.i18n import _
from advisor.quantization import MIXES, OLDER, Mix
from advisor.tensor_types import ALIGNMENT
from advisor.tensors import Tensor, family_of, tensors
from advisor.units import pad
from advisor.weights import weights_by_rule

_HEADER_BYTES: Final = 24
"""Magic, version, and the two counts."""
_TENSOR_BYTES: Final = 8 + 4 + 4 + 8
"""What every tensor takes in the header beside its name and dimensions: lengths, type and offset."""

# Published files (hub pages, read 2026-11-21) less the tensors and their descriptions as computed here; where
# a model is published in several quantizations, all of them give the same to within 2 kB.
_BY_FAMILY: Final[Mapping[str, int]] = {
    "nomic-bert": 749_801,  # nomic-ai, all seven files
    "gemma-embedding": 11_525_343,  # ggml-org
    "gemma4": 15_781_067,  # ggml-org: 26B-A4B and 31B, Q4_K_M and Q8_0
}
_BY_VOCABULARY: Final[Mapping[int, int]] = {
    30_522: 356_575,  # BERT's word pieces: all-MiniLM, six files
    32_000: 718_210,  # Llama 2 and Mistral v0.1
    32_064: 727_520,  # Phi-3 and 3.5 mini
    32_768: 740_674,  # Mistral v0.3
    100_352: 3_547_379,  # Granite 4
    102_400: 4_187_696,  # EXAONE 4
    128_000: 8_222_023,  # LFM 2.5
    128_256: 7_823_569,  # Llama 3: eight models, eighteen files
    131_072: 8_393_170,  # Mistral's Tekken: Ministral 3, three files
    151_936: 5_932_859,  # Qwen 2.5 and 3: thirteen files
    152_064: 5_934_208,  # Qwen 2.5 from 7B: eighteen files
    200_064: 8_239_752,  # Phi-4 mini
    201_088: 12_980_358,  # gpt-oss
    248_320: 10_943_086,  # Qwen 3.5 and 3.6: five files
    250_002: 6_820_431,  # XLM-RoBERTa: bge-m3, six files
    256_000: 6_029_071,  # Gemma 2
    262_144: 6_513_071,  # Gemma 3 1B
    262_208: 6_311_423,  # Gemma 3
}


def tokenizer_bytes(arch: Architecture) -> int | None:
    """The tokenizer and what else a header says about the model; None for an unknown vocabulary."""
    return _BY_FAMILY.get(arch.family) or _BY_VOCABULARY.get(arch.n_vocab)


def file_bytes(arch: Architecture, quantization: str, mixes: Mapping[str, Mix] = MIXES) -> int:
    """The file that llama.cpp's quantizer would write; without the tokenizer where its size is not known.

    Raises `ConfigError` for a family or quantization without rules.
    """
    return _around(arch, weights_by_rule(arch, quantization, mixes).total_bytes)


class OlderFile(NamedTuple):
    """A file of the same name by an older recipe."""

    recipe: str
    seen: str
    bytes: int


def older_files(arch: Architecture, quantization: str) -> tuple[OlderFile, ...]:
    """The sizes that files of this name had under older recipes, where they differ.

    Raises `ConfigError` like `file_bytes`.
    """
    now = file_bytes(arch, quantization)
    sizes = (OlderFile(old.name, old.seen, file_bytes(arch, quantization, old.mixes)) for old in OLDER)
    return tuple(old for old in sizes if old.bytes != now)


def older_notes(arch: Architecture, quantization: str) -> Iterator[str]:
    """What to know of published files by the recipes that treated fused QKV matrices otherwise.

    The oldest was only seen with encoders: it is from before today's decoders.

    Raises `ConfigError` like `file_bytes`.
    """
    if family_of(arch).attention != "fused":
        return
    now = file_bytes(arch, quantization)
    met = OLDER if arch.is_encoder else OLDER[:1]
    for old in older_files(arch, quantization):
        if old.recipe not in {recipe.name for recipe in met}:
            continue
        text = (
            _("an older file of this name is {n:,} bytes smaller: {recipe}, seen in {seen}")
            if old.bytes < now
            else _("an older file of this name is {n:,} bytes larger: {recipe}, seen in {seen}")
        )
        yield text.format(n=abs(now - old.bytes), recipe=_(old.recipe), seen=_(old.seen))


def _around(arch: Architecture, weights_bytes: int) -> int:
    described = sum(_description_bytes(row) for row in tensors(arch))
    return pad(_HEADER_BYTES + (tokenizer_bytes(arch) or 0) + described, ALIGNMENT) + weights_bytes


def _description_bytes(row: Tensor) -> int:
    return _TENSOR_BYTES + len(row.name.encode()) + 8 * len(row.shape)
