"""Speculative decoding: a draft proposes tokens, the model verifies them in one step.

What it gains depends on how many proposals are accepted, which the text decides and no estimate knows: hence
a rate for each of several shares.
"""

from __future__ import annotations

from typing import Final

from advisor.assessment import SpeculativeSpeed
from advisor.speed.work import Work

N_DRAFT: Final = 3
"""Tokens proposed at a time: more pay only where nearly all are accepted (measured: 2 to 4, 2026-08)."""
ACCEPTED: Final = (0.5, 0.7, 0.9)
"""Shares of the proposals that are accepted: prose, mixed text, code and quotations (0.5 to 0.96 measured
with Qwen3.8's own prediction head, github.com/sudoingX/qwen38-mtp, 2026-08)."""
VERIFY_SHARE: Final = 0.06
"""What each further token adds to a step at least: the median of 13 cards (0 to 0.25, same source)."""


def speculative_speed(work: Work, draft_s: float, n_draft: int = N_DRAFT) -> SpeculativeSpeed | None:
    """What one sequence gets with a draft; None without a bandwidth.

    draft_s: seconds in which the draft proposes one token.
    """
    alone_s, verify_s = work.decode_s(1), work.decode_s(1, n_draft + 1)
    if alone_s is None or verify_s is None:
        return None
    step_s = max(verify_s, alone_s * (1 + n_draft * VERIFY_SHARE)) + n_draft * draft_s
    rates = tuple((1 + n_draft * share) / step_s for share in ACCEPTED)
    return SpeculativeSpeed(n_draft=n_draft, accepted=ACCEPTED, decode_tokens_per_s=rates)
