"""Prompt, retrieval or fine-tuning: how a model comes to know what it does not, and why so.

The order is that of every guide of the field, Microsoft's among them ("Compare and combine optimization
strategies", learn.microsoft.com, read 2026-11-21): prompts first, retrieval where knowledge is missing,
fine-tuning where the manner is. The papers that the notes name measured it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from advisor.i18n import N_, _
from advisor.usecase import Knowledge, Requirements, UseCase

APPROACHES: Final[Mapping[Knowledge, str]] = {
    "none": N_(
        "approach: a good prompt. Nothing has to be taught; instructions and a few examples cost nothing and "
        "are changed at once"
    ),
    "documents": N_(
        "approach: retrieval (RAG). Passages are given with every question: they stay current, and answers "
        "can quote them. It taught facts better than fine-tuning throughout (Ovadia et al., arXiv 2312.05934)"
    ),
    "style": N_(
        "approach: fine-tuning (LoRA), once examples in the prompt no longer do. It teaches a manner or a "
        "format, but hardly facts (Ovadia et al., arXiv 2312.05934)"
    ),
    "both": N_(
        "approach: retrieval (RAG) for the facts, then fine-tuning (LoRA) for the manner. Retrieval comes "
        "first, since it needs no training; fine-tuning gained 6 percentage points, retrieval 5 more "
        "(Balaguer et al., arXiv 2401.08406)"
    ),
}


def approach_notes(needs: Requirements) -> Iterator[str]:
    """How to teach the model what was asked for; nothing where nothing was asked."""
    if needs.knowledge is None:
        return
    yield _(APPROACHES[needs.knowledge])
    if needs.knowledge in ("documents", "both") and needs.use_case is not UseCase.RAG:
        yield _("--use-case rag plans retrieval: an embedding model, a reranker and a vector store")
