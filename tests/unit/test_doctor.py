"""The examination of models: those that know the answers pass, each planted fault fails the check that is for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.doctor import examine_model
from benchmarks.doctor.checks import Check, examine
from benchmarks.doctor.depth import depth_checks, rooms
from benchmarks.doctor.detectors import detector_checks, look, match_answers
from benchmarks.doctor.drawings import _SCENES, World, _draw, everyday, shapes
from benchmarks.doctor.encoders import encoder_checks
from benchmarks.doctor.phrases import phrase_checks
from benchmarks.doctor.things import THINGS
from benchmarks.doctor.yes_no import yes_no_checks
from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.cli.doctor import AESTHETIC, known_names, missing_data, official_models
from gotr1_eval.core.coco import class_place
from gotr1_eval.core.errors import LabelError, RunError, UsageError
from gotr1_eval.core.geometry import iou
from gotr1_eval.core.perception import Parse, Token
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.models.expected_packages import EXPECTED
from gotr1_eval.models.phrases.builtin import BuiltinPhrases

Answers = list[list[Detection]]


def failed(checks: Iterator[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


class Seer:
    """Knows what is drawn on the pictures of a world; sees all the pictures of a call at once."""

    name, fingerprint = "seer", "seer-1"
    open_vocabulary = False

    def __init__(self, world: World, spoil: Callable[[Answers, int], Answers] = lambda found, call: found) -> None:
        self.world, self.spoil, self.calls = world, spoil, 0
        self.known = {drawing.picture.tobytes(): drawing for drawing in world.drawings}

    def detect(self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None) -> Answers:
        if labels is not None and not set(labels[0]) <= set(self.world.names):
            raise LabelError("no such name")
        self.calls += 1
        drawn = [self.known.get(image.tobytes()) for image in images]
        found = [
            [Detection(one.name, one.box, 0.9) for one in (drawing.things if drawing else ())] for drawing in drawn
        ]
        return self.spoil(found, self.calls)


def each(change: Callable[[Detection], Detection]) -> Callable[[Answers, int], Answers]:
    return lambda found, call: [[change(one) for one in seen] for seen in found]


def moved(one: Detection, by: float) -> Detection:
    return replace(one, box=Box.clipped(one.box.x1 + by, one.box.y1, one.box.x2 + by, one.box.y2))


ALL_SHEET = Box(0, 0, 1, 1)
SIGHT, SOUND, TWICE, BATCH = "sees drawings", "answers are sound", "same twice", "batch equals single"
CLEAR = "clear beats spoilt"
DETECTOR_FAULTS: dict[str, tuple[Callable[[Answers, int], Answers], list[str]]] = {
    "none": (lambda found, call: found, []),
    "nearly blind": (lambda found, call: [seen[:1] if i < 4 else [] for i, seen in enumerate(found)], [SIGHT]),
    "sees everything everywhere": (
        lambda found, call: [[Detection(name, ALL_SHEET, 0.9) for name in THINGS] for _ in found], [SIGHT],
    ),
    "wrong names": (each(lambda one: replace(one, label="clock")), [SIGHT]),
    "shifted boxes": (each(lambda one: moved(one, 0.3)), [SIGHT]),
    "changes its mind": (
        lambda found, call: [[replace(one, score=0.9 - call / 1e4) for one in seen] for seen in found], [TWICE],
    ),
    "sees its neighbours": (lambda found, call: each(lambda one: moved(one, len(found) / 100))(found, call), [BATCH]),
    "loses one in a batch": (lambda found, call: found if len(found) == 1 else [found[0][1:], *found[1:]], [BATCH]),
    "a score that is no number": (each(lambda one: replace(one, score=float("nan"))), [SOUND, TWICE, BATCH]),
    "a score above 1": (each(lambda one: replace(one, score=1.5)), [SOUND]),
    "worst first": (
        lambda found, call: [[replace(one, score=0.5 + i / 9) for i, one in enumerate(seen)] for seen in found],
        [SOUND],
    ),
    "masks on their side": (each(lambda one: replace(one, mask=np.ones((640, 448), dtype=bool))), [SOUND]),
    "an answer too few": (lambda found, call: found[:-1] if len(found) == 3 else found, ["runs"]),
    "labels nobody asked for": (
        lambda found, call: [[*seen, Detection("dog", Box(0, 0, 0.1, 0.1), 0.5)] for seen in found], [SOUND],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", DETECTOR_FAULTS)
def test_planted_faults_of_detectors(fault: str):
    spoil, expected = DETECTOR_FAULTS[fault]
    examination = examine("detector", "seer", lambda: Seer(everyday(), spoil), detector_checks)
    assert [check.name for check in examination.checks if not check.passed] == expected
    assert examination.passed == (not expected)


class Matcher:
    """Compares what reaches it with its memory of the drawings: the nearer, the surer; right in every other way."""

    name, fingerprint = "matcher", "matcher-1"
    open_vocabulary = False
    swaps_channels = False

    def __init__(self, prepare: Callable[[Any], Any], reach: float) -> None:
        self.prepare, self.reach = prepare, reach

    def detect(self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None) -> Answers:
        if labels is not None and not set(labels[0]) <= set(everyday().names):
            raise LabelError("no such name")
        return [self._seen(image) for image in images]

    def _seen(self, image: Image.Image) -> list[Detection]:
        shown = self.prepare(np.asarray(image, dtype=np.float64))
        same_size = [drawing for drawing in everyday().drawings if drawing.picture.size == image.size]
        apart, nearest = min(
            (np.abs(shown - np.asarray(one.picture, dtype=np.float64)).mean(), index)
            for index, one in enumerate(same_size)
        )
        return [Detection(one.name, one.box, float(np.exp(-apart / self.reach))) for one in same_size[nearest].things]


PREPARED: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "right": (lambda levels: levels, []),
    "channels swapped": (lambda levels: levels[..., ::-1], [CLEAR]),
    "four times too bright": (lambda levels: np.minimum(4 * levels, 255), [CLEAR]),
    "without subtracting the mean": (lambda levels: np.minimum(levels + 124, 255), [CLEAR]),
    "divided once too often": (lambda levels: levels / 255, [SIGHT]),
}


@pytest.mark.parametrize("fault", PREPARED)
@pytest.mark.parametrize("reach", [40, 400])
def test_wrong_preparation_is_found_in_a_detector_that_sees_all_the_same(fault: str, reach: float):
    """Every thing is found at its place, but some spoilt drawings undo the fault, and it is surer of those."""
    prepare, expected = PREPARED[fault]
    assert failed(detector_checks(Matcher(prepare, reach))) == expected


def test_a_detector_that_swaps_channels_on_purpose_is_shown_them_swapped():
    swapping = Matcher(PREPARED["channels swapped"][0], 100)
    assert failed(detector_checks(swapping)) == [CLEAR]
    swapping.swaps_channels = True
    assert failed(detector_checks(swapping)) == []


def test_a_detector_that_nothing_can_spoil_is_not_believed():
    """It answers by heart, or levels do not reach it; either way its preparation is not shown to be right."""

    def shape_alone(levels: Any) -> Any:
        green = levels[..., 1]
        return (green - green.mean()) / green.std()

    class Blind(Seer):
        def detect(self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None) -> Answers:
            return super().detect([min(self.drawn, key=lambda one: self.apart(one, image)) for image in images], labels)

        drawn = tuple(drawing.picture for drawing in everyday().drawings)

        @staticmethod
        def apart(one: Image.Image, other: Image.Image) -> float:
            if one.size != other.size:
                return float("inf")
            return float(np.abs(shape_alone(np.asarray(one)) - shape_alone(np.asarray(other))).mean())

    assert failed(detector_checks(Blind(everyday()))) == [CLEAR]


def test_a_detector_that_sees_nothing_is_told_so():
    (check, *others) = detector_checks(Seer(everyday(), lambda found, call: [[] for _ in found]))
    assert not check.passed
    assert check.detail.startswith("it sees nothing: everyday 0 of 10 (0 detections)")
    assert failed(iter(others)) == [BATCH]


@pytest.mark.parametrize("missed", [0, 4, 5])
def test_half_of_the_shapes_world_is_enough(missed: int):
    """Nine things: five are half, four are not."""

    def spoil(found: Answers, call: int) -> Answers:
        hidden = {id(one) for one in [one for seen in found for one in seen][:missed]}
        return [[one for one in seen if id(one) not in hidden] for seen in found]

    world_answers = look(Seer(shapes(), spoil), shapes())
    assert len(world_answers.found) == 9 - missed
    assert (SIGHT in failed(detector_checks(Seer(shapes(), spoil)))) == (missed > 4)


def test_the_surest_name_at_a_place_counts():
    """Among the names of the world's things; what else a detector sees there does not matter."""
    sign = everyday().drawings[0].things[0]
    right, other, foreign = (
        Detection(name, sign.box, 0.7 + i / 10) for i, name in enumerate((sign.name, "tv", "fence"))
    )
    for seen, found in (([right, other, foreign], ()), ([right, foreign], (sign,)), ([foreign], ())):
        assert match_answers(everyday(), [seen, [], [], [], []]).found == found


