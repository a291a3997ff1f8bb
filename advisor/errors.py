"""Everything that can go wrong on purpose.

AdvisorError                   what the user can act on: one line, exit status 1
├── CatalogError               a catalog file is wrong: names file, field and the fix
├── ConfigError                a config.json lacks or contradicts something, or its architecture is unknown
├── GgufError                  a .gguf file is broken, truncated or hostile
├── SafetensorsError           a .safetensors file or its index is broken, truncated or hostile
├── HardwareError              a --hardware SPEC cannot be understood
├── ProbeError                 a device or runtime could not be read (a note in the machine, never a crash)
├── UnknownModelError          no catalog entry, alias or file of that name
├── PlanError                  a plan file is of another version, edited or broken
├── OutputError                a file exists, or cannot be written
├── DownloadError              the hub refused, is unreachable, or the disk is too small
├── OracleError                llama.cpp cannot be asked for its plan, or refused to make one
├── SmokeTestError             the test could not be run at all (a failed test is a result, not an error)
└── PriceError                 no such API model in the price list

Each message says what happened and what to do about it. ``cli`` turns the tree into one line and an exit
status at a single place; nothing below it prints or exits.
"""

from __future__ import annotations

from typing import Final

from advisor.i18n import N_


class AdvisorError(Exception):
    """Base of all errors that are reported to the user as one line."""


class CatalogError(AdvisorError):
    """A catalog file is wrong."""


class ConfigError(AdvisorError):
    """A model's configuration is incomplete, contradictory or of an unknown architecture."""


class GgufError(AdvisorError):
    """A GGUF file is broken, truncated or hostile."""


class SafetensorsError(AdvisorError):
    """A safetensors file or its index is broken, truncated or hostile."""


class HardwareError(AdvisorError):
    """A hardware specification cannot be understood."""


class ProbeError(AdvisorError):
    """A device or runtime could not be read; probes turn it into a note."""


class UnknownModelError(AdvisorError):
    """No catalog entry, alias or file has that name."""


class PlanError(AdvisorError):
    """A plan file is of another version, edited by hand, or broken."""


class OutputError(AdvisorError):
    """A file exists already, or cannot be written."""


class DownloadError(AdvisorError):
    """A file could not be fetched."""


class OracleError(AdvisorError):
    """llama.cpp planned nothing, or not what was asked."""


class SmokeTestError(AdvisorError):
    """The smoke test could not be run."""


class PriceError(AdvisorError):
    """An API model or its price is not known."""


SYSTEM_ERRORS: Final = (
    N_("File exists"),
    N_("File name too long"),
    N_("Input/output error"),
    N_("Is a directory"),
    N_("No space left on device"),
    N_("No such file or directory"),
    N_("Not a directory"),
    N_("Operation not permitted"),
    N_("Permission denied"),
    N_("Read-only file system"),
    N_("Too many levels of symbolic links"),
)
"""What systems say of a file that they refuse (`OSError.strerror`): marked here, said with `_`."""
