"""Machines and needs, and what an expert would insist on in every answer: properties, never a fixed model."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from advisor.api import machine_of, recommend
from advisor.assessment import Candidate
from advisor.catalog import load_catalog
from advisor.model import ModelKind
from advisor.needs import PERMISSIVE_LICENSES
from advisor.plan import Recommendation
from advisor.quality import fidelity
from advisor.quantization import base_bits
from advisor.ranking import CHECKPOINT_BITS, COARSE_BITS, FINE_BITS, FLOOR_TOKENS_PER_S, LARGE_CARD_BYTES
from advisor.units import GIB
from advisor.usecase import Requirements, UseCase

PRESETS: Final = sorted(path.stem for path in (Path(__file__).parents[1] / "catalog/machines").glob("*.yaml"))


class Scenario(NamedTuple):
    """A machine, and what is asked of it."""

    machine: str
    needs: dict[str, Any]

    @property
    def id(self) -> str:
        return " ".join((self.machine, *(f"{name}={value}" for name, value in self.needs.items())))


def _of(machine: str, **needs: Any) -> Scenario:
    return Scenario(machine, needs)


SEEDS: Final = (
    _of("RTX 3070 8 GB, 32 GB RAM"),
    _of("RTX 3060 Laptop 6 GB, 16 GB RAM"),
    _of("CPU only, 16 GB RAM, 8 cores"),
    _of("2x RTX 4090, 64 GB RAM"),
    _of("4x A100 40GB, 512 GB RAM", users=16),
    _of("laptop-16gb", use_case="fast"),
    _of("CPU only, 16 GB RAM, 8 cores", use_case="embedding"),
)
"""The set-ups that the product was first asked about."""


class Advised(NamedTuple):
    """What was advised for one of them before there was this product, and where that is outdated now."""

    models: tuple[str, ...]
    outdated: str


ADVISED: Final = {
    SEEDS[0].id: Advised(
        ("llama-3-8b-instruct", "mistral-7b-instruct-v0.3"),
        "Llama 3 8B is of April 2024 and 8k tokens; with experts in RAM 8 GB cards run mixtures of 35B",
    ),
    SEEDS[1].id: Advised(
        ("gemma-7b-it", "phi-3-mini-4k-instruct"),
        "the laptop card has 6 GB, on which Gemma 7B lies whole in no file; Phi-3 mini was passed since",
    ),
    SEEDS[2].id: Advised(
        ("qwen2.5-7b-instruct", "phi-3-mini-4k-instruct"),
        "mixtures of few active parameters and 4B models of 2026 answer better at the speed of a processor",
    ),
    SEEDS[3].id: Advised(
        ("llama-3-70b-instruct",),
        "a 27B of 2026 is ahead of a 70B of 2024 and leaves room; Q4_0 gave way to mixes of types",
    ),
    SEEDS[4].id: Advised(
        ("llama-3-70b-instruct",),
        "vLLM with tensor parallelism stays right; the model was superseded three times",
    ),
    SEEDS[5].id: Advised(
        ("phi-4-mini-instruct",),
        "gpt-oss-20b, advised for depth alone, has 3.6 billion active parameters: as fast, and ahead",
    ),
    SEEDS[6].id: Advised(
        ("nomic-embed-text-v1.5", "mxbai-embed-large-v1"),
        "all of them know English alone; for Korean documents a multilingual embedder is needed",
    ),
}
"""By scenario; read again on 2026-11-21."""

NEEDS: Final = (
    _of("RTX 3070 8 GB, 32 GB RAM", use_case="coding"),
    _of("RTX 3070 8 GB, 32 GB RAM", use_case="rag", languages=("ko",)),
    _of("RTX 3070 8 GB, 32 GB RAM", use_case="vision"),
    _of("RTX 3070 8 GB, 32 GB RAM", quality="best"),
    _of("RTX 3070 8 GB, 32 GB RAM", quality="fast"),
    _of("RTX 3070 8 GB, 32 GB RAM", min_tokens_per_s=40.0),
    _of("RTX 4090, 64 GB RAM", use_case="agent"),
    _of("RTX 4090, 64 GB RAM", users=8),
    _of("RTX 4090, 64 GB RAM", max_ttft_s=1.0),
    _of("RTX 4090, 64 GB RAM", n_ctx=65_536),
    _of("RTX 4090, 64 GB RAM", license="permissive", languages=("ko",)),
    _of("RTX 4090, 64 GB RAM", use_case="embedding", languages=("ko",)),
    _of("RTX 4090, 64 GB RAM", use_case="rerank"),
    _of("RTX 4090, 64 GB RAM", use_case="translate", languages=("ko", "en")),
    _of("RTX 5090 + RTX 5080, 96 GB RAM"),
    _of("H100 80GB PCIe, 256 GB RAM"),
    _of("H100 80GB PCIe, 256 GB RAM", quality="fast"),
    _of("8x H100 80GB SXM, 2 TB RAM", users=32),
    _of("dual-3090-workstation", users=4),
    _of("strix-halo-128"),
    _of("macbook-pro-m4-max-128"),
    _of("M2 8 GB"),
    _of("M3 Max 40-core 64 GB", use_case="coding"),
    _of("desktop-b580-12gb"),
    _of("gaming-laptop-8gb", use_case="reasoning"),
    _of("mini-pc-n100-16gb", use_case="summarize"),
    _of("Raspberry Pi 5 8 GB", use_case="fast"),
    _of("jetson-orin-nano-super", use_case="vision"),
    _of("epyc-server-768gb"),
    _of("dgx-spark", use_case="agent"),
)
ALL_PRESETS: Final = tuple(_of(preset) for preset in PRESETS)


@cache
def _advise(machine: str, needs: tuple[tuple[str, Any], ...]) -> Recommendation:
    return recommend(Requirements.model_validate(dict(needs)), machine=machine_of(machine))


def advise(machine: str, **needs: Any) -> Recommendation:
    """The recommendation, made once however often it is asked for."""
    return _advise(machine, tuple(needs.items()))


def every_candidate(result: Recommendation) -> list[Candidate]:
    return [c for c in (result.choice, *result.alternatives) if c is not None]


def broken(result: Recommendation) -> list[str]:
    """The properties that an answer breaks, with the figures."""
    if result.choice is None:
        return [] if result.notes and result.notes[-1] else ["null without a hint"]
    rules = (_accounted, _fits, _size, _generation, _fidelity, _needs, _engine, _diversity)
    return [line for rule in rules for line in rule(result, result.choice)]


def _accounted(result: Recommendation, choice: Candidate) -> list[str]:
    named = sorted([c.model for c in every_candidate(result)] + [r.model for r in result.rejected])
    expected = sorted(m.id for m in load_catalog().models if m.kind is result.requirements.kind)
    return [] if named == expected else ["a model is named twice, or not at all"]


def _fits(result: Recommendation, choice: Candidate) -> list[str]:
    found = [f"{c.model} does not fit" for c in every_candidate(result) if c.memory.fits is not True]
    beside = [c for c in (choice, result.companions.embedding, result.companions.rerank) if c]
    for i, capacity in enumerate([device.capacity_bytes or 0 for device in choice.memory.devices]):
        total = sum(c.memory.devices[i].total_bytes for c in beside)
        found += [f"together {total} bytes on device {i} of {capacity}"] if total > capacity else []
    return found


def _size(result: Recommendation, choice: Candidate) -> list[str]:
    """No toy where a model of a better class runs."""
    needs, room = result.requirements, sum(gpu.capacity_bytes for gpu in result.machine.gpus)
    asked_fast = needs.quality == "fast" or needs.use_case is UseCase.FAST
    if choice.kind is not ModelKind.CHAT or asked_fast or needs.min_tokens_per_s or needs.max_ttft_s:
        return []
    least = next((least for gib, least in ((40, 24), (20, 14), (10, 8), (5, 3)) if room >= gib * GIB), 0.2)
    large = choice.n_params >= least * 10**9
    return [] if large else [f"{choice.n_params / 1e9:.1f}B, at least {least}B was expected"]


def _generation(result: Recommendation, choice: Candidate) -> list[str]:
    """Nothing whose successor is offered too, nor one that was turned down for no reason but its rank."""
    catalog = load_catalog()
    outranked = {r.model for r in result.rejected if r.reason.startswith("fits, but scores")}
    running = outranked | {c.model for c in every_candidate(result)}
    stale = [c for c in every_candidate(result) if catalog.get(c.model).superseded_by in running]
    return [f"{c.model} is superseded" for c in stale]


def _fidelity(result: Recommendation, choice: Candidate) -> list[str]:
    needs = result.requirements
    bits = CHECKPOINT_BITS.get(choice.quantization, base_bits(choice.quantization))
    if choice.kind is not ModelKind.CHAT:
        return [] if bits >= 8 else [f"{choice.kind} at {choice.quantization}"]
    if fidelity(choice.quantization, choice.n_params, load_catalog().quality) == 1:
        return []
    asked_fast = needs.quality == "fast" or needs.use_case is UseCase.FAST or needs.min_tokens_per_s
    large = any(g.capacity_bytes >= LARGE_CARD_BYTES and not g.unified for g in result.machine.gpus)
    least = FINE_BITS if large and not asked_fast else COARSE_BITS
    return [] if bits >= least else [f"{choice.quantization} where {least} bits fit"]


def _needs(result: Recommendation, choice: Candidate) -> list[str]:
    """Hard needs, met by every candidate."""
    needs, found = result.requirements, []
    for c in every_candidate(result):
        met = {
            "kind": c.kind is needs.kind,
            "licence": needs.license == "any" or c.license in PERMISSIVE_LICENSES,
            "language": _may_speak(c, needs.languages),
            "images": needs.use_case is not UseCase.VISION or "image" in c.modalities,
            "speed": c.speed.decode_tokens_per_s >= (needs.min_tokens_per_s or 0),
            "ttft": needs.max_ttft_s is None or (c.speed.ttft_s or 0) <= needs.max_ttft_s,
            "users": c.n_seqs >= needs.users,
            "context": c.n_ctx <= needs.n_ctx,
        }
        found += [f"{c.model} misses {name}" for name, kept in met.items() if not kept]
    rates = [c.speed.decode_tokens_per_s for c in every_candidate(result)]
    usable = max(rates) < FLOOR_TOKENS_PER_S or rates[0] >= FLOOR_TOKENS_PER_S
    return found if usable or needs.quality == "best" else [*found, f"{rates[0]:.1f} tok/s"]


def _may_speak(candidate: Candidate, languages: tuple[str, ...]) -> bool:
    """Whether the maker lists the languages, or does not rule them out."""
    model = load_catalog().get(candidate.model)
    return model.languages_partial or not model.languages or set(languages) <= set(model.languages)


def _engine(result: Recommendation, choice: Candidate) -> list[str]:
    """Continuous batching and nothing on the host for several users; llama.cpp for one on a small machine."""
    needs, gpus = result.requirements, result.machine.gpus
    capable = bool(gpus) and all(g.vendor == "nvidia" and "P40" not in g.name for g in gpus)
    if choice.kind is not ModelKind.CHAT:
        return []
    if (
        needs.users > 1
        and capable
        and not result.machine.unified
        and choice.backend not in ("vllm", "sglang")
    ):
        return [f"{choice.backend} for {needs.users} users"]
    if needs.users == 1 and len(gpus) < 4 and choice.backend not in ("llama.cpp", "ollama"):
        return [f"{choice.backend} for one user"]
    return []


def _diversity(result: Recommendation, choice: Candidate) -> list[str]:
    families = {c.family for c in every_candidate(result)}
    found = [] if len(families) >= min(3, len(result.alternatives)) else [f"families: {families}"]
    unlabelled = [c.model for c in result.alternatives if not c.reasons[0].startswith("beside the pick: ")]
    return found + [f"{model} is not labelled" for model in unlabelled]
