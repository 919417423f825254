"""`agreement`, `retest` and `calibrate` on a run and its study, and the page in a browser."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.shapes import ShapesSuite
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import GeneratedPictures
from gotr1_eval.runs.store import read_judgments
from reports.agreement.ratings import Rating, write_ratings
from reports.agreement.study_folder import Dimension, Item, Study, write_study
from reports.run_data import load_run
from rewards.reward_set import RewardSet
from tests.browser import LAPTOP, PHONE, needs_browser, open_page, serious_faults, started_browser
from tests.fakes import OracleGenerator, ScriptedJudge

HOSTILE = '<script>alert("x")</script> & | _$%'


def lot(text: str) -> float:
    return random.Random(text).random()


def verdict(sample: Sample) -> Outcome:
    """One score in ten is missing; the others are anything."""
    if lot(sample.id) < 0.1:
        return Unscored(why=Why.REFUSED, detail="no")
    return Score(value=round(lot(sample.id), 2), parts={"charm": lot(f"charm {sample.id}")})


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    plan = list_samples(ShapesSuite(), ("color", "spatial"), images_per_prompt=2, limit=20, seed=0)
    judges = {"looks": ScriptedJudge(verdict, name="looks[m]"), HOSTILE: ScriptedJudge(verdict, name=HOSTILE)}
    run_job(
        Job(
            folder=tmp_path / "run",
            samples=plan,
            pictures=GeneratedPictures(OracleGenerator()),
            rewards=RewardSet(judges),
            settings={"suite": "shapes"},
        )
    )
    return tmp_path / "run"


@pytest.fixture
def study(judged: Path, tmp_path: Path) -> Path:
    """Three people rate two thirds of the run; their marks follow the square of what the judge would say."""
    data = load_run(judged)
    kept = [sample for sample in data.samples.values() if lot(f"draw {sample.id}") < 2 / 3]
    items = tuple(
        Item(
            item=sample.id,
            prompt=sample.prompt,
            inclusion_probability=2 / 3,
            category=data.category(sample),
            stratum=data.category(sample),
            cluster=sample.prompt,
        )
        for sample in kept
    )
    ratings = [
        Rating(
            item=sample.id,
            rater=rater,
            dimension="looks",
            value=round(10 * min(1, max(0, lot(sample.id) ** 2 + random.Random(f"{rater}{sample.id}").gauss(0, 0.1)))),
        )
        for sample in kept
        for rater in ("Ann", "Bob", HOSTILE)
    ]
    asked = Dimension(name="looks", judge="looks", rubric="Is it nice?", low=0, high=10)
    folder = tmp_path / "study"
    write_study(Study(name="s", seed=0, population=len(data.samples), dimensions=(asked,), items=items), folder)
    write_ratings(ratings, folder)
    return folder


Asked = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Asked:
    def ask(*arguments: object) -> dict[str, Any]:
        assert run([*map(str, arguments), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return ask


def test_a_run_against_its_study(judged: Path, study: Path, ask: Asked):
    found = ask("agreement", judged, study, "--draws", 100)
    row = next(row for row in found["judges"] if row["judge"] == "looks[m]" and row["category"] == "all")
    assert row["n"] + row["unscored"] == row["n"] + row["reasons"]["refused"] == found["people"][-1]["units"]
    assert row["coefficients"]["spearman"]["value"] > 0.9
    assert row["bounds"]["spearman"][0] < row["coefficients"]["spearman"]["value"]
    assert 0.8 < row["ceiling"]["spearman"]["value"] < 1
    assert {one["against"] for one in found["judge_against_judge"]} == {HOSTILE}
    assert found["options"]["draws"] == 100


def test_a_dimension_that_is_a_part_of_its_judge(judged: Path, study: Path, ask: Asked):
    for file in ("study.json", "ratings.csv"):
        path = study / file
        path.write_text(path.read_text().replace('"name": "looks"', '"name": "charm"').replace(",looks,", ",charm,"))
    rows = {row["judge"]: row for row in ask("agreement", judged, study, "--draws", 0)["judges"]}
    assert abs(rows["looks[m]"]["coefficients"]["spearman"]["value"]) < 0.5
    assert rows["looks[m]"]["reasons"].keys() == {"refused"}
    # The other judge has such a part as well, but does not serve the dimension.
    assert rows[HOSTILE]["coefficients"]["spearman"]["value"] > 0.9


@pytest.mark.slow
def test_every_form_of_output_holds_the_same(judged: Path, study: Path, tmp_path: Path, capsys: Any):
    assert run(["agreement", str(judged), str(study), "--draws", "20", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    pages = {path.suffix: path.read_text() for path in (tmp_path / "out").iterdir()}
    rows = json.loads(pages[".json"])["judges"]
    value = next(r["coefficients"]["kendall_b"]["value"] for r in rows if r["judge"] == "looks[m]")
    assert all(f"{value:.3f}" in text for text in (shown, pages[".md"], pages[".tex"], pages[".html"]))
    assert r"\<script\>" in pages[".md"]
    assert "<script>" not in pages[".html"]
    assert r"\& | \_\$\%" in pages[".tex"]
    assert pages[".html"].count("<svg") == 4
    assert "http-equiv" in pages[".html"]


@pytest.mark.slow
@needs_browser
def test_the_page_in_a_browser(judged: Path, study: Path, tmp_path: Path):
    assert run(["agreement", str(judged), str(study), "--draws", "20", "--out", str(tmp_path / "out")]) == 0
    with started_browser() as browser:
        for size, colours in ((LAPTOP, "light"), (PHONE, "dark")):
            with open_page(browser, (tmp_path / "out/agreement.html").as_uri(), size, colours) as page:
                assert page.title() == "Agreement · gotr1-eval"
                assert page.locator(".both svg").count() == 4
                assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
                assert serious_faults(page) == []


@pytest.mark.slow
def test_retest_asks_again_and_never_a_cache(tmp_path: Path, capsys: Any):
    plan = list_samples(ShapesSuite(), ("color",), images_per_prompt=1, limit=3, seed=0)
    (tmp_path / "m.jsonl").write_text(
        "".join(json.dumps({"prompt": sample.prompt, "chain": "a cat (0,0),(9,9)"}) + "\n" for sample in plan)
    )
    model = f'{{ use = "cached", path = "{tmp_path / "replies"}", vlm = {{ use = "tests.plugins.counting_vlm" }} }}'
    judges = tmp_path / "judges.toml"
    judges.write_text(f'[judges]\nspatial = {{ use = "spatial", vlm = {model} }}\n')
    folder = tmp_path / "run"
    assert run(["score", str(tmp_path / "m.jsonl"), "--judges", str(judges), "--out", str(folder)]) == 0
    for _ in range(2):
        capsys.readouterr()
        assert run(["retest", str(folder), "--judges", str(judges), "--times", "2", "-n", "2"]) == 0
        assert "Judges against themselves" in capsys.readouterr().out
    found = read_judgments(folder).values()
    assert sorted(one.repeat for one in found) == [0, 0, 0, 1, 1, 2, 2]
    # The model counts its answers: had a cache answered, a repeat would have the number of its first time.
    values = [one.outcome.value for one in found if isinstance(one.outcome, Score)]
    assert len(set(values)) == len(values) == 7
    with pytest.raises(UsageError, match="was not judged by 'geometric' as it is set up now"):
        run(["retest", str(folder), "--judges", "geometric"])


def test_calibrate_from_fit_to_run(judged: Path, study: Path, tmp_path: Path, ask: Asked, capsys: Any):
    file = tmp_path / "first.json"
    assert run(["calibrate", "fit", str(judged), str(study), "--out", str(file), "--share", "0.5"]) == 0
    told = capsys.readouterr().out
    assert "root mean squared error on unseen prompts" in told
    fitted = json.loads(file.read_text())
    assert (fitted["judge"], fitted["dimension"]) == ("looks[m]", "looks")

    for _ in range(2):
        assert run(["calibrate", "apply", str(file), str(judged)]) == 0
    capsys.readouterr()
    data = load_run(judged)
    plain, calibrated = data.outcomes["looks[m]"], data.outcomes["looks[m]+calibrated[first]"]
    assert [column.name for column in data.judges] == ["looks[m]", HOSTILE, "looks[m]+calibrated[first]"]
    assert [isinstance(one, Score) for one in plain.values()] == [isinstance(one, Score) for one in calibrated.values()]

    alone = ask("calibrate", "correct", judged, study)
    after = ask("calibrate", "correct", judged, study, "--calibration", file)
    assert after["left_out"] == len(fitted["items"])
    assert after["rated"] + after["left_out"] == alone["rated"]
    truth = 10 * sum(lot(s) ** 2 for s, one in plain.items() if isinstance(one, Score)) / alone["population"]
    for found in (alone, after):
        assert found["low"] - 0.2 < truth < found["high"] + 0.2
        assert found["high"] - found["low"] < found["people_high"] - found["people_low"]
    with pytest.raises(UsageError, match=r"is calibrated; name the judge itself"):
        run(["calibrate", "correct", str(judged), str(study), "--judge", "looks[m]+calibrated[first]"])


def test_calibrate_names_what_is_wrong(judged: Path, study: Path, tmp_path: Path):
    whole, other = tmp_path / "whole.json", tmp_path / "other.json"
    run(["calibrate", "fit", str(judged), str(study), "--out", str(whole)])
    with pytest.raises(UsageError, match=r"rated items belong to the calibration; fit it with --share 0.5"):
        run(["calibrate", "correct", str(judged), str(study), "--calibration", str(whole)])
    other.write_text(whole.read_text().replace("looks[m]", "else"))
    with pytest.raises(UsageError, match=r"--calibration whole: fitted for judge 'else', asked for 'looks\[m\]'"):
        run(["calibrate", "correct", str(judged), str(study), "--calibration", str(other)])
    with pytest.raises(UsageError, match=r"has no judge 'else'"):
        run(["calibrate", "apply", str(other), str(judged)])
    with pytest.raises(UsageError, match=r"no judge named 'lokks'; did you mean 'looks\[m\]'\?"):
        run(["calibrate", "fit", str(judged), str(study), "--judge", "lokks", "--out", str(whole)])


def test_two_runs_of_two_judges_are_held_together(judged: Path, tmp_path: Path, ask: Asked):
    plan = list_samples(ShapesSuite(), ("color", "spatial"), images_per_prompt=2, limit=20, seed=0)
    other = RewardSet({"other": ScriptedJudge(lambda sample: Score(value=lot(sample.id)), name="other")})
    run_job(
        Job(
            folder=tmp_path / "b",
            samples=plan,
            pictures=GeneratedPictures(OracleGenerator()),
            rewards=other,
            settings={"suite": "shapes"},
        )
    )
    found = ask("agreement", judged, tmp_path / "b", "--draws", 0)["judge_against_judge"]
    pairs = {(row["judge"], row["against"]): row["coefficients"]["kendall_b"]["value"] for row in found}
    assert pairs["looks[m]", "other"] > 0.9


def test_two_runs_with_one_judge_are_for_compare(judged: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="`gotr1-eval compare` holds two runs against each other"):
        run(["agreement", str(judged), str(judged)])
