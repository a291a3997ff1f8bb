"""Who holds the memory of AMD's and Intel's GPUs, from /proc as owners and the kernel's authors showed it.

Lines are those of github.com/Umio-Yasuno/amdgpu_top/issues/87 (a card), github.com/Syllo/nvtop/pull/492 (an
integrated GPU) and docs.kernel.org/gpu/xe/xe-drm-usage-stats.html, read on 2026-11-21.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from advisor.hardware import Gpu, GpuUser
from advisor.probes import drm_users
from advisor.probes.found import FoundGpu
from advisor.units import GIB, KIB

AMDGPU: Final = """pos:	0
flags:	02104002
drm-driver:	amdgpu
drm-pdev:	0000:08:00.0
drm-client-id:	217
drm-memory-vram:	2068 KiB
drm-memory-gtt: 	8192 KiB
drm-memory-cpu: 	0 KiB
drm-engine-gfx:	107322799 ns
"""
INTEGRATED: Final = """drm-driver:	amdgpu
drm-pdev:	0000:c5:00.0
drm-client-id:	9
drm-memory-cpu: 	0 KiB
drm-memory-gtt: 	25258000 KiB
drm-memory-vram:	5348 KiB
"""
XE: Final = """drm-driver:     xe
drm-client-id:  3
drm-pdev:       0000:03:00.0
drm-total-system:       0
drm-resident-gtt:       192 KiB
drm-total-vram0:        23992 KiB
drm-shared-vram0:       16 MiB
drm-resident-vram0:     23992 KiB
"""
I915: Final = (
    "drm-pdev: 0000:03:00.0\ndrm-client-id: 4\ndrm-total-local0: 3 GiB\ndrm-resident-local0: 2 GiB\n"
)


@pytest.mark.parametrize(
    ("text", "own", "lent"),
    [
        pytest.param(AMDGPU, 2068 * KIB, 8192 * KIB, id="amdgpu"),
        pytest.param(INTEGRATED, 5348 * KIB, 25258000 * KIB, id="amdgpu-integrated"),
        pytest.param(XE, 23992 * KIB, 192 * KIB, id="xe"),
        pytest.param(I915, 2 * GIB, 0, id="i915-resident-not-total"),
        pytest.param("drm-memory-vram: lots\ndrm-total-gtt: 7\n", 0, 7, id="damaged-and-bare-bytes"),
        pytest.param("", 0, 0, id="empty"),
    ],
)
def test_what_a_client_holds(text: str, own: int, lent: int) -> None:
    told = drm_users.parse_fdinfo(text)
    assert sum(drm_users.held(told, region) for region in drm_users.OWN) == own
    assert drm_users.held(told, drm_users.LENT) == lent


def process(proc: Path, number: int, program: str, opened: dict[int, tuple[str, str]]) -> None:
    """A process with its open files: number → what it is and what the kernel tells of it."""
    folder = proc / str(number)
    for name in ("fd", "fdinfo"):
        (folder / name).mkdir(parents=True)
    (folder / "exe").symlink_to(program)
    for opening, (target, info) in opened.items():
        (folder / "fd" / str(opening)).symlink_to(target)
        (folder / "fdinfo" / str(opening)).write_text(info)


def test_clients_are_gathered_once_and_by_name_alone(tmp_path: Path) -> None:
    node = "/dev/dri/renderD128"
    process(tmp_path, 10, "/home/kim/bin/llama-server (deleted)", {3: (node, AMDGPU), 4: (node, AMDGPU)})
    process(tmp_path, 11, "/usr/bin/child", {3: (node, AMDGPU)})  # the same client, inherited
    process(tmp_path, 12, "/usr/bin/editor", {0: ("/dev/null", AMDGPU), 1: ("/dev/dri/card1", XE)})
    (tmp_path / "13").mkdir()  # ended, or another account's
    (tmp_path / "meminfo").touch()
    told = sorted(drm_users.gather(tmp_path), key=lambda user: user["bus"])
    assert [(user["bus"], user["own"]) for user in told] == [
        ("0000:03:00.0", 23992 * KIB),
        ("0000:08:00.0", 2068 * KIB),
    ]
    assert told[0]["name"] == "editor"
    assert told[1]["name"] in ("llama-server", "child")
    assert all(set(user) == {"bus", "name", "own", "lent"} for user in told)


def test_a_gpu_has_the_users_of_its_own_address() -> None:
    told = [
        {"bus": "0000:03:00.0", "name": "ollama", "own": 5, "lent": 100},
        {"bus": "0000:03:00.0", "name": "Xorg", "own": 7, "lent": 0},
        {"bus": "0000:03:00.0", "name": "idle", "own": 0, "lent": 0},
        {"bus": "0000:04:00.0", "name": "other", "own": 9, "lent": 9},
    ]
    card = Gpu(index=0, name="X", vendor="amd", vram_bytes=GIB)
    pool = card.model_copy(update={"memory": "unified"})
    part = card.model_copy(update={"mig": True})

    def users(gpu: Gpu, bus: str | None) -> tuple[GpuUser, ...]:
        return drm_users.with_users(FoundGpu(gpu=gpu, bus=bus), told).gpu.users

    assert users(card, "0000:03:00.0") == (GpuUser(name="Xorg", bytes=7), GpuUser(name="ollama", bytes=5))
    assert users(pool, "0000:03:00.0") == (GpuUser(name="ollama", bytes=105), GpuUser(name="Xorg", bytes=7))
    assert users(card, None) == users(part, "0000:03:00.0") == ()
