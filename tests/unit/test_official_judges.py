"""The judges of the official metrics, on pictures and detections that are worked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.geneval import GenEvalSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.samples import list_samples

EYES = "tests.plugins.fake_eyes"
ENCODER = "tests.plugins.fake_encoder"
CAT = ["cat", 0.05, 0.1, 0.3, 0.4, 0.8]
DOG = ["dog", 0.6, 0.1, 0.9, 0.4, 0.6]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / "new_objects.txt").write_text("cat - cats\ndog - dogs\n")
    (tmp_path / "complex_val_spatial.txt").write_text("The red cat is next to the blue dog.\n")
    (tmp_path / "complex_val_action.txt").write_text("The red cat chased the blue dog.\n")
    return tmp_path


def ask(judge: dict[str, Any], prompt: str, image: Any = None, **meta: Json) -> Outcome:
    picture = Image.new("RGB", (48, 48), "red") if image is None else image
    (outcome,) = Builder().judge(judge).judge([Sample(id="s", prompt=prompt, image=picture, meta=meta)])
    return outcome


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Score), outcome
    return outcome.value


def spatial(prompt: str, *finds: list[Any], **settings: Any) -> Outcome:
    return ask(
        {"use": "spatial_2d", "detector": {"use": EYES, "finds": list(finds)}, **settings}, prompt, category="spatial"
    )


def test_attributes_are_a_product_over_noun_phrases():
    judge = {"use": "blip_vqa", "yes_no": EYES}
    outcome = ask(judge, "a red cat and a blue dog", category="color")
    assert value(outcome) == 0.5625
    assert isinstance(outcome, Score)
    assert outcome.parts == {"a red cat?": 0.75, "a blue dog?": 0.75, "questions": 2.0}
    assert Builder().judge(judge).name == "attribute[fake-eyes, builtin, reference]"


def test_a_prompt_without_a_phrase_is_1_by_the_script_and_undefined_as_it_is_meant():
    reference = ask({"use": "blip_vqa", "yes_no": EYES}, "on top of", category="shape")
    assert value(reference) == 1.0
    corrected = ask({"use": "blip_vqa", "yes_no": EYES, "semantics": "corrected"}, "on top of", category="shape")
    assert isinstance(corrected, Unscored)
    assert corrected.why is Why.UNDEFINED


def test_pictures_in_the_plane():
    """0.25 * 0.8 + 0.25 * 0.6 + 0.5 where the relation holds; below 0.5 it is 0."""
    assert value(spatial("a cat on the left of a dog", CAT, DOG)) == pytest.approx(0.85)
    assert value(spatial("a cat on the right of a dog", CAT, DOG)) == 0.0
    assert value(spatial("a cat on the left of a dog", CAT)) == 0.0
    wider = spatial("a cat on the left of a dog", [*CAT[:3], 0.9, 0.4, 0.8], DOG)
    assert isinstance(wider, Score)
    assert [found.label for found in wider.seen] == ["cat", "dog"]


def test_labels_with_several_names_are_found_as_meant_only():
    desk = ["table, desk", 0.6, 0.1, 0.9, 0.4, 0.6]
    assert value(spatial("a cat on the left of a table", CAT, desk)) == 0.0
    assert value(spatial("a cat on the left of a table", CAT, desk, semantics="corrected")) == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("prompt", "corrected"),
    [
        ("a cat to the left of a dog", 0.85),
        ("a cat left of a dog", 0.85),
        ("a dog to the right of which is a cat", 0.0),
        # The script takes the first noun for the subject.
        ("on the left of a dog sits a cat", 0.85),
        ("on the right of a dog sits a cat", 0.0),
        ("a cat that is not on the left of a dog", None),
        ("Is a cat on the left of a dog?", None),
        ("a cat and a dog", None),
        ("a cat on the left of a dog on the left of a dog", None),
    ],
)
def test_relations_as_they_are_meant(prompt: str, corrected: float | None):
    outcome = spatial(prompt, CAT, DOG, semantics="corrected")
    if corrected is None:
        assert isinstance(outcome, Unscored)
        assert outcome.why is Why.NOT_APPLICABLE
        assert "states no one relation between two of its nouns" in outcome.detail
    else:
        assert value(outcome) == pytest.approx(corrected)
    assert isinstance(spatial(prompt, CAT, DOG), Score)


def test_where_the_script_ends_the_outcome_is_counted():
    outcome = spatial("near and on", CAT)
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNDEFINED
    assert "IndexError" in outcome.detail
    flat = [["cat", 0.1, 0.1, 0.1, 0.1, 0.8], ["dog", 0.2, 0.2, 0.2, 0.2, 0.8]]
    assert "ZeroDivisionError" in getattr(spatial("a cat near a dog", *flat), "detail", "")


def test_a_detector_that_must_be_told_is_asked_for_the_prompts_objects():
    builder = Builder()
    eyes: Any = builder.detector({"use": EYES})
    judge = builder.judge({"use": "spatial_2d", "detector": {"use": EYES}})
    picture = Image.new("RGB", (32, 32))
    sample = Sample(id="s", prompt="a girl near a dog", image=picture, meta={"category": "spatial"})
    assert value(judge.judge([sample])[0]) == pytest.approx(0.25 * 0.5 * 2 + 0.5)
    assert eyes.asked == [["person", "dog"]]


def test_pictures_in_depth():
    """The map is nearer to the right. Boxes overlap by an IoU of 0.25 / 0.75, of which a half is full credit."""
    finds = [["cat", 0.0, 0.0, 0.5, 1.0, 1.0], ["dog", 0.25, 0.0, 0.75, 1.0, 1.0]]
    judge = {"use": "spatial_3d", "depth": EYES, "detector": {"use": EYES, "finds": finds}, "semantics": "corrected"}
    behind = value(ask(judge, "a cat behind a dog", category="3d_spatial"))
    assert behind == pytest.approx(0.5 + 0.5 * (1 / 3) / 0.5, abs=0.01)
    assert value(ask(judge, "a cat in front of a dog", category="3d_spatial")) == 0.5
    for prompt in ("behind a dog sits a cat", "a cat that is not behind a dog", "a cat and a dog"):
        unread = ask(judge, prompt, category="3d_spatial")
        assert isinstance(unread, Unscored)
        assert unread.why is Why.NOT_APPLICABLE
    # Relations in the plane are those of the 2D metric: 0.5, and the dog's centre is on the right.
    assert value(ask(judge, "a cat left of a dog", category="3d_spatial")) == pytest.approx(0.5 + 0.5 * 0.1 * 3)


def test_depth_knows_its_own_category_and_models():
    other = {"use": EYES, "finds": [CAT]}
    judge = {"use": "spatial_3d", "depth": EYES, "detector": {"use": EYES, "finds": [CAT, DOG]}}
    elsewhere = ask(judge, "a cat behind a dog", category="spatial")
    assert isinstance(elsewhere, Unscored)
    assert elsewhere.why is Why.NOT_APPLICABLE
    builder = Builder()
    prints = {builder.judge(each).fingerprint for each in (judge, {**judge, "semantics": "corrected"})}
    assert len(prints) == 2
    assert all(isinstance(each, str) and each for each in prints)
    assert builder.judge({**judge, "detector": other}).name == builder.judge(judge).name
    one = value(ask({**judge, "detector": other}, "a cat behind a dog", category="3d_spatial"))
    assert one == pytest.approx(0.25 * 0.8)
    made = builder.judge(judge)
    assert (made.range, made.looks_at, made.may_not_apply, made.model_calls) == ((0.0, 1.0), "picture", True, 0)
    flat = [["cat", 0.1, 0.1, 0.1, 0.1, 0.8], ["dog", 0.2, 0.2, 0.2, 0.2, 0.8]]
    undefined = ask({**judge, "detector": {"use": EYES, "finds": flat}}, "a cat behind a dog", category="3d_spatial")
    assert isinstance(undefined, Unscored)
    assert undefined.why is Why.UNDEFINED
    missing = ask(judge, "a cat behind a dog", Path("nowhere.png"), category="3d_spatial")
    assert isinstance(missing, Unscored)
    assert missing.why is Why.NO_INPUT


def test_counts(lists: Path):
    judge = {"use": "numeracy", "detector": {"use": EYES, "finds": [CAT, DOG, ["dog", 0.1, 0.6, 0.4, 0.9, 0.9]]}}
    judge["data"] = str(lists)
    assert value(ask(judge, "one cat and two dogs", category="numeracy")) == 1.0
    assert value(ask(judge, "three cats and two dogs", category="numeracy")) == 0.75
    nothing = ask(judge, "many birds", category="numeracy")
    assert isinstance(nothing, Unscored)
    assert (nothing.why, "ZeroDivisionError" in nothing.detail) == (Why.UNDEFINED, True)


def test_complex_prompts_take_the_parts_of_their_list(lists: Path):
    judge = {"use": "three_in_one", "yes_no": EYES, "encoder": ENCODER, "data": str(lists)}
    judge["detector"] = {"use": EYES, "finds": [CAT, DOG]}
    near = ask(judge, "The red cat is next to the blue dog.", category="complex")
    assert isinstance(near, Score)
    assert near.parts == {"attribute": 0.5625, "spatial": pytest.approx(0.85)}
    assert near.value == pytest.approx((0.5625 + 0.85) / 2)
    chase = ask(judge, "The red cat chased the blue dog.", category="complex")
    assert isinstance(chase, Score)
    cosine = value(ask({"use": "non_spatial", "encoder": ENCODER}, "The cat chased the dog .", category="non_spatial"))
    assert chase.parts == {"attribute": 0.5625, "action": pytest.approx(cosine)}
    both = ask(judge, "The red cat and a dog.", category="complex")
    assert isinstance(both, Score)
    assert sorted(both.parts) == ["action", "attribute", "spatial"]


@pytest.mark.parametrize("name", ["blip_vqa", "spatial_2d", "non_spatial"])
def test_missing_pictures_and_other_categories(name: str, tmp_path: Path):
    spec = {"blip_vqa": {"yes_no": EYES}, "spatial_2d": {"detector": EYES}, "non_spatial": {"encoder": ENCODER}}[name]
    category = {"blip_vqa": "texture", "spatial_2d": "spatial", "non_spatial": "non_spatial"}[name]
    gone = ask({"use": name, **spec}, "a cat near a dog", tmp_path / "none.png", category=category)
    assert isinstance(gone, Unscored)
    assert gone.why is Why.NO_INPUT
    other = ask({"use": name, **spec}, "a cat near a dog", category="numeracy")
    assert isinstance(other, Unscored)
    assert other.why is Why.NOT_APPLICABLE


def geneval(include: list[dict[str, Json]], *finds: list[Any], tag: str = "two_object", **settings: Any) -> Outcome:
    judge = {"use": "geneval", "detector": {"use": EYES, "finds": list(finds)}, **settings}
    return ask(judge, "p", geneval={"tag": tag, "include": [*include], "prompt": "p"})


def test_geneval_verdicts():
    both: list[dict[str, Json]] = [{"class": "cat", "count": 1}, {"class": "dog", "count": 1}]
    assert value(geneval(both, CAT, DOG)) == 1.0
    wrong = geneval(both, CAT)
    assert isinstance(wrong, Score)
    assert (wrong.value, wrong.note) == (0.0, "expected dog>=1, found 0")
    assert value(geneval(both, CAT, [*DOG[:5], 0.3])) == 0.0
    assert value(geneval(both[:1], CAT, tag="counting")) == 0.0
    left: list[dict[str, Json]] = [both[1], {**both[0], "position": ["left of", 0]}]
    assert value(geneval(left, CAT, DOG, tag="position")) == 1.0


def test_geneval_colours_need_an_encoder():
    red: list[dict[str, Json]] = [{"class": "cat", "count": 1, "color": "red"}]
    without = geneval(red, CAT, tag="colors")
    assert isinstance(without, Unscored)
    assert "encoder" in without.detail
    scored = geneval(red, CAT, tag="colors", encoder=ENCODER)
    assert isinstance(scored, Score)
    assert scored.parts == {"colours without mask": 1.0}
    assert value(geneval(red, tag="colors")) == 0.0


def test_the_suite_carries_its_metadata(tmp_path: Path):
    rows = [
        {"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": "two cats"},
        {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}], "prompt": "a red cat"},
    ]
    (tmp_path / "evaluation_metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    suite = GenEvalSuite(tmp_path)
    plan = list_samples(suite, suite.categories, images_per_prompt=2, limit=None, seed=0)
    assert [(sample.id, sample.prompt) for sample in plan[:3]] == [
        ("geneval/counting/00000/0", "two cats"),
        ("geneval/counting/00000/1", "two cats"),
        ("geneval/colors/00000/0", "a red cat"),
    ]
    assert plan[2].meta["geneval"] == rows[1]
