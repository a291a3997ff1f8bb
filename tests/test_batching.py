"""Steps of engines and the simulation over them: by hand, and against a simulator without shortcuts."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple

import pytest

from advisor.batching import (
    EngineSteps,
    Goal,
    Load,
    Request,
    Scheduler,
    first_token_s,
    run,
    simulate,
    summary,
    users_within,
)
from advisor.engine_steps import FITTED, Group, Model, Roofline, roofline

MISTRAL_7B = Model(
    shared_bytes=14_228_000_000,
    n_params_active=7_114_000_000,
    n_layers=32,
    n_embd=4096,
    cache_bytes=32 * 2 * 8 * 128 * 2,
    attention_flops=4 * 32 * 128 * 32,
)
QWEN3_30B_AWQ = Model(
    shared_bytes=1_119_000_000,
    n_params_active=3_028_000_000,
    n_layers=48,
    n_embd=2048,
    cache_bytes=98_304,
    attention_flops=4 * 32 * 128 * 48,
    expert_bytes=15_062_000_000,
    expert_share=8 / 128,
)
RTX_4090 = Group("nvidia", 1_008 * 10**9, 165e12, 165e12)
RTX_3090 = Group("nvidia", 936 * 10**9, 71e12, 71e12)
A100 = Group("nvidia", 1_555 * 10**9, 312e12, 312e12, "4 bit", link="nvlink")
STEPS = Roofline(shared_s=10e-3, token_s=1e-4, cache_s=1e-6, fixed_s=2e-3, sequence_s=1e-4)
"""Round numbers."""
LAYERED = STEPS._replace(experts_s=40e-3, expert_share=0.25, window_s=1e-6, window=100, state_s=1e-3)


class TestStep:
    @pytest.mark.parametrize(
        ("steps", "n_decoding", "depth", "n_prompt", "expected"),
        [
            pytest.param(STEPS, 0, 0, 0, 0.0, id="nothing to do"),
            pytest.param(STEPS, 1, 0, 0, 12e-3, id="one token costs reading and launching"),
            pytest.param(STEPS, 1, 1000, 0, 13e-3, id="and its cache"),
            pytest.param(
                STEPS, 9, 1000, 0, 12e-3 + 8e-4 + 9e-3 + 8e-4, id="others a token, a cache, their own"
            ),
            pytest.param(STEPS, 0, 0, 101, 22e-3, id="a prompt is multiplied"),
            pytest.param(STEPS._replace(n_ubatch=50), 0, 0, 100, 2 * (12e-3 + 49e-4), id="graph by graph"),
            pytest.param(STEPS._replace(attend_s=1e-7), 0, 0, 101, 22e-3 + 101e-5, id="and attends"),
            pytest.param(STEPS._replace(link_s=1e-5), 1, 0, 0, 12e-3 + 1e-5, id="GPUs tell each other"),
            pytest.param(LAYERED, 1, 50, 0, 22e-3 + 1e-4 + 1e-3, id="a quarter of the experts, a state"),
            pytest.param(LAYERED, 1, 1000, 0, 22e-3 + 1.1e-3 + 1e-3, id="a window keeps 100 tokens"),
            pytest.param(LAYERED, 2, 0, 0, 12e-3 + 40e-3 * 7 / 16 + 2e-4 + 2e-3, id="two choose 7 of 16"),
        ],
    )
    def test_by_hand(
        self, steps: Roofline, n_decoding: int, depth: float, n_prompt: int, expected: float
    ) -> None:
        assert steps(n_decoding, depth, n_prompt, 100.0) == pytest.approx(expected)

    def test_tokens_that_choose_alike_read_fewer_experts(self) -> None:
        alone, many = LAYERED(1, 0, 0, 0.0), LAYERED(16, 0, 0, 0.0)
        alike = LAYERED._replace(alike=0.5)
        assert alike(1, 0, 0, 0.0) == pytest.approx(alone)
        assert many - alike(16, 0, 0, 0.0) == pytest.approx(40e-3 * (0.75**4 - 0.75**16))

    def test_one_sequence_reads_at_the_share_of_the_bandwidth(self) -> None:
        steps = roofline(MISTRAL_7B, RTX_4090, "vllm")
        reading_s = 14_228e6 / (1_008e9 * FITTED.reach["nvidia"].weights)
        assert steps(1, 0, 0, 0.0) == pytest.approx(reading_s + 32 * FITTED.layer_s)

    def test_more_gpus_share_the_work_and_wait_for_each_other(self) -> None:
        one = roofline(MISTRAL_7B, RTX_3090, "vllm")
        four = roofline(MISTRAL_7B, RTX_3090._replace(n_gpus=4), "vllm")
        linked = roofline(MISTRAL_7B, RTX_3090._replace(n_gpus=4, link="nvlink"), "vllm")
        assert four.shared_s == pytest.approx(one.shared_s / 4)
        assert four.cache_s == pytest.approx(one.cache_s / 4)
        assert one.link_s == 0.0
        assert four.link_s > 10 * linked.link_s > 0
        assert four(0, 0, 2048, 0.0) > one(0, 0, 2048, 0.0) / 2, "PCIe holds prompts up"
        assert linked(0, 0, 2048, 0.0) < one(0, 0, 2048, 0.0) / 2

    def test_eight_bits_read_half_and_four_bits_are_multiplied_as_sixteen(self) -> None:
        half = MISTRAL_7B._replace(shared_bytes=MISTRAL_7B.shared_bytes // 2)
        plain = roofline(MISTRAL_7B, RTX_4090, "vllm")
        eight = roofline(half, RTX_4090._replace(flops=330e12, arithmetic="8 bit"), "vllm")
        four = roofline(half, RTX_4090._replace(arithmetic="4 bit"), "vllm")
        assert eight.shared_s == pytest.approx(plain.shared_s / 2)
        assert eight.token_s < plain.token_s < four.token_s


class TestRun:
    """Steps of 1 s whatever is in them, unless prompts are in them: then 10 s."""

    @staticmethod
    def steps(n_decoding: int, mean_depth: float, n_prompt_tokens: int, prompt_depth: float, /) -> float:
        return 10.0 if n_prompt_tokens else 1.0

    @pytest.mark.parametrize(
        ("scheduler", "load", "n", "expected"),
        [
            pytest.param(
                Scheduler(100, 8),
                Load(100, 5, users=1),
                2,
                [(0, 10, 14), (14, 24, 28)],
                id="one after the other",
            ),
            pytest.param(
                Scheduler(100, 8), Load(50, 5, users=2), 2, [(0, 10, 14), (0, 10, 14)], id="two fill a step"
            ),
            pytest.param(
                Scheduler(100, 8),
                Load(80, 3, users=2),
                2,
                [(0, 10, 21), (0, 20, 22)],
                id="a prompt in two steps",
            ),
            pytest.param(
                Scheduler(100, 8, mixes=False),
                Load(80, 3, users=2),
                2,
                [(0, 10, 22), (0, 20, 22)],
                id="SGLang decodes after the prompts",
            ),
            pytest.param(
                Scheduler(100, 1), Load(50, 5, users=2), 2, [(0, 10, 14), (0, 24, 28)], id="one slot for two"
            ),
            pytest.param(
                Scheduler(100, 8, kv_tokens=80),
                Load(50, 5, users=2),
                2,
                [(0, 10, 14), (0, 24, 28)],
                id="room for one cache",
            ),
            pytest.param(
                Scheduler(100, 8),
                Load(100, 1, users=1),
                2,
                [(0, 10, 10), (10, 20, 20)],
                id="answers of one token",
            ),
            pytest.param(
                Scheduler(100, 8),
                Load(300, 2, users=1),
                1,
                [(0, 30, 31)],
                id="a prompt larger than the budget",
            ),
        ],
    )
    def test_by_hand(
        self, scheduler: Scheduler, load: Load, n: int, expected: list[tuple[float, float, float]]
    ) -> None:
        assert run(self.steps, scheduler, load, n) == [Request(*times) for times in expected]

    def test_a_summary_by_hand(self) -> None:
        requests = [Request(0, 1, 5), Request(0, 3, 7), Request(1, 5, 9), Request(2, 4, 24)]
        served = summary(requests, Load(100, 5), duration_s=10)
        assert served.requests_per_s == 0.4
        assert served.output_tokens_per_s == 2.0
        assert served.total_tokens_per_s == 42.0
        assert (served.ttft_mean, served.ttft_p50, served.ttft_p95) == (2.5, 2, 4)
        assert (served.tpot_mean, served.tpot_p50, served.tpot_p95) == (2.0, 1, 5)
        assert served.tokens_per_s_per_user == 0.5

    def test_answers_of_one_token_have_no_rate(self) -> None:
        assert summary([Request(0, 1, 1)], Load(100, 1), 1).tokens_per_s_per_user == inf


class _Sequence(NamedTuple):
    arrival: float
    first_token: float
    n_left: int
    depth: int


def _slowly(steps: EngineSteps, scheduler: Scheduler, load: Load, n_requests: int) -> list[Request]:
    """The same, one step after the other."""
    assert load.users is not None
    users = min(load.users, n_requests)
    waiting, n_left = deque([0.0] * users), n_requests - users
    reading: deque[tuple[float, int]] = deque()
    decoding: list[_Sequence] = []
    done: list[Request] = []
    now = 0.0
    while waiting or reading or decoding:
        while waiting and len(reading) + len(decoding) < scheduler.running_most(load):
            reading.append((waiting.popleft(), load.prompt_tokens))
        taking_part = [] if reading and not scheduler.mixes else decoding
        room = max(1, scheduler.budget - len(taking_part)) if reading else 0
        read: list[float] = []
        n_prompt = 0
        while reading and room:
            arrival, n_tokens = reading.popleft()
            n_now = min(n_tokens, room)
            room, n_prompt = room - n_now, n_prompt + n_now
            if n_now < n_tokens:
                reading.appendleft((arrival, n_tokens - n_now))
            else:
                read.append(arrival)
        depth = sum(sequence.depth for sequence in taking_part) / max(1, len(taking_part))
        now += steps(len(taking_part), depth, n_prompt, load.prompt_tokens / 2)
        if taking_part:
            decoding = [s._replace(n_left=s.n_left - 1, depth=s.depth + 1) for s in decoding]
        ended = [(s.arrival, s.first_token) for s in decoding if not s.n_left]
        decoding = [sequence for sequence in decoding if sequence.n_left]
        for arrival in read:
            if load.output_tokens == 1:
                ended.append((arrival, now))
            else:
                decoding.append(_Sequence(arrival, now, load.output_tokens - 1, load.prompt_tokens + 1))
        for arrival, first_token in ended:
            done.append(Request(arrival, first_token, now))
            if n_left:
                n_left -= 1
                waiting.append(now)
    return done


@pytest.mark.parametrize("mixes", [True, False], ids=["mixes", "prompts first"])
@pytest.mark.parametrize(
    ("budget", "max_seqs", "load", "n"),
    [
        pytest.param(2048, 256, Load(512, 64, users=1), 3, id="one user"),
        pytest.param(2048, 256, Load(700, 33, users=17), 60, id="17 users"),
        pytest.param(256, 4, Load(300, 9, users=11), 40, id="four slots for 11"),
        pytest.param(64, 64, Load(30, 7, users=64), 100, id="hardly any room for prompts"),
        pytest.param(512, 16, Load(90, 1, users=5), 20, id="one token each"),
    ],
)
def test_going_from_event_to_event_loses_nothing(
    mixes: bool, budget: int, max_seqs: int, load: Load, n: int
) -> None:
    scheduler = Scheduler(budget, max_seqs, mixes)
    fast, slow = run(STEPS, scheduler, load, n), _slowly(STEPS, scheduler, load, n)
    assert [tuple(request) for request in fast] == [pytest.approx(tuple(request)) for request in slow]


class TestSimulate:
    def test_one_user_gets_what_one_sequence_gets(self) -> None:
        served = simulate(STEPS, Scheduler(2048, 8), Load(101, 11, users=1))
        assert served.ttft_mean == pytest.approx(22e-3)
        assert served.tpot_mean == pytest.approx(12e-3 + 1e-6 * (102 + 4.5))
        assert served.output_tokens_per_s == pytest.approx(11 / (22e-3 + 10 * served.tpot_mean))

    def test_more_users_get_more_together_and_less_each(self) -> None:
        found = [simulate(STEPS, Scheduler(2048, 512), Load(200, 100, users=n)) for n in (1, 4, 16, 64, 256)]
        together = [served.output_tokens_per_s for served in found]
        each = [served.tokens_per_s_per_user for served in found]
        assert together == sorted(together)
        assert each == sorted(each, reverse=True)

    def test_users_beyond_the_slots_wait_and_add_nothing(self) -> None:
        full = simulate(STEPS, Scheduler(2048, 8), Load(200, 100, users=8))
        over = simulate(STEPS, Scheduler(2048, 8), Load(200, 100, users=16))
        assert over.output_tokens_per_s == pytest.approx(full.output_tokens_per_s, rel=0.05)
        assert over.tpot_mean == pytest.approx(full.tpot_mean, rel=0.05)
        assert over.ttft_mean > 10 * full.ttft_mean

    def test_at_a_rate_that_is_nothing_all_are_alone(self) -> None:
        served = simulate(STEPS, Scheduler(2048, 8), Load(101, 11, requests_per_s=0.01))
        assert served.ttft_p50 == pytest.approx(22e-3)
        assert served.requests_per_s == pytest.approx(0.01, rel=0.2)

    def test_beyond_what_the_engine_can_do_waits_grow(self) -> None:
        alone = simulate(STEPS, Scheduler(2048, 8), Load(101, 11, requests_per_s=0.01))
        found = [simulate(STEPS, Scheduler(2048, 8), Load(101, 11, requests_per_s=n)) for n in (10, 20, 500)]
        waits = [served.ttft_p95 for served in (alone, *found)]
        assert waits == sorted(waits)
        assert waits[-1] > 20 * waits[0]
        assert found[-1].requests_per_s < 100

    def test_the_same_every_time(self) -> None:
        load = Load(101, 11, requests_per_s=15)
        assert simulate(STEPS, Scheduler(2048, 8), load) == simulate(STEPS, Scheduler(2048, 8), load)


class TestUsersWithin:
    SCHEDULER = Scheduler(2048, 512)
    LOAD = Load(400, 60)

    @pytest.mark.parametrize(
        "goal",
        [
            pytest.param(Goal(tpot_s=0.02), id="tokens every 20 ms"),
            pytest.param(Goal(ttft_s=0.1), id="the first within 100 ms"),
            pytest.param(Goal(ttft_s=0.1, tpot_s=0.03), id="both"),
        ],
    )
    def test_one_more_would_be_too_many(self, goal: Goal) -> None:
        n = users_within(STEPS, self.SCHEDULER, self.LOAD, goal)
        assert 1 < n < 100
        assert simulate(STEPS, self.SCHEDULER, self.LOAD._replace(users=n)).within(goal)
        assert not simulate(STEPS, self.SCHEDULER, self.LOAD._replace(users=n + 1)).within(goal)

    def test_none(self) -> None:
        assert users_within(STEPS, self.SCHEDULER, self.LOAD, Goal(tpot_s=0.01)) == 0

    def test_no_limit_ends_the_search(self) -> None:
        assert users_within(STEPS, self.SCHEDULER, self.LOAD, Goal(), most=20) == 20


class TestFirstToken:
    def test_alone(self) -> None:
        assert first_token_s(STEPS, Scheduler(2048, 8), 101, 0, 0) == pytest.approx(22e-3)

    def test_beside_others_it_shares_their_steps(self) -> None:
        step_s = STEPS(4, 1000, 0, 0.0)
        expected = STEPS(4, 1000, 96, 0.0) + STEPS(4, 1000, 54, 0.0) + step_s / 2
        assert first_token_s(STEPS, Scheduler(100, 8), 150, 4, 1000) == pytest.approx(expected)

    def test_an_engine_that_does_not_mix_reads_it_first(self) -> None:
        expected = STEPS(0, 0, 101, 0.0) + STEPS(4, 1000, 0, 0.0) / 2
        assert first_token_s(STEPS, Scheduler(2048, 8, mixes=False), 101, 4, 1000) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "group", "load", "measured"),
    [
        # vLLM, RTX 4090: https://mushfiqrahman.dev/?p=1668 (2026)
        pytest.param(MISTRAL_7B, RTX_4090, Load(256, 100, users=4), 210, id="4090, 4 users"),
        pytest.param(MISTRAL_7B, RTX_4090, Load(256, 100, users=16), 644, id="4090, 16 users"),
        pytest.param(MISTRAL_7B, RTX_4090, Load(256, 100, users=48), 1190, id="4090, 48 users"),
        # vLLM 0.20, A100 40 GB: https://github.com/ree2raz/inference-bench (2026-05)
        pytest.param(QWEN3_30B_AWQ, A100, Load(45, 128, users=1), 165, id="A100, experts, alone"),
        pytest.param(QWEN3_30B_AWQ, A100, Load(45, 128, users=16), 1476, id="A100, experts, 16 users"),
    ],
)
def test_published_runs(model: Model, group: Group, load: Load, measured: float) -> None:
    served = simulate(roofline(model, group, "vllm"), Scheduler(2048, 256), load)
    assert served.output_tokens_per_s == pytest.approx(measured, rel=0.3)
