"""Who this machine and its users are, for the scrubber alone; the network is not asked."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from advisor.doctor.scrub import Identity

FIRST_PERSON: Final = 1000
"""Linux gives people account numbers from here on (login.defs) …"""
LAST_PERSON: Final = 60000
"""… up to here."""
HOST_VARIABLES: Final = ("HOSTNAME", "HOST", "COMPUTERNAME")
USER_VARIABLES: Final = ("USER", "USERNAME", "LOGNAME", "SUDO_USER", "DOAS_USER")
HOME_VARIABLES: Final = ("HOME", "USERPROFILE")


def own_identity(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Identity:
    """What must not be in a dump of this machine; root: where /etc/passwd is."""
    hosts = {platform.node(), *_set(environ, HOST_VARIABLES)}
    accounts = list(_accounts(root / "etc/passwd"))
    return Identity(
        hosts=tuple(sorted(hosts | {host.partition(".")[0] for host in hosts})),
        users=tuple(sorted({*_set(environ, USER_VARIABLES), *(name for pair in accounts for name in pair)})),
        homes=tuple(sorted(_set(environ, HOME_VARIABLES))),
    )


def _set(environ: Mapping[str, str], names: tuple[str, ...]) -> set[str]:
    return {environ[name] for name in names if environ.get(name)}


def _accounts(file: Path) -> Iterator[tuple[str, str]]:
    """(account, owner's name) of the people in /etc/passwd; none where there is no such file."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(":")
        if len(fields) >= 5 and fields[2].isdecimal() and FIRST_PERSON <= int(fields[2]) < LAST_PERSON:
            yield fields[0], fields[4].partition(",")[0]
