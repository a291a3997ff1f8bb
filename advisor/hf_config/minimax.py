"""MiniMax M2 and M3."""

from __future__ import annotations

from advisor.architecture import Architecture, Indexer, Moe
from advisor.errors import ConfigError
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config
from advisor.i18n import _


def minimax_m2(c: Config) -> Architecture:
    """M2 to M2.7: experts in every layer. Their prediction blocks are not in a GGUF."""
    if c.optional("shared_intermediate_size"):
        raise ConfigError(
            _("config.json: shared_intermediate_size is set, which llama.cpp does not know in M2")
        )
    moe = Moe(
        n_experts=c.integer("num_local_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("intermediate_size"),
        selection_bias=True,
    )
    return decoder(c, "minimax-m2", moe=moe, n_ff=0, n_rot=c.integer("rotary_dim"))


def minimax_m3(c: Config) -> Architecture:
    """M3: after some dense layers, experts and an index over blocks; no prediction blocks either."""
    n_layers, sparse = c.layers("num_hidden_layers"), Config(c.mapping("sparse_attention_config"))
    n_dense = leading_dense(c, n_layers)
    in_layers = tuple(bool(kind) for kind in sparse.by_layer("sparse_attention_freq", n_layers))
    if in_layers != tuple(i >= n_dense for i in range(n_layers)):
        raise ConfigError(
            _("config.json: sparse_attention_freq does not name the layers of experts, as llama.cpp expects")
        )
    n_ff = c.integer("intermediate_size")
    return decoder(
        c,
        "minimax-m3",
        n_ff=c.integer("dense_intermediate_size"),
        n_rot=c.integer("rotary_dim"),
        moe=Moe(
            n_experts=c.integer("num_local_experts"),
            n_experts_used=c.integer("num_experts_per_tok"),
            n_ff=n_ff,
            n_ff_shared=n_ff * c.count("n_shared_experts"),
            n_layers_dense=n_dense,
            selection_bias=True,
        ),
        indexer=Indexer(
            n_heads=sparse.integer("sparse_num_index_heads"),
            head_dim=sparse.integer("sparse_index_dim"),
            top_k=sparse.integer("sparse_topk_blocks"),
            in_layers=in_layers,
        ),
    )


def leading_dense(c: Config, n_layers: int) -> int:
    """Dense layers before those of experts, by `moe_layer_freq`: a list of 0 and 1."""
    kinds = c.by_layer("moe_layer_freq", n_layers)
    n_dense = kinds.index(1) if 1 in kinds else n_layers
    if any(kind != 1 for kind in kinds[n_dense:]):
        raise ConfigError(_("config.json: moe_layer_freq has dense layers among those of experts"))
    return n_dense
