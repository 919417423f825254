"""What one watches while a policy learns, from what a step leaves behind.

Every mean over samples stands beside the share that has no value: a policy that learns to break its judge must be seen.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.statistics.diversity import chain_diversity, mean_pairwise_distance
from gotr1_eval.core.types import Sample
from gotr1_eval.shapes.features import colour_grid
from rewards.total import RAW, TOTAL
from training.credit import Credit
from training.rollout import JudgedRollout, Rollout

Metrics = dict[str, float]
Report = Callable[[Metrics], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """What is kept of one sample of a rollout.

    Attributes:
        row, watched: outcomes by factor; of the reward, and of judges that are never trained on.
        tokens: of the chain, as the policy wrote it.
        colours: where they lie in the picture (`gotr1_eval.shapes.features`); None without one.
    """

    row: Mapping[str, Outcome]
    watched: Mapping[str, Outcome]
    chain: str
    tokens: int
    truncated: bool
    colours: NDArray[np.float64] | None = None


@dataclass(slots=True)
class Clock:
    """Where the seconds of a step go, and the most memory that each part takes.

    Attributes:
        seconds: by part.
        memory: GiB allocated on the fullest GPU, by part; empty without one.
    """

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    memory: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Counts what happens inside under `name`; a GPU is waited for, which works on after it was asked."""
        start = time.perf_counter()
        used = [device for device in range(torch.cuda.device_count()) if torch.cuda.memory_allocated(device)]
        for device in used:
            torch.cuda.reset_peak_memory_stats(device)
        yield
        for device in used:
            torch.cuda.synchronize(device)
            most = torch.cuda.max_memory_allocated(device) / 2**30
            self.memory[name] = max(self.memory.get(name, 0.0), most)
        self.seconds[name] += time.perf_counter() - start


def judged_samples(judged: JudgedRollout) -> list[Judged]:
    """One of each sample of a rollout."""
    rollout = judged.rollout
    facts = zip(rollout.samples, judged.rows, judged.watched, rollout.tokens, rollout.truncated, strict=True)
    return [
        Judged(row, beside, sample.chain or "", count, cut, _colours(sample))
        for sample, row, beside, count, cut in facts
    ]


def _colours(sample: Sample) -> NDArray[np.float64] | None:
    return colour_grid(sample.image) if isinstance(sample.image, Image.Image) else None


def rollout_metrics(judged: Sequence[Judged], groups: Counter[str], within: Sequence[Sequence[float]] = ()) -> Metrics:
    """Of the rollout of all processes: each factor, the groups dropped, the chains and what they plan.

    Args:
        within: the rewards of each group, as of `group_rewards`.
    """
    metrics: Metrics = {}
    for factor in judged[0].row:
        metrics |= _factor(f"reward/{factor}", [sample.row[factor] for sample in judged])
    for factor in judged[0].watched:
        metrics |= _factor(f"watched/{factor}", [sample.watched[factor] for sample in judged])
    return metrics | {
        **_saturation([sample.row.get(TOTAL) for sample in judged]),
        **_within(within),
        **{f"groups/{name}": count for name, count in groups.items()},
        "chain/tokens": statistics.fmean(sample.tokens for sample in judged),
        "chain/truncated": sum(sample.truncated for sample in judged) / len(judged),
        **_plans([sample.chain for sample in judged]),
    }


def group_rewards(judged: Sequence[Judged], headline: str, group: int) -> list[list[float]]:
    """The scored rewards of each group of two or more; samples of a group stand together."""
    outcomes = [sample.row[headline] for sample in judged]
    parts = [outcomes[start : start + group] for start in range(0, len(outcomes), group)]
    scored = [[outcome.value for outcome in part if isinstance(outcome, Score)] for part in parts]
    return [values for values in scored if len(values) > 1]


def group_spreads(within: Sequence[Sequence[float]]) -> list[float]:
    """The standard deviation of the rewards of each group (with n - 1), which advantages are divided by."""
    return [statistics.stdev(values) for values in within]


def _within(within: Sequence[Sequence[float]]) -> Metrics:
    """The mean spread of the rewards within groups, and the share of pairs of a group that tie."""
    if not within:
        return {}
    pairs = [one == other for values in within for one, other in combinations(values, 2)]
    return {
        "within_groups/spread": statistics.fmean(group_spreads(within)),
        "within_groups/ties": sum(pairs) / len(pairs),
    }


def group_diversity(judged: Sequence[Judged], group: int, per_chain: int = 1) -> Metrics:
    """How different the plans, chains and pictures of a prompt are: the means over the groups where it is defined.

    Args:
        per_chain: samples side by side that share a chain, which counts once.
    """
    found = [_diversity(judged[start : start + group], per_chain) for start in range(0, len(judged), group)]
    known = {name: [value for one in found if (value := one[name]) is not None] for name in found[0]}
    return {f"diversity/{name.replace(' ', '_')}": statistics.fmean(values) for name, values in known.items() if values}


