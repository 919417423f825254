"""Verdict files, pairs and several systems through the command line: a made-up sample of public layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score
from tests.made_runs import made_run

MAPPING = """
[scores]
files = "verdicts_{judge}/{model}/{kind}/{number}.json"
whole = true
lists = ["expected", "said"]
item = ["model", "kind", "number", "$place"]
picture = ["model", "kind", "number"]
prompt = ["kind", "number"]
category = "kind"
system = "model"
by = "judge"
value = { column = "said", equals = "expected" }
"""
MODELS = ("alpha", "beta", "gamma", "delta", "epsilon")


def agree(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What `gotr1-eval agreement --json` prints."""
    assert run(["agreement", *map(str, arguments), "--json", "--draws", "30"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def write_verdicts(folder: Path) -> pd.DataFrame:
    """Files of two judges, a folder each, a file a picture; and what they hold as a table."""
    generator = np.random.default_rng(0)
    (folder / "map.toml").write_text(MAPPING, encoding="utf-8")
    rows = []
    for place, model in enumerate(MODELS):
        for number in range(6):
            kind, questions = ("colour", "count")[number % 2], 2 + number % 3
            right = generator.random(questions) < 0.9 - 0.12 * place
            for judge in ("one", "two"):
                said = right ^ (generator.random(questions) < 0.15)
                path = folder / f"verdicts_{judge}/{model}/{kind}/{number}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                words = [" Yes" if verdict else "no" for verdict in said]
                path.write_text(json.dumps({"expected": ["yes"] * questions, "said": words}), encoding="utf-8")
                rows += [(judge, model, f"{kind}/{number}", at, float(verdict)) for at, verdict in enumerate(said)]
    return pd.DataFrame(rows, columns=["judge", "model", "prompt", "question", "verdict"])


def test_a_folder_of_verdict_files_is_read_by_its_pattern(tmp_path, capsys):
    table = write_verdicts(tmp_path)
    found = agree(capsys, "--mapping", tmp_path / "map.toml", "--family", "one=alpha,beta")
    index = ["model", "prompt", "question"]
    one, two = (table[table.judge == judge].set_index(index).verdict for judge in ("one", "two"))
    rows = {(row["dimension"], row["category"]): row for row in found["judge_against_judge"]}
    questions = rows["question", "all"]
    assert questions["n"] == len(one)
    assert questions["verdicts"]["accuracy"]["value"] == pytest.approx((one == two).mean())
    pictures = [side.groupby(level=[0, 1]).mean() for side in (one, two)]
    assert rows["picture", "all"]["coefficients"]["kendall_b"]["value"] == pytest.approx(
        stats.kendalltau(*pictures).statistic
    )
    assert {category for _, category in rows} == {"colour", "count", "all"}
    means = [side.groupby(level=0).mean() for side in (one, two)]
    systems = next(row for row in found["systems"] if row["dimension"] == "question")
    assert systems["kendall_b"]["value"] == pytest.approx(stats.kendalltau(*means).statistic)
    assert {row["system"]: row["mean"] for row in systems["systems"]} == pytest.approx(dict(means[0]))
    flipped = {(pair["first"], pair["second"]) for pair in systems["pairs"] if pair["flipped"]}
    assert flipped == {
        (a, b)
        for at, a in enumerate(MODELS)
        for b in MODELS[at + 1 :]
        if (means[0][a] - means[0][b]) * (means[1][a] - means[1][b]) < 0
    }
    own = [side[["alpha", "beta"]].mean() - side[["gamma", "delta", "epsilon"]].mean() for side in (one, two)]
    assert systems["self_preference"]["one"]["verdicts"]["value"] == pytest.approx(own[0] - own[1])


def test_the_tables_say_it_in_words(tmp_path, capsys):
    write_verdicts(tmp_path)
    folder = tmp_path / "out"
    arguments = ["agreement", "--mapping", str(tmp_path / "map.toml"), "--family", "one=alpha", "--out", str(folder)]
    assert run([*arguments, "--draws", "20"]) == 0
    text = capsys.readouterr().out
    for title in ("Verdicts", "Systems: pairs that flip, by their distance", "Self-preference"):
        assert title in text
        assert title in (folder / "agreement.html").read_text(encoding="utf-8")


def test_replies_in_text_files_are_read_by_a_pattern(tmp_path, capsys):
    mapping = """
[scores]
files = "{judge}/{picture}.txt"
matches = '(?im)^\\s*(?P<verdict>yes|no)\\b'
item = ["picture", "$place"]
by = "judge"
value = { column = "verdict", labels = { yes = 1, no = 0, Yes = 1, No = 0 } }
"""
    (tmp_path / "map.toml").write_text(mapping, encoding="utf-8")
    replies = {"a/p": "Yes, it is red.\nno\n", "b/p": "yes\nYes\n", "a/q": "No.\n", "b/q": "I cannot see it.\n"}
    for name, text in replies.items():
        path = tmp_path / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = agree(capsys, "--mapping", tmp_path / "map.toml")
    (row,) = found["judge_against_judge"]
    assert (row["n"], row["verdicts"]["accuracy"]["value"]) == (2, 0.5)


def test_pairs_of_scores_are_held_against_votes(tmp_path, capsys):
    (tmp_path / "votes.csv").write_text("a,b,rater,better\nx,y,r,A\nu,v,r,B\ns,t,r,A\np,q,r,tie\n", encoding="utf-8")
    (tmp_path / "scores.csv").write_text(
        "left,right,left_score,right_score\ny,x,0.2,0.9\nu,v,3,1\ns,t,2,1\np,q,1,0\n", encoding="utf-8"
    )
    (tmp_path / "map.toml").write_text(
        """
[ratings]
pair = { first = "a", second = "b", verdict = "better" }
[scores]
name = "reward"
pair = { first = "left", second = "right", scores = ["left_score", "right_score"] }
""",
        encoding="utf-8",
    )
    files = tmp_path / "scores.csv", tmp_path / "votes.csv"
    (row,) = agree(capsys, *files, "--mapping", tmp_path / "map.toml")["judges"]
    assert row["n"] == 4
    assert row["verdicts"] == {}  # a tie is no label
    (tmp_path / "votes.csv").write_text("a,b,rater,better\nx,y,r,A\nu,v,r,B\ns,t,r,A\n", encoding="utf-8")
    (row,) = agree(capsys, *files, "--mapping", tmp_path / "map.toml")["judges"]
    assert row["verdicts"]["accuracy"]["value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bad.json", '{"expected": "yes", "said": ["yes"]}', "expected a list under 'expected'"),
        ("bad.json", "[1]", "expected one JSON object"),
        ("bad.json", "{", "cannot be read"),
    ],
)
def test_a_faulty_verdict_file_is_refused_by_name(name, text, message, tmp_path):
    write_verdicts(tmp_path)
    (tmp_path / f"verdicts_one/alpha/colour/{name}").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        run(["agreement", "--mapping", str(tmp_path / "map.toml")])
    assert name in str(error.value)


