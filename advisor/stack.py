"""What a service that answers from documents needs beside its models: passages, how many, and their store.

    document ─cut→ passages ─embedder→ vector store ─nearest→ candidates ─reranker→ passages ─→ chat model

A passage is never longer than the embedder and the reranker were trained for, and the ones that are retrieved
fit the chat model's context with the question and the answer. How many are retrieved, and how many candidates
are reranked, follows from how fast the machine reads them: every question waits for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple

from advisor.assessment import Candidate, SpeedEstimate
from advisor.hardware import Machine
from advisor.i18n import N_, _
from advisor.model import Model
from advisor.placement import HOST_NAME, host_capacity
from advisor.plan import Stack
from advisor.units import format_bytes
from advisor.usecase import FLOW_S, Requirements
from advisor.vector_stores import choose_store

CHUNK_TOKENS: Final = 512
"""Of English text: between the 250 that retrieve best in Chroma's comparison ("Evaluating Chunking Strategies
for Retrieval", 2024) and the 800 that OpenAI's file search cuts by default (read 2026-11-21)."""
OVERLAP: Final = 8
"""A passage shares one part in so many with the one before: 10 to 15 % serve most texts (Microsoft, "Chunk
large documents for vector search", read 2026-11-21)."""
CHUNK_STEP: Final = 32
"""Passages are cut to multiples of this."""
TOKENS_OF_ENGLISH: Final[Mapping[str, float]] = {"ko": 1.25, "ja": 1.25}
"""Tokens of a text in that language for one of its English version, in the vocabulary of XLM-RoBERTa, which
most multilingual embedders share: 114 and 117 against 93 for the first articles of the Universal Declaration
of Human Rights (counted 2026-11-21 with llama.cpp's vocabulary file; German 99, Chinese 80)."""
CHAT_TOKENS: Final = 1.25
"""Tokens of the chat model for one of the embedder, at the most: 133 against 114 for the same text in Korean,
119 against 99 in German, fewer in English (vocabularies of Qwen and XLM-RoBERTa, counted the same day)."""

EMBEDDER_SPARE: Final = 32
"""Tokens of its window for the marks around a text and a prefix such as "passage: "."""
QUESTION_TOKENS: Final = 128
"""A question, which the reranker reads before every passage."""
PROMPT_TOKENS: Final = 512
"""Instructions and question in the chat model's context."""
ANSWER_TOKENS: Final = 1024
"""Kept for the answer: a page and a half."""

MOST_RETRIEVED: Final = 20
"""More dilute the answer: the number that did best of 5, 10 and 20 in "Introducing Contextual Retrieval"
(Anthropic, 2024), and the most that OpenAI's file search gives a model."""
LEAST_RETRIEVED: Final = 3
"""Fewer miss the answer too often, whatever the wait."""
MOST_RERANKED: Final = 150
"""Candidates for 20 passages in the same study."""
LEAST_RERANKED: Final = 2
"""Candidates for every passage retrieved: of fewer there is nothing to choose."""

DEFAULT_DOCUMENTS: Final = 1000
"""A team's folder, where no number was given."""
DOCUMENT_TOKENS: Final = 5000
"""Ten pages of 500 tokens, where only documents were counted."""
USUAL_DIMENSIONS: Final = 1024
"""Of a vector: as many as any embedder of up to 0.6 B parameters has."""
INDEX_SHARE: Final = 0.25
"""Of RAM, what is kept for the vectors before the chat model: larger stores belong on a disk."""
MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
DAY_S: Final = 24 * HOUR_S


class Passages(NamedTuple):
    """How documents are cut, and how many passages a question brings."""

    tokens: int
    overlap: int
    retrieved: int
    candidates: int
    """For the reranker to choose them from; 0 without one."""

    @property
    def in_prompt(self) -> int:
        """Tokens of the chat model that those which are retrieved take."""
        return ceil(self.retrieved * self.tokens * CHAT_TOKENS)


