"""Judges that begin before a rollout is whole: servers, while the policy samples; chains that samples share, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import READS_CHAIN, READS_PICTURE, Grounder, HoldsVlm, Judge, Served
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet

WORKERS = 8
"""Tiles that one judge is asked about at a time; how many requests a server has at once is the server's own bound."""


@runtime_checkable
class HoldsGrounder(Protocol):
    """A judge that asks a grounder, as `rewards.reasoning_image.ReasoningImageJudge` does."""

    @property
    def grounder(self) -> Grounder:
        """Answers where things are."""
        ...


class EarlyJudges:
    """The judges that ask a server, asked as soon as what they read is there, while the policy samples.

    Those that read the chain alone begin before its picture, the others while the next tile is sampled. Only servers: a
    model in this process would compete with the sampler for the device, and its batches, and with them its last bits,
    would be others.

    Args:
        sets: of the reward, and of the judges that are only watched; their factors differ.

    Raises:
        UsageError: no judge of the sets asks a server.
    """

    def __init__(self, *sets: RewardSet) -> None:
        judges = {factor: judge for each in sets for factor, judge in each.judges.items()}
        self._judges = {factor: judge for factor, judge in judges.items() if _asks_a_server(judge)}
        if not self._judges:
            raise UsageError("judge_while_generating: no judge of the reward asks a server, and none that is watched")
        self._pool = ThreadPoolExecutor(WORKERS * len(self._judges))

    def begin(self) -> BegunJudging:
        """For the samples of one rollout; those of the next may be begun before these are judged."""
        return BegunJudging(self._judges, self._pool)

    def close(self) -> None:
        """Nobody waits for answers any more: questions that were not asked yet never are."""
        self._pool.shutdown(wait=False, cancel_futures=True)


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

    def outcomes(self, rewards: RewardSet) -> dict[str, list[Outcome]]:
        """Of every factor of the set that was begun, in the order of the rollout, once all are there."""
        begun = {factor: parts for factor, parts in self._begun.items() if factor in rewards.judges}
        return {factor: [each for part in parts for each in part.result()] for factor, parts in begun.items()}


def _asks_a_server(judge: Judge) -> bool:
    part: object = judge
    while not isinstance(part, Served):
        if isinstance(part, HoldsVlm):
            part = part.vlm  # replies kept on disk stand before the server
        elif isinstance(part, HoldsGrounder):
            part = part.grounder
        else:
            return False
    return True


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
