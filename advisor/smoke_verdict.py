"""Judging a smoke test: measured against promised, and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from advisor.assessment import DeviceMemory, MemoryEstimate, SpeedEstimate
from advisor.hardware import Vendor
from advisor.i18n import N_, _
from advisor.measurements import (
    ALL_LAYERS,
    USE_PARTS,
    DeviceUse,
    Difference,
    Expected,
    Failure,
    Library,
    Measured,
    MemoryUse,
    Needs,
    Output,
    Reading,
    SmokeResult,
    Trial,
)
from advisor.smoke_failure import less_memory
from advisor.units import MIB, format_bytes
from advisor.value import Value

MEMORY_TOLERANCE: Final = 0.02
"""Share by which a figure may exceed its estimate: what the memory rules promise for totals."""
MEMORY_SLACK_BYTES: Final = MIB
"""Excess that is never worth a word."""
OTHER_MODEL: Final = 0.1
"""Share by which weights may be smaller than planned before the file is taken for another one."""
SHALLOWER: Final = 0.9
"""Share of the estimate's depth below which a decode rate is called that of a shallower cache."""

_BUILD: Final = 'CMAKE_ARGS="-D{switch}=on" pip install --force-reinstall --no-cache-dir llama-cpp-python'
_SWITCHES: Final[dict[Vendor, tuple[str, ...]]] = {
    "nvidia": ("GGML_CUDA",),
    "amd": ("GGML_HIP", "GGML_VULKAN"),
    "intel": ("GGML_SYCL", "GGML_VULKAN"),
    "apple": ("GGML_METAL",),
}
"""Build switches of llama.cpp by vendor, the vendor's own first (docs/build.md of llama.cpp, 2026-10)."""
_DRIVER_CHECKS: Final[dict[Vendor, str]] = {
    "nvidia": N_("check the driver with nvidia-smi, and CUDA_VISIBLE_DEVICES"),
    "amd": N_("check the driver with rocminfo or vulkaninfo"),
    "intel": N_("check the driver with sycl-ls or vulkaninfo"),
    "apple": N_("run it outside of a virtual machine"),
}


class Finding(Value):
    """Something that is not as promised."""

    level: Literal["warn", "fail"]
    reason: str
    advice: tuple[str, ...] = ()


class Asked(Value):
    """What is judged: a file, how it was run, what was promised and what is needed."""

    model_file: str
    trial: Trial
    expected: Expected = Expected()
    needs: Needs = Needs()


def judge(
    asked: Asked,
    library: Library,
    reading: Reading,
    memory: MemoryUse | None,
    notes: tuple[str, ...] = (),
) -> SmokeResult:
    """The verdict on a run, however far it came."""
    measured = measured_from(reading, memory)
    differences = tuple(_differences(asked.expected, measured))
    findings = tuple(_findings(asked, reading, measured, differences))
    levels = {finding.level for finding in findings}
    failure = reading.failure
    return SmokeResult(
        verdict="fail" if "fail" in levels else "warn" if "warn" in levels else "pass",
        reasons=tuple(finding.reason for finding in findings) or (_praise(asked.expected),),
        estimated=asked.expected,
        measured=measured,
        differences=differences,
        advice=tuple(dict.fromkeys(line for finding in findings for line in finding.advice)),
        model_file=asked.model_file,
        trial=asked.trial,
        library=library,
        notes=(*notes, *_notes(asked.expected.speed, measured)),
        log=failure.log if failure else (),
    )


def without_gpu(asked: Asked, library: Library, vendor: Vendor | None) -> SmokeResult:
    """The verdict on a plan for a GPU that the installed library cannot use: nothing is run."""
    if library.gpu_offload:
        text = _("llama-cpp-python {version} here was built for a GPU but finds none: nothing was run")
        checks = [_DRIVER_CHECKS[vendor]] if vendor else _DRIVER_CHECKS.values()
        advice = tuple(_(line) for line in checks)
    else:
        text = _(
            "llama-cpp-python {version} here was built without GPU support, and layers on a GPU are planned: "
            "nothing was run"
        )
        advice = install_advice(vendor)
    reason = text.format(version=library.version)
    failure = Failure(
        stage="start", reason=reason, advice=(*advice, _("or try it on the CPU: --n-gpu-layers 0"))
    )
    return judge(asked, library, Reading(failure=failure), None)


def install_advice(vendor: Vendor | None) -> tuple[str, ...]:
    """How to build llama-cpp-python for that vendor's GPUs; None: for each."""
    vendors: tuple[Vendor, ...] = (vendor,) if vendor else tuple(_SWITCHES)
    return tuple(
        _("for {vendor}: {command}").format(vendor=_NAMES[maker], command=_BUILD.format(switch=switch))
        for maker in vendors
        for switch in (_SWITCHES[maker] if vendor else _SWITCHES[maker][:1])
    )


