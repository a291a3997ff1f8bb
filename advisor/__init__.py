"""Hardware-aware language model advisor and deployment planner.

The public names are the operations of the command line on typed, frozen values. They are imported on
first use, so that ``import advisor`` costs nothing and a broken optional library breaks nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "detect", "estimate", "load_catalog", "recommend"]

if TYPE_CHECKING:
    from advisor.api import detect, estimate, load_catalog, recommend


def __getattr__(name: str) -> Any:
    if name in __all__:
        from advisor import api

        return getattr(api, name)
    raise AttributeError(f"module 'advisor' has no attribute {name!r}")
