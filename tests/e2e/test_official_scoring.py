"""Official scoring from the command line, on pictures and detections that are given."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.geneval.results import read_results, summarise_results
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.runs.store import read_judgments
from tests.conftest import shared_parameters

EYES = "tests.plugins.fake_eyes"
ENCODER = "tests.plugins.fake_encoder"
TASKS = [
    {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"},
    {
        "tag": "counting",
        "include": [{"class": "cat", "count": 2}],
        "exclude": [{"class": "cat", "count": 3}],
        "prompt": "two cats",
    },
]


def detection(label: str, left: float, score: float) -> dict[str, Any]:
    return {"label": label, "box": [left, 8.0, left + 16.0, 40.0], "score": score}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def geneval(tmp_path: Path) -> Path:
    """Two prompts with two pictures each: cat right, cat unsure; two cats, three cats."""
    write_rows(tmp_path / "evaluation_metadata.jsonl", TASKS)
    found = [[[0.75], [0.25]], [[0.95, 0.92], [0.95, 0.92, 0.91]]]
    rows = []
    for place, task in enumerate(TASKS):
        samples = tmp_path / "pictures" / f"{place:05d}" / "samples"
        samples.mkdir(parents=True)
        write_rows(samples.parent / "metadata.jsonl", [task])
        for index, scores in enumerate(found[place]):
            Image.new("RGB", (64, 64), "red").save(samples / f"{index:04d}.png")
            seen = [detection("cat", 16.0 * number, score) for number, score in enumerate(scores)]
            name = f"{place:05d}/samples/{index:04d}.png"
            rows.append({"image": name, "detector": "m2f", "width": 64, "height": 64, "detections": seen})
    write_rows(tmp_path / "detections.jsonl", rows)
    return tmp_path


def start_geneval(folder: Path, *options: str) -> int:
    command = ["geneval", "--data", folder, "--images", folder / "pictures", "--images-per-prompt", "2"]
    command += ["--out", folder / "run", "--detections", folder / "detections.jsonl", *options]
    return run([str(part) for part in command])


def test_geneval_from_pictures_and_detections(geneval: Path, capsys: pytest.CaptureFixture[str]):
    assert start_geneval(geneval, "--json") == 0
    out, err = capsys.readouterr()
    table = json.loads(out)
    name = "geneval[m2f, no colours, reference]"
    assert table["rows"]["single_object"][name]["mean"] == 0.5
    assert table["rows"]["counting"][name]["mean"] == 0.5
    assert "overall (mean of 2 task means): 0.50000" in err
    summary = json.loads((geneval / "run" / "summary.json").read_text())
    assert (summary["any_correct"], summary["all_correct"], summary["correct_images"]) == (1.0, 0.0, 0.5)
    results = geneval / "run" / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [row["correct"] for row in rows] == [True, False, True, False]
    assert rows[3]["reason"] == "expected cat<3, found 3"
    assert json.loads(rows[0]["details"]) == {"cat": [[0.0, 8.0, 16.0, 40.0, 0.75]]}
    assert json.loads(rows[2]["metadata"]) == TASKS[1]
    assert run(["geneval", "--results", str(results)]) == 0
    assert "overall (mean of 2 task means): 0.50000" in capsys.readouterr().out


def test_every_mean_shows_both_intervals(geneval: Path, capsys: pytest.CaptureFixture[str]):
    """A task more: its two prompts are right in both pictures and in one. Tasks' means 0.5, 0.5 and 0.75, of which the
    overall score is the mean; pooled over pictures it would be 5 of 8."""
    tasks = [*TASKS, *({**TASKS[0], "tag": "colors", "prompt": f"cat {number}"} for number in range(2))]
    write_rows(geneval / "evaluation_metadata.jsonl", tasks)
    for place in (2, 3):
        samples = geneval / "pictures" / f"{place:05d}" / "samples"
        shutil.copytree(geneval / "pictures/00000/samples", samples)
        write_rows(samples.parent / "metadata.jsonl", [tasks[place]])
    rows = [json.loads(line) for line in (geneval / "detections.jsonl").read_text().splitlines()]
    sure, unsure = rows[0]["detections"], rows[1]["detections"]
    for name, seen in (("00002/samples/0000", sure), ("00002/samples/0001", sure), ("00003/samples/0000", sure),
                       ("00003/samples/0001", unsure)):  # fmt: skip
        rows.append({**rows[0], "image": f"{name}.png", "detections": seen})
    write_rows(geneval / "detections.jsonl", rows)
    assert start_geneval(geneval) == 0
    out, err = capsys.readouterr()
    table = dict(re.findall(r"^(\S[a-z_ ]+?)  +[0-9]+  +([0-9.]+)", out, re.M))
    assert table == {"single_object": "0.500", "counting": "0.500", "colors": "0.750", "all": "0.625",
                     "mean of tasks": "0.583"}  # fmt: skip
    assert "0.750 ±.250" in out
    assert " ±" in out
    assert "colors           = 75.00% (3 / 4), 95 % over prompts [0.5000, 1.0000], over seeds [" in err
    summary = json.loads((geneval / "run" / "summary.json").read_text())
    assert summary["tasks"]["colors"]["over_prompts"] == [0.5, 1.0]
    # A task with one prompt has no interval over prompts, and neither has the mean over tasks.
    assert summary["over_prompts"] == [None, None]
    # With three free values Student's interval passes both ends of the scale, which a share cannot.
    assert summary["over_seeds"] == [0.0, 1.0]


def test_an_unreadable_picture_is_left_out_and_fails_the_run(geneval: Path, capsys: pytest.CaptureFixture[str]):
    (geneval / "pictures/00000/samples/0001.png").write_bytes(b"no picture")
    with pytest.raises(RunError, match="under 95%"):
        start_geneval(geneval)
    assert "unscored: geneval/single_object/00000/1" in capsys.readouterr().err
    summary = json.loads((geneval / "run" / "summary.json").read_text())
    nothing = [None, None]
    assert summary["tasks"]["single_object"] == {
        "mean": 1.0, "over_prompts": nothing, "over_seeds": nothing, "correct": 1, "images": 1,
    }  # fmt: skip


def test_geneval_needs_a_detector(geneval: Path):
    with pytest.raises(UsageError, match="--detector"):
        run(["geneval", "--data", str(geneval), "--images", str(geneval / "pictures")])


@pytest.mark.parametrize("path", shared_parameters("golden/geneval_results_*.jsonl"))
def test_sums_of_official_results(path: Path, read_shared: Callable[[Path], str]):
    """Against what the official summary script prints."""
    golden: dict[str, str] = {}
    for file in path.parent.glob("geneval_summary*.json"):
        golden |= json.loads(read_shared(file))
    summary = summarise_results(read_results(path).results)
    assert summary is not None
    tasks = [f"{tag:<16} = {r / n:.2%} ({r} / {n})" for tag, (r, n) in summary.tasks.items()]
    lines = [
        f"Total images: {summary.images}",
        f"Total prompts: {summary.prompts}",
        f"% correct images: {summary.correct_images:.2%}",
        f"% correct prompts: {summary.any_correct:.2%}",
        *tasks,
        f"Overall score (avg. over tasks): {summary.overall:.5f}",
    ]
    printed = golden[path.name].splitlines()
    assert [line for line in printed if line and not line.startswith(("=", "Summary", "Task"))] == lines


PROMPTS = {
    "color": "a red cat and a blue dog",
    "spatial": "a cat on the left of a dog",
    "3d_spatial": "a cat behind a dog",
    "non_spatial": "A cat is chasing a dog.",
    "numeracy": "one cat and one dog",
    "complex": "The red cat is next to the blue dog.",
}


@pytest.fixture
def compbench(tmp_path: Path) -> Path:
    for category, prompt in PROMPTS.items():
        (tmp_path / f"{category}_val.txt").write_text(f"{prompt}\n")
        samples = tmp_path / "pictures" / category / "samples"
        samples.mkdir(parents=True)
        Image.new("RGB", (64, 64), "red").save(samples / f"{prompt}_000000.png")
    (tmp_path / "new_objects.txt").write_text("cat - cats\ndog - dogs\n")
    (tmp_path / "complex_val_spatial.txt").write_text(f"{PROMPTS['complex']}\n")
    (tmp_path / "complex_val_action.txt").write_text("The cat sleeps.\n")
    seen = [detection("cat", 0.0, 0.8), detection("dog", 40.0, 0.6)]
    rows = [
        {"image": f"{category}/samples/{prompt}_000000.png", "width": 64, "height": 64, "detections": seen}
        for category, prompt in PROMPTS.items()
    ]
    write_rows(tmp_path / "detections.jsonl", [{**row, "detector": "unidet"} for row in rows])
    return tmp_path


def start_compbench(folder: Path, *options: str) -> int:
    command = ["compbench", "--data", folder, "--images", folder / "pictures", "--images-per-prompt", "1"]
    command += ["--categories", ",".join(PROMPTS), "--out", folder / "run", "--json"]
    return run([str(part) for part in [*command, "--detections", folder / "detections.jsonl", *options]])


def test_every_category_has_its_own_official_metric(compbench: Path, capsys: pytest.CaptureFixture[str]):
    assert start_compbench(compbench, "--yes-no", f"{EYES},says=0.5", "--encoder", ENCODER, "--depth", EYES) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    means = {
        category: {name: cell["mean"] for name, cell in row.items() if cell["scored"]} for category, row in rows.items()
    }
    assert means["color"] == {"attribute[fake-eyes, builtin, reference]": 0.25}
    assert means["spatial"] == {"spatial[unidet, builtin, reference]": pytest.approx(0.85)}
    assert means["3d_spatial"] == {"3d_spatial[unidet, fake-eyes, builtin, reference]": pytest.approx(0.35)}
    assert means["numeracy"] == {"numeracy[unidet, builtin, reference]": 1.0}
    assert means["complex"] == {
        "complex[fake-eyes, unidet, fake, builtin, reference]": pytest.approx((0.25 + 0.85) / 2)
    }
    assert list(means["non_spatial"]) == ["non_spatial[fake, reference]"]


def test_what_lacks_a_model_is_said_and_rewards_come_beside(compbench: Path, capsys: pytest.CaptureFixture[str]):
    assert start_compbench(compbench, "--judges", "geometric", "--min-coverage", "0") == 0
    out, err = capsys.readouterr()
    assert "note: color: no official score without --yes-no" in err
    assert "note: 3d_spatial: no official score without --depth" in err
    factors = [judge["factor"] for judge in json.loads(out)["judges"]]
    assert factors == ["official_spatial", "official_numeracy", "geometric"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--detector", "shapes"], "either --detections or --detector"),
        (["--semantics", "corected"], "expected .reference. or .corrected."),
        (["--yes-no", f"{EYES},says"], "setting=value"),
        (["--phrases", "bultin"], "did you mean 'builtin'"),
    ],
)
def test_options_that_cannot_be(compbench: Path, options: list[str], message: str):
    with pytest.raises(UsageError, match=message):
        start_compbench(compbench, *options)


def test_parses_are_frozen_used_and_compared(compbench: Path, capsys: pytest.CaptureFixture[str]):
    parses = compbench / "parses.jsonl"
    assert run(["phrases", "--data", str(compbench), "--freeze", str(parses)]) == 0
    assert start_compbench(compbench, "--phrases", f"frozen,path={parses}") == 0
    out = capsys.readouterr().out
    assert "6 parses in" in out
    assert "spatial[unidet, builtin, frozen, reference]" in out
    rows = [json.loads(line) for line in parses.read_text().splitlines()]
    rows[0]["noun_chunks"] = ["a blue dog"]
    write_rows(parses, rows)
    assert run(["phrases", "--data", str(compbench), "--compare", f"frozen,path={parses}"]) == 0
    out = capsys.readouterr().out
    assert "questions: builtin: a red cat?; a blue dog? | builtin, frozen: a blue dog?" in out
    assert "1 of 6 prompts differ" in out


@pytest.mark.slow
def test_three_thousand_pictures_take_seconds(tmp_path: Path):
    """The time is printed, not asserted: machines differ; the counts are what must hold."""
    write_rows(tmp_path / "evaluation_metadata.jsonl", [{**TASKS[0], "prompt": f"cat {i}"} for i in range(750)])
    rows = []
    for place in range(750):
        samples = tmp_path / "pictures" / f"{place:05d}" / "samples"
        samples.mkdir(parents=True)
        write_rows(samples.parent / "metadata.jsonl", [{**TASKS[0], "prompt": f"cat {place}"}])
        for index in range(4):
            Image.new("RGB", (8, 8)).save(samples / f"{index:04d}.png")
            name = f"{place:05d}/samples/{index:04d}.png"
            seen = [{"label": "cat", "box": [0, 0, 4, 4], "score": 0.9}] * 8
            rows.append({"image": name, "detector": "m2f", "width": 8, "height": 8, "detections": seen})
    write_rows(tmp_path / "detections.jsonl", rows)
    began = time.perf_counter()
    assert start_geneval(tmp_path, "--images-per-prompt", "4") == 0
    print(f"3,000 pictures with given detections: {time.perf_counter() - began:.1f} s")
    assert len(read_judgments(tmp_path / "run")) == 3000
