"""Device names as drivers and tools printed them in public threads and logs: the right row, or none.

`device_strings.csv`, collected on 2026-11-21: the string, the tool that printed it, its maker (empty: none of
ours), whether its memory is the machine's, the memory printed beside it (MiB) and the GPU's cores where they
are known, the row of the hardware catalog that it means (`none`: no row, or more than one), and the link.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final, NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.device_names import device_name, plain_name
from advisor.errors import HardwareError
from advisor.hardware import Gpu, GpuSpec, Vendor
from advisor.hardware_catalog import load_hardware, resolve_hardware
from advisor.probes.apple import specs_of
from advisor.probes.identify import VRAM_TOLERANCE, complete, find_spec, named_specs, why_unidentified
from advisor.units import GB, GIB, MIB

CATALOG: Final = load_hardware()
SPECS: Final = CATALOG.gpus
VENDORS: Final[tuple[Vendor, ...]] = get_args(Vendor)
LEAST_COUNT: Final = 150


class Seen(NamedTuple):
    """A row of the table."""

    string: str
    tool: str
    vendor: str
    unified: str
    memory_mib: str
    gpu_cores: str
    expected: str
    link: str

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """The makers whose probe could meet the string: its own, or any."""
        return tuple(vendor for vendor in VENDORS if self.vendor in ("", vendor))

    @property
    def specs(self) -> tuple[GpuSpec, ...]:
        return specs_of(int(self.gpu_cores) if self.gpu_cores else None, SPECS)

    def gpu(self, vendor: Vendor, mib: int) -> Gpu:
        memory = "unified" if self.unified else "discrete"
        return Gpu(index=0, name=self.string, vendor=vendor, vram_bytes=mib * MIB, memory=memory)


def _seen() -> tuple[Seen, ...]:
    with (Path(__file__).parent / "device_strings.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(Seen._fields)
    return tuple(Seen(*row) for row in rows)


SEEN: Final = _seen()


def _id(seen: Seen) -> str:
    return " ".join(filter(None, (seen.tool, seen.string, seen.memory_mib, seen.gpu_cores)))


def test_the_table_is_large_and_every_row_has_its_link() -> None:
    assert len({seen.string for seen in SEEN}) >= LEAST_COUNT
    assert all(re.fullmatch(r"https://\S+\.\S+/\S+", seen.link) for seen in SEEN)
    assert len({seen[:6] for seen in SEEN}) == len(SEEN)
    assert {seen.vendor for seen in SEEN} == {"", *VENDORS}


@pytest.mark.parametrize("seen", SEEN, ids=_id)
def test_a_string_is_its_row_or_none(seen: Seen) -> None:
    found: list[str] = []
    for vendor in seen.vendors:
        if seen.memory_mib:
            spec = find_spec(seen.gpu(vendor, int(seen.memory_mib)), seen.specs)
            found += [spec.id] if spec else []
        elif len(named := named_specs(seen.string, vendor, seen.specs)) == 1:
            found.append(named[0].id)
    assert (found or ["none"]) == [seen.expected]


@pytest.mark.parametrize("seen", [seen for seen in SEEN if not seen.memory_mib], ids=_id)
def test_a_string_without_its_memory_is_no_row_of_other_memory(seen: Seen) -> None:
    named = {spec.id for vendor in seen.vendors for spec in named_specs(seen.string, vendor, seen.specs)}
    for vendor in seen.vendors:
        spec = find_spec(seen.gpu(vendor, 5000), seen.specs)  # no card has so much
        assert spec is None or (spec.id in named and (seen.unified or device_name(seen.string).part))


MISREAD: Final = {
    "AMD Instinct MI250X/MI250": "is read as two GPUs",
}
"""What the grammar of sentences does not see yet."""


def _misread(seen: Seen) -> tuple[pytest.MarkDecorator, ...]:
    reason = MISREAD.get(seen.string)
    return (pytest.mark.xfail(strict=False, reason=reason),) if reason else ()


@pytest.mark.parametrize("seen", [pytest.param(seen, marks=_misread(seen), id=_id(seen)) for seen in SEEN])
def test_a_string_as_a_sentence_is_never_another_row(seen: Seen) -> None:
    """What the sentence leaves open gets a default, so any row with the name will do."""
    key = tuple({"mobile": "laptop"}.get(word, word) for word in device_name(seen.string).key)
    named = {s.id for s in SPECS if any(device_name(name).key == key for name in (s.name, *s.match))}
    assert _planned(seen.string) <= named
    assert _planned(plain_name(seen.string)) <= named
    if seen.memory_mib and not seen.unified:
        variants = {spec.id for spec in SPECS if _has_memory(spec, int(seen.memory_mib))}
        size = f"{seen.string} {max(1, round(int(seen.memory_mib) / 1024))} GB"
        assert _planned(size) <= named & variants


def _has_memory(spec: GpuSpec, mib: int) -> bool:
    return spec.vram_bytes is not None and abs(spec.vram_bytes / (mib * MIB) - 1) <= 2 * VRAM_TOLERANCE


def _planned(sentence: str) -> set[str | None]:
    """The rows that `--hardware` takes the sentence for; none where it is refused."""
    try:
        return {gpu.catalog_id for gpu in resolve_hardware(sentence, CATALOG).gpus}
    except HardwareError:
        return set()


# ---- No string is taken for a model that it does not name

ADDED: Final = (
    *(" Ti", " SUPER", " Laptop GPU", " Mobile", " with Max-Q Design", " D", " XT", " XTX", " GRE", "M", "S"),
    *(" 8GB", " 12GB", " PCIe", " Ada Generation", " Generation", " Graphics", " GPU", " OAM", " VF", "-8C"),
    *(" MIG 1g.10gb", "/PCIe/SSE2", " (RADV NAVI31)", " (DG2)", " (16GB)", " (NVIDIA)", " (rev a1)", " x2"),
)
BEFORE: Final = (
    "NVIDIA ",
    "AMD ",
    "Mesa ",
    "GRID ",
    "Quadro ",
    "NVIDIA Corporation ",
    "2x ",
    "AD102 [",
    "Not a ",
)
FLAVOURS: Final = frozenset(
    {"ti", "super", "laptop", "mobile", "max", "d", "xt", "xtx", "gre", "pro", "ada", "pcie", "quadro", "not"}
)


def telling_words(name: str) -> set[str]:
    """Words by which models differ: those with digits, and the flavours. The module's rules are not used."""
    inner = re.search(r"\[(.*)\]", name)
    outside = re.sub(r"\([^()]*\)|/PCIe/SSE2", " ", inner[1] if inner else name)
    words = re.findall(r"[^\s-]+", outside.lower())
    return {word for word in words if word in FLAVOURS or any(map(str.isdigit, word))}


