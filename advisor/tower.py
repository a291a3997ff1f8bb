"""A vision tower with its projector: what turns an image into tokens of the language model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advisor.value import Value

TowerKind = Literal["qwen2.5vl", "qwen3vl", "gemma3", "gemma4v", "pixtral", "llama4", "kimik25"]


class Tower(Value):
    """The hyper-parameters that decide a tower's memory."""

    kind: TowerKind
    n_layers: int = Field(gt=0, le=1024)
    n_embd: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    n_ff: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    """Pixels a side of a patch."""
    image_size: int = Field(gt=0)
    """Pixels a side of the image that the position table is made for."""
    n_positions: int = 0
    """Rows of the learned position table; 0 where positions are rotated only."""
    n_merge: int = Field(default=1, gt=0)
    """Patches a side that become one token."""
    n_embd_out: int = Field(gt=0)
    """Width of the language model."""
    n_embd_between: int = 0
    """Width inside the projector where it is neither the tower's nor the language model's (Llama 4)."""
    deepstack_layers: tuple[int, ...] = ()
    """Layers whose features are projected and handed on as well (Qwen3-VL)."""
    window_period: int = 0
    """One layer in so many sees the whole image, the others a window (Qwen2.5-VL); 0: all see everything."""
    standardized: bool = False
    """Features are centred and scaled before the projector (Gemma 4's larger towers)."""
    projector_bias: bool = True

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_heads

    @property
    def n_merged(self) -> int:
        """Patches that become one token."""
        return self.n_merge**2
