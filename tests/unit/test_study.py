"""From run folders to a study's folder: what is drawn, named, asked and copied."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunInfo, RunStore, save_image
from gotr1_eval.study import make_study
from reports.agreement.study_folder import Study, picture_path, read_study
from rewards.human_rubric import FOR_PEOPLE, questions
from rewards.prompt_file import PromptFile

CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def painted(folder: Path, judges: dict[str, str] | None = None, prompts: int = 8, pictures: bool = True) -> Path:
    """A run of two categories with a picture a prompt; every fifth sample is unscored."""
    judges = {"semantic": "semantic[qwen]", "total": "total[x]"} if judges is None else judges
    rows = [{"factor": factor, "name": name, "fingerprint": "f", "range": [0, 1]} for factor, name in judges.items()]
    setup = {"judges": rows, "expected": {"color": prompts, "spatial": prompts}, "generator": "secret-model"}
    with RunStore.open(folder, RunInfo(identity={"suite": "s"}, setup=setup)) as store:
        samples, judgments = [], []
        for number in range(2 * prompts):
            category = ("color", "spatial")[number % 2]
            identity = f"s/{category}/{number // 2:05d}/0"
            image = None
            if pictures:
                image = save_image(store.folder, identity, Image.new("RGB", (8, 8), "red"))
                notes = PngImagePlugin.PngInfo()
                notes.add_text("parameters", "painted by secret-model")
                Image.new("RGB", (8, 8), "red").save(image, pnginfo=notes)
            meta = {"category": category}
            prompt = f"{category} {number}"
            samples.append(
                Sample(id=identity, prompt=prompt, chain=CHAIN, image=image, generator="secret-model", meta=meta)
            )
            outcome = Unscored(why=Why.REFUSED) if number % 5 == 0 else Score(value=number / 20)
            judgments += [
                Judgment(sample=identity, judge=name, fingerprint="f", outcome=outcome) for name in judges.values()
            ]
        store.append_samples(samples)
        store.append_judgments(judgments)
    return folder


def made(tmp_path: Path, *runs: Path, out: str = "study", count: int = 8, **options: object) -> Study:
    return make_study(runs, tmp_path / out, count=count, seed=3, **options)  # type: ignore[arg-type]


def test_two_runs_of_the_same_prompts(tmp_path: Path):
    runs = [painted(tmp_path / name) for name in ("a", "b")]
    study = made(tmp_path, *runs)
    there = read_study(tmp_path / "study")
    assert there == study
    assert study.population == 32
    assert Counter((item.category, item.generator) for item in study.items) == dict.fromkeys(
        [("color", "a"), ("color", "b"), ("spatial", "a"), ("spatial", "b")], 2
    )
    assert max(Counter(item.cluster for item in study.items).values()) == 1
    by_id = {item.item: item for item in study.items}
    assert all(identity.startswith(f"{item.generator}/s/{item.category}/") for identity, item in by_id.items())
    unscored = [item for item in study.items if item.unscored]
    assert all(item.stratum.endswith("unscored") and not item.scores for item in unscored)
    assert all(
        item.scores or item.unscored == dict.fromkeys(["semantic[qwen]", "total[x]"], "refused") for item in study.items
    )
    again = made(tmp_path, *runs, out="again")
    assert [item.item for item in again.items] == [item.item for item in study.items]


def test_one_run_keeps_its_ids(tmp_path: Path):
    study = made(tmp_path, painted(tmp_path / "a"), count=100)
    assert len(study.items) == 16
    assert {item.item.count("/") for item in study.items} == {3}
    assert {(item.generator, item.inclusion_probability) for item in study.items} == {("secret-model", 1.0)}


def test_copied_pictures_say_nothing_of_their_origin(tmp_path: Path):
    study = made(tmp_path, painted(tmp_path / "a"))
    for item in study.items:
        path = picture_path(tmp_path / "study", item)
        assert path is not None
        assert b"secret" not in path.read_bytes()
        assert not set(path.stem) - set("0123456789abcdef")


def test_what_is_asked_follows_the_judges(tmp_path: Path):
    run = painted(tmp_path / "a")
    assert [one.name for one in made(tmp_path, run).dimensions] == [
        "completeness",
        "faithfulness",
        "consistency",
        "clarity",
    ]
    study = made(tmp_path, run, out="b", dimensions=["clarity", "spatial", "prompt_image"])
    ruled = painted(tmp_path / "r", {"spatial": "geometric[x]", "prompt_image": "shapes_prompt_image"})
    assert [(one.name, one.judge) for one in made(tmp_path, ruled, out="c").dimensions] == [
        ("spatial", "geometric"),
        ("prompt_image", "shapes_prompt_image"),
    ]
    assert [(one.name, one.judge, one.low, one.high, one.needs) for one in study.dimensions] == [
        ("clarity", "semantic", 0, 10, ("chain",)),
        ("spatial", "spatial", 1, 10, ("plan",)),
        ("prompt_image", "prompt_image", 0, 10, ("image",)),
    ]


def test_rubrics_are_the_judges_own_words():
    asked = questions({"semantic": "semantic[q]", "spatial": "geometric", "prompt_image": "prompt_image[q]"}, {})
    files = {
        "semantic": PromptFile("semantic", None, frozenset({"prompt", "chain", "answer"})).text,
        "spatial": PromptFile("spatial", None, frozenset({"prompt", "answer"})).text,
        "prompt_image": PromptFile("prompt_image", None, frozenset({"prompt", "answer"})).text,
    }
    for question in asked:
        rubric = question.rubric
        for model, people in FOR_PEOPLE.items():
            assert model in "".join(files.values()), "a judge's wording has changed"
            rubric = rubric.replace(people, model)
        for paragraph in rubric.split("\n\n"):
            assert paragraph in files[question.factor]
        assert "[[" not in question.rubric
        assert "instruction" not in question.rubric
    assert asked[0].rubric.count("completeness:") == 1
    assert "clarity:" not in asked[0].rubric
    (single,) = questions({"semantic": "semantic_single[q]"}, {})
    assert (single.name, single.rubric.startswith("You check")) == ("semantic", True)


def test_a_judges_own_prompt_must_be_named(tmp_path: Path):
    own = tmp_path / "own.txt"
    own.write_text("Is it fair?\n\n[[prompt]]\n\n[[answer]]")
    judge = f"prompt_image[q,own prompt {PromptFile('x', own, frozenset({'prompt', 'answer'})).digest}]"
    with pytest.raises(UsageError, match="--rubric prompt_image=FILE"):
        questions({"prompt_image": judge}, {})
    (asked,) = questions({"prompt_image": judge}, {"prompt_image": own})
    assert asked.rubric == "Is it fair?"
    own.write_text("Is it kind?\n\n[[prompt]]\n\n[[answer]]")
    with pytest.raises(UsageError, match="not the prompt file"):
        questions({"prompt_image": judge}, {"prompt_image": own})


def test_a_lost_picture_is_left_out_and_counted(tmp_path: Path):
    run = painted(tmp_path / "a")
    next((run / "images/s/color/00000").iterdir()).unlink()
    study = made(tmp_path, run, count=100)
    assert (len(study.items), study.setup["left out"]) == (15, {"picture missing": 1})


def test_faults_are_one_line(tmp_path: Path):
    run = painted(tmp_path / "a")
    made(tmp_path, run)
    with pytest.raises(UsageError, match="there is a study"):
        made(tmp_path, run)
    with pytest.raises(UsageError, match="did you mean 'total'"):
        made(tmp_path, run, out="x", by="totl")
    with pytest.raises(UsageError, match="--dimensions: no 'clarty'; did you mean 'clarity'"):
        made(tmp_path, run, out="x", dimensions=["clarty"])
    with pytest.raises(UsageError, match="2 runs are called 'a'"):
        made(tmp_path, run, painted(tmp_path / "other" / "a"), out="x")
    other = painted(tmp_path / "b", {"total": "total[y]"})
    with pytest.raises(UsageError, match="not the same judge in all runs"):
        made(tmp_path, run, other, out="x")
    with pytest.raises(UsageError, match="no judge of these runs has a rubric"):
        made(tmp_path, other, out="x")
    without = painted(tmp_path / "c", pictures=False)
    with pytest.raises(UsageError, match=r"no sample can be rated on prompt_image \(16 nothing to rate\)"):
        made(tmp_path, without, out="x", dimensions=["prompt_image"])
    broken = next((run / "images/s/color/00001").iterdir())
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match="delete the file to leave its sample out"):
        made(tmp_path, run, out="x", count=100)
    assert not (tmp_path / "x" / "study.json").exists()
