"""Latent attention: DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash."""

from __future__ import annotations

from advisor.architecture import Architecture, Mla, Moe
from advisor.hf_config.decoder import decoder
from advisor.hf_config.reader import Config


def deepseek(c: Config) -> Architecture:
    """Latent attention over routed and shared experts."""
    moe = Moe(
        n_experts=c.integer("n_routed_experts"),
        n_experts_used=c.integer("num_experts_per_tok"),
        n_ff=c.integer("moe_intermediate_size"),
        n_ff_shared=c.integer("moe_intermediate_size") * (c.optional("n_shared_experts") or 0),
        n_layers_dense=c.count("first_k_dense_replace"),
        selection_bias=c.data.get("topk_method") == "noaux_tc",
    )
    mla = Mla(
        q_lora_rank=c.optional("q_lora_rank"),
        kv_lora_rank=c.integer("kv_lora_rank"),
        qk_nope_head_dim=c.integer("qk_nope_head_dim"),
        qk_rope_head_dim=c.integer("qk_rope_head_dim"),
        v_head_dim=c.integer("v_head_dim"),
    )
    head_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim
    mtp = c.optional("num_nextn_predict_layers") or 0
    return decoder(c, "deepseek2", moe=moe, mla=mla, head_dim=head_dim, n_mtp_layers=mtp)
