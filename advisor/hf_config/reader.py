"""A config.json that names what it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from advisor.errors import ConfigError
from advisor.i18n import _

MAX_LAYERS: Final = 1024
"""Far more than any model has: what is repeated so many times stays small."""
TOO_LARGE: Final = 1 << 32
"""llama.cpp reads every hyper-parameter into 32 bits."""
_PERIOD_LETTERS: Final = str.maketrans({"l": "s", "g": "f"})
"""EXAONE's "LLLG": local and global."""
_LAYER_LETTERS: Final = {
    "full_attention": "f",
    "attention": "f",
    "sliding_attention": "s",
    "linear_attention": "r",
    "mamba": "r",
    "conv": "r",
}


class Config:
    """A config.json that names what it lacks."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def integer(self, *names: str) -> int:
        """The first of `names` that is given, 1 or more."""
        value = self.count(*names)
        if value == 0:
            raise ConfigError(
                _("config.json: {names} is 0, but must be 1 or more").format(names=_(" or ").join(names))
            )
        return value

    def layers(self, *names: str) -> int:
        """The same for a number of layers, or of layers until something comes again: bounded."""
        value = self.integer(*names)
        if value > MAX_LAYERS:
            raise ConfigError(
                _("config.json: {names} is above {most:,}, which no model has").format(
                    names=_(" or ").join(names), most=MAX_LAYERS
                )
            )
        return value

    def count(self, *names: str) -> int:
        """The first of `names` that is given, 0 or more."""
        value = self.optional(*names)
        if value is None:
            raise ConfigError(
                _("config.json does not give {names}; without it nothing can be estimated").format(
                    names=_(" or ").join(names)
                )
            )
        return value

    def optional(self, *names: str) -> int | None:
        """The same, or None when none is given."""
        for name in names:
            value = self.data.get(name)
            if value is None:
                continue
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            if isinstance(value, int | float) and value >= TOO_LARGE:
                raise ConfigError(
                    _("config.json: {name} is {value:.3g}, but must be below 2^32").format(
                        name=name, value=value
                    )
                )
            if isinstance(value, bool) or not whole or value < 0:
                raise ConfigError(
                    _("config.json: {name} is {value!r}, but must be a whole number, 0 or more").format(
                        name=name, value=value
                    )
                )
            return int(value)
        return None

    def uniform(self, name: str) -> int:
        """A number that may be given as a list, one entry a layer, all equal."""
        value = self.data.get(name)
        if not isinstance(value, list) or not value:
            return self.integer(name)
        if any(entry != value[0] for entry in value):
            raise ConfigError(
                _("config.json: {name} differs between layers, for which there are no rules").format(
                    name=name
                )
            )
        return Config({name: value[0]}).integer(name)

    def fraction(self, name: str, default: float) -> float:
        """A share between 0 and 1; `default` where it is not given, or 0."""
        value = self.data.get(name) or default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise ConfigError(
                _("config.json: {name} is {value!r}, but must be a number from 0 to 1").format(
                    name=name, value=value
                )
            )
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.data.get(name)
        return default if value is None else bool(value)

    def refuse(self, *names: str) -> None:
        """Raise `ConfigError` where one of `names` is set: for what it turns on there are no rules."""
        for name in names:
            if self.flag(name, False):
                raise ConfigError(
                    _("config.json: {name} is set, for which there are no rules").format(name=name)
                )

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self.data.get(name)
        return value if isinstance(value, Mapping) else {}

    def by_layer(self, name: str, n_layers: int) -> Sequence[Any]:
        """A list of one entry a layer; entries after those, of prediction blocks, are left out."""
        value = self.data.get(name)
        if not isinstance(value, list) or len(value) < n_layers:
            raise ConfigError(
                _("config.json does not give {name} for its {n_layers} layers").format(
                    name=name, n_layers=n_layers
                )
            )
        return value[:n_layers]

    @property
    def architectures(self) -> tuple[str, ...]:
        """The model's classes in transformers; empty where it names none."""
        names = self.data.get("architectures")
        return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()

    def pattern(self, n_layers: int) -> str:
        """Layer letters of `layer_types`, shortened to one period; EXAONE writes the period itself."""
        if isinstance(written := self.data.get("sliding_window_pattern"), str):
            return written.lower().translate(_PERIOD_LETTERS)
        types = self.data.get("layer_types")
        if not isinstance(types, Sequence) or isinstance(types, str):
            raise ConfigError(
                _("config.json does not give layer_types, so the kinds of its layers are not known")
            )
        if len(types) != n_layers:
            raise ConfigError(
                _("config.json: layer_types has {n} entries for {n_layers} layers").format(
                    n=len(types), n_layers=n_layers
                )
            )
        unknown = sorted({str(t) for t in types} - set(_LAYER_LETTERS))
        if unknown:
            raise ConfigError(_("config.json: unknown layer type {unknown!r}").format(unknown=unknown[0]))
        return shorten_pattern("".join(_LAYER_LETTERS[t] for t in types))


def shorten_pattern(letters: str) -> str:
    """The shortest start of `letters` that, repeated, gives all of it ("sfsfs" → "sf")."""
    for period in range(1, len(letters)):
        if all(letter == letters[i % period] for i, letter in enumerate(letters)):
            return letters[:period]
    return letters
