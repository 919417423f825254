"""How exact a planned number will be: a mean of so many pictures, a correlation with so many rated items.

Means, from what a run, or a pilot of one, has scored: a score is a prompt's own mean plus what this picture adds. With
P prompts of k pictures each the variance of the mean is (between + within / k) / P: more pictures shrink the second
part only, so that there are widths which no number of pictures reaches. The two variances are those of the one-way
random-effects model, by the method of moments (ANOVA).

Correlations between judge and people: the mean of k raters is less noisy than one, so that its correlation with
anything grows by the square root of its reliability (Spearman 1910, Brown 1910). The half-width is that of the 95 %
interval on Fisher's scale, its middle turned back; unequal weights cost items (Kish's effective number).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.statistics.intervals import FEW, Groups, quantile

Z = 1.959964
"""The normal distribution's quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Where the spread of a task's scores comes from.

    Attributes:
        between: variance of the prompts' own means; 0 where the estimate is below.
        within: variance of the pictures of one prompt.
        prompts: how many the estimates stand on.
    """

    between: float
    within: float
    prompts: int


def variance_components(groups: Groups) -> Components | None:
    """The components of a task's scores, prompt by prompt; the prompts may have unequal numbers of pictures.

    None below two prompts, or where no prompt has two pictures: nothing then tells the two apart.
    """
    sizes = np.array([len(group) for group in groups])
    prompts, number = len(groups), int(sizes.sum())
    if prompts < 2 or number == prompts:
        return None
    means = np.array([np.mean(group) for group in groups])
    squares = math.fsum(float(np.var(group)) * len(group) for group in groups)
    within = squares / (number - prompts)
    grand = float(sizes @ means) / number
    between_square = float(sizes @ (means - grand) ** 2) / (prompts - 1)
    typical = (number - float(sizes @ sizes) / number) / (prompts - 1)
    return Components(between=max((between_square - within) / typical, 0.0), within=within, prompts=prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionPlan:
    """The half-width of a 95 % interval as a function of the pictures of each prompt.

    Attributes:
        between: variance of the mean that stays, however many pictures.
        within: variance of the mean with one picture a prompt, which falls as 1 / pictures.
        prompts: of all tasks together.
        tasks: how many means the mean is made of.
    """

    between: float
    within: float
    prompts: int
    tasks: int = 1

    @property
    def floor(self) -> float:
        """The half-width over prompts that no number of pictures goes below."""
        return self._reach(self.prompts) * math.sqrt(self.between)

    def half_width(self, images: float, prompts: int | None = None) -> float:
        """Over prompts, with so many pictures of each, and with another number of prompts of the same mix."""
        prompts = prompts or self.prompts
        scale = self.prompts / prompts
        return self._reach(prompts) * math.sqrt((self.between + self.within / images) * scale)

    def seed_half_width(self, images: int) -> float:
        """Over seeds with these prompts fixed; at least two pictures of each."""
        freedom = self.prompts * (images - 1)
        return quantile(freedom, few=freedom < FEW) * math.sqrt(self.within / images)

    def images_for(self, half_width: float) -> int | None:
        """The fewest pictures a prompt for that half-width over prompts; None where none is enough."""
        left = (half_width / self._reach(self.prompts)) ** 2 - self.between
        if left <= 0:
            return None
        images = max(math.ceil(self.within / left), 1)
        # Rounding may put the quotient of an exact case on either side of a whole number.
        return images - 1 if images > 1 and self.half_width(images - 1) <= half_width else images

    def images_for_seeds(self, half_width: float) -> int:
        """The fewest pictures a prompt for that half-width over seeds, at least two: one says nothing of its spread."""
        images = max(math.ceil(self.within * (quantile(FEW, few=False) / half_width) ** 2), 2)
        while self.seed_half_width(images) > half_width:
            images += 1
        return images

    def prompts_for(self, half_width: float, images: float) -> int:
        """The fewest prompts of the same mix, with so many pictures each, for that half-width over prompts."""
        variance = self.prompts * (self.between + self.within / images)
        prompts = max(math.ceil(variance * (quantile(FEW, few=False) / half_width) ** 2), self.tasks + 1)
        while self.half_width(images, prompts) > half_width:
            prompts += 1
        return prompts

    def _reach(self, prompts: int) -> float:
        return quantile(prompts - self.tasks, few=prompts < FEW)


def plan_precision(tasks: Sequence[Components], prompts: int | None = None) -> PrecisionPlan:
    """The plan for a mean of tasks' means, of one task for its own mean.

    Args:
        tasks: at least one.
        prompts: of each task in the run that is planned; None for as many as the components stand on.
    """
    planned = [prompts or task.prompts for task in tasks]
    share = 1 / len(tasks) ** 2
    return PrecisionPlan(
        between=share * math.fsum(task.between / number for task, number in zip(tasks, planned, strict=True)),
        within=share * math.fsum(task.within / number for task, number in zip(tasks, planned, strict=True)),
        prompts=sum(planned),
        tasks=len(tasks),
    )


@dataclass(frozen=True, slots=True)
class Power:
    """What so many items and raters buy.

    Attributes:
        expected: the correlation with the mean of the raters that can be expected.
        half_width: of its 95 % interval; None below four effective items.
    """

    items: int
    raters: int
    expected: float
    half_width: float | None


def reliability(single: float, raters: int) -> float:
    """Of the mean of several raters, from the correlation between two single ones (Spearman-Brown)."""
    return raters * single / (1.0 + (raters - 1) * single)


def effective_items(chances: Sequence[float]) -> float:
    """Kish's effective number of items that are weighted by their inverse inclusion probability."""
    weights = [1.0 / chance for chance in chances]
    return math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)


def power(items: int, raters: int, *, judge: float, people: float, share: float = 1.0) -> Power:
    """What `items` and `raters` buy.

    Args:
        judge: correlation of the judge with a perfectly reliable rating, in (-1, 1).
        people: correlation between two raters, in (0, 1].
        share: effective items over items.
    """
    expected = judge * math.sqrt(reliability(people, raters))
    effective = items * share
    if effective <= 3:
        return Power(items, raters, expected, None)
    spread = Z / math.sqrt(effective - 3)
    middle = math.atanh(expected)
    return Power(items, raters, expected, (math.tanh(middle + spread) - math.tanh(middle - spread)) / 2)
