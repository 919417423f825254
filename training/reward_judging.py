"""Rewards during training: judges that cannot be reached are waited for, a judge that is being broken is seen.

Servers may judge while the policy still samples. Judges in this process on the policy's GPU may wait in
main memory while the policy samples and learns: so the GPU holds the policy and, one after the other, the sampler's
KV cache, the judges, and the update's activations.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch

from gotr1_eval.core.errors import RunError, UsageError, one_line
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.protocols import READS_CHAIN, READS_PICTURE, HoldsVlm, Judge, Served
from gotr1_eval.core.types import Prompt, Sample
from gotr1_eval.models.local_model import with_held_memory
from rewards.reward_set import RewardSet

Row = Mapping[str, Outcome]
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
REFUSALS = 3


def judge_patiently(
    rewards: RewardSet,
    samples: Sequence[Sample],
    patience: float,
    sleep: Callable[[float], None] = time.sleep,
    known: Mapping[str, Sequence[Outcome]] | None = None,
    per_chain: int = 1,
) -> list[Row]:
    """Every factor of every sample; those whose judge failed (`BACKEND`) are asked again after growing pauses.

    One that was answered is asked again beside them: when the judge answers it `REFUSALS` times and none of the others,
    it is there, and will not take them.

    Args:
        patience: seconds of pauses in all; what still fails then stays `BACKEND`.
        known: outcomes of factors that were judged while the pictures were generated; see `chains_judged_once`.
        per_chain: samples side by side that share a chain, which is asked about again for all of them at once.
    """
    rows: list[Row] = list(rewards.judge(samples, chains_judged_once(rewards, samples, per_chain, known or {})))
    pause, waited, refusals = FIRST_PAUSE, 0.0, 0
    while (failed := _failures(rows)) and waited + pause <= patience and refusals < REFUSALS:
        sleep(pause)
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)
        trees = {at // per_chain for at in failed}
        places = [at for at in range(len(rows)) if at // per_chain in trees]
        beside = [at for at in range(len(rows)) if at // per_chain not in trees][:per_chain]
        asked = [samples[at] for at in places + beside]
        again = list(rewards.judge(asked, chains_judged_once(rewards, asked, per_chain, {})))
        refusals += (
            bool(beside)
            and [places[at] for at in _failures(again) if at < len(places)] == failed
            and not any(map(_failed, again[len(places) :]))
        )
        for at, row in zip(places, again, strict=False):
            rows[at] = row
    return rows


def _failures(rows: Sequence[Row]) -> list[int]:
    return [at for at, row in enumerate(rows) if _failed(row)]


def _failed(row: Row) -> bool:
    return any(isinstance(outcome, Unscored) and outcome.why is Why.BACKEND for outcome in row.values())


class EarlyJudges:
    """The judges of a reward set that ask a server, asked as soon as what they read is there, while the policy samples.

    Those that read the chain alone begin before its picture, the others while the next tile is sampled. Only servers: a
    model in this process would compete with the sampler for the device, and its batches, and with them its last bits,
    would be others.

    Raises:
        UsageError: the set has no such judge.
    """

    def __init__(self, rewards: RewardSet) -> None:
        self._judges = {factor: judge for factor, judge in rewards.judges.items() if _asks_a_server(judge)}
        if not self._judges:
            raise UsageError("judge_while_generating: no judge of the reward asks a server")
        self._pool = ThreadPoolExecutor(len(self._judges))

    def begin(self) -> BegunJudging:
        """For the samples of one rollout; those of the next may be begun before these are judged."""
        return BegunJudging(self._judges, self._pool)


class BegunJudging:
    """The questions about one rollout's samples that were asked early."""

    def __init__(self, judges: Mapping[str, Judge], pool: ThreadPoolExecutor) -> None:
        self._judges, self._pool = judges, pool
        self._begun: dict[str, list[Future[list[Outcome]]]] = {}

    def chains(self, samples: Sequence[Sample]) -> None:
        """Ask about chains that are written, in the order of the rollout; returns at once."""
        self._begin(samples, chains=True)

    def pictures(self, samples: Sequence[Sample]) -> None:
        """Ask about samples that are complete, in the order of the rollout; returns at once."""
        self._begin(samples, chains=False)

    def _begin(self, samples: Sequence[Sample], *, chains: bool) -> None:
        for factor, judge in self._judges.items():
            if _reads_chains_alone(judge) == chains:
                self._begun.setdefault(factor, []).append(self._pool.submit(judge_batch, judge, samples))

    def outcomes(self) -> dict[str, list[Outcome]]:
        """Of every factor that was begun, in the order of the rollout, once all are there."""
        return {factor: [each for part in parts for each in part.result()] for factor, parts in self._begun.items()}


def _asks_a_server(judge: Judge) -> bool:
    model: object = judge
    while not isinstance(model, Served) and isinstance(model, HoldsVlm):
        model = model.vlm  # replies kept on disk stand before the server
    return isinstance(model, Served)


def _reads_chains_alone(judge: Judge) -> bool:
    return judge.looks_at in READS_CHAIN - READS_PICTURE


