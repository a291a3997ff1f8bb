"""Plausible values for tests: give what matters to a test, the rest has defaults."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from advisor.assessment import (
    ArtifactChoice,
    Candidate,
    DeviceMemory,
    MemoryEstimate,
    Placement,
    Quality,
    SpeedEstimate,
)
from advisor.hardware import Cpu, Gpu, Host, HostMemory, Machine
from advisor.machine_cost import (
    ApiList,
    CostCatalog,
    DefaultApis,
    Electricity,
    Figure,
    GpuPrice,
    PriceList,
)
from advisor.plan import Recommendation
from advisor.units import GIB
from advisor.usecase import Requirements


def gpu(index: int = 0, **changes: Any) -> Gpu:
    """A GeForce RTX 3070 of a simulated machine."""
    values: dict[str, Any] = {
        "index": index,
        "name": "GeForce RTX 3070",
        "vendor": "nvidia",
        "vram_bytes": 8 * GIB,
        "bandwidth_bytes_per_s": 448_000_000_000,
        "compute_capability": "8.6",
        "catalog_id": "rtx-3070",
        "tdp_watts": 220,
    }
    return Gpu(**{**values, **changes})


def machine(*gpus: Gpu, ram_gib: int = 32, **changes: Any) -> Machine:
    """A simulated Linux machine with these GPUs; without any, CPU only."""
    host = Host(
        os="linux",
        cpu=Cpu(name="Ryzen 7 5800X", physical_cores=8, logical_cores=16, features=("avx2",)),
        memory=HostMemory(total_bytes=ram_gib * GIB, bandwidth_bytes_per_s=45_000_000_000),
    )
    return Machine(**{"host": host, "gpus": gpus, **changes})


def speed(**changes: Any) -> SpeedEstimate:
    """50 tokens/s for one request at a time, 2,000 tokens/s of prompt."""
    values: dict[str, Any] = {
        "decode_tokens_per_s": 50.0,
        "low": 40.0,
        "high": 60.0,
        "throughput_tokens_per_s": 50.0,
        "prefill_tokens_per_s": 2000.0,
        "ttft_s": 0.256,
        "depth": 4096,
        "prompt_tokens": 512,
        "basis": "roofline of 448 GB/s",
    }
    return SpeedEstimate(**{**values, **changes})


def memory(*devices: DeviceMemory) -> MemoryEstimate:
    """One GPU that holds the model, and the host with its token embedding; or the devices given."""
    on_gpu = DeviceMemory(
        name="GeForce RTX 3070",
        kind="gpu",
        weights_bytes=4 * GIB,
        kv_cache_bytes=GIB // 2,
        compute_bytes=GIB // 4,
        capacity_bytes=7 * GIB,
    )
    on_host = DeviceMemory(name="host", kind="cpu", weights_bytes=GIB // 4, capacity_bytes=28 * GIB)
    return MemoryEstimate.of(devices or (on_gpu, on_host), "config-rules")


def candidate(**changes: Any) -> Candidate:
    """Qwen2.5 7B Instruct at Q4_K_M in llama.cpp, on the GPU of `gpu()`."""
    values: dict[str, Any] = {
        "model": "qwen2.5-7b-instruct",
        "name": "Qwen2.5 7B Instruct",
        "family": "qwen2.5",
        "publisher": "Alibaba",
        "released": date(2024, 9, 19),
        "license": "apache-2.0",
        "n_params": 7_615_616_512,
        "n_params_active": None,
        "modalities": ("text",),
        "languages": ("en", "ko", "zh"),
        "quantization": "Q4_K_M",
        "backend": "llama.cpp",
        "n_ctx": 8192,
        "n_seqs": 1,
        "kv_type": "f16",
        "placement": Placement(n_gpu_layers=29, devices=("GeForce RTX 3070",)),
        "memory": memory(),
        "speed": speed(),
        "quality": Quality(score=None, metric=None, source=None, date=None, evidence="none"),
        "score": 0.7,
        "artifact": ArtifactChoice(
            repo="Qwen/Qwen2.5-7B-Instruct-GGUF",
            files=("qwen2.5-7b-instruct-q4_k_m.gguf",),
            bytes=4_683_073_536,
        ),
        "command": "llama-server -m qwen2.5-7b-instruct-q4_k_m.gguf -c 8192 -ngl 29",
        "reasons": ("fits in the GPU", "fast enough for a chat"),
    }
    return Candidate(**{**values, **changes})


def recommendation(**changes: Any) -> Recommendation:
    """`candidate()` chosen for a machine with `gpu()`."""
    values: dict[str, Any] = {
        "machine": machine(gpu()),
        "requirements": Requirements(),
        "choice": candidate(),
        "catalog_date": date(2026, 11, 21),
    }
    return Recommendation(**{**values, **changes})


def cost_catalog(**changes: Any) -> CostCatalog:
    """Easy arithmetic: the machine with an RTX 3070 draws 60 W at the wall idle and 260 W busy."""

    def figure(value: str, unit: str) -> Figure:
        return Figure(value=Decimal(value), unit=unit, source="a test", date=date(2026, 1, 1))

    def price_list(*gpus: GpuPrice) -> tuple[PriceList, ...]:
        return (PriceList(seller="A shop", source="its page", date=date(2026, 1, 1), gpus=gpus),)

    def card(name: str, vram_gib: int, usd: str, bandwidth: int | None = None) -> GpuPrice:
        names = (name.lower(),)
        return GpuPrice(
            name=name, names=names, vram_gib=vram_gib, usd=Decimal(usd), bandwidth_gb_per_s=bandwidth
        )

    values: dict[str, Any] = {
        "checked": date(2026, 1, 1),
        "genai_prices": ApiList(version="0.2.3", published=date(2026, 11, 10)),
        "default_apis": DefaultApis(
            chat=("openai/gpt-4o-mini",), embedding=("openai/text-embedding-3-small",)
        ),
        "electricity": Electricity(
            us=figure("0.20", "USD/kWh"), eu=figure("0.30", "USD/kWh"), kr=figure("0.15", "USD/kWh")
        ),
        "psu_efficiency": figure("0.9", "share"),
        "gpu_load_share": figure("0.9", "share of TDP"),
        "gpu_idle_watts": figure("18", "W"),
        "host_idle_watts": figure("40", "W at the wall"),
        "host_load_watts": figure("120", "W at the wall"),
        "life_years": figure("5", "years"),
        "residual_share": figure("0.1", "share of the price"),
        "rentals": price_list(
            card("RTX 4090", 24, "0.40", 1008), card("RTX 3090", 24, "0.20", 936), card("T4", 16, "0.10", 320)
        ),
        "purchases": price_list(card("RTX 3070", 8, "600"), card("RTX 3090", 24, "1500")),
    }
    return CostCatalog(**{**values, **changes})
