"""The part of a recommendation that answers from documents: passages, store, and what both cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.show import titled
from advisor.i18n import _

if TYPE_CHECKING:
    from rich.console import Console

    from advisor.plan import Stack


def show_stack(out: Console, stack: Stack) -> None:
    """Print how documents are cut, how many passages a question brings, and where their vectors lie."""
    store = stack.vector_store
    lines = [
        _cutting(stack),
        _retrieval(stack),
        f"{store.name}: {store.reason}",
    ]
    if store.alternatives:
        lines.append(_("or {stores}").format(stores=", ".join(store.alternatives)))
    for n, line in enumerate([*lines, *stack.notes]):
        out.print(titled("" if n else _("stack"), line))


def _cutting(stack: Stack) -> str:
    text = _("cut documents into passages of {tokens} tokens, {overlap} of them shared with the one before")
    return text.format(tokens=stack.chunk_tokens, overlap=stack.chunk_overlap)


def _retrieval(stack: Stack) -> str:
    if not stack.rerank_candidates:
        return _("give the chat model the {n} nearest of them").format(n=stack.retrieved_chunks)
    return _("rerank the {candidates} nearest of them, and give the chat model the best {n}").format(
        candidates=stack.rerank_candidates, n=stack.retrieved_chunks
    )