def chains_judged_once(
    rewards: RewardSet, samples: Sequence[Sample], per_chain: int, begun: Mapping[str, Sequence[Outcome]]
) -> dict[str, list[Outcome]]:
    """What is known before the judges are asked, one outcome a sample: a chain that samples share is judged once.

    Args:
        per_chain: samples side by side that share a chain.
        begun: outcomes that are there already; of judges that read the chain alone one a chain.
    """
    known = {factor: [*outcomes] for factor, outcomes in begun.items()}
    for factor, judge in rewards.judges.items() if per_chain > 1 else ():
        if _reads_chains_alone(judge):
            of_chains = known.get(factor) or judge_batch(judge, samples[::per_chain])
            known[factor] = [outcome for outcome in of_chains for _ in range(per_chain)]
    return known


def check_applies(rewards: RewardSet, prompts: Sequence[Prompt]) -> None:
    """See that the reward has something to say about prompts as training makes them.

    Judges tell that a prompt is not theirs before they look for a chain or a picture, so that none is needed here.

    Raises:
        UsageError: no factor of the reward applies to any of the prompts.
    """
    factors = [rewards.headline] if rewards.total is None else rewards.total.rule.factors
    samples = prompt_samples(prompts)
    detail = ""
    for judge in (rewards.judges[factor] for factor in factors):
        outcomes = judge_batch(judge, samples) if judge.may_not_apply else []
        beside = [each for each in outcomes if isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE]
        if len(beside) < len(samples) or not samples:
            return
        detail = f"{judge.name}: {beside[0].detail}"
    raise UsageError(
        f"the reward applies to none of the first {len(samples)} prompts ({detail}): train on prompts that it is for, "
        "or take a judge that reads the prompt's text"
    )


def prompt_samples(prompts: Sequence[Prompt]) -> list[Sample]:
    """Samples of prompts alone, for questions to a judge that need neither chain nor picture."""
    return [Sample(id=str(at), prompt=prompt.text, meta=prompt.facts) for at, prompt in enumerate(prompts)]


class UnscoredWatch:
    """Stops a run in which too many samples go unscored: a policy may be learning to break its judge.

    A restart forgets what was seen: whoever mended the judge must not be stopped by what it did before.

    Args:
        limit: share of the samples of the last `window` steps.
    """

    def __init__(self, limit: float, window: int) -> None:
        self._limit = limit
        self._counts: deque[tuple[int, int]] = deque(maxlen=window)
        self._beside: Unscored | None = None
        self._last: Unscored | None = None

    def see(self, outcomes: Sequence[Outcome]) -> None:
        """One step's rewards; what a judge does not apply to is no fault of anybody's, and does not count."""
        beside = [each for each in outcomes if isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE]
        self._beside = beside[-1] if beside and len(beside) == len(outcomes) else None
        counted = [each for each in outcomes if not (isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE)]
        unscored = [each for each in counted if isinstance(each, Unscored)]
        self._counts.append((len(unscored), len(counted)))
        self._last = unscored[-1] if unscored else self._last

    def check(self) -> None:
        """See that the rewards still are some.

        Raises:
            RunError: the last step's reward applied to none of its samples, or the window is full and the share above
                the limit; tells the last reason.
        """
        if self._beside is not None:
            raise RunError(
                f"the reward applies to no sample of this step ({self._beside.detail}): there is nothing to learn from "
                "these prompts"
            )
        share = sum(count for count, _ in self._counts) / max(sum(total for _, total in self._counts), 1)
        if len(self._counts) == self._counts.maxlen and share > self._limit:
            told = f"; the last one: {self._last.why.value}: {self._last.detail}" if self._last else ""
            raise RunError(
                f"{share:.0%} of the rewards of the last {len(self._counts)} steps are unscored (limit "
                f"{self._limit:.0%}): the judge fails, or the policy has learned to break it{told}"
            )


@runtime_checkable
class HoldsNetwork(Protocol):
    """A model in this process, such as a `gotr1_eval.models.local_model.LocalModel`."""

    @property
    def loaded_network(self) -> torch.nn.Module | None:
        """The network where it was read already; asking does not read it."""
        ...


class Offloading:
    """Moves the judges' models to the policy's device and away again; one on another device stays where it is.

    Args:
        components: whatever was built so far, of which those that are a `HoldsNetwork` are moved.
        device: the policy's.

    Raises:
        UsageError: the policy is in main memory itself.
    """

    def __init__(self, components: Callable[[], Iterable[object]], device: torch.device) -> None:
        if device.type == "cpu":
            raise UsageError("offload_judges: the policy is on the cpu, where there is nothing to make room for")
        self._components, self._device = components, device
        self._waiting: list[torch.nn.Module] = []

    @contextmanager
    def judging(self) -> Iterator[None]:
        """The judges' models are on the device; those loaded meanwhile leave it with the others.

        Raises:
            RunError: they do not fit beside the policy.
        """
        try:
            with_held_memory(lambda: [model.to(self._device) for model in self._waiting])
        except torch.OutOfMemoryError as error:
            raise RunError(
                f"the judges do not fit beside the policy on {self._device}, even alone: give them a device of their "
                f"own in the reward set, or a server (judge_model): {one_line(error, 120)}"
            ) from None
        try:
            yield
        finally:
            self._waiting = [model for model in self._networks() if next(model.parameters()).device == self._device]
            for model in self._waiting:
                model.to("cpu")
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _networks(self) -> Iterator[torch.nn.Module]:
        for component in self._components():
            if isinstance(component, HoldsNetwork) and (network := component.loaded_network) is not None:
                yield network
