"""safetensors files: what their headers say, without loading them.

`header` reads one file's, `files` joins those of a sharded model, `sizes` turns them into `Weights`.
"""

from advisor.safetensors.files import has_safetensors, read_safetensors
from advisor.safetensors.header import SafeTensor, SafetensorsHeader, parse_safetensors
from advisor.safetensors.sizes import safetensors_weights, stored_format, tower_bytes

__all__ = [
    "SafeTensor",
    "SafetensorsHeader",
    "has_safetensors",
    "parse_safetensors",
    "read_safetensors",
    "safetensors_weights",
    "stored_format",
    "tower_bytes",
]