def test_everything_fills_its_box():
    """What drawing a thing changes; its soft shadow aside."""
    assert [len(everyday().names), len(shapes().names)] == [10, 9]
    for name, size, background, things, caption in _SCENES:
        empty = np.asarray(_draw(name, size, background, {}, caption).picture, dtype=np.int16)
        for thing, box in things.items():
            class_place(thing)  # raises for a name that is none of COCO's
            drawn = np.asarray(_draw(name, size, background, {thing: box}, caption).picture, dtype=np.int16)
            rows, columns = np.nonzero(np.abs(drawn - empty).max(axis=2) > 70)
            edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            filled = Box(*(float(edge / side) for edge, side in zip(edges, (*size, *size), strict=True)))
            assert iou(filled, box) > 0.8, (thing, filled, box)


def test_planted_faults_of_encoders():
    drawings = everyday().drawings
    known = {drawing.picture.tobytes(): place for place, drawing in enumerate(drawings)}
    captions = {drawing.caption: place for place, drawing in enumerate(drawings)}

    class Reader:
        name, fingerprint = "reader", "reader-1"

        def __init__(self, spoil: Callable[[Any, int], Any] = lambda rows, call: rows) -> None:
            self.spoil, self.calls = spoil, 0

        def _rows(self, places: Sequence[int]) -> Any:
            self.calls += 1
            return self.spoil(np.eye(5, dtype=np.float32)[list(places)], self.calls)

        def embed_images(self, images: Sequence[Image.Image]) -> Any:
            return self._rows([known[image.tobytes()] for image in images])

        def embed_texts(self, texts: Sequence[str]) -> Any:
            return self._rows([captions[text] for text in texts])

    def noisy(rows: Any, call: int) -> Any:
        return rows + np.float32(1e-6 * call)

    faults: dict[str, tuple[Callable[[Any, int], Any], list[str]]] = {
        "none": (lambda rows, call: rows, []),
        "not numbers": (lambda rows, call: rows * np.nan, [SIGHT, SOUND, BATCH]),
        "one number is none": (lambda rows, call: np.where(rows > 0, np.inf, rows), [SIGHT, SOUND, BATCH]),
        "no unit vectors": (lambda rows, call: rows * 2, [SOUND]),
        "double precision": (lambda rows, call: rows.astype(np.float64), [SOUND]),
        "all alike": (lambda rows, call: np.full_like(rows, 5**-0.5), [SIGHT]),
        "another each time": (noisy, [TWICE]),
        "sees its neighbours": (lambda rows, call: np.roll(rows, len(rows) // 2, axis=0), [BATCH]),
        "too few rows": (lambda rows, call: rows[:4], [SOUND]),
    }  # fmt: skip
    assert failed(encoder_checks(Reader())) == []
    for name, (spoil, expected) in faults.items():
        found = failed(encoder_checks(Reader(spoil)))
        assert found == expected, name


class Answerer:
    """Says yes to what is drawn."""

    name, fingerprint = "answerer", "answerer-1"

    def __init__(self, spoil: Callable[[float, int, int], float] = lambda chance, call, size: chance) -> None:
        self.spoil, self.calls = spoil, 0
        self.known = {drawing.picture.tobytes(): drawing for drawing in everyday().drawings}

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        self.calls += 1
        answers = []
        for image, asked in zip(images, questions, strict=True):
            names = [thing.name for thing in self.known[image.tobytes()].things]
            chances = [0.8 if question.removeprefix("a ").rstrip("?") in names else 0.3 for question in asked]
            answers.append([self.spoil(chance, self.calls, len(images)) for chance in chances])
        return answers


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda chance, call, size: chance, []),
        (lambda chance, call, size: 0.75, [SIGHT]),
        (lambda chance, call, size: 1 - chance, [SIGHT]),
        (lambda chance, call, size: float("nan"), [SIGHT, SOUND]),
        (lambda chance, call, size: chance * 2, [SOUND]),
        (lambda chance, call, size: chance + call * 1e-9, [TWICE]),
        (lambda chance, call, size: chance + size * 0.01, [BATCH]),
    ],
)
def test_planted_faults_of_answerers(spoil: Callable[[float, int, int], float], expected: list[str]):
    assert failed(yes_no_checks(Answerer(spoil))) == expected


