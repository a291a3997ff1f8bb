"""From the `vision_config` of a Hugging Face `config.json` to a `Tower`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from advisor.errors import ConfigError
from advisor.hf_config.reader import Config
from advisor.i18n import _
from advisor.tower import Tower, TowerKind
from advisor.value import problem


def tower_of(config: Mapping[str, Any], n_embd_out: int) -> Tower | None:
    """The vision tower that a `config.json` describes; None for a model that takes no images.

    n_embd_out: width of its language model. Raises `ConfigError` for a tower that has no rules, or that lacks
    a dimension.
    """
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return None
    model_type = str(config.get("model_type"))
    build = _BUILDERS.get(model_type)
    if build is None:
        raise ConfigError(
            _(
                "the vision tower of {model_type!r} has no rules yet; give its mmproj file (known: {known})"
            ).format(model_type=model_type, known=", ".join(sorted(_BUILDERS)))
        )
    try:
        return build(Config(vision), Config(config), n_embd_out)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            _("config.json: vision_config.{field}: {problem}").format(
                field=first["loc"][0], problem=problem(first)
            )
        ) from error


def _qwen25(v: Config, config: Config, out: int) -> Tower:
    return Tower(
        kind="qwen2.5vl",
        n_layers=v.integer("depth"),
        n_embd=v.integer("hidden_size"),
        n_heads=v.integer("num_heads"),
        n_ff=v.integer("intermediate_size"),
        patch_size=v.integer("patch_size"),
        image_size=_QWEN25_IMAGE,
        n_merge=v.integer("spatial_merge_size"),
        n_embd_out=out,
        window_period=_first(v, "fullatt_block_indexes") + 1,
    )


_QWEN25_IMAGE: Final = 560
"""Not in the config; llama.cpp's converter writes this, and only its first graph is sized by it."""


def _qwen3(v: Config, config: Config, out: int) -> Tower:
    positions, patch = v.integer("num_position_embeddings"), v.integer("patch_size")
    return Tower(
        kind="qwen3vl",
        n_layers=v.integer("depth"),
        n_embd=v.integer("hidden_size"),
        n_heads=v.integer("num_heads"),
        n_ff=v.integer("intermediate_size"),
        patch_size=patch,
        image_size=int(positions**0.5) * patch,
        n_positions=positions,
        n_merge=v.integer("spatial_merge_size"),
        n_embd_out=out,
        deepstack_layers=tuple(v.data.get("deepstack_visual_indexes") or ()),
    )


def _gemma3(v: Config, config: Config, out: int) -> Tower:
    image, patch = v.integer("image_size"), v.integer("patch_size")
    side = image // patch
    tokens = config.integer("mm_tokens_per_image")
    return Tower(
        **_transformer(v, "gemma3"),
        patch_size=patch,
        image_size=image,
        n_positions=side * side,
        n_merge=max(1, side // int(tokens**0.5)),
        n_embd_out=out,
    )


def _gemma4(v: Config, config: Config, out: int) -> Tower:
    return Tower(
        **_transformer(v, "gemma4v"),
        patch_size=v.integer("patch_size"),
        image_size=_GEMMA4_IMAGE,
        n_positions=v.integer("position_embedding_size"),
        n_merge=v.integer("pooling_kernel_size"),
        n_embd_out=out,
        standardized=v.flag("standardize", False),
    )


_GEMMA4_IMAGE: Final = 224
"""Not in the config, and not used: images keep their size. llama.cpp's converter writes this."""


def _pixtral(v: Config, config: Config, out: int) -> Tower:
    if v.data.get("model_type") != "pixtral":
        raise ConfigError(
            _("the vision tower {model_type!r} has no rules yet; give its mmproj file").format(
                model_type=v.data.get("model_type")
            )
        )
    return Tower(
        **_transformer(v, "pixtral"),
        patch_size=v.integer("patch_size"),
        image_size=v.integer("image_size"),
        n_merge=config.optional("spatial_merge_size") or 1,
        n_embd_out=out,
        projector_bias=config.flag("multimodal_projector_bias", True),
    )


def _llama4(v: Config, config: Config, out: int) -> Tower:
    image, patch = v.integer("image_size"), v.integer("patch_size")
    ratio = v.data.get("pixel_shuffle_ratio")
    if not isinstance(ratio, float) or not 0 < ratio <= 1:
        raise ConfigError(_("config.json: vision_config.pixel_shuffle_ratio must be above 0 and at most 1"))
    return Tower(
        **_transformer(v, "llama4"),
        patch_size=patch,
        image_size=image,
        n_positions=(image // patch) ** 2 + 1,
        n_merge=round(1 / ratio),
        n_embd_between=v.integer("projector_output_dim"),
        n_embd_out=out,
    )


def _kimi(v: Config, config: Config, out: int) -> Tower:
    height, width = v.integer("init_pos_emb_height"), v.integer("init_pos_emb_width")
    return Tower(
        kind="kimik25",
        n_layers=v.integer("vt_num_hidden_layers"),
        n_embd=v.integer("vt_hidden_size"),
        n_heads=v.integer("vt_num_attention_heads"),
        n_ff=v.integer("vt_intermediate_size"),
        patch_size=v.integer("patch_size"),
        image_size=height * v.integer("patch_size"),
        n_positions=height * width,
        n_merge=_first(v, "merge_kernel_size"),
        n_embd_out=out,
    )


def _first(v: Config, name: str) -> int:
    """The first number of a list."""
    numbers = v.data.get(name)
    if not isinstance(numbers, list) or not numbers or type(numbers[0]) is not int or numbers[0] < 0:
        raise ConfigError(
            _("config.json does not give vision_config.{name} as a list of numbers").format(name=name)
        )
    return int(numbers[0])


def _transformer(v: Config, kind: TowerKind) -> dict[str, Any]:
    return {
        "kind": kind,
        "n_layers": v.integer("num_hidden_layers"),
        "n_embd": v.integer("hidden_size"),
        "n_heads": v.integer("num_attention_heads"),
        "n_ff": v.integer("intermediate_size"),
    }


_BUILDERS: Final[Mapping[str, Callable[[Config, Config, int], Tower]]] = {
    "qwen2_5_vl": _qwen25,
    "qwen3_vl": _qwen3,
    "qwen3_vl_moe": _qwen3,
    "qwen3_5": _qwen3,
    "qwen3_5_moe": _qwen3,
    "gemma3": _gemma3,
    "gemma4": _gemma4,
    "mistral3": _pixtral,
    "llava": _pixtral,
    "llama4": _llama4,
    "kimi_k25": _kimi,
}
