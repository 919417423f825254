"""Readers of text: RapidOCR with its own trained weights, and a language-vision model that is asked to read."""

from __future__ import annotations

import random

import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.doctor.ocr import SIGNS, draw, ocr_checks, word_recall
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.perception import Transcript
from gotr1_eval.models.ocr import rapidocr as module
from gotr1_eval.models.ocr.rapidocr import RapidOcr
from gotr1_eval.models.ocr.rapidocr import Settings as RapidSettings
from gotr1_eval.models.ocr.vlm import NOTHING, Settings, VlmReader
from tests.fakes import ScriptedVlm

pytestmark = pytest.mark.slow

WORDS = (
    "coffee", "station", "museum", "garden", "silver", "window", "autumn", "bridge", "market", "painter", "river",
    "thunder", "yellow", "winter", "lantern", "orchard", "journey", "harvest", "mountain", "village", "SALE", "OPEN",
    "EXIT", "2026", "1998",
)  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> RapidOcr:
    pytest.importorskip("rapidocr")
    return RapidOcr(RapidSettings())


def written(seed: int) -> tuple[Image.Image, list[str]]:
    """Three lines of words that lie wholly in the picture, and the words."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (640, 400), rng.choice(["white", "lightyellow", "lightblue", "black"]))
    ink = "white" if picture.getpixel((0, 0)) == (0, 0, 0) else rng.choice(["black", "darkred", "navy"])
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(rng.choice([22, 30, 38]))
    lines = [" ".join(rng.sample(WORDS, 3)) for _ in range(3)]
    for place, line in enumerate(lines):
        pen.text((20, 50 + 110 * place), line, font=font, fill=ink)
        assert pen.textlength(line, font=font) < 600
    return picture, " ".join(lines).split()


def test_rendered_words_are_read_by_the_trained_weights(reader):
    pictures, words = zip(*map(written, range(8)), strict=True)
    read = reader.read(pictures)
    assert word_recall(words, read) >= 0.97
    lines = [line for transcript in read for line in transcript.lines]
    assert all(0.5 <= line.score <= 1 for line in lines)
    assert all(line.box.y1 < line.box.y2 for line in lines)
    top = [line.box.y1 for line in read[0].lines]
    assert top == sorted(top)


@pytest.mark.parametrize("ground", ["white", "black", "teal"])
def test_a_blank_picture_has_no_words(reader, ground):
    assert reader.read([Image.new("RGB", (512, 384), ground)]) == [Transcript(())]


def test_a_reader_that_reads_passes_and_one_that_repeats_itself_does_not(reader):
    assert all(check.passed for check in ocr_checks(reader))
    liar = VlmReader(ScriptedVlm(lambda _: Reply(text="FRESH BREAD", model="m")), Settings(vlm={"use": "x"}))
    assert [check.name for check in ocr_checks(liar) if not check.passed] == ["reads words", "reads nothing in a blank"]


def test_settings_that_change_a_transcript_are_in_the_name_and_the_fingerprint(reader):
    other = RapidOcr(RapidSettings(least_score=0, turn=False))
    assert (reader.name, other.name) == ("rapidocr pp-ocrv6-small", "rapidocr pp-ocrv6-small above 0 upright")
    assert reader.fingerprint != other.fingerprint
    assert RapidOcr(RapidSettings(threads=2)).fingerprint == reader.fingerprint


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"PACKAGE": "no_such_package"}, "not installed; pip install rapidocr onnxruntime"),
        ({"LEAST": "99.0"}, "expected version 99.0.*pip install 'rapidocr>=99.0'"),
    ],
)
def test_a_missing_or_old_package_is_told_with_what_to_do(monkeypatch, change, told):
    pytest.importorskip("rapidocr")
    for name, value in change.items():
        monkeypatch.setattr(module, name, value)
    with pytest.raises(UsageError, match=told):
        RapidOcr(RapidSettings()).read([draw(SIGNS[0])])


@pytest.mark.parametrize(
    ("reply", "lines"), [("FRESH\n\n bread ", ("FRESH", "", " bread ")), (f" {NOTHING}\n", ()), ("", ())]
)
def test_an_answer_is_kept_line_by_line_and_verbatim(reply, lines):
    vlm = ScriptedVlm(lambda _: Reply(text=reply, model="m"))
    (read,) = VlmReader(vlm, Settings(vlm={"use": "x"}, request="Read.", max_tokens=7)).read([draw(SIGNS[0])])
    assert tuple(line.text for line in read.lines) == lines
    assert read.replies[0].text == reply
    assert (vlm.requests[0].prompt, vlm.requests[0].max_tokens, len(vlm.requests[0].images)) == ("Read.", 7, 1)


def test_a_failed_call_is_no_empty_transcript():
    lost = Unscored(why=Why.BACKEND, detail="gone")
    assert VlmReader(ScriptedVlm(lambda _: lost), Settings(vlm={"use": "x"})).read([draw(SIGNS[0])]) == [lost]


def test_a_model_to_read_with_is_named_as_judge_models_are():
    built = Builder().ocr({"use": "vlm", "model": "http://127.0.0.1:9/v1#Qwen/Qwen2.5-VL-7B-Instruct"})
    assert built.name.endswith("own request")
    assert "Qwen2.5-VL-7B-Instruct" in built.name
    assert built.model_calls == 1