class Gauge:
    """Knows the rooms: 1 at the nearer places, 0 at the farther ones."""

    name, fingerprint = "gauge", "gauge-1"

    def __init__(self, spoil: Callable[[Any, int, int], Any] = lambda depth, call, size: depth) -> None:
        self.spoil, self.calls = spoil, 0
        self.known = {room.picture.tobytes(): room for room in rooms()}

    def depth(self, images: Sequence[Image.Image]) -> list[Any]:
        self.calls += 1
        maps = []
        for image in images:
            depth = np.full(image.size[::-1], 0.5, dtype=np.float32)
            for pair in self.known[image.tobytes()].pairs:
                for box, value in zip(pair, (0.9, 0.1), strict=True):
                    rows = slice(round(box.y1 * image.height), round(box.y2 * image.height))
                    depth[rows, round(box.x1 * image.width) : round(box.x2 * image.width)] = value
            maps.append(self.spoil(depth, self.calls, len(images)))
        return maps


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda depth, call, size: depth, []),
        (lambda depth, call, size: 1 - depth, [SIGHT]),
        (lambda depth, call, size: depth * 0, [SIGHT]),
        (lambda depth, call, size: np.linspace(0, 1, depth.size, dtype=np.float32).reshape(depth.shape), [SIGHT]),
        (lambda depth, call, size: np.where(depth == 0.5, np.float32("nan"), depth), [SOUND]),
        (lambda depth, call, size: depth * 2, [SOUND]),
        (lambda depth, call, size: depth.astype(np.float64), [SOUND]),
        (lambda depth, call, size: depth[1:], [SOUND]),
        (lambda depth, call, size: depth - np.float32(call * 1e-6), [TWICE]),
        (lambda depth, call, size: depth - np.float32(size * 0.01), [BATCH]),
    ],
)
def test_planted_faults_of_depth_models(spoil: Callable[[Any, int, int], Any], expected: list[str]):
    assert failed(depth_checks(Gauge(spoil))) == expected


