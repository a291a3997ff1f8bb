"""The whole graph of a model: embeddings, layers, outputs; llama.cpp's src/models/*.cpp by facts."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.architecture import Layer, LayerKind, PerLayerEmbeddings
from advisor.graphs.altup import N_SPARSE_LAYERS, altup_layer, merge, stack
from advisor.graphs.attention import attention
from advisor.graphs.blocks import attends_blocks, block_attention
from advisor.graphs.builder import Builder
from advisor.graphs.checkpoints import CHECKPOINT_LAYERS, has_checkpoints, keep, mix
from advisor.graphs.compressed import compressed_layers
from advisor.graphs.feed_forward import experts, feed_forward, layer_feed_forward
from advisor.graphs.latent import latent_attention
from advisor.graphs.layout import Place, Placed
from advisor.graphs.nodes import F32, I32, Graph, Tensor
from advisor.graphs.recurrent import recurrent
from advisor.tensors.families import FAMILIES, Family


def build(b: Builder, layers: Sequence[Placed], output: int) -> Graph:
    """The graph of those layers, each where it is placed, and of the output layer on its device."""
    family = FAMILIES.get(b.arch.family, Family())
    b.place = layers[0][1]
    x = _embed(b, family)
    slices = _per_layer_embeddings(b, x)
    altup = b.arch.per_layer_embeddings
    if slices and altup and altup.n_altup:
        x = _copied_layers(b, family, altup, layers, x, slices, output)
    elif b.arch.compressed:
        x = compressed_layers(b, family, b.arch.compressed, layers, x, output)
    elif has_checkpoints(b.arch.family):
        x = _layers_with_checkpoints(b, family, layers, x, output)
    else:
        x = _layers(b, family, layers, x, slices)
    b.place = Place.on(output)
    _outputs(b, family, x)
    return b.graph


def _copied_layers(
    b: Builder,
    family: Family,
    altup: PerLayerEmbeddings,
    layers: Sequence[Placed],
    x: Tensor,
    slices: Tensor,
    output: int,
) -> Tensor:
    """Gemma 3n's layers, and the rows that have an output."""
    x = stack(b, altup, x, output)
    for i, (layer, b.place) in enumerate(layers):
        x = altup_layer(b, family, layer, x, slices, is_sparse=i < N_SPARSE_LAYERS)
    return merge(b, x, output)


def _layers_with_checkpoints(
    b: Builder, family: Family, layers: Sequence[Placed], x: Tensor, output: int
) -> Tensor:
    """Kimi K3's layers, and the rows that have an output."""
    kept: Tensor | None = None
    for i, (layer, b.place) in enumerate(layers):
        normed = b.first_norm(mix(b, kept, x))
        starts_anew = i % CHECKPOINT_LAYERS == 0
        if starts_anew:
            kept = keep(b, kept, x)
        b.expand(normed)
        cur = _mixer(b, family, layer, normed, x)
        x = cur if starts_anew else b.over(x, cur)
        x = b.over(x, layer_feed_forward(b, family, layer, b.norm(mix(b, kept, x))))
    b.place = Place.on(output)
    return b.rows(mix(b, kept, x), b.output_ids)


def _layers(b: Builder, family: Family, layers: Sequence[Placed], x: Tensor, slices: Tensor | None) -> Tensor:
    """The layers of all other families."""
    for i, (layer, b.place) in enumerate(layers):
        x = _layer(b, family, layer, x, is_last=i == len(layers) - 1)
        if slices:
            x = _add_slice(b, x, slices)
        if b.features and i < b.arch.n_deepstack_layers:
            x = b.over(x, b.view(b.features, b.arch.n_embd, b.n_tokens))
        if b.facts.scaled_layers:
            x = b.weighted(x)
    return x


def _embed(b: Builder, family: Family) -> Tensor:
    """Token embeddings, and whatever is added to them before the first layer."""
    n, width = b.n_tokens, b.arch.n_embd
    wide = width * (1 + b.arch.n_deepstack_layers)
    x = Tensor((width, n), (b.tokens,), pin=b.host)
    if wide > width:
        b.features = x = b.op((wide, n), x)
    b.expand(x)
    b.expand(b.input(n, F32, wide))  # embeddings given instead of tokens: reserved, not used
    if wide > width:
        return b.view(x, width, n)
    if b.arch.n_token_types:
        x = b.over(x, b.external(F32 * width, b.host))
    if b.arch.n_positions:
        x = b.over(Tensor((width, n), (b.positions,), pin=b.host), x)
    if b.facts.scaled_embeddings:
        x = b.over(x)
    return b.norm(x) if family.embd_norm else x


