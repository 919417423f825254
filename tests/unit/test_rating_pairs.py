"""Studies of pairs: drawn, shown with the sides swapped by design, exported, and read by two ways of reading."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunStore, read_info, read_judgments
from gotr1_eval.study import QUESTION, make_study, preference
from gotr1_eval.web.assignment import Load, assign
from gotr1_eval.web.rate import create_app
from gotr1_eval.web.rating_store import Answer, RatingStore
from reports.agreement.analysis import Options, analyse
from reports.agreement.controls import read_controls
from reports.agreement.foreign_tables.mapping import ANY, MappingFile, Pair, TableMapping
from reports.agreement.mark_sources import read_sources
from reports.agreement.ratings import kept_raters, rater_summaries, ratings_csv, summaries_csv, write_ratings
from reports.agreement.study_folder import Design, Dimension, read_study
from tests.rating_study import SECRETS, written_pairs, written_study
from tests.unit.test_study import painted

JUDGE = "total[x]"


def rescored(folder: Path, values: dict[int, float | None]) -> Path:
    """A run of eight prompts of one category whose total is told; None is unscored."""
    painted(folder, {"total": "other[x]"}, prompts=4)
    facts = json.loads((folder / "run.json").read_text())
    facts["setup"]["judges"] = [{"factor": "total", "name": JUDGE, "fingerprint": "g", "range": [0, 1]}]
    (folder / "run.json").write_text(json.dumps(facts))
    with RunStore.open(folder, read_info(folder)) as store:
        store.append_judgments(
            [
                Judgment(
                    sample=f"s/{('color', 'spatial')[number % 2]}/{number // 2:05d}/0",
                    judge=JUDGE,
                    fingerprint="g",
                    outcome=Unscored(why=Why.REFUSED) if value is None else Score(value=value),
                )
                for number, value in values.items()
            ]
        )
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    low = rescored(tmp_path / "b", {number: 0.1 * number for number in range(8)})
    high = rescored(tmp_path / "a", {0: 0.5, 1: 0.1, **dict.fromkeys(range(2, 7), 0.9), 7: None})
    return [low, high]


def test_pairs_are_drawn_from_the_same_prompts(tmp_path: Path, runs: list[Path]):
    study = make_study(runs, tmp_path / "study", count=100, seed=1, pairs_question=QUESTION)
    assert read_study(tmp_path / "study") == study
    assert (len(study.drawn), study.population) == (8, 8)
    for item in study.drawn:
        assert item.pair is not None
        assert [name.partition("/")[0] for name in item.pair] == ["a", "b"], "in the order in which they sort"
        assert item.item == " vs ".join(item.pair)
        assert study.dimensions_of(item) == (preference(QUESTION),)
    by_prompt = {item.prompt: item for item in study.drawn}
    # 0: 0.5 against 0; 1: 0.1 against 0.1; 2 to 6: 0.9 against less; 7: refused against 0.7.
    assert [by_prompt[f"{('color', 'spatial')[n % 2]} {n}"].scores.get(JUDGE) for n in range(8)] == [
        1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, None,
    ]  # fmt: skip
    assert by_prompt["spatial 7"].unscored == {JUDGE: "refused"}
    names = {name for item in study.drawn for name in (item.image, item.other_image)}
    assert len(names) == 16
    assert all((tmp_path / "study" / str(name)).is_file() for name in names)
    fewer = make_study(runs, tmp_path / "fewer", count=4, seed=1, pairs_question=QUESTION)
    assert sum(item.inclusion_probability for item in study.items) == 8
    assert Counter(item.category for item in fewer.drawn) == {"color": 2, "spatial": 2}


def score_of(folder: Path, name: str) -> float:
    run_name, _, sample = name.partition("/")
    found = [one for one in read_judgments(folder / run_name).values() if (one.sample, one.judge) == (sample, JUDGE)]
    assert isinstance(found[0].outcome, Score)
    return found[0].outcome.value


@pytest.mark.parametrize("other", ["a-2", "a.2", "a 2", "aa", "A"])
def test_a_picture_stands_under_the_name_of_its_own_run(tmp_path: Path, runs: list[Path], other: str):
    """Also where a run's name goes on from another's: "a-2/" sorts before "a/", and "a" before "a-2"."""
    runs[0].rename(tmp_path / other)
    colours = {"a": (255, 0, 0), other: (0, 0, 255)}
    for name, colour in colours.items():
        for picture in (tmp_path / name).rglob("*.png"):
            Image.new("RGB", (8, 8), colour).save(picture)
    study = make_study([tmp_path / "a", tmp_path / other], tmp_path / "study", count=8, seed=1, pairs_question=QUESTION)
    for item in study.drawn:
        assert item.pair is not None
        for name, shown in zip(item.pair, (item.image, item.other_image), strict=True):
            picture = Image.open(tmp_path / "study" / str(shown))
            assert picture.convert("RGB").getpixel((4, 4)) == colours[name.partition("/")[0]]
        if JUDGE in item.scores:
            sides = [score_of(tmp_path, name) for name in item.pair]
            assert item.scores[JUDGE] == (0.5 if sides[0] == sides[1] else float(sides[0] > sides[1]))


def test_pairs_need_two_runs_and_one_question(tmp_path: Path, runs: list[Path]):
    with pytest.raises(UsageError, match="expected two runs or more"):
        make_study(runs[:1], tmp_path / "x", count=4, seed=1, pairs_question=QUESTION)
    with pytest.raises(UsageError, match="--dimensions and --rubric do not apply"):
        make_study(runs, tmp_path / "x", count=4, seed=1, pairs_question=QUESTION, dimensions=["prompt_image"])
    with pytest.raises(UsageError, match="add --pairs"):
        run(["study", *map(str, runs), "--out", str(tmp_path / "x"), "--question", "Which?"])


@pytest.mark.parametrize(("each", "often", "raters"), [(4, 3, 9), (12, 2, 2), (5, 2, 5), (1, 1, 12)])
def test_every_item_gets_its_raters(tmp_path: Path, each: int, often: int, raters: int):
    study = written_pairs(tmp_path, pairs=12, design=Design(items_per_rater=each, raters_per_item=often))
    loads: Counter[str] = Counter()
    swaps: dict[str, list[bool]] = {}
    for number in range(raters):
        given = assign(study, f"rater {number}", {item: Load(count) for item, count in loads.items()})
        assert "control/0" in [one.item for one in given]
        own = [one for one in given if not one.item.startswith("control/")]
        assert len(own) <= each
        loads.update(one.item for one in own)
        for one in own:
            swaps.setdefault(one.item, []).append(one.swapped)
    assert set(loads.values()) == {often}
    assert all(abs(sides.count(True) - sides.count(False)) == often % 2 for sides in swaps.values()), "even sides"
    everything = {item.item: Load(often, often) for item in study.items}
    with pytest.raises(UsageError, match="nothing is left"):
        assign(study, "late", everything)
    left = study.drawn[3].item
    again = assign(study, "late", everything | {left: Load(often, often - 1)})
    assert {one.item for one in again} == {left, "control/0"}, "what somebody left unfinished comes again"


def test_sides_are_chance(tmp_path: Path):
    study = written_pairs(tmp_path, pairs=400)
    first = [one.swapped for one in assign(study, "ann", {}) if not one.item.startswith("control/")]
    assert 160 < sum(first) < 240
    assert not any(one.swapped for one in assign(written_study(tmp_path / "single"), "ann", {}))


def clicked(store: RatingStore, rater: str, wanted: float) -> None:
    """Every item answered by one side: 1 is the left one."""
    _, session = store.begin(rater)
    for number, one in enumerate(store.assigned(rater)):
        answer = Answer(key=f"{rater}-{number}", item=one.item, dimension="preference", value=wanted, seconds=2.0)
        store.save(session, answer)


def test_what_was_clicked_is_turned_as_it_was_shown(tmp_path: Path):
    study = written_pairs(tmp_path, pairs=20, controls=10)
    store = RatingStore(tmp_path, study)
    clicked(store, "Left", 1.0)
    clicked(store, "Right", 0.0)
    assert set(store.answers("Left").values()) == {1.0}, "the page gets back what was clicked"
    swapped = {one.item: one.swapped for one in store.assigned("Left")}
    pairs = {item.item: item.pair for item in study.items}
    given = store.ratings()
    for rating in given:
        assert rating.sides is not None
        assert set(rating.sides) == set(pairs[rating.item] or ())
        winner = rating.sides[0] if rating.rater == "Left" else rating.sides[1]
        assert rating.value == float(winner == (pairs[rating.item] or ("",))[0])
        assert rating.verdict == rating.rater.lower()
        if rating.rater == "Left":
            assert (rating.sides[0] > rating.sides[1]) == swapped[rating.item]
    left, right = rater_summaries(study, given)
    assert (left.share_left, right.share_left) == (1.0, 0.0)
    # The two see every pair from other sides, so that left for the one is right for the other.
    assert (left.items, left.controls) == (20, 10)
    assert left.controls_right == right.controls_right == sum(not swapped[item.item] for item in study.controls)


def test_an_item_that_was_not_given_is_refused(tmp_path: Path):
    study = written_pairs(tmp_path, design=Design(items_per_rater=1))
    store = RatingStore(tmp_path, study)
    _, session = store.begin("Ann")
    own = {one.item for one in store.assigned("Ann")}
    other = next(item.item for item in study.drawn if item.item not in own)
    with pytest.raises(UsageError, match="not among those"):
        store.save(session, Answer(key="k", item=other, dimension="preference", value=1.0, seconds=1.0))


def test_controls_say_who_can_be_trusted(tmp_path: Path):
    study = written_pairs(tmp_path, controls=4)
    store = RatingStore(tmp_path, study)
    for rater, wrong in (("Ann", 1), ("Bob", 3)):
        _, session = store.begin(rater)
        for number, one in enumerate(store.assigned(rater)):
            control = one.item.startswith("control/")
            right = not control or int(one.item.rpartition("/")[2]) >= wrong
            value = float(right != one.swapped)
            store.save(session, Answer(key=f"k{number}", item=one.item, dimension="preference", value=value, seconds=1))
    ann, bob = rater_summaries(study, store.ratings())
    assert (ann.controls_right, ann.share_right, bob.controls_right) == (3, 0.75, 1)
    assert kept_raters([ann, bob], 0.5) == ["Ann"]
    assert kept_raters([ann, replace(bob, controls=0, controls_right=0)], 0.0) == ["Ann"], "no control, no trust"
    assert kept_raters([ann, bob], None) == ["Ann", "Bob"]
    rows = list(csv.DictReader(summaries_csv([ann, bob]).splitlines()))
    assert [row["share_right"] for row in rows] == ["0.75", "0.25"]
    path = tmp_path / "ratings.csv"
    run(["rate", str(tmp_path), "--export", str(path), "--least-right", "0.5"])
    with path.open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert {row["rater"] for row in kept} == {"Ann"}
    assert {row["item"] for row in kept} == {item.item for item in study.drawn}, "without the controls"
    assert (tmp_path / "ratings_raters.csv").read_text().splitlines()[2].startswith("Bob,3,3,0,4,1,"), "all raters"
    with pytest.raises(UsageError, match="add --export"):
        run(["rate", str(tmp_path), "--least-right", "0.5"])


def test_the_export_is_read_as_pairwise_votes(tmp_path: Path):
    """The reader of anybody's votes, by sides and verdicts, and the study's own, by values, find the same marks."""
    study = written_pairs(tmp_path, pairs=6, controls=0)
    store = RatingStore(tmp_path, study)
    for number, rater in enumerate(("Ann", "Bob", "Cleo")):
        clicked(store, rater, (1.0, 0.0, 0.5)[number])
    path = write_ratings(store.ratings(), tmp_path)
    votes = MappingFile(
        ratings=TableMapping(by="rater", pair=Pair(first="left", second="right", verdict="verdict")), scores=()
    )
    foreign = read_sources([path], votes, tmp_path).people
    own = read_sources([tmp_path], MappingFile(), tmp_path).people
    assert foreign.values == own.values
    assert len(own.values["preference"]) == 6


def test_people_and_judges_on_pairs(tmp_path: Path, runs: list[Path]):
    folder = tmp_path / "study"
    study = make_study(runs, folder, count=100, seed=1, pairs_question=QUESTION)
    store = RatingStore(folder, study)
    _, session = store.begin("Ann")
    swapped = {one.item: one.swapped for one in store.assigned("Ann")}
    values = {}
    for number, item in enumerate(study.drawn):
        values[item.item] = (1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.0)[int(item.prompt.split()[1])]
        shown = 1.0 - values[item.item] if swapped[item.item] else values[item.item]
        answer = Answer(key=f"k{number}", item=item.item, dimension="preference", value=shown, seconds=1)
        store.save(session, answer)
    write_ratings(store.ratings(), folder)
    of_runs = read_sources([*runs, folder], MappingFile(), tmp_path)
    of_study = read_sources([folder], MappingFile(), tmp_path)
    assert of_runs.judges.scores(ANY, JUDGE) == of_study.judges.scores(ANY, JUDGE), "read again and as drawn"
    found = analyse(of_runs.people, of_runs.judges, Options())
    (row,) = [row for row in found.judges if row.category == "all"]
    assert (row.n, row.unscored, row.reasons) == (7, 1, {"refused": 1})
    judged = dict(zip(range(8), (1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, None), strict=True))
    people = dict(zip(range(8), (1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.0), strict=True))
    known = [(people[n], score) for n, score in judged.items() if score is not None]
    assert row.coefficients["pearson"].value == pytest.approx(np.corrcoef(*zip(*known, strict=True))[0, 1])
    of_people, of_judge = found.preferences
    assert (of_people.first, of_people.second, of_people.n, of_people.ties) == ("a", "b", 8, 1)
    assert of_people.share.value == pytest.approx(sum(people.values()) / 8)
    assert of_judge.share.value == pytest.approx(sum(score for _, score in known) / 7)
    assert of_people.share.low is not None
    out = tmp_path / "out"
    run(["agreement", *map(str, runs), str(folder), "--out", str(out)])
    assert "a over b" in (out / "agreement.md").read_text()
    assert json.loads((out / "agreement.json").read_text())["preferences"][0]["n"] == 8


def test_the_page_tells_nothing_of_either_side(tmp_path: Path):
    study = written_pairs(tmp_path)
    app = create_app(tmp_path, study, RatingStore(tmp_path, study), token=None)
    with TestClient(app, base_url="http://127.0.0.1:8790") as client:
        work = client.post("/api/begin", json={"name": "Ann", "again": True}).json()
        texts = [json.dumps(work), client.get("/api/introduction").text]
        for key in work["order"]:
            texts.append(client.get(f"/api/items/{key}").text)
            assert len(work["pictures"][key]) == 2
            for name in work["pictures"][key]:
                assert client.get(f"/pictures/{name}.png").status_code == 200
        assert client.get(f"/pictures/{work['order'][0]}.png").status_code == 404
        for text in texts:
            for secret in (*SECRETS, "secret", "control", "run-b"):
                assert secret not in text
        (asked,) = work["dimensions"]
        assert [mark["words"] for mark in asked["marks"]] == ["left", "no difference", "right"]
        assert "two pictures" in texts[1]
        # What stands on the left is what the store says, by its colour.
        by_key = dict(zip(work["order"], RatingStore(tmp_path, study).assigned("Ann"), strict=True))
        for key, one in by_key.items():
            left = Image.open(io.BytesIO(client.get(f"/pictures/{work['pictures'][key][0]}.png").content))
            first = (0, 128, 0) if one.item.startswith("control") else (255, 0, 0)
            second = (255, 0, 0) if one.item.startswith("control") else (0, 0, 255)
            assert left.convert("RGB").getpixel((5, 5)) == (second if one.swapped else first)


def test_instructions_fit_what_is_shown(tmp_path: Path):
    def told(folder: Path, **changes: object) -> list[str]:
        study = replace(written_study(folder), **changes)  # type: ignore[arg-type]
        app = create_app(folder, study, RatingStore(folder, study), token=None)
        found: list[str] = TestClient(app, base_url="http://127.0.0.1:8790").get("/api/introduction").json()
        return found

    assert "what a program planned for it, and the picture" in told(tmp_path / "both")[0]
    image = Dimension(name="prompt_image", judge="j", rubric="?", low=0, high=10, needs=("image",))
    plain = [replace(item, chain=None) for item in written_study(tmp_path / "x").items]
    only = told(tmp_path / "image", dimensions=(image,), items=tuple(plain))[0]
    assert "plan" not in only
    assert "how well the picture does" in only
    own = told(tmp_path / "own", design=Design(instructions="Be kind.\n\nBe\nfast."))
    assert own[:2] == ["Be kind.", "Be fast."]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"prompt": "p", "image": "x.png", "answers": {"preference": 1}}, "preference needs pair"),
        (
            {"prompt": "p", "image": "x.png", "answers": {"speed": 1}},
            "asks no 'speed' .it asks preference, prompt_image",
        ),
        (
            {"prompt": "p", "image": "x.png", "answers": {"prompt_image": [11, 12]}},
            r"no mark of prompt_image \(0 to 10\)",
        ),
        ({"prompt": "p", "image": "x.png", "answers": {"prompt_image": "first"}}, "answered by a mark"),
        ({"prompt": "p", "image": "no.png", "answers": {"prompt_image": 1}}, "no.png is not there"),
        ({"prompt": "p", "answers": {}}, "not a control: answers"),
        ({"prompt": "p", "picture": "x", "answers": {"prompt_image": 1}}, "not a control: picture"),
    ],
)
def test_controls_that_are_none(tmp_path: Path, row: dict[str, object], fault: str):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    path = tmp_path / "controls.jsonl"
    path.write_text(json.dumps(row) + "\n")
    image = Dimension(name="prompt_image", judge="j", rubric="?", low=0, high=10, needs=("image",))
    with pytest.raises(DataError, match=fault):
        read_controls(path, [preference(QUESTION), image])


def test_controls_come_into_the_study(tmp_path: Path, runs: list[Path]):
    for colour in ("red", "blue"):
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"{colour}.png")
    rows = [
        {"prompt": "red", "image": "red.png", "other_image": "blue.png", "answers": {"preference": "first"}},
        {"prompt": "blue", "image": "red.png", "other_image": "blue.png", "answers": {"preference": "second"}},
    ]
    path = tmp_path / "controls.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "told.txt").write_text("Look twice.")
    options = ["--pairs", "--controls", str(path), "--instructions", str(tmp_path / "told.txt"), "-n", "4"]
    run(["study", *map(str, runs), "--out", str(tmp_path / "study"), *options, "--items-per-rater", "2"])
    study = read_study(tmp_path / "study")
    assert [item.control for item in study.controls] == [{"preference": (1.0, 1.0)}, {"preference": (0.0, 0.0)}]
    assert (len(study.drawn), study.population) == (4, 8)
    assert study.design == Design(instructions="Look twice.", items_per_rater=2)
    assert ratings_csv([]).startswith("item,rater"), "controls alone make no ratings"
