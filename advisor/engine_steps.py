"""How long one step of an engine takes on GPUs, whatever sequences and prompts are in it.

A step reads the weights once for all of its tokens and every sequence's cache, then multiplies each token by
them (in published runs the two add up: neither hides the other), and pays for launching its kernels and for
what GPUs that share the layers tell each other. The constants are fitted to published runs of vLLM, SGLang
and llama.cpp by tests/benchmarks/serving.py, which tells how far off they are on sources held back from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final, Literal, NamedTuple

Link = Literal["nvlink", "pcie"]
Kind = Literal["nvidia", "hopper", "amd"]
"""GPUs whose kernels reach like shares of the makers' rates: NVIDIA's up to Ada and the GeForce Blackwells,
Hopper and the HBM Blackwells, AMD's."""
Driver = Literal["vllm", "sglang", "llama.cpp", "metal"]
"""An engine; "metal" is llama.cpp on Apple's GPUs, whose kernels for few tokens differ."""
Arithmetic = Literal["16 bit", "8 bit", "4 bit"]
"""What weights are multiplied as: "8 bit" where the GPU has units for both of its factors, "4 bit" those that
are turned into 16 bits on the way."""


class Reach(NamedTuple):
    """Shares of a maker's rates that the kernels reach."""

    weights: float
    """Of the bandwidth, while reading weights."""
    compute: float
    """Of the dense 16-bit rate, on long prompts."""


class Constants(NamedTuple):
    """Everything in the model of a step that is measured."""

    sequence_s: Mapping[Driver, float]
    """What each further sequence adds beside its cache and its token: sampling, scheduling, sending."""
    alike: float
    """So many tokens choose experts as this power of their number would if they chose each on its own."""
    reach: Mapping[Kind, Reach]
    """Of vLLM and SGLang."""
    layer_s: float
    """Launching one layer's kernels."""
    experts_layer_s: float
    """The same of a layer with routed experts."""
    group_layer_s: float
    """What each layer of GPUs that share it waits for the others."""
    arithmetic: Mapping[Arithmetic, float]
    """Of the share that 16-bit weights reach."""
    experts: float
    """Of the share that dense layers reach: routed experts."""
    pcie_bytes_per_s: float
    """What all GPUs of a group together send through the host."""


FITTED: Final = Constants(
    sequence_s={"vllm": 3.6e-5, "sglang": 3.6e-5, "llama.cpp": 3.3e-4, "metal": 1.6e-3},
    alike=0.63,
    reach={"nvidia": Reach(0.84, 0.82), "hopper": Reach(0.84, 0.42), "amd": Reach(0.54, 0.65)},
    layer_s=3.2e-5,
    experts_layer_s=7.8e-5,
    group_layer_s=7.0e-5,
    arithmetic={"16 bit": 1.0, "8 bit": 0.63, "4 bit": 0.74},
    experts=0.63,
    pcie_bytes_per_s=9.8e9,
)


def chosen_share(expert_share: float, n_tokens: float, alike: float = FITTED.alike) -> float:
    """The part of a layer's routed experts that tokens are expected to choose between them.

    expert_share: what one token uses. Tokens of one text choose more alike than by chance.
    """
    return float(1 - (1 - expert_share) ** n_tokens**alike)


"""Of runs from 2025-03 to 2026-08, and of 2024 on the MI300X. Output is 8 % off (median of 244 runs), 12 % on
sources held back (vLLM 13, SGLang 5, steps of llama.cpp 11), times to the first token 28 % (2026-11-21)."""
CACHE_SHARE: Final = 0.7
"""Of the bandwidth, while reading caches: paged attention on one sequence's blocks after the other's."""
ATTENTION_SHARE: Final = 0.5
"""Of the rate on matrices: attention of prompts."""
LINK_BYTES_PER_S: Final = 1.5e11
"""What one GPU sends over NVLink or xGMI in an all-reduce: judgement, no run here is bound by it."""
ALL_REDUCES: Final = 2
"""A layer: after attention and after its feed-forward block."""
ACTIVATION_BYTES: Final = 2
"""A number that GPUs exchange, in 16 bits."""


class Model(NamedTuple):
    """What the model makes a step read and multiply, all GPUs together."""

    shared_bytes: int
    """Weights outside the routed experts; looked-up rows of the embedding do not count."""
    n_params_active: int
    """Parameters a token is multiplied with."""
    n_layers: int
    n_embd: int
    cache_bytes: int
    """One token of one sequence's cache, without the layers that have a window."""
    attention_flops: int
    """One token's attention to one token before it."""
    expert_bytes: int = 0
    """All routed experts."""
    expert_share: float = 0.0
    """Those of them that one token uses."""
    window_bytes: int = 0
    """One token of one sequence's cache in the layers that have a window."""
    window: int = 0
    """Tokens that those layers keep."""
    state_bytes: int = 0
    """What a sequence keeps whatever its depth."""