def _diversity(samples: Sequence[Judged], per_chain: int) -> dict[str, float | None]:
    colours = [sample.colours for sample in samples if sample.colours is not None]
    pictures = mean_pairwise_distance(np.stack(colours)) if colours else None
    return {**chain_diversity([sample.chain for sample in samples[::per_chain]]), "picture colours": pictures}


def _saturation(totals: Sequence[Outcome | None]) -> Metrics:
    """Of every factor with a map the share of samples that its low and its high end cut off or just reach.

    A total tells a mapped factor by keeping what came in, as the part ``<factor>, raw``.
    """
    parts = [total.parts for total in totals if isinstance(total, Score)]
    factors = dict.fromkeys(name.removesuffix(RAW) for each in parts for name in each if name.endswith(RAW))
    metrics: Metrics = {}
    for factor in factors:
        values = [each[factor] for each in parts if factor in each]
        metrics[f"maps/{factor}/low"] = values.count(0.0) / len(values)
        metrics[f"maps/{factor}/high"] = values.count(1.0) / len(values)
    return metrics


def group_counts(credit: Credit) -> Counter[str]:
    """Groups that were learned from, and those dropped by reason; also those of a chain's pictures, where they are."""
    text, image = credit.text, credit.image
    counts = Counter(learned=int(credit.taught.sum()), too_few=text.too_few, too_even=text.too_even)
    if credit.per_chain is not None:
        learned = image.learned_PG.view(-1, credit.per_chain).any(dim=1)
        counts.update(
            pictures_learned=int(learned.sum()), pictures_too_few=image.too_few, pictures_too_even=image.too_even
        )
    return counts


def _factor(name: str, outcomes: Sequence[Outcome]) -> Metrics:
    """Mean, spread and share of zeros over the scored; shares of the others, not applicable ones apart."""
    values = [outcome.value for outcome in outcomes if isinstance(outcome, Score)]
    without = [outcome.why for outcome in outcomes if isinstance(outcome, Unscored)]
    beside = sum(why is Why.NOT_APPLICABLE for why in without)
    shares = {
        f"{name}/unscored": (len(without) - beside) / len(outcomes),
        f"{name}/scored": len(values) / len(outcomes),
    }
    if not values:
        return shares
    return shares | {
        f"{name}/mean": statistics.fmean(values),
        f"{name}/spread": statistics.pstdev(values),
        f"{name}/zeros": values.count(0.0) / len(values),
    }


def _plans(chains: Sequence[str]) -> Metrics:
    """Planned boxes: how many a chain holds, and how large they are. Huge boxes are how R_RI is gamed."""
    boxes = [[box for _, box in parse_chain(chain).boxed] for chain in chains]
    areas = [box.area for plan in boxes for box in plan]
    counts = {"plan/boxes": statistics.fmean(len(plan) for plan in boxes)}
    return counts | ({"plan/area": statistics.fmean(areas)} if areas else {})


def speed_metrics(
    judged: Sequence[Judged], rollout: Rollout, clock: Clock, whole: float, per_chain: int = 1
) -> Metrics:
    """Where the seconds and the memory of a step went, and what was made in a second: samples, and tokens.

    Tokens of chains and pictures, over the whole step and over the seconds in which this process sampled.

    Args:
        clock: of this process; what it waited for others is in no part, and in the whole.
        whole: seconds from the beginning of the step to its end.
        per_chain: pictures of a chain, whose tokens count once.
    """
    seconds = clock.seconds
    tokens = sum(sample.tokens for sample in judged[::per_chain]) + len(judged) * rollout.actions.image_BT.shape[1]
    made = {"speed/samples": len(judged) / whole, "speed/tokens": tokens / whole}
    if sampling := sum(seconds.get(part, 0.0) for part in ("chain", "image")):
        made["speed/sampled_tokens"] = tokens / sampling
    made |= {f"memory/{name}": value for name, value in clock.memory.items()}
    return {**{f"seconds/{name}": value for name, value in seconds.items()}, "seconds/step": whole, **made}


def update_metrics(sums: Counter[str], norms: Sequence[float], learning_rate: float) -> Metrics:
    """Of the last update of a rollout: means over the action tokens of each segment."""
    metrics: Metrics = {"updates": len(norms), "grad_norm": norms[-1], "learning_rate": learning_rate}
    for segment in ("text", "image"):
        tokens = sums[f"{segment}/tokens"]
        for name in ("entropy", "ratio", "clipped", "kl", "drift", "drifted", "importance"):
            if f"{segment}/{name}" in sums and tokens:
                metrics[f"{segment}/{name}"] = sums[f"{segment}/{name}"] / tokens
        metrics[f"{segment}/tokens"] = tokens
    return metrics
