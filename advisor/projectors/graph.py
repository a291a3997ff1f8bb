"""What a tower computes for one image, as llama.cpp's allocator sees it (tools/mtmd/clip.cpp, models/)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from advisor.graphs.allocator import allocate
from advisor.graphs.nodes import F16, F32, I32, Graph, Shape, Tensor
from advisor.projectors.kinds import KINDS
from advisor.projectors.tensors import CHANNELS
from advisor.tower import Tower

_HOST: Final = 0
_MROPE: Final = 4
"""Position numbers a patch of Qwen's rotation."""


@lru_cache(maxsize=256)
def image_compute_bytes(tower: Tower, n_tokens: int) -> int:
    """Compute buffer of a tower for a square image of `n_tokens` tokens, with flash attention."""
    graph = _Graph(tower, int(n_tokens**0.5) * tower.n_merge)
    graph.build()
    for tensor in (*graph.graph.inputs, *graph.graph.nodes):
        tensor.device = _HOST
    return allocate(graph.graph.inputs, graph.graph.nodes, 1)[_HOST]


class _Graph:
    """The graph in the making; `side`: patches a side of the image."""

    def __init__(self, tower: Tower, side: int) -> None:
        self.tower, self.kind, self.side = tower, KINDS[tower.kind], side
        self.n = side * side
        self.graph = Graph()

    def build(self) -> None:
        tower, kind = self.tower, self.kind
        positions = self._positions()
        x = self._input(positions)
        if kind.pre_norm:
            x = self._norm(x)
        mask: Tensor | None = None
        if tower.window_period:
            mask = _op((self.n, self.n), self._given(self.n, self.n, unit=F32), unit=F16)
            blocks = _view(x, self._wide, self._n_tokens)
            x = _view(_op(blocks.shape, blocks, self._given(self._n_tokens)), tower.n_embd, self.n)
        deep: Tensor | None = None
        for i in range(tower.n_layers):
            windowed = tower.window_period and (i + 1) % tower.window_period
            x = self._layer(x, positions, mask if windowed else None)
            if i in tower.deepstack_layers:
                feature = self._merging_mlp(self._norm(_view(x, self._wide, self._n_tokens)))
                deep = feature if deep is None else _op(_joined(deep, feature), deep, feature)
        if kind.post_norm:
            x = self._norm(x)
        self.graph.expand(self._project(x, deep))

    @property
    def _wide(self) -> int:
        return self.tower.n_embd * self.tower.n_merged

    @property
    def _n_tokens(self) -> int:
        return self.n // self.tower.n_merged

    def _given(self, *shape: int, unit: int = I32) -> Tensor:
        tensor = Tensor(shape, unit=unit)
        tensor.is_input = True
        return tensor

    # Input

    def _input(self, positions: tuple[Tensor, ...]) -> Tensor:
        tower = self.tower
        pixels = self.side * tower.patch_size
        raw = self._given(pixels, pixels, CHANNELS, unit=F32)
        if tower.kind == "gemma4v":
            raw = _over(raw)
        x = self._patches(raw)
        if tower.kind.startswith("qwen"):
            return self._in_blocks(x)
        x = _op((tower.n_embd, self.n), _view(x, tower.n_embd, self.n))
        if self.kind.patch_bias:
            x = _over(x)
        return self._with_positions(x, positions)

    def _patches(self, raw: Tensor) -> Tensor:
        """The convolution, by every kernel of it."""
        values = self.tower.patch_size**2 * CHANNELS
        total: Tensor | None = None
        for _ in range(self.kind.n_patch_kernels):
            columns = _op((values, self.n), raw, unit=F16)
            out = _op((self.n, self.tower.n_embd), _view(columns, values, self.n))
            out = _op((self.n, self.tower.n_embd), _view(out, self.n, self.tower.n_embd))
            total = out if total is None else _over(total, out)
        assert total is not None
        return total

    def _in_blocks(self, x: Tensor) -> Tensor:
        """Qwen: patches that become one token are brought together, and so are their positions."""
        n_embd = self.tower.n_embd
        x = _op((2 * n_embd, self.n // 2), _view(x, n_embd, self.n))
        x = _op((n_embd, self.n), _view(x, n_embd, self.n))
        if not self.tower.n_positions:
            return x
        x = _over(x)  # the patches' bias
        table = self._resized_positions()
        table = _op((2 * n_embd, self.n // 2), _view(table, n_embd, self.n) if table else x)
        table = _op((n_embd, self.n), _view(table, n_embd, self.n))
        return _over(x, table)

    def _resized_positions(self) -> Tensor:
        """The learned table, scaled to the image."""
        n_embd = self.tower.n_embd
        scaled = _op((self.side, self.side, n_embd))
        return _op((n_embd, self.n), _view(scaled, n_embd, self.n))

    def _with_positions(self, x: Tensor, positions: tuple[Tensor, ...]) -> Tensor:
        tower = self.tower
        if tower.kind == "gemma4v":
            for position in positions:
                x = _over(x, _op((tower.n_embd, self.n), position))
        elif tower.kind == "kimik25":
            x = _over(x, self._resized_positions())
        elif tower.n_positions:
            x = _over(x)
        return x

    def _positions(self) -> tuple[Tensor, ...]:
        if self.tower.kind.startswith("qwen"):
            return (self._given(self.n * _MROPE),)
        if self.tower.kind == "gemma3":
            return ()
        return (self._given(self.n), self._given(self.n))

    # Layers

    def _layer(self, x: Tensor, positions: tuple[Tensor, ...], mask: Tensor | None) -> Tensor:
        cur = self._attention(self._norm(x), positions, mask)
        if "attn_post_norm" in self.kind.norms:
            cur = self._norm(cur)
        x = _over(cur, x)
        cur = self._feed_forward(self._norm(x))
        if "ffn_post_norm" in self.kind.norms:
            cur = self._norm(cur)
        return _over(x, cur)

    def _attention(self, x: Tensor, positions: tuple[Tensor, ...], mask: Tensor | None) -> Tensor:
        n_embd, heads, dim = self.tower.n_embd, self.tower.n_heads, self.tower.head_dim
        if self.kind.fused_qkv:
            fused = self._linear(x, 3 * n_embd)
            q, k, v = (_view(fused, dim, heads, self.n) for _ in range(3))
        else:
            q, k, v = (_view(self._linear(x, n_embd), dim, heads, self.n) for _ in range(3))
        if self.kind.qk_norm:
            q, k = self._norm(q), self._norm(k)
        for position in positions:
            q, k = _over(q, position), _over(k, position)
        if self.tower.kind == "gemma4v":
            v = _over(v)
        for tensor in (q, k, v):
            self.graph.expand(tensor)
        k, v = (_op(t.shape, _view(t, *t.shape), unit=F16) for t in (k, v))
        mixed = _op((dim, heads, self.n), _view(q, *q.shape), k, v, *((mask,) if mask else ()))
        return self._linear(_view(mixed, n_embd, self.n), n_embd)

    def _feed_forward(self, x: Tensor) -> Tensor:
        up = self._linear(x, self.tower.n_ff)
        hidden = _op(up.shape, self._linear(x, self.tower.n_ff), up) if self.kind.gated else _over(up)
        return self._linear(hidden, self.tower.n_embd)

    def _norm(self, x: Tensor) -> Tensor:
        normed = Tensor(x.shape, (x,), inplace=not self.kind.norm_bias)
        weighted = _over(normed)
        return _over(weighted) if self.kind.norm_bias else weighted

    def _linear(self, x: Tensor, width: int) -> Tensor:
        out = _op((width, *x.shape[1:]), x)
        return _over(out) if self.kind.bias else out

    # Projector

    def _merging_mlp(self, x: Tensor) -> Tensor:
        hidden = _over(_over(_op((self._wide, self._n_tokens), x)))
        return _over(_op((self.tower.n_embd_out, self._n_tokens), hidden))

    def _project(self, x: Tensor, deep: Tensor | None) -> Tensor:
        tower = self.tower
        if tower.kind.startswith("qwen"):
            out = self._merging_mlp(_view(x, self._wide, self._n_tokens))
            if tower.window_period:
                out = _op(out.shape, out, self._given(self._n_tokens))
            return out if deep is None else _op(_joined(out, deep), out, deep)
        if tower.kind in ("gemma3", "gemma4v"):
            turned = _op((self.side, self.side, tower.n_embd), _view(x, self.n, tower.n_embd))
            pooled = _op((self._n_tokens, tower.n_embd), turned)
            x = _over(_over(_op((tower.n_embd, self._n_tokens), _view(pooled, self._n_tokens, tower.n_embd))))
            return _op((tower.n_embd_out, self._n_tokens), x)
        merged = _op((self._wide, self._n_tokens), _view(x, tower.n_embd, self.n))
        return self._merging_mlp(merged)


def _op(shape: Shape, *sources: Tensor, unit: int = F32) -> Tensor:
    return Tensor(shape, sources, unit=unit)


def _over(first: Tensor, *others: Tensor) -> Tensor:
    return Tensor(first.shape, (first, *others), inplace=True)


def _view(x: Tensor, *shape: int) -> Tensor:
    return Tensor(shape, (x,), root=x.root or x)


def _joined(a: Tensor, b: Tensor) -> Shape:
    return (a.shape[0] + b.shape[0], *a.shape[1:])
