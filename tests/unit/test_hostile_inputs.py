"""What a run's own files, names and numbers must not be made to say or lose."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.core import secrets
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.secrets import redact
from gotr1_eval.core.types import Sample
from gotr1_eval.distilling import distil
from gotr1_eval.models.servers.connection import split_address
from gotr1_eval.models.servers.settings import ServerSettings
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.settings import read_settings
from reports.comparison.paired import compare_runs
from reports.documents import check_endings
from reports.run_data import load_run
from reports.viewer.copying import LIST, write_copy
from reports.viewer.runs_folder import RunsFolder
from tests.command_line import start
from tests.report_runs import write_run


def judged(folder: Path, prompts: list[str]) -> Path:
    samples = [
        Sample(id=f"list/all/{place:05}/0", prompt=text, meta={"category": "all"}) for place, text in enumerate(prompts)
    ]
    return write_run(folder, samples, {"length": lambda sample: Score(value=len(sample.prompt) / 100)})


def test_samples_of_other_prompts_are_no_pairs(tmp_path: Path):
    """Ids of tables are places in a list: of two lists in another order they say nothing."""
    prompts = ["a cat", "a black dog", "two birds", "a"]
    one = load_run(judged(tmp_path / "one", prompts))
    turned = load_run(judged(tmp_path / "turned", [prompts[0], *reversed(prompts[1:])]))
    compared = compare_runs(one, turned)
    row = compared.judges[0].rows["all"]
    assert (row.pairs, dict(row.left_out)) == (2, {"another prompt in B": 2})
    other = load_run(judged(tmp_path / "other", ["x", "y", "z", "u"]))
    with pytest.raises(UsageError, match="share no sample"):
        compare_runs(one, other)


def test_what_an_address_asks_for_is_no_secret_but_its_key_is():
    split_address("http://127.0.0.1:1/v1?deployment=mymodel-7b&api-key=0123456789abcdef")
    assert redact("prompt_image[mymodel-7b] 0123456789abcdef") == "prompt_image[mymodel-7b] ***"


@pytest.mark.parametrize("value", ["review/cli", "shapes/color", "my-own_words", "Plain"])
def test_words_under_a_secrets_name_are_words(monkeypatch, value):
    monkeypatch.setenv("SORT_KEY", value)
    assert value not in secrets._from_environment()
    monkeypatch.setenv("SORT_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE")
    assert "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE" in secrets._from_environment()


@pytest.mark.parametrize("name", ["run.json", "training.json", "scores.csv"])
def test_an_export_is_none_of_a_runs_own_files(tmp_path: Path, name):
    with pytest.raises(UsageError, match="have a file of this name"):
        check_endings([tmp_path / name])


def test_a_bundle_is_a_zip(tmp_path: Path):
    run = judged(tmp_path / "run", ["a cat"])
    before = (run / "samples.jsonl").read_text()
    done = start("bundle", run, "--to", run / "samples.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "expected a file ending in .zip" in done.stderr
    assert (run / "samples.jsonl").read_text() == before


@pytest.mark.parametrize("category", ["all", "mean of tasks"])
def test_a_category_is_no_row_of_the_whole_table(tmp_path: Path, category):
    (tmp_path / "rows.csv").write_text(f"prompt,chain,category\na cat,a cat sits,{category}\n")
    with pytest.raises(DataError, match="cannot be called"):
        list(Manifest(tmp_path / "rows.csv"))


def test_a_key_in_the_place_of_its_variable_is_not_shown():
    given = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key_env": "sk-proj-INLINE-SECRET"}
    with pytest.raises(UsageError, match="name of an environment variable") as told:
        read_settings(ServerSettings, given, where="judge.toml")
    assert "INLINE" not in str(told.value)


def test_a_run_is_distilled_from_once(tmp_path: Path):
    run = judged(tmp_path / "run", ["a cat"])
    with pytest.raises(UsageError, match="given twice"):
        distil([run, run], "length", tmp_path / "out")


def test_a_copy_removes_nothing_outside(tmp_path: Path):
    judged(tmp_path / "runs/one", ["a cat"])
    (tmp_path / "copy").mkdir()
    (tmp_path / "important.html").write_text("mine")
    (tmp_path / "copy" / LIST).write_text("../important.html\n")
    write_copy(RunsFolder(tmp_path / "runs"), tmp_path / "copy")
    assert (tmp_path / "important.html").read_text() == "mine"


def test_a_threshold_is_a_number(tmp_path: Path):
    done = start("agreement", tmp_path / "none.csv", "--threshold", "nan", cwd=tmp_path)
    assert done.returncode == 2
    assert "--threshold nan: expected a number" in done.stderr


@pytest.mark.parametrize(
    ("file", "was", "now"),
    [
        ("samples", '"prompt": "a cat"', '"prompt": 5'),
        ("samples", '"chain": null', '"chain": [1]'),
        ("samples", '"meta": {"category": "all"}', '"meta": []'),
        ("judgments", '"parts": {}', '"parts": 5'),
        ("judgments", '"value": 0.05', '"value": "0.05"'),
        ("judgments", '"value": 0.05', '"value": true'),
    ],
)
def test_rows_of_other_types_are_one_line(tmp_path: Path, file, was, now):
    path = judged(tmp_path / "run", ["a cat"]) / f"{file}.jsonl"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now))
    with pytest.raises(DataError, match=rf"{file}.jsonl:1: not a "):
        load_run(tmp_path / "run")


def test_a_link_that_leads_nowhere_is_a_sample_without_its_picture(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a cat.png")
    (tmp_path / "a dog.png").symlink_to(tmp_path / "gone.png")
    assert [sample.prompt for sample in Manifest(tmp_path)] == ["a cat", "a dog"]