class Group(NamedTuple):
    """The GPUs that share every layer."""

    kind: Kind
    bandwidth_bytes_per_s: int
    flops: float
    """One GPU's dense rate in the arithmetic that the weights are multiplied in, with 32-bit sums."""
    flops_16: float
    """The same in 16 bits, as attention is."""
    arithmetic: Arithmetic = "16 bit"
    n_gpus: int = 1
    link: Link = "pcie"


class Roofline(NamedTuple):
    """The time of a step on a placement, from what each thing in it takes (seconds)."""

    shared_s: float
    """Reading every weight outside the routed experts."""
    token_s: float
    """Multiplying one token of a long prompt by the active weights."""
    cache_s: float
    """Reading one token of one sequence's cache, without the layers that have a window."""
    fixed_s: float
    """A graph's own: launching its kernels."""
    experts_s: float = 0.0
    """Reading every routed expert."""
    expert_share: float = 0.0
    """The routed experts that one token uses."""
    alike: float = 1.0
    """As in `Constants`."""
    window_s: float = 0.0
    """Reading one token of one sequence's cache in the layers that have a window."""
    window: int = 0
    """Tokens that those layers keep."""
    state_s: float = 0.0
    """Reading and writing what a sequence keeps whatever its depth: recurrent states."""
    attend_s: float = 0.0
    """A prompt token's attention to one token before it."""
    link_s: float = 0.0
    """Carrying one token's results between the GPUs of a group."""
    sequence_s: float = 0.0
    """What each sequence after the first adds."""
    n_ubatch: int | None = None
    """Most tokens of one graph; None: a step is one graph."""

    def __call__(
        self, n_decoding: int, mean_depth: float, n_prompt_tokens: int, prompt_depth: float, /
    ) -> float:
        """Seconds of a step, as `batching.EngineSteps` says."""
        n_tokens = n_decoding + n_prompt_tokens
        if not n_tokens:
            return 0.0
        n_graphs = ceil(n_tokens / self.n_ubatch) if self.n_ubatch else 1
        cache_s = self.cache_s * mean_depth + self.window_s * min(mean_depth, self.window)
        return (
            n_graphs * (self._multiply_s(n_tokens / n_graphs) + self.fixed_s)
            + n_decoding * (cache_s + self.state_s)
            + max(0, n_decoding - 1) * self.sequence_s
            + n_prompt_tokens * prompt_depth * self.attend_s
            + n_tokens * self.link_s
        )

    def _multiply_s(self, n_tokens: float) -> float:
        """Seconds of a graph's matrices: weights are read once for all of its tokens.

        Of the routed experts those are read that the tokens are expected to choose between them. The first
        token is multiplied while the weights are read.
        """
        chosen = chosen_share(self.expert_share, n_tokens, self.alike)
        return float(self.shared_s + self.experts_s * chosen + self.token_s * (n_tokens - 1))


def roofline(model: Model, group: Group, driver: Driver, constants: Constants = FITTED) -> Roofline:
    """The steps of vLLM and SGLang on GPUs that share every layer."""
    n = group.n_gpus
    reach = constants.reach[group.kind]
    weights_rate = n * group.bandwidth_bytes_per_s * reach.weights
    cache_rate = n * group.bandwidth_bytes_per_s * CACHE_SHARE
    compute_rate = n * group.flops * reach.compute * constants.arithmetic[group.arithmetic]
    exchanged = ALL_REDUCES * model.n_layers * model.n_embd * ACTIVATION_BYTES * 2 * (n - 1)
    layer_s = constants.experts_layer_s if model.expert_bytes else constants.layer_s
    layer_s += constants.group_layer_s if n > 1 else 0.0
    return Roofline(
        shared_s=model.shared_bytes / weights_rate,
        token_s=2 * model.n_params_active / compute_rate * _dearer(model, constants),
        cache_s=model.cache_bytes / cache_rate,
        fixed_s=model.n_layers * layer_s,
        experts_s=model.expert_bytes / weights_rate / constants.experts,
        expert_share=model.expert_share,
        alike=constants.alike,
        window_s=model.window_bytes / cache_rate,
        window=model.window,
        state_s=2 * model.state_bytes / cache_rate,
        attend_s=model.attention_flops / (n * group.flops_16 * reach.compute * ATTENTION_SHARE),
        link_s=exchanged / LINK_BYTES_PER_S / n
        if group.link == "nvlink"
        else exchanged / constants.pcie_bytes_per_s,
        sequence_s=constants.sequence_s[driver],
    )


_TIMES: Final = tuple(name for name in Roofline._fields if name.endswith("_s"))


def mean(shares: Mapping[Roofline, float]) -> Roofline:
    """The steps of a model whose layers are shared out: what passes through one part after the other."""
    if len(shares) == 1:
        return next(iter(shares))
    times = {name: sum(getattr(part, name) * share for part, share in shares.items()) for name in _TIMES}
    return next(iter(shares))._replace(**times)


def _dearer(model: Model, constants: Constants) -> float:
    """By what routed experts, and the dense layers beside them, take longer than dense layers alone."""
    used = model.expert_bytes * model.expert_share
    share = used / (used + model.shared_bytes)
    return 1 - share + share / constants.experts