def _layer(b: Builder, family: Family, layer: Layer, x: Tensor, *, is_last: bool) -> Tensor:
    """A mixer and a feed-forward block with their norms and residuals, as far as the layer has them."""
    if layer.kind is LayerKind.NONE:
        return _block(b, family, layer, x, b.first_norm(x))
    normed = b.first_norm(x) if "attn_norm" in family.norms else x
    cur = _mixer(b, family, layer, normed, x)
    if is_last and b.facts.outputs == "last layer":
        cur, x = b.rows(cur, b.output_ids), b.rows(x, b.output_ids)
        normed = b.rows(normed, b.output_ids) if b.facts.parallel else normed
    if b.facts.parallel:
        return b.over(b.over(layer_feed_forward(b, family, layer, normed), x), cur)
    if "layer_output_norm" in family.norms:
        cur = b.norm(b.over(cur, x))
        return b.norm(b.over(layer_feed_forward(b, family, layer, cur), cur))
    if "post_ffw_norm" in family.norms:
        cur = b.norm(cur)
    cur = b.over(x, cur) if b.facts.residual_first[0] else b.over(cur, x)
    if is_last and b.facts.outputs == "last residual":
        cur = b.rows(cur, b.output_ids)
    if not (layer.n_ff or layer.has_experts):
        return cur
    return _block(b, family, layer, cur, b.norm(cur) if _has_ffn_norm(family) else cur)


def _mixer(b: Builder, family: Family, layer: Layer, x: Tensor, whole: Tensor) -> Tensor:
    """Attention, a recurrent block, or the sum of both, each with a norm of its own."""
    attended: Tensor | None = None
    if layer.kind.has_attention:
        attended = _attention(b, family, layer, x)
    if not layer.kind.has_state:
        assert attended is not None
        return attended
    assert b.arch.recurrent is not None
    kept = recurrent(b, family, b.arch.recurrent, b.first_norm(whole) if attended else x)
    return b.over(attended, kept) if attended else kept


def _attention(b: Builder, family: Family, layer: Layer, x: Tensor) -> Tensor:
    """A layer's attention, of whichever kind."""
    if b.arch.mla:
        return latent_attention(b, family, b.arch.mla, layer, x)
    if b.arch.indexer and layer.index_dim and attends_blocks(b.settings):
        return block_attention(b, family, layer, b.arch.indexer, x)
    return attention(b, family, layer, x)


def _block(b: Builder, family: Family, layer: Layer, x: Tensor, normed: Tensor) -> Tensor:
    """The feed-forward block with its last norm and its residual."""
    if b.arch.family == "gemma4" and layer.has_experts:
        out = _gemma4_experts(b, family, layer, x, normed)
    else:
        out = layer_feed_forward(b, family, layer, normed)
    if "post_ffw_norm" in family.norms:
        out = b.norm(out)
    return b.over(x, out) if b.facts.residual_first[1] else b.over(out, x)


def _gemma4_experts(b: Builder, family: Family, layer: Layer, x: Tensor, normed: Tensor) -> Tensor:
    """Gemma 4's experts beside an ordinary block, each between norms of its own."""
    moe = b.arch.moe
    assert moe is not None
    dense = b.norm(feed_forward(b, family, normed, layer.n_ff, b.place.ffn))
    before = b.norm(x)
    logits = b.mm(b.weighted(Tensor(x.shape, (x,), inplace=True)), moe.n_experts)
    return b.over(dense, b.norm(experts(b, family, moe, before, logits)))


def _per_layer_embeddings(b: Builder, x: Tensor) -> Tensor | None:
    """Gemma's second embedding: a slice of it for every layer."""
    slices = b.arch.per_layer_embeddings
    if slices is None:
        return None
    shape = (slices.n_embd, b.arch.n_layers, b.n_tokens)
    width = slices.n_embd * b.arch.n_layers
    found = Tensor((width, b.n_tokens), (b.input(b.n_tokens, I32),), pin=b.host)
    found = b.over(b.view(found, *shape))
    b.expand(found)
    projected = b.norm(b.view(b.mm(x, width), *shape))
    total = b.over(projected, found)
    return b.op((slices.n_embd, b.n_tokens, b.arch.n_layers), b.view(total, *shape))


def _add_slice(b: Builder, x: Tensor, slices: Tensor) -> Tensor:
    width = slices.shape[0]
    gate = b.over(b.mm(x, width))
    out = b.norm(b.mm(b.over(gate, b.view(slices, width, b.n_tokens)), b.arch.n_embd))
    return b.over(x, out)


def _has_ffn_norm(family: Family) -> bool:
    return "ffn_norm" in family.norms or "post_ffw_norm" not in family.norms


def _outputs(b: Builder, family: Family, x: Tensor) -> None:
    if b.facts.outputs == "before norm":
        x.is_output = True
        x = b.rows(x, b.output_ids)
    if family.output_norm:
        x = b.first_norm(x)
    x.is_output = True
    if b.facts.outputs == "after norm":
        x = b.rows(x, b.output_ids)
        x.is_output = True
    if not b.arch.is_encoder:
        x = b.mm(x, b.arch.n_vocab)
        x.is_output = True
    b.expand(x)
    if b.arch.is_encoder:
        _pool(b, x)


def _pool(b: Builder, x: Tensor) -> None:
    """One vector a sequence: the mean, which takes the most."""
    seqs = b.settings.n_seqs
    turned = b.op((b.n_outputs, b.arch.n_embd), b.view(x, b.n_outputs, b.arch.n_embd))
    pooled = b.op((b.arch.n_embd, seqs), turned, b.input(b.n_tokens, 4, seqs))
    b.expand(pooled)
