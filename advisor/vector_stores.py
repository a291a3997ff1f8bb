"""Which vector store suits how many vectors, and what RAM its index takes.

The figures are the projects' own, read 2026-11-21; each is named where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final, NamedTuple

from advisor.i18n import N_, _
from advisor.plan import VectorStore
from advisor.units import format_bytes

FLOAT_BYTES: Final = 4
HALF_BYTES: Final = 2

EXACT_UP_TO: Final = 100_000
"""Vectors that FAISS compares one by one: 0.4 GB of them at 1,024 dimensions, a hundredth of a second at the
40 GB/s of two channels of DDR4. Above, a graph is searched."""
SMALL_UP_TO: Final = 1_000_000
"""Where the small stores end: FAISS's guide turns to other indexes ("Guidelines to choose an index"), Milvus
points from its library to its server at "a few million" (milvus.io/docs/install-overview.md), and pgvector's
index of 1,024 dimensions has grown to 8 GB."""
ONE_NODE_UP_TO: Final = 100_000_000
"""What one machine is said to bear if its memory suffices (Milvus Standalone, the same page)."""

FAISS_LINKS: Final = 32
"""M of an HNSW index, between the 4 and 64 that FAISS's guide names: d * 4 + M * 2 * 4 bytes a vector."""
LINK_BYTES: Final = 2 * 4
QDRANT_FACTOR: Final = 1.5
"""On the vectors' own size, for index, versions and segments being rebuilt (qdrant.tech/documentation,
"Capacity planning")."""

WHOLE_PAGE_BYTES: Final = 8192
PAGE_BYTES: Final = WHOLE_PAGE_BYTES - 24 - 8
"""Of a page of PostgreSQL without its header and pgvector's own part (pgvector src/hnsw.h)."""
ELEMENT_BYTES: Final = 72 + 8
"""Before a vector's numbers: HnswElementTupleData, and the vector's own header (the same file)."""
NEIGHBOURS_BYTES: Final = 4 + 2 * 16 * 6
"""Of an element of the lowest level, at the default of 16 links (the same file)."""
ITEM_BYTES: Final = 4
"""Entry of a tuple in its page."""
VECTOR_DIMENSIONS: Final = 2000
"""pgvector indexes no longer vectors of 4-byte numbers, but halfvec to twice as many (its README)."""


class Store(NamedTuple):
    """A vector store, and how many vectors it is for."""

    name: str
    least: int
    most: int
    """Vectors."""
    index_bytes: Callable[[int, int], int]
    """RAM for so many vectors of so many dimensions."""
    why: str
    shared: bool = True
    """Several users may search and change it at once."""
    from_disk: bool = False
    """Works on when the vectors exceed the RAM."""
    most_dimensions: int = 2**16


def flat_or_graph_bytes(n: int, dimensions: int) -> int:
    """FAISS: vectors alone, from `EXACT_UP_TO` on with the links of their graph."""
    links = FAISS_LINKS * LINK_BYTES if n > EXACT_UP_TO else 0
    return n * (dimensions * FLOAT_BYTES + links)


def graph_bytes(n: int, dimensions: int) -> int:
    """Milvus: vectors and the links of their graph."""
    return n * (dimensions * FLOAT_BYTES + FAISS_LINKS * LINK_BYTES)


def qdrant_bytes(n: int, dimensions: int) -> int:
    """Qdrant's rule."""
    return int(n * dimensions * FLOAT_BYTES * QDRANT_FACTOR)


def pgvector_bytes(n: int, dimensions: int) -> int:
    """HNSW of pgvector: pages of as many vectors as fit with their links, which else lie on other pages."""
    size = FLOAT_BYTES if dimensions <= VECTOR_DIMENSIONS else HALF_BYTES
    element = _aligned(ELEMENT_BYTES + dimensions * size) + ITEM_BYTES
    neighbours = _aligned(NEIGHBOURS_BYTES) + ITEM_BYTES
    a_page = PAGE_BYTES // (element + neighbours)
    pages = ceil(n / a_page) if a_page else n + ceil(n / (PAGE_BYTES // neighbours))
    return pages * WHOLE_PAGE_BYTES


def _aligned(size: int) -> int:
    """Rounded up as PostgreSQL aligns tuples."""
    return -(-size // 8) * 8


STORES: Final = (
    Store(
        "FAISS",
        0,
        SMALL_UP_TO,
        flat_or_graph_bytes,
        N_("a library inside your program, with no server to run, is enough for one user"),
        shared=False,
    ),
    Store(
        "pgvector",
        0,
        SMALL_UP_TO,
        pgvector_bytes,
        N_("several users search and change it at once, and PostgreSQL keeps texts and rights beside it"),
        most_dimensions=2 * VECTOR_DIMENSIONS,
    ),
    Store(
        "Qdrant",
        0,
        ONE_NODE_UP_TO,
        qdrant_bytes,
        N_("one server bears this many, compresses vectors, and can leave them on disk"),
        from_disk=True,
    ),
    Store(
        "Milvus",
        SMALL_UP_TO,
        10**18,
        graph_bytes,
        N_("it divides them over machines, and builds indexes apart from searching"),
        from_disk=True,
    ),
)
"""The simplest first."""


def choose_store(n: int, dimensions: int, users: int, free_bytes: int) -> VectorStore:
    """The simplest store for `n` vectors and that many users at once, beside `free_bytes` of RAM."""
    able = [store for store in STORES if _suits(store, n, dimensions, users, free_bytes)]
    pick, *others = able
    size = pick.index_bytes(n, dimensions)
    reason = _("{n:,} vectors of {dimensions:,} dimensions: {why}; {size} of RAM").format(
        n=n, dimensions=dimensions, why=_(pick.why), size=format_bytes(size, digits=1)
    )
    return VectorStore(
        name=pick.name,
        reason=reason,
        index_bytes=size,
        alternatives=tuple(store.name for store in others),
    )


def _suits(store: Store, n: int, dimensions: int, users: int, free_bytes: int) -> bool:
    if not store.least <= n <= store.most or dimensions > store.most_dimensions:
        return False
    if users > 1 and not store.shared:
        return False
    return store.from_disk or store.index_bytes(n, dimensions) <= free_bytes
