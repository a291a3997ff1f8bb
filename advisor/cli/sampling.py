"""A maker's sampling in words."""

from __future__ import annotations

from typing import Final

from advisor.i18n import N_, _
from advisor.model import Sampling
from advisor.usecase import Backend

_NAMES: Final = {
    "temperature": N_("temperature {value:g}"),
    "top_p": N_("top-p {value:g}"),
    "top_k": N_("top-k {value:g}"),
    "min_p": N_("min-p {value:g}"),
    "repetition_penalty": N_("repetition penalty {value:g}"),
    "presence_penalty": N_("presence penalty {value:g}"),
}
"""By the field of `Sampling`."""


def sampling_text(sampling: Sampling) -> str:
    """What is known, as "temperature 0.6, top-p 0.95"."""
    return ", ".join(_(_NAMES[name]).format(value=value) for name, value in sampling.values)


def whose_sampling(sampling: Sampling, backend: Backend) -> str:
    """The same with who says so, and who heeds it."""
    if backend == "vllm":
        text = _("{sampling} (maker; vLLM reads it from the repository)")
    else:
        text = _("{sampling} (maker)")
    return text.format(sampling=sampling_text(sampling))