def test_faults_of_families_and_patterns_are_told(tmp_path):
    write_verdicts(tmp_path)
    mapping = ["agreement", "--mapping", str(tmp_path / "map.toml")]
    for family, message in (
        ("one", "expected a judge and systems"),
        ("oen=alpha", "no such judge"),
        ("one=omega", "no system 'omega'"),
    ):
        with pytest.raises(UsageError, match=message):
            run([*mapping, "--family", family])
    (tmp_path / "map.toml").write_text('[scores]\nfiles = "{judge}/x.txt"\nmatches = "("\n', encoding="utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.txt").write_text("yes", encoding="utf-8")
    with pytest.raises(UsageError, match="not a regular expression"):
        run(mapping)


def test_runs_of_several_generators_are_several_systems(tmp_path, capsys):
    for name, shift in (("a", 0.0), ("b", 0.3)):
        folder = tmp_path / name
        made_run(
            folder,
            {
                "one": lambda sample, shift=shift: Score(value=0.3 + shift + len(sample.prompt) / 500),
                "two": lambda sample, shift=shift: Score(value=0.2 + shift / 2 + len(sample.prompt) / 900),
            },
        )
        info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        info["setup"]["generator"] = f"generator-{name}"
        (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    found = agree(capsys, tmp_path / "a", tmp_path / "b")
    (row,) = found["systems"]
    assert [one["system"] for one in row["systems"]] == ["generator-b", "generator-a"]
    assert row["kendall_b"]["value"] == 1.0
