"""The benchmarks' data: fetched from a server on the loopback device in the pinned layout, checked, used offline."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.files import public_data
from gotr1_eval.files.public_data import PublicData, fetch_data, require_data
from tests.conftest import SHARED, shared_parameters
from training.prompt_sets import read_source
from training.settings import PromptSource

CONTENTS = {
    "examples/dataset/color_val.txt": b"a red cat\r\na blue dog\r\n",
    "examples/dataset/color_train.txt": b"a green cat\n",
    "examples/dataset/shape_train.txt": b"a round cat\na square dog\n",
    "examples/dataset/new_objects.txt": b"cat - cats\n",
}
TASK = {"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": "two cats"}


class Mirror(ThreadingHTTPServer):
    """Answers what `contents` holds under a path; the first answer may stop after so many bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.stop_after: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/raw"

    def offer(self, data: PublicData, contents: dict[str, bytes]) -> None:
        for path, content in contents.items():
            self.contents[f"/raw/{data.repository}/{data.commit}/{path}"] = content


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop, self.server.stop_after = self.server.stop_after, None
        self.wfile.write(content[start:stop])


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    running = Mirror()
    monkeypatch.setenv("GOTR1_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GOTR1_DATA_MIRROR", f"{running.url}/")
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join(5)


def hashes(contents: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


@pytest.fixture
def small(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> PublicData:
    """Both benchmarks with a few files of a few bytes, offered by the mirror."""
    metadata = {"prompts/evaluation_metadata.jsonl": json.dumps(TASK).encode()}
    geneval, compbench = (public_data.public_data(name) for name in ("geneval", "t2i-compbench"))
    geneval, compbench = replace(geneval, files=hashes(metadata)), replace(compbench, files=hashes(CONTENTS))
    monkeypatch.setattr(public_data, "known_data", lambda: (geneval, compbench))
    mirror.offer(compbench, CONTENTS)
    mirror.offer(geneval, metadata)
    return compbench


def texts(**source: Any) -> list[str]:
    """The prompts of a training's source."""
    return [prompt.text for prompt in read_source(PromptSource(**source), Builder().suite)]


def test_fetched_once_found_by_suite_and_trainer_and_used_offline(small: PublicData, mirror: Mirror, tmp_path: Path):
    assert run(["data", "fetch"]) == 0
    assert len(mirror.asked) == 5
    assert f"/raw/Karine-Huang/T2I-CompBench/{small.commit}/examples/dataset/color_val.txt" in mirror.asked
    assert small.folder == tmp_path / "cache" / "data" / "t2i-compbench-1b7094991a57"
    assert sorted(path.name for path in small.folder.iterdir()) == sorted(Path(path).name for path in CONTENTS)
    mirror.contents.clear()
    assert run(["data", "fetch"]) == 0
    assert len(mirror.asked) == 5
    assert Builder().suite({"use": "t2i-compbench"}).prompts("color") == ("a red cat", "a blue dog")
    assert Builder().suite({"use": "geneval"}).prompts("counting") == ["two cats"]
    assert texts(t2i_compbench=()) == ["a green cat", "a round cat", "a square dog"]
    assert texts(t2i_compbench=("shape",)) == ["a round cat", "a square dog"]
    assert texts(suite="t2i-compbench", split="train", categories=("shape",)) == ["a round cat", "a square dog"]
    assert texts(suite="t2i-compbench", categories=("color",)) == ["a red cat", "a blue dog"]


def test_an_own_copy_comes_before_the_cache(small: PublicData, tmp_path: Path):
    fetch_data(small)
    (tmp_path / "color_val.txt").write_text("mine\n")
    (tmp_path / "color_train.txt").write_text("mine too\n")
    assert Builder().suite({"use": "t2i-compbench", "data": str(tmp_path)}).prompts("color") == ("mine",)
    assert texts(t2i_compbench=(), data=tmp_path) == ["mine too"]


def test_one_set_is_fetched_and_the_list_says_so(small: PublicData, capsys: pytest.CaptureFixture[str]):
    assert run(["data", "fetch", "geneval"]) == 0
    assert "geneval: 1 files in" in capsys.readouterr().out
    assert run(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["geneval"]["complete"], rows["t2i-compbench"]["complete"]) == (True, False)
    assert (rows["t2i-compbench"]["there"], rows["t2i-compbench"]["files"]) == (0, 4)
    assert run(["data", "list"]) == 0
    assert "0 of 4 files  MISSING  gotr1-eval data fetch t2i-compbench" in capsys.readouterr().out


def test_another_file_than_expected_is_not_kept(small: PublicData, mirror: Mirror):
    mirror.offer(small, {"examples/dataset/color_val.txt": b"other prompts\n"})
    with pytest.raises(BackendError, match=r"color_val\.txt: not the file that was expected: sha256 is ") as caught:
        run(["data", "fetch"])
    assert "\n" not in str(caught.value)
    assert list(small.folder.iterdir()) == []


def test_what_broke_off_is_not_taken_for_finished(small: PublicData, mirror: Mirror):
    mirror.stop_after = 5
    with pytest.raises(BackendError, match="after 5 of 23 bytes"):
        fetch_data(small)
    with pytest.raises(UsageError, match="4 of its 4 files are not in"):
        require_data("t2i-compbench", None)
    assert fetch_data(small) == list(CONTENTS)
    assert require_data("t2i-compbench", None) == small.folder


def test_a_file_changed_in_the_cache_is_noticed_and_fetched_again(small: PublicData):
    fetch_data(small)
    (small.folder / "color_val.txt").write_text("changed\n")
    with pytest.raises(UsageError, match="1 of its 4 files"):
        Builder().suite({"use": "t2i-compbench"}).prompts("color")
    assert fetch_data(small) == ["examples/dataset/color_val.txt"]


def test_no_file_no_server_no_name(small: PublicData, mirror: Mirror, monkeypatch: pytest.MonkeyPatch):
    del mirror.contents[f"/raw/Karine-Huang/T2I-CompBench/{small.commit}/examples/dataset/new_objects.txt"]
    with pytest.raises(BackendError, match=r"new_objects\.txt: the server answers 404 Not Found$"):
        run(["data", "fetch", "t2i-compbench"])
    monkeypatch.setenv("GOTR1_DATA_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(BackendError, match=r"http://127\.0\.0\.1:1/djghosh13/geneval/.* start again"):
        run(["data", "fetch", "geneval"])
    with pytest.raises(UsageError, match="did you mean 'geneval'"):
        run(["data", "fetch", "genevall"])


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["compbench", "--ckpt", "tiny-janus"], "t2i-compbench"),
        (["geneval", "--ckpt", "tiny-janus"], "geneval"),
        (["generate", "--ckpt", "tiny-janus", "--suite", "geneval"], "geneval"),
        (["phrases", "--compare", "builtin"], "t2i-compbench"),
    ],
)
def test_without_data_the_command_to_run_is_named(small: PublicData, arguments: list[str], key: str):
    with pytest.raises(UsageError, match=f"run `gotr1-eval data fetch {key}` once, or .* --data DIR") as caught:
        run(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"t2i_compbench": ["colour"]}, "no category 'colour'"),
        ({"t2i_compbench": [], "shapes": []}, "give one of"),
        ({"shapes": [], "data": "."}, "unknown setting 'data'"),
        ({"suite": "geneval", "split": "train"}, "unknown setting 'split'"),
        ({"file": "p.txt", "categories": ["color"]}, "are a suite's"),
        ({"shape": []}, "did you mean 'shapes'"),
    ],
)
def test_training_prompts_that_cannot_be(small: PublicData, source: dict[str, Any], message: str):
    fetch_data(small)
    with pytest.raises((UsageError, ValueError), match=message):
        read_source(PromptSource(**source), Builder().suite)


@pytest.mark.parametrize("license_file", shared_parameters("data/t2i_compbench/LICENSE"))
def test_the_published_files_have_the_stated_hashes(
    license_file: Path, mirror: Mirror, count_shared: Callable[[Path], Path]
):
    """The whole path on the real lists, whose repository this mirror imitates."""
    names = ("geneval", "t2i-compbench")
    for data in map(public_data.public_data, names):
        local = SHARED / "data" / data.key.replace("-", "_")
        files = {path: Path(path).name.replace("License.txt", "LICENSE") for path in data.files}
        mirror.offer(data, {path: count_shared(local / name).read_bytes() for path, name in files.items()})
    assert run(["data", "fetch", *names]) == 0
    compbench, geneval = Builder().suite({"use": "t2i-compbench"}), Builder().suite({"use": "geneval"})
    assert [len(compbench.prompts(category)) for category in compbench.categories] == [300] * 8
    assert sum(len(geneval.prompts(category)) for category in geneval.categories) == 553
    assert len(texts(t2i_compbench=())) == 5600
