"""What real files hold is read, counted or refused in one line that names file and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import krippendorff
import pandas as pd
import pytest
from scipy import stats

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, GotR1Error, UsageError
from reports.agreement.foreign_tables.mapping import MappingFile
from reports.agreement.foreign_tables.reading import read_table
from reports.agreement.foreign_tables.rows import read_file
from reports.agreement.ratings import Rating, write_ratings
from reports.agreement.study_folder import Dimension, Item, Study, write_study

RATINGS = "item,rater,dimension,value\n" + "".join(
    f"i{item},r{rater},looks,{(item * 3 + rater) % 5 + 1}\n" for item in range(12) for rater in range(3)
)
SCORES = "item,judge,value\n" + "".join(f"i{item},j,{(item * 3) % 5 / 4}\n" for item in range(12))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def agree(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What `gotr1-eval agreement --json` prints."""
    assert run(["agreement", *map(str, arguments), "--json", "--draws", "20"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


FAULTS = {
    "twice": ("i0,r1,looks,2\n", r"ratings.csv:38: rater 'r1' marked item 'i0' on 'looks' before"),
    "nobody": ("i0,,looks,2\n", r"ratings.csv:38: expected a name under rater, got nothing"),
    "no item": (",a,looks,2\n", r"ratings.csv:38: expected a name under item, got nothing"),
    "ragged": ("i0,a,looks\n", r"ratings.csv:38: expected 4 cells, got 3"),
    "line breaks before": ('"i\r\n0\r",a,looks,1\n,a,looks,2\n', r"ratings.csv:40: expected a name under item"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_rating_is_refused_with_its_row(fault, tmp_path):
    line, message = FAULTS[fault]
    path = write(tmp_path, "ratings.csv", RATINGS + line)
    with pytest.raises(DataError, match=message):
        run(["agreement", str(path)])


@pytest.mark.parametrize("cell", ["good", "nan", "1e999", "[1, 2]"])
def test_an_odd_mark_is_left_out_and_named(cell, tmp_path, capsys):
    ratings = write(tmp_path, "ratings.csv", RATINGS + f'i0,a,looks,"{cell}"\n')
    found = agree(capsys, write(tmp_path, "scores.csv", SCORES), ratings)
    assert found["judges"][0]["n"] == 12
    (line,) = found["left_out"]
    assert "ratings.csv:38: a, looks: expected a" in line
    assert repr(cell) in line
    assert "ratings: 1 values that could not be read, left out" in found["notes"]


def test_two_tables_of_raters_are_two_raters(tmp_path, capsys):
    files = [write(tmp_path, f"{who}.csv", f"item,rater,value\na,{who},1\nb,{who},2\nc,{who},{last}\n")
             for who, last in (("r1", 3), ("r2", 2))]  # fmt: skip
    found = agree(capsys, *files)
    assert found["judges"] == []
    assert found["people"][0]["raters"] == 2
    values = [[1, 2, 3], [1, 2, 2]]
    expected = krippendorff.alpha(reliability_data=values, level_of_measurement="interval")
    assert found["people"][0]["alpha"]["interval"]["value"] == pytest.approx(expected)


def test_unanswered_questions_and_parents_that_are_none_are_counted(tmp_path, capsys):
    write(tmp_path, "q.csv", 'item,question,parents,answer\na,1,,yes\na,2,1,\na,3,1,\nb,1,0,yes\nb,2,"1, out",yes\n')
    write(tmp_path, "r.csv", "item,rater,value\na,r1,3\nb,r1,4\na,r2,2\nb,r2,4\n")
    mapping = write(
        tmp_path,
        "m.toml",
        'ratings.files = "r.csv"\n[scores]\nfiles = "q.csv"\nname = "q"\naggregate = "mean"\n'
        'value = { column = "answer", labels = { yes = 1 }, other = 0 }\n'
        'questions = { id = "question", parents = "parents" }\n',
    )
    notes = agree(capsys, "--mapping", mapping)["notes"]
    assert "scores: 2 rows without an answer, which count neither way" in notes
    assert "scores: 1 parents that are no question of their item" in notes


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (["[8, 7]", "7", "[3, 2]"], [7, 7, 2]),
        (["8 9", "7", "3, 2"], [8, 7, 2]),
        (["8;9", "[7]", "3  2"], [8, 7, 2]),
    ],
)
def test_a_pair_of_scores_or_one_alone_is_a_list(cells, marks, tmp_path, capsys):
    rows = "".join(
        f'{{"item": "{item}", "score": {json.dumps(cell)}}}\n' for item, cell in zip("abc", cells, strict=True)
    )
    mapping = write(tmp_path, "m.toml", 'scores = { name = "q", value = { column = "score", over = "min" } }\n')
    scores = write(tmp_path, "s.jsonl", rows + '{"item": "d", "score": "no idea"}\n')
    ratings = write(tmp_path, "r.csv", "item,rater,value\na,r,1\nb,r,2\nc,r,5\nd,r,3\n")
    found = agree(capsys, scores, ratings, "--mapping", mapping)["judges"][0]
    assert (found["n"], found["unscored"], found["reasons"]) == (3, 1, {"unreadable": 1})
    assert found["coefficients"]["pearson"]["value"] == pytest.approx(stats.pearsonr(marks, [1, 2, 5]).statistic)


def test_verdicts_on_pairs_do_not_depend_on_the_order_shown(tmp_path, capsys):
    mapping = write(
        tmp_path,
        "m.toml",
        'ratings.pair = { first = "one", second = "two", verdict = "better" }\n'
        'scores.pair = { first = "one", second = "two", verdict = "better" }\nscores.name = "j"\n',
    )
    people = "one,two,rater,better\nx,y,r,A\ny,z,r,tie\nx,z,r,z\nw,x,r,left\n"
    judge = "one,two,better\ny,x,second\nz,y,2\nz,x,1\nw,x,whatever\n"
    files = [write(tmp_path, "judge.csv", judge), write(tmp_path, "people.csv", people)]
    found = agree(capsys, *files, "--mapping", mapping)
    (row,) = found["judges"]
    assert (row["n"], row["unscored"]) == (3, 1)
    # x beats y, y and z tie (the judge prefers y), z beats x.
    assert row["coefficients"]["pearson"]["value"] == pytest.approx(stats.pearsonr([1, 1, 0], [1, 0.5, 0]).statistic)


TABLES = {
    "no rows": ("a.csv", "item,rater,value\n", "no rating in it"),
    "all missing": ("a.csv", "item,rater,value\ni,r,\ni,s,\n", "no rating in it"),
    "empty": ("a.csv", "", "no rating in it"),
    "a column twice": ("a.csv", "item,item\n", "a.csv:1: column 'item' stands there twice"),
    "no such column": ("a.csv", "item,rater\ni,r\n", r"a.csv:2: no column 'value' \(there are: item, rater\)"),
    "not UTF-8": ("a.csv", "item,rater,value\n\udcff,r,1\n", "not a text in UTF-8"),
    "unknown kind": ("a.txt", "", r"expected a table \(.csv"),
    "not JSON": ("a.jsonl", '{"item": "i"}\n{"item"\n', "a.jsonl:2: expected a JSON object"),
    "no row": ("a.jsonl", "[1]\n", "a.jsonl:1: expected a JSON object, got int"),
    "JSON's NaN": ("a.jsonl", '{"item": "i", "rater": "r", "value": NaN}\n', "a.jsonl:1: .*expected a number under"),
    "no Parquet": ("a.parquet", "x", r"cannot be read as \.parquet"),
    "no gzip": ("a.csv.gz", "x", "cannot be read"),
}


@pytest.mark.parametrize("fault", TABLES)
def test_a_faulty_table_is_refused_in_one_line(fault, tmp_path):
    name, text, message = TABLES[fault]
    with pytest.raises(GotR1Error, match=message) as caught:
        run(["agreement", str(write(tmp_path, name, text))])
    assert "\n" not in str(caught.value)


def test_ids_that_do_not_join_are_counted_and_none_at_all_is_an_error(tmp_path, capsys):
    ratings = write(tmp_path, "ratings.csv", RATINGS + "lost,r0,looks,1\n")
    scores = write(tmp_path, "scores.csv", SCORES + "other,j,0.5\n")
    found = agree(capsys, scores, ratings)
    assert (found["judges"][0]["n"], found["judges"][0]["not_asked"]) == (12, 1)
    assert "items: 12 rated and judged, 1 rated only, 1 judged only" in found["notes"]
    with pytest.raises(DataError, match=r"no item is both rated and judged \(rated: 'i0', judged: 'x'\)"):
        run(["agreement", str(write(tmp_path, "x.csv", "item,judge,value\nx,j,1\n")), str(ratings)])


def test_scores_twice_are_refused(tmp_path):
    scores = write(tmp_path, "scores.csv", SCORES + "i0,j,0.5\n")
    with pytest.raises(DataError, match=r"scores.csv:14: judge 'j' marked item 'i0' .* several rows .* `aggregate`"):
        run(["agreement", str(scores)])


def test_missing_scores_are_unscored_and_never_zero(tmp_path, capsys):
    ratings = write(tmp_path, "ratings.csv", RATINGS)
    scores = write(tmp_path, "scores.csv", SCORES.replace("i3,j,1.0", "i3,j,"))
    row = agree(capsys, scores, ratings)["judges"][0]
    assert (row["n"], row["unscored"], row["reasons"]) == (11, 1, {"no value": 1})
    assert row["unscored_share"] == pytest.approx(1 / 12)
    low, high = row["bounds"]["kendall_b"]
    assert low < row["coefficients"]["kendall_b"]["value"] < high
    none = write(tmp_path, "none.csv", "item,judge,value\n" + "".join(f"i{item},j,\n" for item in range(12)))
    row = agree(capsys, none, ratings)["judges"][0]
    assert (row["n"], row["unscored_share"]) == (0, 1.0)
    assert row["coefficients"]["pearson"] == {"value": None, "low": None, "high": None, "why": "no item has both"}


def test_items_without_a_row_count_only_if_the_mapping_says_as_what(tmp_path, capsys):
    ratings, scores = (
        write(tmp_path, "ratings.csv", RATINGS),
        write(tmp_path, "scores.csv", SCORES.replace("i3,", "x,")),
    )
    mapping = write(tmp_path, "m.toml", 'scores.by = "judge"\nscores.value = "value"\nscores.absent = 0\n')
    plain, filled = agree(capsys, scores, ratings), agree(capsys, scores, ratings, "--mapping", mapping)
    assert [found["judges"][0]["not_asked"] for found in (plain, filled)] == [1, 0]
    assert filled["judges"][0]["n"] == 12
    assert "scores: 1 rated items without a row, taken as 0" in filled["notes"]
    sides = [str(scores), str(ratings), "--mapping", str(mapping)]
    assert run(["calibrate", "correct", *sides]) == 0
    assert "13 scored samples, 12 rated samples" in capsys.readouterr().out


def test_what_is_undefined_is_called_so(tmp_path, capsys):
    alone = write(tmp_path, "alone.csv", "item,rater,value\n" + "".join(f"i{item},r,{item}\n" for item in range(12)))
    same = write(
        tmp_path, "same.csv", "item,rater,value\n" + "".join(f"i{i},r{r},3\n" for i in range(12) for r in "ab")
    )
    level = write(tmp_path, "level.csv", "item,judge,value\n" + "".join(f"i{item},j,1\n" for item in range(12)))
    scores = write(tmp_path, "scores.csv", SCORES)
    found = agree(capsys, level, alone)
    assert found["people"][0]["alpha"]["interval"]["why"] == "no unit has two ratings"
    assert found["judges"][0]["coefficients"]["spearman"]["why"] == "the judge gave every item the same score"
    assert found["judges"][0]["ceiling"]["pearson"]["value"] is None
    found = agree(capsys, scores, same)
    assert "all ratings are equal" in found["people"][0]["alpha"]["nominal"]["why"]
    assert found["judges"][0]["coefficients"]["kendall_b"]["why"] == "people gave every item the same mark"


def test_values_off_their_scale_are_left_out_and_named(tmp_path, capsys):
    mapping = write(
        tmp_path,
        "m.toml",
        'ratings.dimension = "dimension"\nratings.value = { column = "value", low = 1, high = 5 }\n'
        'scores.value = { column = "value", low = 0, high = 1 }\nscores.by = "judge"\n',
    )
    ratings = write(tmp_path, "ratings.csv", RATINGS + "i0,x,looks,9\n")
    scores = write(
        tmp_path,
        "scores.jsonl",
        "".join(
            f'{{"item": "i{item}", "judge": "j", "value": {value}}}\n'
            for item, value in enumerate(['"0.25"', "1.0000001", "7", *["0.5"] * 9])
        ),
    )
    found = agree(capsys, scores, ratings, "--mapping", mapping)
    assert [line.rpartition("/")[2] for line in found["left_out"]] == [
        "ratings.csv:38: x, looks: 9 is off the scale 1 to 5",
        "scores.jsonl:3: j, *: 7 is off the scale 0 to 1",
    ]
    assert "scores: 1 values put on the end of their scale" in found["notes"]
    assert found["judges"][0]["reasons"] == {"7 is off the scale 0 to 1": 1}


def test_all_kinds_of_files_hold_the_same(tmp_path):
    rows = [{"item": "a\rb", "value": 1.5}, {"item": "c", "value": None}]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame(rows).to_csv(tmp_path / "t.tsv.gz", index=False, sep="\t")
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.json").write_text(json.dumps(rows))
    (tmp_path / "t.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    for path in tmp_path.iterdir():
        found = [(row.cell("item"), str(row.cell("value") or "")) for row in read_file(path)]
        assert found == [("a\rb", "1.5"), ("c", "")], path.name


def test_a_mapping_that_is_wrong_says_where(tmp_path):
    for text, error, message in (
        ('[ratings]\nitme = "x"\n', UsageError, r"unknown setting 'ratings.itme'; did you mean 'item'\?"),
        ("[ratings\n", DataError, "not a TOML file"),
        ('[ratings]\nfiles = "none*.csv"\n', UsageError, r"the mapping names 'none\*.csv', and there is no such file"),
    ):
        with pytest.raises(error, match=message):
            run(["agreement", "--mapping", str(write(tmp_path, "m.toml", text))])
    with pytest.raises(UsageError, match="name a run, a study, or tables"):
        run(["agreement"])
    with pytest.raises(DataError, match="not a study"):
        run(["agreement", str(tmp_path)])


def answers(folder: Path, rows: str, **mapping: Any) -> dict[str, float]:
    """Item -> score of a table of questions."""
    path = write(folder, "q.csv", "item,id,parents,answer\n" + rows)
    spec = {
        "name": "j",
        "value": {"column": "answer", "labels": {"yes": 1}, "other": 0},
        "aggregate": "mean",
        **mapping,
    }
    table = MappingFile.model_validate({"scores": spec}).scores[0]
    marks = read_table([path], table, "judge", folder)
    return {unit.item: float(mark) for unit, mark in marks.scores("*", "j").items()}


def test_a_question_counts_only_if_no_parent_was_denied(tmp_path):
    rows = 'a,1,0,yes\na,2,1,no\na,3,"1,2",yes\na,4,9,yes\n'
    assert answers(tmp_path, rows) == {"a": 0.75}
    # Question 3 falls with its denied parent 2; question 4 names a parent that is not among the questions.
    assert answers(tmp_path, rows, questions={"id": "id", "parents": "parents"}) == {"a": 0.5}


def test_geneval_answers_by_hand(tmp_path, capsys):
    metadata = [
        {"include": [{"class": "cat", "count": 2}], "exclude": [{"class": "cat", "count": 3}]},
        {"include": [{"class": "cat", "count": 1}, {"class": "dog", "count": 1, "position": ["left of", 0]}]},
        {"include": [{"class": "cat", "count": 1, "color": "red"}]},
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, metadata)))
    columns = "item,prompt,Answer.task-count-0,Answer.task-count-1,Answer.task-color-0,Answer.task-position-x\n"
    table = write(
        tmp_path,
        "t.csv",
        columns
        + "two,0,2,,,\nthree,0,3,,,\nleft,1,1,1,,left\nright,1,1,1,,right\nred,2,1,,red,\nboth,2,1,,red|blue,\n",
    )
    mapping = write(
        tmp_path,
        "m.toml",
        '[ratings]\nby = "$order"\njoin.prompt = { file = "prompts.jsonl", column = "prompt" }\n'
        'values.loose = { rule = { metadata = "prompt" } }\n'
        'values.strict = { rule = { metadata = "prompt", strict = true } }\n',
    )
    found = {row["dimension"]: row["mean"]["value"] for row in agree(capsys, table, "--mapping", mapping)["people"]}
    assert found == {"loose": pytest.approx(4 / 6), "strict": pytest.approx(3 / 6)}


def study(folder: Path, *ratings: Rating) -> Path:
    items = tuple(
        Item(item=f"i{n}", prompt=f"p{n}", inclusion_probability=0.5 if n % 2 else 1.0, scores={"looks[m]": n / 12})
        for n in range(12)
    )
    dimension = Dimension(name="looks", judge="looks", rubric="Is it nice?", low=1, high=5)
    write_study(Study(name="s", seed=0, population=18, dimensions=(dimension,), items=items), folder)
    given = [Rating(item=f"i{n}", rater="Ann", dimension="looks", value=1 + n % 4) for n in range(12)]
    write_ratings([*given, *ratings], folder)
    return folder


def test_a_study_is_read_with_its_scales_and_its_design(tmp_path, capsys):
    folder = study(
        tmp_path,
        Rating(item="i0", rater="Bob", dimension="looks", value=11),
        Rating(item="i1", rater="Bob", dimension="looks", value=None),
    )
    found = agree(capsys, folder)
    assert found["people"][0]["ratings"] == 12
    assert found["left_out"][0].endswith("ratings.csv:14: Bob, looks: 11 is off the scale 1 to 5")
    weights = pd.Series([1.0, 2.0] * 6)
    marks, scores = pd.Series([1.0, 2, 3, 4] * 3), pd.Series(range(12)) / 12
    centred = [one - (one * weights).sum() / weights.sum() for one in (marks, scores)]
    products = [(weights * a * b).sum() for a, b in ((centred[0], centred[1]), *((one, one) for one in centred))]
    expected = products[0] / (products[1] * products[2]) ** 0.5
    assert found["judges"][0]["coefficients"]["pearson"]["value"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["item", "dimension"])
def test_a_rating_that_the_study_does_not_know_is_refused(name, tmp_path):
    folder = study(tmp_path, Rating(**{"item": "i0", "rater": "Bob", "dimension": "looks", "value": 1, name: "x"}))
    with pytest.raises(DataError, match=rf"ratings.csv:14: the study has no {name} 'x'"):
        run(["agreement", str(folder)])