_NAMES: Final[dict[Vendor, str]] = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "apple": "Apple"}


def measured_from(reading: Reading, memory: MemoryUse | None) -> Measured:
    """A run's figures, in the document's shape."""
    loaded, prefill, decode, output = reading.loaded, reading.prefill, reading.decode, reading.output
    return Measured(
        load_s=loaded.load_s if loaded else None,
        layers=loaded.layers if loaded else (),
        ttft_s=prefill.ttft_s if prefill else None,
        prefill_tokens_per_s=prefill.tokens_per_s if prefill else None,
        prompt_tokens=prefill.prompt_tokens if prefill else None,
        decode_tokens_per_s=decode.tokens_per_s if decode else None,
        throughput_tokens_per_s=decode.throughput_tokens_per_s if decode else None,
        depth=decode.depth if decode else None,
        decoded_tokens=decode.n_tokens if decode else None,
        memory=memory,
        output_ok=output is not None and output.ok,
        output=output,
    )


def _findings(
    asked: Asked, reading: Reading, measured: Measured, differences: tuple[Difference, ...]
) -> Iterator[Finding]:
    if reading.failure:
        yield Finding(level="fail", reason=reading.failure.reason, advice=reading.failure.advice)
    yield from _gpu_findings(asked.trial, measured)
    yield from _output_findings(measured.output)
    yield from _need_findings(asked.needs, measured)
    for difference in differences:
        if difference.within is False:
            yield _missed(difference, asked.trial)
        elif difference.part == "weights_bytes" and (difference.percent or 0) < -100 * OTHER_MODEL:
            yield _other_model(difference)


def _gpu_findings(trial: Trial, measured: Measured) -> Iterator[Finding]:
    total = sum(count.n_layers for count in measured.layers)
    if not trial.uses_gpu or not total:
        return
    wanted = total if trial.n_gpu_layers == ALL_LAYERS else min(trial.n_gpu_layers, total)
    on_gpu = sum(count.n_layers for count in measured.layers if count.device != "CPU")
    if on_gpu < wanted:
        yield Finding(
            level="fail",
            reason=_(
                "only {on_gpu} of {wanted} planned layers ran on a GPU: these are not the GPU's figures"
            ).format(on_gpu=on_gpu, wanted=wanted),
            advice=(_("look at which GPU devices llama.cpp lists under library, and at the driver"),),
        )


def _output_findings(output: Output | None) -> Iterator[Finding]:
    if output is None:
        return
    if not output.ok:
        yield Finding(
            level="fail",
            reason=_("the output is broken: results are not valid")
            if output.finite
            else _("the output is broken: not all results are numbers (NaN)"),
            advice=(_("try another quantization or file"), _("install a newer llama-cpp-python")),
        )
    elif output.n_distinct == 1 and (output.n_tokens or 0) > 1:
        yield Finding(
            level="warn",
            reason=_("the same token came {n} times: read the output before trusting it").format(
                n=output.n_tokens
            ),
            advice=(_("try another quantization or file: a damaged model repeats itself"),),
        )


def _need_findings(needs: Needs, measured: Measured) -> Iterator[Finding]:
    speed, ttft_s = measured.decode_tokens_per_s, measured.ttft_s
    if needs.min_tokens_per_s and speed is not None and speed < needs.min_tokens_per_s:
        yield Finding(
            level="fail",
            reason=_("{speed:.1f} tok/s are fewer than the {wanted:g} that were asked for").format(
                speed=speed, wanted=needs.min_tokens_per_s
            ),
            advice=tuple(_(line) for line in _FASTER),
        )
    if needs.max_ttft_s and ttft_s is not None and ttft_s > needs.max_ttft_s:
        yield Finding(
            level="fail",
            reason=_("the first token took {ttft:.2f} s, more than the {wanted:g} s asked for").format(
                ttft=ttft_s, wanted=needs.max_ttft_s
            ),
            advice=tuple(_(line) for line in _FASTER),
        )


_FASTER: Final = (
    N_("take a smaller model or quantization: advisor recommend --quality fast"),
    N_("stop other programs that compute, and run it again"),
)


_PARTS: Final = {
    "weights_bytes": N_("weights memory"),
    "kv_cache_bytes": N_("kv cache memory"),
    "recurrent_bytes": N_("recurrent memory"),
    "compute_bytes": N_("compute memory"),
    "output_bytes": N_("output memory"),
    "total_bytes": N_("total memory"),
}


