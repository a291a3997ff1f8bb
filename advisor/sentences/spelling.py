"""Ways of writing that the grammar of hardware sentences need not know, brought into one."""

from __future__ import annotations

import re
from typing import Final

_MADE_IN_KOREAN: Final = (
    (r"(?:그래픽 ?카드|gpu|외장 ?그래픽) ?(?:없음|없이|없는)|cpu ?만", " cpu only "),
    (r"기가(?:바이트)?", " gb "),
    (r"테라(?:바이트)?", " tb "),
    (r"(\d{1,2}) ?(?:장|개|대)(?!\w)", r" x \1 "),
    (r"(?<!\w)두 ?장", " x 2 "),
    (r"(?<!\w)네 ?장", " x 4 "),
    (r"듀얼", " dual "),
    (r"쿼드", " quad "),
    (r"채널", " channel "),
    (r"(\d) ?코어", r"\1 core "),
    (r"(\d) ?(?:스레드|쓰레드)", r"\1 thread "),
    (r"그래픽 ?카드|그래픽", " gpu "),
    (r"(?:램|메모리)(?=[ :]*\d)", ", ram "),  # stands before its size
    (r"램|메모리", " ram "),
    (r"저장 ?(?:장치|공간)|하드(?:디스크)?", " disk "),
    (r"라이젠", " ryzen "),
    (r"스레드리퍼|쓰레드리퍼", " threadripper "),
    (r"에픽", " epyc "),
    (r"제온", " xeon "),
    (r"인텔|엔비디아|지포스|라데온|애플", " "),
    (r"노트북", " laptop "),
    (r"맥북 ?프로|맥북 ?에어|맥북|맥 ?스튜디오|맥 ?미니|맥 ?프로|아이맥", " macbook "),
    (r"라즈베리 ?파이", " raspberry pi "),
    (r"울트라", " ultra "),
    (r"맥스", " max "),
    (r"프로", " pro "),
    (r"그리고", " and "),
)

_BOARDS: Final = (
    r"\b(?:asus|rog strix|tuf(?: gaming)?|msi|zotac|evga|palit|pny|gainward|inno3d|galax|sapphire|powercolor"
    r"|xfx|asrock|founders edition|fe)\b"
)
"""Makers of boards around a GPU, and their words for it."""

_SPELLINGS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), plain)
    for pattern, plain in (
        *_MADE_IN_KOREAN,
        (r"\((?:r|tm|c)\)|[®™©]", " "),
        # Mesa adds the driver and the chip: "(RADV NAVI31)", "(DG2)", "(LLVM 15.0.7, DRM 3.54)".
        (r"\((?:radv|navi|gfx|llvm|radeonsi|dg\d|mtl|lnl|bmg|adl|rpl|tgl|arl|ptl)[^)]*\)|\bmesa\b", " "),
        (_BOARDS, " "),
        (r"(snapdragon\s+x[^-]*) - x\w+ - qualcomm.*?cpu", r"\1"),
        (r"\bgh200 (120|240|480) ?gb\b", r"gh200, \1 gb ram"),  # what the driver names is Grace's memory
        (r"[×*]", " x "),
        (r"\b(\d{1,3}),(\d{3})(?=\s*[gm]i?b)", r"\1\2"),  # 1,152 GB
        (r"(?<![\w.])(\d{1,3})(?:g| ?gigs?| ?gigabytes?)\b", r"\1 gb"),  # not the A10G
        (r"(?<![\w.])([1-9]) ?t(?= ram\b)", r"\1 tb"),
        (r"\b(\d+) (cpu|gpu) cores?\b", r"\1 core \2"),
        (r"\b(\d{1,3}) ?c ?/? ?\d{1,3} ?t\b", r"\1 cores"),  # 8c/16t
        (r"(?<!\w)(\d{1,2})x(?=[a-z]+[\s-]?\d)", r"\1 x "),  # 2xRTX 4090
        (r"with max-?\s?q design", "max-q"),
        (r"\bw/\s?", "with "),
        (r"\b(?:gaming )?(laptop|notebook) with(?: an?)? ", r"\1 "),
        (r"\b(?:no|without(?: an?)?) nvlink\b", " "),
        (r"\bpci-?\s?e(?:xpress)?(?![a-z])", "pcie "),
        (r"\bnv-?(?:switch|link)", "nvlink"),
        (r"\bm\.2\b", "disk"),
        # A plus that belongs to the name.
        (r"(ryzen ai max|\bai max)\s?\+|\b((?:gold|silver|platinum|xeon)\s\d{4}y?|8480|8592)\+", r"\1\2 "),
        (r"@\s*(?:\d[\d.]*\s*ghz)?|\b\d+(?:th|rd|nd|st) gen(?:eration)?\b", " "),
        (
            r"\b(?:macbook(?: pro| air)?|mac (?:studio|mini|pro)|imac)\b"
            r"(?:\s*(?:1[3-6]|24)(?![\d.]|\s*-?(?:[gt]i?b|gb?\b|core))(?:[\s-]?inch)?)?(?:\s*\(?20[12]\d\)?)?",
            " ",
        ),
        (r"\b(?:1[1-9]|24)(?:\.\d)?[\s-]?inch\b|\b\d\d(?:\.\d)?[\"”]", " "),
        (r"\bframework desktop\b|\bgmktec evo[\s-]?x2\b", "ryzen ai max 395"),
        (r"\b(?:gpu|video|graphics) (?:memory|ram)\b", "vram"),
    )
)

_SEPARATOR: Final = re.compile(
    r"[,;+&|，、；·•\n\r]|/(?!\s*[sx]\b)|\s[-–—]\s|\b(?:and|with|plus)\b", re.IGNORECASE
)


def plain(text: str) -> str:
    """The text in the grammar's own words."""
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text


def pieces(text: str) -> list[str]:
    """What stands between the separators of a text that `plain` returned."""
    return _SEPARATOR.split(text)
