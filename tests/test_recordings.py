"""What a recording keeps, what is taken out of it, and that a dump gives back the rest exactly."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.doctor.dump import About, Dump, blocks, parse
from advisor.doctor.scrub import Identity, Scrubber, scrubbed
from advisor.doctor.shortening import cpuinfo, mountinfo
from advisor.errors import HardwareError
from advisor.probes.deadline import Started
from advisor.probes.recording import LibraryAnswer, Recorded, Recording, ToolAnswer, Transcript
from advisor.probes.source import Live

ABOUT: Final = About(schema_version=1, advisor="0.1.0", date="2026-11-21", platform="linux")
TRANSCRIPT: Final = Transcript(
    platform="linux",
    environ={"CUDA_VISIBLE_DEVICES": "0"},
    files={"proc/meminfo": "MemTotal: 1 kB\nMemFree: 1 kB\n", "gone": None, "one": "0x10de\n", "none": ""},
    globs={"dev/dri/*": ("dev/dri/card0",), "none*": ()},
    tools=(
        ToolAnswer(argv=("amd-smi", "static"), output='{\n"a": "```"\n}\n```\n'),
        ToolAnswer(argv=("xpu-smi",), output=None, out_of_time=True),
    ),
    asked={"psutil": LibraryAnswer(answer={"total": 2**40}), "nvml": LibraryAnswer(failure="NVMLError: no")},
)


# ---- recording and replaying


def test_what_was_asked_is_answered_again(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("model name: x\n")
    live = Recording(Live(tmp_path, {"CUDA_VISIBLE_DEVICES": "1"}))
    questions: list[Callable[[Any], Any]] = [
        lambda s: s.text("proc/cpuinfo"),
        lambda s: s.text("proc/none"),
        lambda s: s.glob("proc/*"),
        lambda s: s.glob("sys/*"),
        lambda s: s.run("echo", "hello"),
        lambda s: s.run("no-such-program-here"),
        lambda s: s.ask("a library", lambda: {"gpus": [1, None]}),
        lambda s: s.environ.get("CUDA_VISIBLE_DEVICES"),
        lambda s: s.environ.get("HIP_VISIBLE_DEVICES"),
    ]
    answers = [ask(live) for ask in questions]
    replayed = Recorded(live.transcript)
    assert [ask(replayed) for ask in questions] == answers
    assert answers[4] == "hello\n"


def test_what_was_never_asked_has_no_answer() -> None:
    source = Recorded(Transcript(platform="win32"))
    assert source.platform == "win32"
    assert source.text("proc/cpuinfo") is None
    assert source.glob("*") == ()
    assert source.run("nvidia-smi") is None
    assert source.ask("nvml", lambda: pytest.fail("a recording asks nobody")) is None
    assert source.environ.get("HOME") is None


def test_other_variables_are_passed_on_and_not_kept() -> None:
    recording = Recording(Live(environ={"MY_TOKEN": "hunter2", "HF_HOME": "/models"}))
    assert recording.environ.get("MY_TOKEN") == "hunter2"
    assert dict(recording.environ) == {"MY_TOKEN": "hunter2", "HF_HOME": "/models"}
    assert recording.transcript.environ == {"HF_HOME": "/models"}


def test_a_program_that_hangs_is_noted_as_one() -> None:
    recording = Recording(Live())
    assert recording.run("sleep", "5", limit_s=0.1) is None
    assert recording.run("no-such-program-here") is None
    assert [(tool.argv[0], tool.out_of_time) for tool in recording.transcript.tools] == [
        ("no-such-program-here", False),
        ("sleep", True),
    ]


def test_what_a_library_raises_is_noted_and_raised() -> None:
    recording = Recording(Live())

    def broken() -> None:
        raise RuntimeError("driver gone")

    with pytest.raises(RuntimeError):
        recording.ask("nvml", broken)
    assert recording.transcript.asked["nvml"] == LibraryAnswer(failure="RuntimeError: driver gone")


def test_what_hangs_is_noted_as_unanswered() -> None:
    """A recording is written down while something may still hang."""
    recording = Recording(Live())
    begun, released = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        released.wait()

    asking = Started(lambda: recording.ask("nvml", hang), 60)
    begun.wait()
    transcript = recording.transcript
    released.set()
    asking.result()
    assert transcript.asked["nvml"].failure == "it did not answer"


def test_an_answer_that_json_cannot_hold_is_noted_as_a_failure() -> None:
    recording = Recording(Live())
    assert recording.ask("odd", lambda: {1, 2}) == {1, 2}
    assert "not plain data" in str(recording.transcript.asked["odd"].failure)


# ---- the dump's blocks


def test_blocks_are_read_back_exactly() -> None:
    dump = Dump(about=ABOUT, transcript=TRANSCRIPT)
    assert parse(blocks(dump)) == dump


TEXTS: Final = st.text(max_size=30)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TRANSCRIPTS: Final = st.builds(
    Transcript,
    platform=st.just("linux"),
    environ=st.dictionaries(TEXTS, TEXTS, max_size=3),
    files=st.dictionaries(TEXTS, st.none() | TEXTS, max_size=3),
    globs=st.dictionaries(TEXTS, st.lists(TEXTS, max_size=3).map(tuple), max_size=3),
    tools=st.lists(
        st.builds(ToolAnswer, argv=st.lists(TEXTS, max_size=3).map(tuple), output=st.none() | TEXTS),
        max_size=3,
    ).map(tuple),
    asked=st.dictionaries(TEXTS, st.builds(LibraryAnswer, answer=JSON), max_size=3),
)


@given(TRANSCRIPTS)
def test_any_recording_survives_a_page(transcript: Transcript) -> None:
    dump = Dump(about=ABOUT, transcript=transcript)
    page = f"> a user wrote\r\n```\r\nhello\r\n```\r\n{blocks(dump)}\n\nthanks!\n```json\n{{}}\n```\n"
    assert parse(page) == dump
    assert parse(page.replace("\r", "").replace("\n", "\r\n")) == dump


GOOD: Final = blocks(Dump(about=ABOUT, transcript=TRANSCRIPT))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "lacks the block about", id="empty"),
        pytest.param("# A page\n\n```json\n{}\n```\n", "lacks the block about", id="another page"),
        pytest.param(GOOD[: GOOD.index("recording-tools")], "lacks the block tools", id="cut between blocks"),
        pytest.param(GOOD[:-3], "the block asked has no end", id="cut off"),
        pytest.param(GOOD + "\n" + GOOD, "the block about twice", id="two recordings"),
        pytest.param(GOOD.replace('"0.1.0",', '"0.1.0"'), "the block about is damaged", id="not json"),
        pytest.param(GOOD.replace(": 1099511627776", ": NaN"), "the block asked is damaged", id="no number"),
        pytest.param(GOOD.replace('"schema_version": 1', '"schema_version": 2'), "newer advisor", id="newer"),
        pytest.param(GOOD.replace('"gone": null', '"gone": 5'), "files.gone", id="wrong type"),
        pytest.param(GOOD.replace('"gone": null', '"gone": [1]'), "files.gone", id="wrong lines"),
        pytest.param(
            re.sub(r"(recording-files\n).*?\n```", r"\1" + "[" * 10**5 + "\n```", GOOD, flags=re.DOTALL),
            "the block files is damaged",
            id="deep",
        ),
        pytest.param(
            re.sub(r"(recording-tools\n).*?\n```", r'\1{"a": 1}\n```', GOOD, flags=re.DOTALL),
            "tools: ",
            id="wrong shape",
        ),
        pytest.param("```json recording-about\n" * 10**5, "the block about", id="hostile: openings"),
    ],
)
def test_a_damaged_page_is_one_line(text: str, message: str) -> None:
    with pytest.raises(HardwareError, match=re.escape(message)) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


# ---- what is taken out

SCRUBBER_OF: Final = Identity(
    hosts=("alices-mbp.corp.example", "alices-mbp"),
    users=("alice", "Alice Liddell"),
    homes=("/srv/people/al",),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Alice Liddell on alices-mbp, alice_x", "user on host, user_x", id="names"),
        pytest.param("max 100000\nnvidia ada", "max 100000\nnvidia ada", id="words of the trade"),
        pytest.param("malice", "malice", id="within a word"),
        pytest.param("/home/bob/.cache /Users/bob", "/home/user/.cache /Users/user", id="homes"),
        pytest.param("mount /home/bob on /dev/sda", "mount /home/user on /dev/sda", id="a home's end"),
        pytest.param(r"C:\Users\Bob Roe\AppData", r"C:\Users\user\AppData", id="Windows"),
        pytest.param("/srv/people/al/models", "/home/user/models", id="a home elsewhere"),
        pytest.param("/srv/people/albert", "/srv/people/albert", id="not that home"),
        pytest.param('"asic_serial": "0x12AB", "x": 3', '"asic_serial": "serial-1", "x": 3', id="JSON"),
        pytest.param("Serial Number (system): FVFX", "Serial Number (system): serial-1", id="a line"),
        pytest.param("Serial\t\t: 10000000abcd", "Serial\t\t: serial-1", id="Raspberry Pi"),
        pytest.param("vram 1\nunique_id 17446744", "vram 1\nunique_id 1", id="amdkfd"),
        pytest.param("<serial>13240X</serial>", "<serial>serial-1</serial>", id="XML"),
        pytest.param('{"serial": "N/A", "uuid": ""}', '{"serial": "N/A", "uuid": ""}', id="empty ones stay"),
        pytest.param(
            "serial: A1\nserial: B2\nserial: A1",
            "serial: serial-1\nserial: serial-2\nserial: serial-1",
            id="equal",
        ),
        pytest.param(
            "GPU-8a3f1c2e-1111-2222-3333-444455556666",
            "GPU-00000000-0000-0000-0000-000000000001",
            id="UUID",
        ),
        pytest.param(
            "kubepods-pod8a3f1c2e_1111_2222_3333_444455556666.slice",
            "kubepods-pod00000000_0000_0000_0000_000000000001.slice",
            id="pod",
        ),
        pytest.param(f"/docker/{'ab12' * 16}/x", f"/docker/{'0' * 63}1/x", id="container"),
        pytest.param("/lxc/bobs-box/ns", "/lxc/name-1/ns", id="container by name"),
        pytest.param("ether 00:11:22:33:44:5f", "ether 00:00:00:00:00:01", id="MAC"),
        pytest.param("10.0.0.17:80, 127.0.0.1", "192.0.2.1:80, 127.0.0.1", id="IPv4"),
        pytest.param("fe80::1234:def0%eth0 ::1", "2001:db8::1%eth0 ::1", id="IPv6"),
        pytest.param("0000:01:00.0 10:22:33 0::/", "0000:01:00.0 10:22:33 0::/", id="no addresses"),
        pytest.param("570.133.07 31.0.15.5161", "570.133.07 31.0.15.5161", id="drivers"),
        pytest.param("5.15.167.4-microsoft-WSL2", "5.15.167.4-microsoft-WSL2", id="a kernel"),
        pytest.param("SSID: My Home", "SSID: name-1", id="Wi-Fi"),
        pytest.param('{"user": "zed", "user_time": 5}', '{"user": "name-1", "user_time": 5}', id="owner"),
        pytest.param("x --api-key=abcd HF=hf_abcdefgh1", "x --api-key=secret-2 HF=secret-1", id="secrets"),
        pytest.param("http://u:p@10.1.1.1/", "http://secret-1@192.0.2.1/", id="credentials"),
        pytest.param("(buildd@lcy02-amd64)", "(name-1)", id="builder"),
        pytest.param("user@1000.service cpu@0", "user@1000.service cpu@0", id="units"),
        pytest.param("NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-SXM4-80GB", id="a name of hardware"),
    ],
)
def test_what_identifies_is_replaced(text: str, expected: str) -> None:
    assert Scrubber(SCRUBBER_OF, {"ada", "nvidia"}).text(text) == expected


def test_fields_and_files_may_say_that_they_identify() -> None:
    scrubber = Scrubber(Identity())
    assert scrubber.json(
        {"uuid": "x-1", "serial": 987654, "deep": [{"boardSerial": "Q9", "name": "GPU"}]}
    ) == {
        "uuid": "serial-1",
        "serial": 2,
        "deep": [{"boardSerial": "serial-3", "name": "GPU"}],
    }
    shown = scrubbed(
        Transcript(
            platform="linux", files={"sys/class/drm/card0/device/unique_id": "d00df00d\n", "x": "d00df00d"}
        ),
        Scrubber(Identity()),
    )
    assert shown.files == {"sys/class/drm/card0/device/unique_id": "serial-1\n", "x": "d00df00d"}


GENERIC: Final = Identity(hosts=("vm", "localhost"), users=("root", "max", "ubuntu"), homes=("/root", "/"))


def test_names_that_every_recording_has_stay() -> None:
    text = "max\nroot / vm.overcommit ubuntu 24.04 /root/.cache"
    assert Scrubber(GENERIC).text(text) == text


SEPARATORS: Final = st.text(alphabet=" \t/=,;'()[]{}<>-_", min_size=1, max_size=3)
FILLERS: Final = st.text(alphabet="GPUmemory 0123:.\n", max_size=12)
NAMES: Final = st.from_regex(r"[a-z0-9]{2,8}", fullmatch=True)
SECRETS: Final = st.fixed_dictionaries(
    {
        "host": NAMES.map(lambda name: f"zqh{name}-laptop"),
        "user": NAMES.map(lambda name: f"zqu{name}"),
        "other": NAMES.map(lambda name: f"zqo{name}"),
        "serial": st.from_regex(r"ZQS[A-Z0-9]{6,10}", fullmatch=True),
        "uuid": st.uuids(version=4).map(str),
        "id": st.binary(min_size=32, max_size=32).filter(lambda b: b[0] > 0).map(bytes.hex),
        "mac": st.binary(min_size=6, max_size=6).filter(lambda b: b > b"\1" * 6).map(lambda b: b.hex(":")),
        "address": st.ip_addresses(v=4).filter(lambda a: a.is_global).map(str),
        "address6": st.ip_addresses(v=6, network="2a00::/12").map(str),
        "token": st.from_regex(r"(hf_|sk-|ghp_)[A-Za-z0-9]{20,30}", fullmatch=True),
        "password": st.from_regex(r"zqp[A-Za-z0-9]{6,12}", fullmatch=True),
    }
)


@given(SECRETS, SEPARATORS, FILLERS)
def test_no_planted_secret_is_in_a_dump(secrets: dict[str, str], between: str, filler: str) -> None:
    told = [
        secrets["host"],
        secrets["user"],
        f"/home/{secrets['other']}/bin",
        f"C:\\Users\\{secrets['other']}\\x",
        f"GPU-{secrets['uuid']}",
        secrets["id"],
        secrets["mac"],
        secrets["address"],
        secrets["address6"],
        secrets["token"],
        f"--password {secrets['password']}",
        f'"asic_serial": "{secrets["serial"]}"',
    ]
    text = between.join(told) + filler + f"\nSerial Number: {secrets['serial']}\n"
    tree = {"serial": secrets["serial"], "owner": secrets["other"], "list": [text, {"uuid": secrets["uuid"]}]}
    transcript = Transcript(
        platform="linux",
        environ={"HF_HOME": f"/home/{secrets['user']}/hf", "CUDA_VISIBLE_DEVICES": f"GPU-{secrets['uuid']}"},
        files={
            f"home/{secrets['user']}/x": text,
            "product_serial": secrets["serial"],
            f"a/{secrets['id']}": text,
        },
        globs={f"sys/{secrets['host']}/*": (f"sys/{secrets['host']}/{secrets['id']}",)},
        tools=(ToolAnswer(argv=("ps", f"--token={secrets['password']}", secrets["user"]), output=text),),
        asked={"nvml": LibraryAnswer(answer=tree), f"at {secrets['address']}": LibraryAnswer(failure=text)},
    )
    identity = Identity(
        hosts=(secrets["host"],), users=(secrets["user"],), homes=(f"/home/{secrets['user']}",)
    )
    shown = blocks(Dump(about=ABOUT, transcript=scrubbed(transcript, Scrubber(identity)))).lower()
    found = {kind: secret for kind, secret in secrets.items() if secret.lower() in shown}
    assert found == {}


# ---- what is left out of long files


def test_one_processor_of_a_kind_is_kept() -> None:
    def block(number: int, part: str) -> str:
        return f"processor\t: {number}\nBogoMIPS\t: 50.00\nCPU part\t: {part}\ncore id\t: {number}\n\n"

    text = "".join(block(number, "0xd0b" if number < 4 else "0xd05") for number in range(8))
    kept = cpuinfo(text + "Model\t: Board\n")
    assert kept.count("processor\t") == 2
    assert kept.count("processors like this\t: 4") == 2
    assert kept.endswith("Model\t: Board\nprocessors like this\t: 1\n\n")


def test_mounts_that_are_no_control_groups_are_left_out() -> None:
    line = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
    assert mountinfo(f"40 1 0:40 / /mnt/bobs rw - nfs nas.example:/bob rw\n{line}") == line


def test_json_of_a_dump_is_ascii() -> None:
    dump = Dump(about=ABOUT, transcript=Transcript(platform="linux", files={"x": "2 × 가\u2028"}))
    assert blocks(dump).isascii()
    assert json.loads('"2 \\u00d7"') == "2 ×"
    assert parse(blocks(dump)) == dump