def _missed(difference: Difference, trial: Trial) -> Finding:
    if difference.part not in _PARTS:
        return Finding(
            level="warn",
            reason=_("{speed:.1f} tok/s are below the estimate's band of {low:.1f} to {high:.1f}").format(
                speed=difference.measured, low=difference.low, high=difference.high
            ),
            advice=tuple(_(line) for line in _FASTER),
        )
    text = (
        _("{part} on {device} is {over} above the estimate of {estimate}")
        if difference.device
        else _("{part} is {over} above the estimate of {estimate}")
    )
    return Finding(
        level="warn",
        reason=text.format(
            part=_(_PARTS[difference.part]),
            device=difference.device,
            over=format_bytes(round(difference.measured - difference.estimated)),
            estimate=format_bytes(round(difference.estimated)),
        ),
        advice=(_("leave that much more memory free"), *less_memory(on_gpu=trial.uses_gpu)),
    )


def _other_model(difference: Difference) -> Finding:
    found, planned = format_bytes(round(difference.measured)), format_bytes(round(difference.estimated))
    return Finding(
        level="warn",
        reason=_("the weights are {found} where {planned} were planned: is it the plan's file?").format(
            found=found, planned=planned
        ),
        advice=(_("give the plan's own model and quantization with --model-file"),),
    )


def _praise(expected: Expected) -> str:
    if expected.memory is None and expected.speed is None:
        return _("it loads and generates; there was no estimate to hold it against")
    return _("it loads and generates; memory and speed are as estimated, or better")


def _notes(speed: SpeedEstimate | None, measured: Measured) -> Iterator[str]:
    if speed is None or measured.depth is None or measured.decode_tokens_per_s is None:
        return
    if measured.depth < SHALLOWER * speed.depth:
        yield _(
            "decode was measured with {measured:,} tokens in the cache, the estimate is for {estimated:,}: "
            "expect it to be slower there"
        ).format(measured=measured.depth, estimated=speed.depth)


def _differences(expected: Expected, measured: Measured) -> Iterator[Difference]:
    if expected.memory and measured.memory:
        yield from _memory_differences(expected.memory, measured.memory)
    if expected.speed:
        yield from _speed_differences(expected.speed, measured)


def _memory_differences(estimate: MemoryEstimate, use: MemoryUse) -> Iterator[Difference]:
    for part in USE_PARTS:
        yield _memory_difference(part, None, getattr(estimate, part), getattr(use, part))
    yield _memory_difference("total_bytes", None, _buffers(estimate), use.total_bytes)
    pairs = _pairs(estimate, use)
    if len(pairs) > 1:
        for promised, found in pairs:
            name, total = promised.name, found.total_bytes
            yield _memory_difference("total_bytes", name, _buffers(promised), total)


def _pairs(estimate: MemoryEstimate, use: MemoryUse) -> list[tuple[DeviceMemory, DeviceUse]]:
    """Devices of the estimate and of llama.cpp, GPUs in order; none where they do not correspond."""
    promised = [row for row in estimate.devices if row.kind == "cpu" or row.weights_bytes]
    kinds = [row.kind for row in promised]
    if kinds != [row.kind for row in use.devices]:
        return []
    return list(zip(promised, use.devices, strict=True))


def _buffers(row: DeviceMemory | MemoryEstimate) -> int:
    """What llama.cpp's buffers take of an estimate: overhead and margin are no buffers."""
    return row.total_bytes - row.overhead_bytes - row.margin_bytes


def _memory_difference(part: str, device: str | None, estimated: int, measured: int) -> Difference:
    allowed = estimated * (1 + MEMORY_TOLERANCE) + MEMORY_SLACK_BYTES
    return Difference(
        part=part,
        device=device,
        estimated=estimated,
        measured=measured,
        percent=_percent(estimated, measured),
        within=measured <= allowed,
    )


def _speed_differences(speed: SpeedEstimate, measured: Measured) -> Iterator[Difference]:
    decode = measured.decode_tokens_per_s
    if decode is not None:
        yield Difference(
            part="decode_tokens_per_s",
            estimated=speed.decode_tokens_per_s,
            measured=decode,
            percent=_percent(speed.decode_tokens_per_s, decode),
            low=speed.low,
            high=speed.high,
            within=decode >= speed.low,
        )
    for part in ("prefill_tokens_per_s", "ttft_s"):
        estimated, found = getattr(speed, part), getattr(measured, part)
        if estimated is not None and found is not None:
            percent = _percent(estimated, found)
            yield Difference(part=part, estimated=estimated, measured=found, percent=percent, within=None)


def _percent(estimated: float, measured: float) -> float | None:
    return round(100 * (measured - estimated) / estimated, 2) if estimated else None
