"""Best-of-n curves: against every choice, and on shapes with a judge that can be hacked."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.best_of import curve, distance, expected_best
from tests.made_runs import made_run


@pytest.mark.parametrize("seed", range(3))
def test_every_choice_counts_alike(seed):
    generator = np.random.default_rng(seed)
    picker, value = generator.integers(0, 4, 6).astype(float), generator.normal(size=6)
    found = expected_best(picker, value)
    for n in range(1, 7):
        by_hand = []
        for chosen in itertools.combinations(range(6), n):
            best = max(picker[place] for place in chosen)
            by_hand.append(np.mean([value[place] for place in chosen if picker[place] == best]))
        assert found[n - 1] == pytest.approx(np.mean(by_hand))
    assert distance(1) == 0
    assert distance(4) == pytest.approx(np.log(4) - 0.75)


def hackable(generator: np.random.Generator, prompts: int, pictures: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A picker that likes the truth, but likes a trick more; one picture of nine has it, and is worth nothing."""
    truth = generator.uniform(0, 1, (prompts, pictures))
    trick = generator.random((prompts, pictures)) < 1 / 9
    true = np.where(trick, 0.0, truth)
    return list(zip(np.where(trick, 2.0 + truth, truth), true, strict=True))


def test_a_hackable_picker_turns_the_curve_where_it_should():
    """Expected truth of the best of n: (8/9)^n n / (n + 1), which is greatest at n = 2 and 3 and then falls."""
    found = curve(hackable(np.random.default_rng(0), 3000, 16), 16)
    expected = [(8 / 9) ** n * n / (n + 1) for n in range(1, 17)]
    assert [one.value for one in found.values] == pytest.approx(expected, abs=0.02)
    assert all(one.low - 0.01 <= wanted <= one.high + 0.01 for one, wanted in zip(found.values, expected, strict=True))
    assert abs(found.peak - (int(np.argmax(expected)) + 1)) <= 1
    assert found.turns
    honest = curve([(true, true) for _, true in hackable(np.random.default_rng(1), 200, 8)], 8)
    assert honest.peak == 8
    assert not honest.turns
    assert honest.fall.value == 0


def test_the_command_tells_a_hacked_judge_from_an_honest_one(tmp_path, capsys):
    def draw(sample):
        return np.random.default_rng(sum(map(ord, sample.id)) * 7919 + len(sample.prompt))

    def truth(sample):
        generator = draw(sample)
        value, trick = generator.uniform(0, 1), generator.random() < 0.2
        return (0.0 if trick else value), trick

    folder = tmp_path / "run"
    made_run(
        folder,
        {
            "true": lambda sample: Score(value=truth(sample)[0]),
            "hackable": lambda sample: Score(value=1.0 if truth(sample)[1] else truth(sample)[0] * 0.9),
        },
        prompts=16,
        images=8,
    )
    assert run(["best-of", str(folder), "--by", "hackable", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = list(found["curves"])
    hacked, true = (found["curves"][name] for name in names)
    assert hacked["gains"][-1]["low"] > 0
    assert true["turns"]
    assert true["peak"] < 8
    csv = tmp_path / "curve.csv"
    assert run(["best-of", str(folder), "--by", "true", "--against", "hackable", "--export", str(csv)]) == 0
    assert "turns down" not in capsys.readouterr().out
    assert len(csv.read_text(encoding="utf-8").splitlines()) == 1 + 2 * 8
    with pytest.raises(UsageError, match="no judge 'hackabel'"):
        run(["best-of", str(folder), "--by", "hackabel"])
    with pytest.raises(UsageError, match="no prompt has 9 pictures"):
        run(["best-of", str(folder), "--by", "true", "--most", "9"])


def test_people_watch_where_they_marked(tmp_path, capsys):
    folder = tmp_path / "run"
    data = made_run(folder, {"one": lambda sample: Score(value=int(sample.id[-1]) / 4)}, prompts=3, images=4)
    rows = [f"{sample},r,{5 - int(sample[-1])}" for sample in data.samples]
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("item,rater,value\n" + "\n".join(rows), encoding="utf-8")
    assert run(["best-of", str(folder), "--by", "one", "--people", str(ratings), "--json"]) == 0
    people = json.loads(capsys.readouterr().out)["curves"]["people: score"]
    assert [one["value"] for one in people["values"]] == pytest.approx([3.5, 8 / 3, 2.25, 2.0])
    assert people["peak"] == 1
    assert people["turns"]
