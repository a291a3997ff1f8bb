"""From the header of a projector file (mmproj) to its size and, where its kind has rules, its tower."""

from __future__ import annotations

from typing import Final, NamedTuple

from advisor.errors import GgufError
from advisor.gguf.facts import tensor_sizes
from advisor.gguf.header import GgufHeader
from advisor.i18n import _
from advisor.tower import Tower, TowerKind

_KINDS: Final[dict[str, TowerKind]] = {
    "qwen2.5vl_merger": "qwen2.5vl",
    "qwen3vl_merger": "qwen3vl",
    "gemma3": "gemma3",
    "gemma4v": "gemma4v",
    "pixtral": "pixtral",
    "llama4": "llama4",
    "kimik25": "kimik25",
}
"""llama.cpp's names of the projectors that have rules."""
_MERGED: Final[dict[TowerKind, int]] = {"qwen2.5vl": 2, "gemma3": 4, "gemma4v": 3, "pixtral": 1}
"""Patches a side of a token where the file does not say, as llama.cpp takes them."""


class Projector(NamedTuple):
    """What a projector file holds."""

    weights_bytes: int
    tower: Tower | None
    """None for a kind whose graph has no rules."""


def projector_of_header(header: GgufHeader) -> Projector:
    """Raises `GgufError` for a file that is no projector."""
    if header.metadata.get("general.architecture") != "clip":
        raise GgufError(_("not a projector: give the mmproj file that stands beside the model's .gguf"))
    size = sum(size for _name, size in tensor_sizes(header))
    return Projector(size, _tower(header))


def _tower(header: GgufHeader) -> Tower | None:
    keys = header.metadata
    name = keys.get("clip.vision.projector_type", keys.get("clip.projector_type"))
    kind = _KINDS.get(str(name))
    if kind is None or keys.get("clip.has_audio_encoder") is True:
        return None
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}

    def key(name: str, default: int = 0) -> int:
        value = keys.get(f"clip.vision.{name}", default)
        return value if type(value) is int else default

    positions = shapes.get("v.position_embd.weight", (0, 0))
    merged = key("spatial_merge_size") or key("projector.scale_factor") or _MERGED.get(kind, 2)
    return Tower(
        kind=kind,
        n_layers=key("block_count"),
        n_embd=key("embedding_length"),
        n_heads=key("attention.head_count"),
        n_ff=key("feed_forward_length"),
        patch_size=key("patch_size"),
        image_size=key("image_size"),
        n_positions=positions[1],
        n_merge=merged,
        n_embd_out=key("projection_dim"),
        n_embd_between=shapes.get("mm.model.mlp.1.weight", (0, 0))[1],
        deepstack_layers=tuple(
            int(name.split(".")[2]) for name in shapes if name.startswith("v.deepstack.") and ".fc1.w" in name
        ),
        window_period=key("n_wa_pattern"),
        standardized="v.std_bias" in shapes,
        projector_bias=kind != "pixtral" or "mm.1.bias" in shapes,
    )