@given(
    seen=st.sampled_from(SEEN),
    before=st.sampled_from(("", *BEFORE)) | st.text(max_size=8),
    after=st.lists(st.sampled_from(ADDED), max_size=2).map("".join) | st.text(max_size=8),
    mib=st.sampled_from(sorted({spec.vram_bytes // MIB for spec in SPECS if spec.vram_bytes})),
)
def test_words_around_a_string_never_make_it_another_model(
    seen: Seen, before: str, after: str, mib: int
) -> None:
    name = f"{before}{seen.string}{after}"
    for vendor in seen.vendors:
        gpu = Gpu(index=0, name=name, vendor=vendor, vram_bytes=mib * MIB)
        spec = find_spec(gpu, SPECS)
        if spec is None:
            continue
        if device_name(name).part:
            assert any(telling_words(match) <= telling_words(name) for match in spec.match)
            continue
        assert any(telling_words(match) == telling_words(name) for match in spec.match)
        assert spec.vram_bytes is None or abs(spec.vram_bytes / gpu.vram_bytes - 1) <= 2 * VRAM_TOLERANCE


def test_the_plain_form_merges_no_two_models_of_the_catalog() -> None:
    """Rows whose names have the same words have a name in common as it is printed, too."""
    names: dict[tuple[str, ...], list[set[str]]] = {}
    for spec in SPECS:
        for words in {device_name(match).words for match in spec.match}:
            names.setdefault(words, []).append(set(spec.match))
    assert [words for words, printed in names.items() if not set.intersection(*printed)] == []


@given(st.text(max_size=60))
def test_any_text_has_a_plain_form_that_stays(text: str) -> None:
    assert plain_name(plain_name(text)) == plain_name(text)
    assert all(find_spec(Gpu(index=0, name=text, vendor=v, vram_bytes=GIB), ()) is None for v in VENDORS)


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("AMD Radeon RX 6600 (RADV NAVI23) (radv)", "AMD Radeon RX 6600"),
        ("AMD Radeon(TM) 8060S Graphics", "AMD Radeon 8060S Graphics"),
        ("Mesa Intel(R) Arc(tm) A770 Graphics (DG2)", "Intel Arc A770 Graphics"),
        ("Intel(R) Arc(TM) 140V GPU (16GB)", "Intel Arc 140V GPU"),
        ("NVIDIA GeForce RTX 3060/PCIe/SSE2", "NVIDIA GeForce RTX 3060"),
        ("NVIDIA Corporation AD107 [GeForce RTX 4060] (rev a1)", "GeForce RTX 4060"),
        ("Navi 23 [Radeon RX 6600/6600 XT/6600M]", "Navi 23 [Radeon RX 6600/6600 XT/6600M]"),
        ("Orin (nvgpu)", "Orin (nvgpu)"),
        ("(DG2)", "(DG2)"),
        ("", ""),
    ],
)
def test_plain_name(printed: str, plain: str) -> None:
    assert plain_name(printed) == plain


@pytest.mark.parametrize(
    ("name", "key", "part"),
    [
        ("GRID T4-4C", ("t4",), True),
        ("NVIDIA A10-24Q", ("a10",), True),
        ("GRID A100D-1-20C", ("a100d",), True),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", ("h100", "80gb", "hbm3"), True),
        ("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb", ("a100", "sxm4", "40gb"), True),
        ("Tesla V100-SXM2-16GB", ("v100", "sxm2", "16gb"), False),
        ("AMD Instinct MI300X OAM", ("instinct", "mi300x"), False),
        ("AMD Radeon Graphics", ("radeon", "graphics"), False),
    ],
)
def test_device_name(name: str, key: tuple[str, ...], part: bool) -> None:
    assert (device_name(name).key, device_name(name).part) == (key, part)


# ---- What is filled in where the row is not certain, and what is said


def _completed(name: str, vendor: Vendor, mib: int, memory: str = "discrete") -> Gpu:
    gpu = Gpu.model_validate(
        {"index": 0, "name": name, "vendor": vendor, "vram_bytes": mib * MIB, "memory": memory}
    )
    return complete(gpu, SPECS)


def test_of_several_rows_only_what_all_share_is_filled_in() -> None:
    m1 = _completed("Apple M1", "apple", 10922, "unified")
    assert (m1.catalog_id, m1.bandwidth_bytes_per_s, m1.fp16_flops) == (None, 68_250_000_000, None)
    m3_max = _completed("Apple M3 Max", "apple", 49152, "unified")  # 300 or 400 GB/s
    assert (m3_max.catalog_id, m3_max.bandwidth_bytes_per_s) == (None, None)
    assert m3_max.architecture == "Apple M3"


def test_a_virtual_gpu_is_its_card_without_the_cards_speed() -> None:
    t4 = _completed("GRID T4-4C", "nvidia", 4096)
    assert (t4.catalog_id, t4.bandwidth_bytes_per_s, t4.vram_bytes) == ("t4", None, 4 * GIB)
    whole = _completed("NVIDIA A10-24Q", "nvidia", 24512)  # as Azure's NV36ads A10 v5 has it
    assert (whole.catalog_id, whole.bandwidth_bytes_per_s) == ("a10", 600_200_000_000)
    a100 = _completed("GRID A100-10C", "nvidia", 10240)  # PCIe or SXM
    assert a100.catalog_id is None


def test_a_passed_through_gpu_is_its_row_only_with_all_its_memory() -> None:
    assert _completed("AMD Instinct MI300X VF", "amd", 196048).bandwidth_bytes_per_s == 5300 * GB
    assert _completed("AMD Instinct MI300X VF", "amd", 24506).catalog_id is None


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        pytest.param(
            Gpu(index=0, name="AMD Radeon Graphics", vendor="amd", vram_bytes=GIB),
            "is not in the hardware catalog",
            id="no-row",
        ),
        pytest.param(
            Gpu(index=0, name="NVIDIA GeForce RTX 3080", vendor="nvidia", vram_bytes=20 * GIB),
            "has another amount of memory than GeForce RTX 3080 10GB and GeForce RTX 3080 12GB",
            id="other-memory",
        ),
        pytest.param(
            Gpu(index=0, name="Apple M3 Max", vendor="apple", vram_bytes=GIB, memory="unified"),
            "can be Apple M3 Max (30-core GPU) or Apple M3 Max (40-core GPU): name it with --hardware",
            id="cores-unknown",
        ),
    ],
)
def test_the_reason_for_no_row(gpu: Gpu, reason: str) -> None:
    assert why_unidentified(gpu, SPECS) == reason
