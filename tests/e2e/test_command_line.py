"""The command line as people start it: light, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.cli.app import run
from gotr1_eval.files.writing import read_parquet
from tests.command_line import start, start_process

pytestmark = pytest.mark.slow


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith("gotr1-eval: ")
    for word in words:
        assert word.lower() in done.stderr.lower(), done.stderr


@pytest.mark.parametrize("code", ["import gotr1_eval", "from gotr1_eval.cli.app import run; run(['--help'])"])
def test_nothing_heavy_is_loaded_at_the_start(code: str, tmp_path: Path):
    heavy = "('torch', 'transformers', 'pandas', 'scipy', 'numpy', 'pydantic')"
    check = f"{code}\nimport sys; loaded = [m for m in {heavy} if m in sys.modules]; assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_scoring_rules_need_no_torch(tmp_path: Path):
    check = (
        "from gotr1_eval import GeometricJudge, Sample\n"
        "import gotr1_eval.runs.run, benchmarks.shapes, rewards.reward_set, reports.run_page.page\n"
        "import sys; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["rewards", "training", "reports", "benchmarks"])
@pytest.mark.parametrize("way", ["script", "module", "import"])
def test_a_users_own_folder_of_our_name(name: str, way: str, tmp_path: Path):
    """The script is not disturbed by it; `python -m` and imports, which look there first, name the folder."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('ran foreign code')")
    if way == "script":
        assert start_process("list", "judges", cwd=tmp_path).returncode == 0
        return
    code = ["-m", "gotr1_eval", "list"] if way == "module" else ["-c", "from gotr1_eval import GeometricJudge"]
    done = subprocess.run([sys.executable, *code], cwd=tmp_path, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert f"'import {name}' finds {tmp_path / name} instead of" in last
    assert "rename" in last
    if way == "module":
        assert_one_line(done)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == metadata.version("gotr1-eval")


def test_listing(tmp_path: Path):
    done = start("list", "--json", cwd=tmp_path)
    listed = json.loads(done.stdout)
    kinds = "judges models detectors encoders perceptual ocr reward-models yes-no depth phrases suites rewards"
    assert set(listed) == {*kinds.split(), "generators", "generators-can"}
    assert "t2i-compbench" in listed["suites"]
    assert_one_line(start("list", "juges", cwd=tmp_path), "did you mean 'judges'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compbnch"], ["No such command", "compbench"]),
        (["compbench", "--foo"], ["No such option: --foo"]),
        (["compbench"], ["--ckpt", "--images"]),
        (["compbench", "--ckpt", "nowhere", "--suite", "shapes"], ["no checkpoint folder nowhere"]),
        (["compbench", "--ckpt", "tiny-janus", "--suite", "shpes"], ["did you mean 'shapes'"]),
        (["compbench", "--ckpt", "tiny-janus"], ["--data DIR"]),
        (
            ["compbench", "--ckpt", "tiny-janus", "--data", "x", "--categories", "color"],
            ["color_val.txt", "No such file"],
        ),
        (
            ["compbench", "--ckpt", "tiny-janus", "--suite", "shapes", "--categories", "colour"],
            ["did you mean 'color'"],
        ),
        (["compbench", "--ckpt", "tiny-janus", "--suite", "shapes", "--limit", "0"], ["--limit"]),
        (["compbench", "--ckpt", "tiny-janus", "--suite", "shapes", "--judges", "geometrc"], ["'geometric'"]),
        (["compbench", "--ckpt", "tiny-janus", "--suite", "shapes", "--judges", "no.toml"], ["no.toml: cannot read"]),
        (["compbench", "--ckpt", "other", "--suite", "shapes"], ["expected model_type 'janus'", "got 'llama'"]),
        (["compbench", "--ckpt", "original", "--suite", "shapes"], ["original has no tokenizer.json"]),
        (["compbench", "--images", "other", "--suite", "shapes"], ["no picture named like"]),
        (["score", "nowhere"], ["no such folder or manifest"]),
        (["score", "pictures"], ["pictures without chains", "--judges"]),
        (["score", "list.jsonl", "--judge-model", "x"], ["--judge-model x: say with --judges which judges ask it"]),
        (["compbench", "--ckpt", "tiny-janus", "--suite", "shapes", "--judge-model", "x"], ["say with --judges"]),
        (["score", "list.jsonl", "--judge-model", "x", "--judges", "geometric"], ["no judge of 'geometric' asks"]),
        (["score", "list.jsonl", "--reply-cache", "x"], ["--judge-model"]),
        (["score"], ["SOURCE"]),
        (["score", "list.jsonl", "--retry", "unredable"], ["did you mean 'unreadable'"]),
        (["score", "list.jsonl", "--out", "other"], ["not empty and holds no run"]),
        (["report", "other"], ["not a run folder"]),
    ],
)
def test_bad_input_gets_one_line(arguments: list[str], words: list[str], tmp_path: Path):
    for folder, model_type in (("other", "llama"), ("original", "multi_modality")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "list.jsonl").write_text('{"prompt": "a cat above a dog", "chain": "a cat (0,0),(9,9)"}\n')
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a cat.png").write_bytes(b"")
    assert_one_line(start(*arguments, cwd=tmp_path), *words)


HOSTILE_PROMPTS = [
    "a/b",
    "../../x above a dog",
    '"quo\'ted" left of\na line',
    "🦊 above 🐓",
    "x " * 5000,
    "",
    "\0",
    "CON",
    "{{1}}",
]


def test_scoring_a_hostile_manifest(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    rows = [{"prompt": p, "chain": p, "image": i} for p in HOSTILE_PROMPTS for i in ("x.png", "../x", "none.png", None)]
    rows.append({"prompt": "a cat above a dog", "chain": "a cat (0,0),(9,9) and a dog (0,20),(9,29)", "image": None})
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = start("score", "list.jsonl", "--judges", "geometric", "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cell = json.loads(done.stdout)["rows"]["all"]["geometric"]
    assert cell["scored"] + cell["unscored"] + cell["not_applicable"] == len(rows)
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.jsonl", "run", "x.png"]


def test_missing_pictures_are_an_incomplete_run(tmp_path: Path):
    (tmp_path / "list.jsonl").write_text('{"prompt": "a red circle", "image": "none.png"}\n')
    done = start("score", "list.jsonl", "--judges", "shapes_prompt_image", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1
    assert "marked incomplete" in done.stderr
    assert "unscored: list/all/00000/0: shapes_prompt_image: no_input: none.png: the file does not exist" in done.stderr
    assert read_parquet(tmp_path / "run" / "scores.parquet")["shapes_prompt_image/why"].tolist() == ["no_input"]
    again = start(
        "score", "list.jsonl", "--judges", "shapes_prompt_image", "--min-coverage", "0", "--out", "run", cwd=tmp_path
    )
    assert again.returncode == 0
