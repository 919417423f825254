"""Which items a rater gets, in which order, and which picture of a pair stands on the left."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from gotr1_eval.core.errors import UsageError
from reports.agreement.study_folder import Study


class Assigned(NamedTuple):
    """An item that a rater was given.

    Attributes:
        swapped: of a pair, whether its first picture stands on the right.
    """

    item: str
    swapped: bool


class Load(NamedTuple):
    """How many raters an item was given to, and how many of them have finished it."""

    given: int = 0
    finished: int = 0


def assign(study: Study, rater: str, loads: Mapping[str, Load]) -> list[Assigned]:
    """A new rater's items, in the rater's own order: all controls, and those that the design still needs rated.

    Items that fewer raters have been given come first, and chance decides among equals, so that the overlap is even.
    When every item has been given out often enough, those come again that somebody left unfinished. The sides of a
    pair are swapped for every other rater of it, beginning by chance.

    Args:
        rater: decides all that is left to chance, together with the study.
        loads: item -> its load before this rater.

    Raises:
        UsageError: every item has its raters.
    """
    chosen = {item.item for item in study.controls} | _chosen(study, rater, loads)
    if chosen == {item.item for item in study.controls}:
        raise UsageError(
            "every item of this study has been rated by as many people as it needs: thank you, nothing is left"
        )
    pairs = {item.item for item in study.items if item.pair is not None}
    return [
        Assigned(item, item in pairs and _is_swapped(study, item, loads.get(item, Load()).given))
        for item in sorted(chosen, key=lambda item: _chance(study, rater, item))
    ]


def _chosen(study: Study, rater: str, loads: Mapping[str, Load]) -> set[str]:
    most, enough = study.design.items_per_rater, study.design.raters_per_item
    items = sorted((item.item for item in study.drawn), key=lambda item: _chance(study, rater, item))
    load = {item: loads.get(item, Load()) for item in items}
    if enough is not None and all(load[item].given >= enough for item in items):
        open_items = [item for item in items if load[item].finished < enough]
        ordered = sorted(open_items, key=lambda item: load[item].finished)
    else:
        ordered = sorted(
            (item for item in items if enough is None or load[item].given < enough), key=lambda item: load[item].given
        )
    return set(ordered if most is None else ordered[:most])


def _is_swapped(study: Study, item: str, before: int) -> bool:
    return bool((_chance(study, "", item)[0] + before) % 2)


def _chance(study: Study, rater: str, item: str) -> bytes:
    """Random, and the same whenever that rater comes back."""
    return hashlib.sha256(f"{study.name}\n{study.seed}\n{rater}\n{item}".encode()).digest()
