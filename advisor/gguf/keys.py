"""A header's keys and shapes, asked for by name: what is missing or absurd is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from advisor.errors import GgufError
from advisor.gguf.header import ArrayLength, MetadataValue, shown
from advisor.i18n import _

MAX_LAYERS: Final = 512
"""llama.cpp's LLAMA_MAX_LAYERS."""
MAX_INTEGER: Final = (1 << 32) - 1
"""llama.cpp reads every hyper-parameter into 32 bits."""


class Keys:
    """The metadata under one architecture's prefix; it names what it lacks."""

    def __init__(self, metadata: Mapping[str, MetadataValue]) -> None:
        family = metadata.get("general.architecture")
        if not isinstance(family, str) or not family:
            raise GgufError(_("the header does not give general.architecture, so nothing can be estimated"))
        self.family, self._metadata = family, metadata

    @cached_property
    def n_blocks(self) -> int:
        """Layers and multi-token-prediction blocks."""
        n = self.integer("block_count")
        if not 0 < n <= MAX_LAYERS:
            raise GgufError(
                _("the header claims {n:,} layers; between 1 and {most} are possible").format(
                    n=n, most=MAX_LAYERS
                )
            )
        return n

    @cached_property
    def n_layers(self) -> int:
        """Layers that llama.cpp loads."""
        n = self.n_blocks - (self.optional("nextn_predict_layers") or 0)
        if n <= 0:
            raise GgufError(
                _("none of the {n_blocks} layers is the model's own, by nextn_predict_layers").format(
                    n_blocks=self.n_blocks
                )
            )
        return n

    def shown(self, name: str) -> str:
        """The full key, for a message."""
        return shown(f"{self.family}.{name}")

    def get(self, name: str) -> MetadataValue | None:
        return self._metadata.get(f"{self.family}.{name}")

    def has(self, name: str) -> bool:
        return self.get(name) is not None

    def integer(self, name: str) -> int:
        """A whole number that must be there."""
        value = self.optional(name)
        if value is None:
            raise GgufError(
                _("the header does not give {name}; without it nothing can be estimated").format(
                    name=self.shown(name)
                )
            )
        return value

    def optional(self, name: str) -> int | None:
        """The same, or None where it is not given."""
        value = self.get(name)
        return None if value is None else self._whole(name, value)

    def per_block(self, name: str) -> tuple[int, ...] | None:
        """One whole number (or flag) a block; a file may give one for all."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, tuple):
            return (self._whole(name, value),) * self.n_blocks
        if len(value) != self.n_blocks:
            raise GgufError(
                _("{name} has {n} entries for {n_blocks} layers").format(
                    name=self.shown(name), n=len(value), n_blocks=self.n_blocks
                )
            )
        return tuple(self._whole(name, int(x) if isinstance(x, bool) else x) for x in value)

    def numbers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers that must be there, one a block or more."""
        value = self.get(name)
        if not isinstance(value, tuple) or len(value) < self.n_blocks:
            raise GgufError(
                _("{name} must list a number for each of {n_blocks} layers").format(
                    name=self.shown(name), n_blocks=self.n_blocks
                )
            )
        return tuple(self._whole(name, x) for x in value)

    def _whole(self, name: str, value: MetadataValue) -> int:
        if type(value) is not int or not 0 <= value <= MAX_INTEGER:
            what = _("an array") if isinstance(value, tuple | ArrayLength) else shown(str(value))
            raise GgufError(
                _("{name} is {what}, but must be a whole number below 2^32").format(
                    name=self.shown(name), what=what
                )
            )
        return value


class Shapes:
    """The shapes of the file's tensors; the first dimension is the row."""

    def __init__(self, by_name: Mapping[str, tuple[int, ...]]) -> None:
        self._by_name = by_name

    def has(self, name: str) -> bool:
        return name in self._by_name

    def of(self, name: str, n_dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor that must be there."""
        shape = self._by_name.get(name, ())
        if len(shape) != n_dimensions:
            raise GgufError(
                _(
                    "the file has no tensor {name} of {n_dimensions} dimensions; it is not a whole model"
                ).format(name=name, n_dimensions=n_dimensions)
            )
        return shape

    def width(self, name: str) -> int:
        """Length of a tensor's rows; 0 where there is no such tensor."""
        shape = self._by_name.get(name)
        return shape[0] if shape else 0

    def depth(self, name: str) -> int:
        """Number of matrices in a tensor of three dimensions; 0 where there is none such."""
        shape = self._by_name.get(name, ())
        return shape[2] if len(shape) > 2 else 0

    def n_rows(self, name: str) -> int:
        """Number of a matrix's rows; 0 where there is no such tensor."""
        shape = self._by_name.get(name, (0, 0))
        return shape[1] if len(shape) > 1 else 1
