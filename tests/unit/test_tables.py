"""Tables as people write them: what is certain is read, what is not is refused by its line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.types import Prompt
from gotr1_eval.files.columns import Columns, read_columns
from gotr1_eval.files.prompts import read_prompts
from gotr1_eval.files.tables import Row, find_shards, read_table

ROWS = [{"prompt": "a red apple, a green pear", "image": "x.png"}, {"prompt": 'a "café" sign', "image": "y.png"}]
CSV = 'prompt,image\n"a red apple, a green pear",x.png\n"a ""café"" sign",y.png\n'


def cells(path: Path) -> list[dict[str, object]]:
    return [dict(row.cells) for row in read_table(str(path))]


def written(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def texts(prompts: Mapping[str, Sequence[Prompt]]) -> dict[str, list[str]]:
    return {category: [prompt.text for prompt in listed] for category, listed in prompts.items()}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", CSV),
        ("T.CSV", CSV.replace("\n", "\r\n")),
        ("mac.csv", CSV.replace("\n", "\r")),
        ("bom.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("16.csv", CSV.encode("utf-16")),
        ("16le.csv", CSV.encode("utf-16-le")),
        ("16be.csv", CSV.encode("utf-16-be")),
        ("west.csv", CSV.encode("cp1252")),
        ("t.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("T.CSV.GZ", gzip.compress(CSV.encode(), mtime=0)),
        ("semicolon.csv", CSV.replace('",', '";').replace("prompt,", "prompt;")),
        ("excel.csv", "sep=;\r\n" + CSV.replace('",', '";').replace("prompt,", "prompt;")),
        ("tab.csv", CSV.replace('",', '"\t').replace("prompt,", "prompt\t")),
        ("t.tsv", CSV.replace('",', '"\t').replace("prompt,", "prompt\t")),
        ("spaced.csv", CSV.replace('",', '", ').replace("prompt,", "prompt, ")),
        ("ends.csv", CSV.rstrip() + "\n\n,\n"),
        ("t.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("t.ndjson", "\ufeff" + "\n\n".join(map(json.dumps, ROWS)) + "\n"),
        ("lines.json", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("list.jsonl", json.dumps(ROWS, indent=1)),
        ("t.json", json.dumps(ROWS)),
        ("keyed.json", json.dumps({"a": ROWS[0], "b": ROWS[1]}, indent=2)),
        ("data.json", json.dumps({"data": ROWS})),
    ],
)
def test_one_table_in_every_form(tmp_path: Path, name: str, data: str | bytes):
    assert cells(written(tmp_path, name, data)) == ROWS


def test_parquet_holds_the_same_whatever_it_is_called(tmp_path: Path):
    for name in ("t.parquet", "t.csv"):
        pd.DataFrame(ROWS).to_parquet(tmp_path / name)
        assert cells(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "a.csv",
            "prompt,image\na red apple, a green pear,x.png\n",
            r"a.csv:2: expected 2 cells, got 3 .*double quotes",
        ),
        ("a.csv", 'prompt,image\n"a",x.png\n\n"b\nc",y.png\nd;z.png\n', r"a.csv:6: expected 2 cells, got 1 "),
        ("a.csv", "prompt\na cup, a plate\n", r"a.csv:2: expected 1 cell, got 2 "),
        ("a.csv", "prompt;image\na cup; a plate;x.png\n", r"a.csv:2: expected 2 cells, got 3 .*a semicolon"),
        ("a.tsv", "prompt\timage\na\tb\tx.png\n", r"a.tsv:2: expected 2 cells, got 3 .*a tab"),
        # One cell is missing and the prompt's comma stands in for it.
        ("a.csv", "id,prompt,tag\n7,a cup, a plate\n", r"a.csv:2: the cell under 'tag' begins with a blank"),
        ("a.csv", 'prompt,image\n"a cup,x.png\na plate,y.png\n', r"a.csv:2: quotation marks that do not fit"),
        ("a.csv", 'prompt,image\n"a" cup,x.png\n', r"a.csv:2: quotation marks that do not fit"),
        ("a.csv", "prompt,prompt\n", r"a.csv:1: column 'prompt' stands there twice"),
        ("a.csv", "prompt\nкот\n".encode("cp1251"), r"a.csv:2: not a text in UTF-8; save it as UTF-8"),
        ("a.csv", "prompt\n一只猫和一只狗\n".encode("gbk"), r"a.csv:2: not a text in UTF-8"),
        ("a.csv", "prompt\nいぬ\n".encode("shift-jis"), r"a.csv:2: not a text in UTF-8"),
        ("a.csv", "prompt\nżółw\n".encode("cp1250"), r"a.csv:2: not a text in UTF-8"),
        ("a.csv", b"prompt\ncaf\xc3\xa9\ncaf\xe9\n", r"a.csv:3: not a text in UTF-8"),
        ("a.csv", b"prompt\na\xff\xffb\n", r"a.csv:2: not a text in UTF-8"),
        ("a.csv", b"PK\x03\x04rest", r"a.csv: an Excel workbook or an archive; save the table as CSV"),
        ("a.csv", gzip.compress(b"prompt\na\n", mtime=0), r"a.csv: compressed by gzip, .* add \.gz"),
        ("a.csv.gz", gzip.compress(b"prompt\na\n" * 99, mtime=0)[:-12], r"a.csv.gz: damaged or cut off"),
        ("a.jsonl", '{"a": 1}\n[1]\n', r"a.jsonl:2: expected a JSON object, got list"),
        ("a.json", "{\n", r"a.json:\d: not JSON"),
        ("a.json", "[" * 100_000, r"a.json: not JSON"),
        ("a.json", "3", r"a.json: expected a list or an object of rows, got int"),
        ("a.parquet", "x", r"a.parquet: cannot be read as \.parquet"),
    ],
)
def test_a_row_that_is_not_certain_is_refused_by_its_line(tmp_path: Path, name: str, data: str | bytes, message: str):
    with pytest.raises(DataError, match=message) as caught:
        cells(written(tmp_path, name, data))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_western_code_page_is_said(tmp_path: Path):
    path, told = written(tmp_path, "w.csv", "prompt\n“fleur d’été” – 5 €\n".encode("cp1252")), []
    assert [row.cells for row in read_table(str(path), told.append)] == [{"prompt": "“fleur d’été” – 5 €"}]
    assert told == [f"{path}: not UTF-8, read as Windows-1252, such as '“fleur' in line 2"]


def test_what_breaks_blocks_of_bytes_breaks_no_letter(tmp_path: Path):
    text = "prompt\n" + "".join(f"{'x' * (index % 7)}é猫\n" for index in range(30_000))
    for encoding in ("utf-8", "utf-16"):
        path = written(tmp_path, "long.csv", text.encode(encoding))
        assert [row["prompt"] for row in cells(path)] == text.splitlines()[1:]


def test_cells_keep_what_is_in_them(tmp_path: Path):
    path = written(tmp_path, "t.csv", 'n,text\n1,"two\r\nlines"\n2, \n3,"lone\rreturn"\n4,nan\n')
    assert [row["text"] for row in cells(path)] == ["two\r\nlines", " ", "lone\rreturn", "nan"]
    assert [row.line for row in read_table(str(path))] == [2, 4, 5, 6]


def test_row_numbers_of_pandas_are_a_column(tmp_path: Path):
    pd.DataFrame(ROWS).to_csv(tmp_path / "t.csv")
    assert cells(tmp_path / "t.csv")[1] == {"column 1": "1", **ROWS[1]}


def test_hidden_shards_are_passed_over(tmp_path: Path):
    for name in ("a.CSV", "._a.csv", "b.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [Path(each).name for each in find_shards(str(tmp_path))] == ["a.CSV", "b.jsonl.gz"]
    assert [Path(each).name for each in find_shards(f"{tmp_path}/*.CSV")] == ["a.CSV"]


def test_columns_are_named_guessed_or_asked_for():
    told: list[str] = []
    row = Row({"Caption": "a cat", "file_name": "x.png", "label": 3}, "t.csv", 2)
    assert Columns({}, told.append).of(row) == {"prompt": "Caption", "image": "file_name"}
    assert told[0] == "t.csv: the prompt is taken from the column 'Caption' (see --columns)"
    assert Columns(read_columns("prompt = label")).of(row)["prompt"] == "label"
    with pytest.raises(DataError, match=r"t.csv:2: no column 'name', .* \(there are: Caption, file_name, label\)"):
        Columns({"prompt": "name"}).of(row)
    with pytest.raises(DataError, match="which column is the prompt: 'text' or 'caption'"):
        Columns({}).of(Row({"text": "a", "caption": "b"}, "t.csv", 2))
    for text, message in (("prompt", "and got 'prompt'"), ("promt=x", "did you mean 'prompt'")):
        with pytest.raises(UsageError, match=message):
            read_columns(text)


def test_prompts_in_a_table_of_another_make(tmp_path: Path):
    path = written(tmp_path, "p.TSV", "Text\tcategory\na cup, a plate\tx\n")
    assert texts(read_prompts(path)) == {"x": ["a cup, a plate"]}
    assert texts(read_prompts(written(tmp_path, "p.TXT", "a café\n".encode("utf-16")))) == {"prompts": ["a café"]}
    with pytest.raises(DataError, match=r"expected a text under 'prompt', got None \(there are: name\)"):
        read_prompts(written(tmp_path, "q.csv", "name\na\n"))
