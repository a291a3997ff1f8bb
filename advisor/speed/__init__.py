"""How fast a placement decodes and reads a prompt: a roofline, with the band that measurements leave.

`load` is what a step makes a device do, `work` the time it takes, `rates` which constants hold, `fitted` the
constants: fitted to published runs of 2023-08 to 2026-11 by tests/benchmarks/fit_speed.py, never by hand.
"""

from __future__ import annotations

from collections import Counter
from math import ceil

from advisor.assessment import SpeedEstimate
from advisor.i18n import _, ngettext
from advisor.speed.fitted import FITTED
from advisor.speed.load import DeviceLoad, Engine
from advisor.speed.rates import Band, Rates, rates_key
from advisor.speed.work import COPY_BATCH, N_UBATCH, Work
from advisor.units import GB

__all__ = [
    "COPY_BATCH",
    "FITTED",
    "Band",
    "DeviceLoad",
    "Engine",
    "Rates",
    "Work",
    "estimate_speed",
    "rates_key",
]


def estimate_speed(work: Work, *, n_seqs: int, depth: int, prompt_tokens: int) -> SpeedEstimate | None:
    """Estimate the speed of a placement; None when a bandwidth that it needs is not known.

    depth: tokens in each sequence's cache, which the loads were made for. The time to the first token is that
    of one prompt while the other sequences go on decoding.
    """
    work = work._replace(loads=tuple(load for load in work.loads if load.weight_bytes or load.kv_bytes))
    step_s = work.decode_s(n_seqs)
    if step_s is None:
        return None
    prefill_s = work.prompt_s(prompt_tokens)
    waiting_s = step_s * ceil(prompt_tokens / N_UBATCH) if n_seqs > 1 else 0.0
    name, band = work.band()
    rate = 1 / step_s
    return SpeedEstimate(
        decode_tokens_per_s=rate,
        low=rate * band.low,
        high=rate * band.high,
        throughput_tokens_per_s=rate * n_seqs,
        prefill_tokens_per_s=None if prefill_s is None else prompt_tokens / prefill_s,
        ttft_s=None if prefill_s is None else prefill_s + waiting_s,
        depth=depth,
        prompt_tokens=prompt_tokens,
        basis=_("roofline: {sources}; {band}").format(sources=_sources(work), band=_band_text(name, band)),
    )


def _sources(work: Work) -> str:
    """What each device reads for a token, at what rate: "2 × …" where several read alike."""
    texts = Counter(_source(work, load) for load in work.loads)
    return "; ".join(text if n == 1 else f"{n} × ({text})" for text, n in texts.items())


def _source(work: Work, load: DeviceLoad) -> str:
    share = work.weights_share(load)
    bandwidth = (load.bandwidth_bytes_per_s or 0) / GB
    text = (
        _("{weights:.2g} GB of weights and {cache:.1f} GB of cache per token")
        if load.kv_bytes >= GB // 20
        else _("{weights:.2g} GB of weights per token")
    )
    read = text.format(weights=load.weight_bytes / GB, cache=load.kv_bytes / GB)
    if load.kind == "cpu" and load.physical_cores:
        memory_s = load.weight_bytes / (share * bandwidth * GB)
        if work.cpu_decode_s(load) > memory_s:
            return _(
                "{read}, limited by compute (cores: {cores}), not by {bandwidth:.0f} GB/s ({device})"
            ).format(read=read, cores=load.physical_cores, bandwidth=bandwidth, device=load.name)
    return _("{read} at {share:.0%} of {bandwidth:.0f} GB/s ({device})").format(
        read=read, share=share, bandwidth=bandwidth, device=load.name
    )


def _band_text(name: str, band: Band) -> str:
    if not band.n_rows:
        return _("band by judgement, no measured run of this kind ({placement}) is known").format(
            placement=name
        )
    return ngettext(
        "band from {n_rows} measured runs on {n_devices} device ({placement})",
        "band from {n_rows} measured runs on {n_devices} devices ({placement})",
        band.n_devices,
    ).format(n_rows=band.n_rows, n_devices=band.n_devices, placement=name)
