"""Vision towers and their projectors (mmproj): what images cost beside the language model."""

from advisor.projectors.config import tower_of
from advisor.projectors.graph import image_compute_bytes
from advisor.projectors.kinds import max_image_tokens
from advisor.projectors.tensors import PROJECTOR_TYPES, projector_bytes, projector_tensors
from advisor.tower import Tower

__all__ = [
    "PROJECTOR_TYPES",
    "Tower",
    "image_compute_bytes",
    "max_image_tokens",
    "projector_bytes",
    "projector_tensors",
    "tower_of",
]