def stack_of(
    needs: Requirements,
    choice: Candidate,
    embedder: Candidate,
    reranker: Candidate | None,
    left: Machine,
    models: Mapping[str, Model],
) -> Stack:
    """The stack around models that were chosen; `left`: of the machine, beside them."""
    passages = passages_of(needs, choice, embedder, reranker)
    n = passages_in_all(needs, passages.tokens)
    free = host_capacity(left, 0)
    store = choose_store(n, models[embedder.model].architecture.n_embd, needs.n_at_once, free)
    notes = [
        *_scale_notes(needs, n),
        _indexing_note(n, passages.tokens, embedder),
        _reading_note(passages, choice.speed),
        *_reranking_note(passages, reranker),
        _memory_note(store.index_bytes, free),
        *_licence_notes(needs, [choice, embedder, *([reranker] if reranker else [])], models),
    ]
    return Stack(
        chunk_tokens=passages.tokens,
        chunk_overlap=passages.overlap,
        retrieved_chunks=passages.retrieved,
        rerank_candidates=passages.candidates,
        vector_store=store,
        notes=tuple(notes),
    )


def index_room(needs: Requirements, embedder: Candidate, reranker: Candidate | None, machine: Machine) -> int:
    """RAM to keep for the vectors before it is known who makes them; 0 where that is too much of it."""
    n = passages_in_all(needs, chunk_tokens(needs, embedder, reranker, needs.n_ctx))
    free = host_capacity(machine, 0)
    size = choose_store(n, USUAL_DIMENSIONS, needs.n_at_once, free).index_bytes
    return size if size <= INDEX_SHARE * free else 0