def test_planted_faults_of_phrase_sources():
    class Parser:
        name, fingerprint = "parser", "parser-1"

        def __init__(self, spoil: Callable[[Parse, int], Parse]) -> None:
            self.spoil, self.calls = spoil, 0

        def parse(self, prompts: Sequence[str]) -> list[Parse]:
            self.calls += 1
            return [self.spoil(parse, self.calls + len(prompts)) for parse in BuiltinPhrases().parse(prompts)]

    def lost(parse: Parse, call: int) -> Parse:
        return replace(parse, tokens=parse.tokens[:-1])

    assert failed(phrase_checks(Parser(lambda parse, call: parse))) == []
    assert failed(phrase_checks(Parser(lambda parse, call: replace(parse, noun_chunks=("a dog",))))) == [
        "reads sentences", SOUND,
    ]  # fmt: skip
    assert SOUND in failed(phrase_checks(Parser(lost)))
    odd = Token("odd", "NOUN")
    found = failed(phrase_checks(Parser(lambda parse, call: replace(parse, tokens=(odd,) * call))))
    assert {TWICE, BATCH} <= set(found)


def test_a_crash_keeps_what_was_checked_before():
    def die(found: Answers, call: int) -> Answers:
        if call == 2:
            raise RuntimeError("device-side\nassert")
        return found

    examination = examine("detector", "seer", lambda: Seer(everyday(), die), detector_checks)
    assert [(check.name, check.passed) for check in examination.checks] == [(SIGHT, True), ("runs", False)]
    assert examination.checks[-1].detail == "RuntimeError: device-side assert"


