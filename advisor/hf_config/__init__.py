"""From a Hugging Face `config.json` to an `Architecture`: foreign names end here.

A dimension that the config does not give is refused by name, never guessed; the few defaults are those of
the model's own configuration class in transformers, and stand beside the family that has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_config.builders import BUILDERS, REFUSED
from advisor.hf_config.reader import Config, shorten_pattern
from advisor.i18n import _
from advisor.value import problem

__all__ = ["architecture_of", "shorten_pattern"]


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a `config.json` describes; of a multimodal model, its language part.

    Raises `ConfigError` when the model type is unknown or a dimension is missing or contradictory.
    """
    text = config.get("text_config") or config.get("llm_config")
    merged = {**config, **text} if isinstance(text, Mapping) else config
    model_type = merged.get("model_type")
    if not isinstance(model_type, str):
        raise ConfigError(_("config.json does not give model_type, so the architecture is not known"))
    build = BUILDERS.get(model_type)
    if name := REFUSED.get(model_type):
        raise ConfigError(
            _("{name} (model_type {model_type!r}) has no rules: llama.cpp cannot load it").format(
                name=name, model_type=model_type
            )
        )
    if build is None:
        raise ConfigError(
            _("unknown model_type {model_type!r}; known: {known}").format(
                model_type=model_type, known=", ".join(sorted(BUILDERS))
            )
        )
    try:
        return build(Config(merged))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or model_type
        raise ConfigError(
            _("config.json: {field}: {problem}").format(field=field, problem=problem(first))
        ) from error