def passages_of(
    needs: Requirements, choice: Candidate, embedder: Candidate, reranker: Candidate | None
) -> Passages:
    """Passages that every model of the stack can read, as many as context and patience allow."""
    room = choice.n_ctx - min(PROMPT_TOKENS + ANSWER_TOKENS, choice.n_ctx // 2)
    tokens = chunk_tokens(needs, embedder, reranker, room)
    fitting = max(1, int(room / (tokens * CHAT_TOKENS)))
    patience = needs.max_ttft_s or needs.profile.ttft_s
    quick = _as_many(patience, _reading_s(choice.speed, tokens * CHAT_TOKENS), MOST_RETRIEVED)
    n = passages_in_all(needs, tokens)
    retrieved = min(n, fitting, max(quick, LEAST_RETRIEVED))
    candidates = min(n, rerank_candidates(retrieved, tokens, reranker))
    return Passages(tokens, tokens // OVERLAP, retrieved, candidates)


def chunk_tokens(needs: Requirements, embedder: Candidate, reranker: Candidate | None, room: int) -> int:
    """Tokens of a passage: what the language makes of `CHUNK_TOKENS`, within every window."""
    wished = CHUNK_TOKENS * max((TOKENS_OF_ENGLISH.get(code, 1.0) for code in needs.languages), default=1.0)
    windows = [embedder.n_ctx - EMBEDDER_SPARE, int(room / CHAT_TOKENS)]
    if reranker is not None:
        windows.append(reranker.n_ctx - QUESTION_TOKENS)
    tokens = max(1, int(min(wished, *windows)))
    return tokens // CHUNK_STEP * CHUNK_STEP or tokens


def rerank_candidates(retrieved: int, tokens: int, reranker: Candidate | None) -> int:
    """What the reranker reads in a second, at least twice as many as are kept."""
    if reranker is None:
        return 0
    quick = _as_many(FLOW_S, _reading_s(reranker.speed, tokens + QUESTION_TOKENS), MOST_RERANKED)
    return max(quick, LEAST_RERANKED * retrieved)


def passages_in_all(needs: Requirements, tokens: int) -> int:
    """Passages of that length: as many as were given, else those of the documents."""
    if needs.chunks is not None:
        return needs.chunks
    advance = tokens - tokens // OVERLAP
    return (needs.documents or DEFAULT_DOCUMENTS) * ceil(DOCUMENT_TOKENS / advance)


def _reading_s(speed: SpeedEstimate, tokens: float) -> float | None:
    """Time to read so many tokens while all sequences are busy; None where that is not known."""
    return None if speed.ttft_s is None else tokens * speed.ttft_s / max(1, speed.prompt_tokens)


def _as_many(within_s: float, each_s: float | None, most: int) -> int:
    """How many things of `each_s` can be done in that time."""
    return min(most, int(within_s / each_s)) if each_s else most


def _scale_notes(needs: Requirements, n: int) -> Iterator[str]:
    if needs.chunks is not None:
        return
    if needs.documents is None:
        text = _("{n:,} documents are assumed: --documents or --chunks says how many there are")
        yield text.format(n=DEFAULT_DOCUMENTS)
    text = _("a document is taken as {tokens:,} tokens, about ten pages: {n:,} passages in all")
    yield text.format(tokens=DOCUMENT_TOKENS, n=n)


def _indexing_note(n: int, tokens: int, embedder: Candidate) -> str:
    seconds = _reading_s(embedder.speed, float(n) * tokens)
    if seconds is None:
        return _("how long {model} takes to embed them is not known").format(model=embedder.name)
    text = _("embedding them once takes {model} about {time}")
    if seconds >= HOUR_S and embedder.placement.devices == (HOST_NAME,) and len(embedder.memory.devices) > 1:
        text = _("embedding them once takes {model} about {time}; lend it the GPU for that")
    return text.format(model=embedder.name, time=_duration(seconds))


def _reading_note(passages: Passages, speed: SpeedEstimate) -> str:
    seconds = _reading_s(speed, passages.in_prompt)
    if seconds is None:
        text = _("{n} passages are about {tokens:,} tokens of the chat model")
        return text.format(n=passages.retrieved, tokens=passages.in_prompt)
    return _(
        "{n} passages are about {tokens:,} tokens of the chat model, which it reads in about {time} before "
        "the first word"
    ).format(n=passages.retrieved, tokens=passages.in_prompt, time=_duration(seconds))


def _reranking_note(passages: Passages, reranker: Candidate | None) -> Iterator[str]:
    if reranker is None:
        yield _("no reranker fits beside them: the nearest passages are given to the chat model as they come")
        return
    seconds = _reading_s(reranker.speed, passages.candidates * (passages.tokens + QUESTION_TOKENS))
    if seconds is not None:
        yield _("reranking {n} candidates takes about {time} a question").format(
            n=passages.candidates, time=_duration(seconds)
        )


def _memory_note(size: int, free: int) -> str:
    sizes = {"size": format_bytes(size, digits=1), "free": format_bytes(free, digits=1)}
    if size <= free:
        return _("the index's {size} fit into the {free} of RAM that the models leave").format(**sizes)
    return _(
        "the index's {size} exceed the {free} of RAM that the models leave: keep the vectors on disk and "
        "copies of one byte a dimension in RAM, or give the store a machine of its own"
    ).format(**sizes)


def _licence_notes(
    needs: Requirements, candidates: Sequence[Candidate], models: Mapping[str, Model]
) -> Iterator[str]:
    for candidate in candidates:
        if needs.license == "any" and models[candidate.model].license.commercial is False:
            yield _(
                "{model} is not for commercial use ({license}): --license commercial leaves it out"
            ).format(model=candidate.name, license=candidate.license)


def _duration(seconds: float) -> str:
    for size, text in ((DAY_S, N_("{n:.1f} days")), (HOUR_S, N_("{n:.1f} h")), (MINUTE_S, N_("{n:.0f} min"))):
        if seconds >= 2 * size:
            return _(text).format(n=seconds / size)
    return _("{n:.1f} s").format(n=seconds)