def test_a_model_that_cannot_be_built_is_a_failed_examination(tmp_path: Path):
    spec = {"use": "precomputed", "path": str(tmp_path / "absent.jsonl")}
    examination = examine_model(Builder(), "detector", spec)
    assert (examination.model, examination.passed) == ("precomputed", False)
    assert "absent.jsonl: cannot be read" in examination.checks[0].detail
    (tmp_path / "absent.jsonl").write_text(
        '{"image": "a.png", "detector": "unidet-rs200", "width": 9, "height": 9, "detections": []}'
    )
    told = examine_model(Builder(), "detector", spec).checks[0].detail
    assert "detections from a file answer for picture files" in told


def test_the_embedded_models_pass(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--detector", "shapes", "--phrases", "builtin", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"]
    assert [(one["kind"], one["model"], len(one["checks"])) for one in found["models"]] == [
        ("detector", "shapes", 5), ("phrases", "builtin", 4),
    ]  # fmt: skip
    assert run(["doctor", "--for", "shapes"]) == 0
    assert "shapes 9 of 9" in " ".join(capsys.readouterr().out.split())


def test_one_bad_model_fails_the_command_and_hides_no_other(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RunError, match=r"not fit for a run: encoder fake; yes-no fake-eyes") as caught:
        run(
            [
                "doctor",
                "--encoder",
                "tests.plugins.fake_encoder",
                "--yes-no",
                "tests.plugins.fake_eyes",
                "--for",
                "shapes",
            ]
        )
    assert caught.value.exit_code == 1
    text = capsys.readouterr().out
    assert text.count("FAILED") == 4
    assert "detector shapes  ok" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detector", "shaps"], "did you mean 'shapes'"),
        (["--detector", "shapes,colour=red"], "unknown setting 'colour'"),
        (["--for", "genevall"], "did you mean 'geneval'"),
        (["--official", "--detector", "shapes"], "--official examines files"),
        (["--official", "--for", "color"], "no official detector is needed there"),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], message: str):
    with pytest.raises(UsageError, match=message) as caught:
        run(["doctor", *arguments])
    assert "\n" not in str(caught.value)


def test_every_benchmark_has_models_that_exist(tmp_path: Path):
    builder = Builder()
    for benchmark in (*known_names(builder), AESTHETIC):
        for kind, spec in official_models(benchmark, tmp_path, builder):
            builder.check_settings(kind, spec)
    kinds = [(kind, spec["use"], spec.get("size")) for kind, spec in official_models("compbench", tmp_path, builder)]
    assert kinds == [
        ("yes_no", "blip", None), ("phrases", "builtin", None), ("detector", "unidet", "rs200"),
        ("detector", "unidet", "r50"), ("depth", "dpt", None), ("encoder", "clip", None),
    ]  # fmt: skip
    newer = tmp_path / "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth"
    newer.touch()
    assert official_models("geneval", tmp_path, builder)[0][1]["model"] == str(newer)


def test_prompts_that_are_not_here_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOTR1_CACHE", str(tmp_path))
    told = missing_data(["geneval", "counting", "shapes", AESTHETIC], Builder())
    assert told == ["geneval: 2 of its 2 fetched files are not here; `gotr1-eval data fetch geneval`"]


def test_without_options_it_says_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "detection_features.pt").write_bytes(b"PK")
    (tmp_path / "HPS_v2.1_compressed.pt").write_bytes(b"<html>")
    assert run(["doctor", "--weights", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"torch", "transformers", "gotr1-eval"} <= facts["versions"].keys()
    assert "cpu" in facts["devices"]
    assert {"serve", "spacy", "trackers"} <= facts["extras"].keys()
    assert set(facts["packages"]) == {one.name for one in EXPECTED}
    states = {name: row["state"] for name, row in facts["weights"].items()}
    assert (states["unidet-labels"], states["hps"], states["blip-vqa"]) == ("found", "wrong", "missing")
    assert run(["doctor", "--weights", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "official weights in" in text
    assert "packages that others need" in text
    assert "no checkpoint" in " ".join(text.split())
