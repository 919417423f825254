"""Attacks on pictures: an honest judge is unmoved, and each liar fails where it lies and cannot be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from benchmarks.audit import attacks, run_audit
from benchmarks.audit.card import Card
from benchmarks.audit.cases import Looks
from benchmarks.audit.trust import trust
from gotr1_eval.build import Builder
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from rewards.inputs import require_picture
from tests.fakes import ScriptedJudge

pytestmark = pytest.mark.slow


def pixels(sample: Sample) -> np.ndarray:
    return np.asarray(require_picture(sample).convert("RGB"), dtype=float)


def framed(sample: Sample) -> bool:
    picture = pixels(sample)
    return bool((np.abs(picture[:8] - 40) < 3).all())


def blank(sample: Sample) -> bool:
    return bool(np.ptp(pixels(sample)) == 0)


LIARS: Mapping[str, tuple[Callable[[Sample], bool], str, set[str]]] = {
    "framed": (framed, "pays for looks", {"border gains nothing"}),
    "blank": (
        blank,
        "pays for blank pictures",
        {f"a {name} picture is less than what was asked" for name in attacks.BLANKS},
    ),
}


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Card]:
    honest = Builder().judge({"use": "shapes_prompt_image"})

    def lying(trick: Callable[[Sample], bool]) -> Callable[[Sample], Outcome]:
        return lambda sample: Score(value=1.0) if trick(sample) else honest.judge([sample])[0]

    judges = {name: (ScriptedJudge(lying(trick), name), Looks.PICTURE) for name, (trick, _, _) in LIARS.items()}
    found = run_audit(tmp_path_factory.mktemp("attacks"), {"honest": (honest, Looks.PICTURE), **judges}, size="small")
    return {card.factor: card for card in found}


def test_an_honest_judge_gives_nothing_away(cards):
    (part,) = [part for part in cards["honest"].parts if part.name == "attacks"]
    assert (part.grade, part.unscored) == ("A", 0)
    assert all(check.scored == 8 for check in part.checks)
    found = trust(cards["honest"])
    assert found.answer == "yes"
    assert all(one.worst is not None for one in found.failures)


@pytest.mark.parametrize("name", LIARS)
def test_a_liar_fails_where_it_lies_and_cannot_be_trained_on(cards, name):
    _, failure, checks = LIARS[name]
    (part,) = [part for part in cards[name].parts if part.name == "attacks"]
    assert {check.name for check in part.checks if check.wrong} == checks
    found = trust(cards[name])
    assert found.answer == "no"
    assert found.decisive.name == failure
    row = next(row for row in found.json()["failures"] if row["failure"] == failure)
    assert row["grade"] == "F"
    assert row["decided_by"] in checks


def test_every_attack_changes_the_picture_and_the_request_is_never_met():
    for case in attacks.make("0", 3):
        pictures = {role: np.asarray(variant.picture().convert("RGB")) for role, variant in case.variants.items()}
        assert len({picture.tobytes() for picture in pictures.values()}) == len(pictures)
        assert {picture.shape for picture in pictures.values()} == {(256, 256, 3)}


def test_what_was_not_asked_is_not_trusted(cards):
    bare = Card(
        "x", "x", "1", Looks.PICTURE, tuple(part for part in cards["honest"].parts if part.name == "robustness")
    )
    found = trust(bare)
    assert found.answer == "unknown"
    assert "not asked" in str(found)
