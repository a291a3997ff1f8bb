"""Many users at once: an engine's scheduler played over the time of its steps.

An engine works in steps. Each gives every running sequence a token and reads some prompt tokens beside them,
as many as its budget allows; `engine_steps` tells how long that takes. `run` goes from event to event, with
no chance in it but the gaps between requests that arrive at a rate, and those are the same in every run.
`simulate` is what users see once the start is over, `users_within` how many of them a goal allows.
tests/benchmarks/serving.py holds both against published runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import ceil, inf, log
from typing import Final, NamedTuple, Protocol


class EngineSteps(Protocol):
    """The time of one step of an engine."""

    def __call__(
        self, n_decoding: int, mean_depth: float, n_prompt_tokens: int, prompt_depth: float, /
    ) -> float:
        """Seconds in which `n_decoding` sequences get a token and `n_prompt_tokens` are read.

        mean_depth: tokens in the cache of a decoding sequence. prompt_depth: tokens that a prompt token
        attends to. Both are means.
        """


class Scheduler(NamedTuple):
    """How an engine fills its steps."""

    budget: int
    """Most tokens of one step, decoding sequences included."""
    max_seqs: int
    """Most sequences that hold a cache at once: vLLM's `max_num_seqs`, llama-server's slots."""
    mixes: bool = True
    """Whether sequences decode in the steps that read prompts; otherwise they wait for those (SGLang)."""
    kv_tokens: int | None = None
    """Tokens that the pool of caches holds; None: room for every sequence."""

    def running_most(self, load: Load) -> int:
        """Sequences that run at once: at all stages between their start and their end, half-way on average.

        What no longer fits in the pool waits: engines compute it again, which takes about as long.
        """
        if self.kv_tokens is None:
            return self.max_seqs
        return max(1, min(self.max_seqs, int(self.kv_tokens / (load.prompt_tokens + load.output_tokens / 2))))


class Load(NamedTuple):
    """What is asked of an engine: either by users who each wait for their answer, or at a rate."""

    prompt_tokens: int
    output_tokens: int
    users: int | None = None
    """Each sends its next request when the last is answered."""
    requests_per_s: float | None = None
    """Requests arrive at this rate, at random."""


class Goal(NamedTuple):
    """What every user is to get; None: no limit."""

    ttft_s: float | None = None
    """Time to the first token, for 95 % of the requests."""
    tpot_s: float | None = None
    """Time for each further token, for 95 % of the requests."""


class Request(NamedTuple):
    """When what happened to a request, in seconds from the start."""

    arrival: float
    first_token: float
    end: float


class Served(NamedTuple):
    """What users see. Times in seconds; a TPOT of 0 where answers have one token."""

    output_tokens_per_s: float
    """All users together."""
    total_tokens_per_s: float
    """The same with the prompts."""
    tokens_per_s_per_user: float
    """While a sequence decodes: one over the mean TPOT."""
    requests_per_s: float
    ttft_mean: float
    ttft_p50: float
    ttft_p95: float
    tpot_mean: float
    tpot_p50: float
    tpot_p95: float

    def within(self, goal: Goal) -> bool:
        """Whether the goal is reached."""
        return (goal.ttft_s is None or self.ttft_p95 <= goal.ttft_s) and (
            goal.tpot_s is None or self.tpot_p95 <= goal.tpot_s
        )


ROUNDS: Final = 4
"""Requests of each user in a simulation: the first is the start, the last may end in a thinning load."""
OPEN_REQUESTS: Final = 400
"""Requests of a simulation at a rate; a fifth of them is the start."""
MOST_USERS: Final = 4096
"""Where the search for the most users ends: no scheduler runs more sequences on one server by default."""


def simulate(steps: EngineSteps, scheduler: Scheduler, load: Load) -> Served:
    """What users see of an engine under a steady load."""
    if load.users is not None:
        requests = run(steps, scheduler, load, ROUNDS * load.users)
        steady = requests[load.users : (ROUNDS - 1) * load.users]
        since = requests[load.users - 1].end
    else:
        requests = run(steps, scheduler, load, OPEN_REQUESTS)
        steady = requests[OPEN_REQUESTS // 5 :]
        since = steady[0].arrival
    return summary(steady, load, max(request.end for request in steady) - since)


def summary(requests: Sequence[Request], load: Load, duration_s: float) -> Served:
    """What the users of these requests saw, over the time that they took together."""
    n_more = load.output_tokens - 1
    ttft = sorted(request.first_token - request.arrival for request in requests)
    tpot = sorted((request.end - request.first_token) / n_more if n_more else 0.0 for request in requests)
    requests_per_s = len(requests) / duration_s
    tpot_mean = sum(tpot) / len(tpot)
    return Served(
        output_tokens_per_s=requests_per_s * load.output_tokens,
        total_tokens_per_s=requests_per_s * (load.output_tokens + load.prompt_tokens),
        tokens_per_s_per_user=1 / tpot_mean if tpot_mean else inf,
        requests_per_s=requests_per_s,
        ttft_mean=sum(ttft) / len(ttft),
        ttft_p50=_percentile(ttft, 0.5),
        ttft_p95=_percentile(ttft, 0.95),
        tpot_mean=tpot_mean,
        tpot_p50=_percentile(tpot, 0.5),
        tpot_p95=_percentile(tpot, 0.95),
    )


def first_token_s(
    steps: EngineSteps, scheduler: Scheduler, prompt_tokens: int, n_busy: int, depth: float
) -> float:
    """Seconds to the first token of a prompt that comes while `n_busy` sequences decode at a depth.

    It waits for half a step on average, and shares the steps that read it where the engine mixes.
    """
    n_decoding = n_busy if scheduler.mixes else 0
    room = max(1, scheduler.budget - n_decoding)
    n_whole, n_rest = divmod(prompt_tokens, room)
    reading_s = n_whole * steps(n_decoding, depth, room, prompt_tokens / 2)
    if n_rest:
        reading_s += steps(n_decoding, depth, n_rest, prompt_tokens / 2)
    return reading_s + steps(n_busy, depth, 0, 0.0) / 2


def users_within(
    steps: EngineSteps, scheduler: Scheduler, load: Load, goal: Goal, most: int = MOST_USERS
) -> int:
    """The most users of a load's requests that all see the goal reached; 0 where not even one does."""
    if not simulate(steps, scheduler, load._replace(users=1)).within(goal):
        return 0
    good, bad = 1, 2
    while bad <= most and simulate(steps, scheduler, load._replace(users=bad)).within(goal):
        good, bad = bad, bad * 2
    bad = min(bad, most + 1)
    while bad - good > max(1, good // 50):
        middle = (good + bad) // 2
        if simulate(steps, scheduler, load._replace(users=middle)).within(goal):
            good = middle
        else:
            bad = middle
    return good


def run(steps: EngineSteps, scheduler: Scheduler, load: Load, n_requests: int) -> list[Request]:
    """Serve so many requests and tell when each was answered, in the order in which they came."""
    return _Server(steps, scheduler, load, n_requests).serve()


class _Server:
    """An engine at work. Answers are equally long: requests end in the order of their starts."""

    def __init__(self, steps: EngineSteps, scheduler: Scheduler, load: Load, n_requests: int) -> None:
        self._steps, self._scheduler, self._load = steps, scheduler, load
        self._most = scheduler.running_most(load)
        self._now, self._n_steps = 0.0, 0
        self._n_left = n_requests
        self._coming = deque(self._arrivals())
        self._waiting: deque[float] = deque()
        """Arrivals of requests that nothing was done for yet."""
        self._reading: deque[float] = deque()
        """Arrivals of requests whose prompts are being read, of which the first has `_n_read` tokens."""
        self._n_read = 0
        self._decoding: deque[tuple[float, float, int]] = deque()
        """Arrival, first token, and the number of steps after which the last one is there."""
        self._n_cached = 0.0
        """Tokens in the caches of the decoding sequences."""
        self._done: list[Request] = []

    def serve(self) -> list[Request]:
        """Run until every request is answered."""
        while self._admit():
            if self._reading:
                self._read()
            elif self._decoding:
                self._decode()
            else:
                self._now = self._coming[0]
        return self._done

    def _arrivals(self) -> Iterator[float]:
        """When the requests come that wait for no other's end."""
        if self._load.users is not None:
            n_first = min(self._load.users, self._n_left)
            self._n_left -= n_first
            return iter([0.0] * n_first)
        rate = self._load.requests_per_s
        assert rate, "a load has users or a rate"
        n_all, self._n_left = self._n_left, 0
        return accumulate(gap / rate for gap in _gaps(n_all))

    def _admit(self) -> bool:
        """Let in who has come, as far as there is room; false when nobody is left."""
        while self._coming and self._coming[0] <= self._now:
            self._waiting.append(self._coming.popleft())
        while self._waiting and len(self._reading) + len(self._decoding) < self._most:
            self._reading.append(self._waiting.popleft())
        return bool(self._coming or self._reading or self._decoding)

    def _read(self) -> None:
        """One step that reads prompts; the sequences decode in it where the engine mixes."""
        n_decoding = len(self._decoding) if self._scheduler.mixes else 0
        prompt = self._load.prompt_tokens
        room = max(1, self._scheduler.budget - n_decoding)
        n_tokens = min(room, prompt * len(self._reading) - self._n_read)
        n_whole, self._n_read = divmod(self._n_read + n_tokens, prompt)
        self._step(1, n_decoding, n_tokens)
        for _ in range(n_whole):
            arrival = self._reading.popleft()
            self._start(arrival)

    def _start(self, arrival: float) -> None:
        """A prompt was read: its first token is there."""
        n_more = self._load.output_tokens - 1
        if n_more:
            self._decoding.append((arrival, self._now, self._n_steps + n_more))
            self._n_cached += self._load.prompt_tokens + 1
        else:
            self._finish(arrival, self._now)

    def _decode(self) -> None:
        """Steps without prompts, until a sequence ends or a request comes."""
        n_steps = self._decoding[0][2] - self._n_steps
        if self._coming and len(self._decoding) < self._most:
            step_s = self._steps(len(self._decoding), self._n_cached / len(self._decoding), 0, 0.0)
            n_steps = min(n_steps, max(1, ceil((self._coming[0] - self._now) / step_s)))
        self._step(n_steps, len(self._decoding), 0)

    def _step(self, n_steps: int, n_decoding: int, n_prompt_tokens: int) -> None:
        """Let time pass for equal steps, and end the sequences that have their last token."""
        depth = self._n_cached / n_decoding + (n_steps - 1) / 2 if n_decoding else 0.0
        prompt_depth = self._load.prompt_tokens / 2
        self._now += n_steps * self._steps(n_decoding, depth, n_prompt_tokens, prompt_depth)
        if not n_decoding:
            return
        self._n_steps += n_steps
        self._n_cached += n_steps * n_decoding
        while self._decoding and self._decoding[0][2] <= self._n_steps:
            arrival, first_token, _ = self._decoding.popleft()
            self._n_cached -= self._load.prompt_tokens + self._load.output_tokens
            self._finish(arrival, first_token)

    def _finish(self, arrival: float, first_token: float) -> None:
        """A request is answered: its user, if there is one, sends the next."""
        self._done.append(Request(arrival, first_token, self._now))
        if self._n_left:
            self._n_left -= 1
            self._waiting.append(self._now)


def _gaps(n: int) -> Iterator[float]:
    """Gaps of a Poisson process of rate 1, the same every time: by the generator of "Numerical Recipes"."""
    state = 1
    for _ in range(n):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        yield -log((state + 1) / 2**32)


def _percentile(values: Sequence[float], share: float) -> float:
    """The value that so many of the sorted ones reach at most."""
    return values[min(len(values) - 1, ceil(share * len(values)) - 1)]
