"""GenEval 2 from prompts to tables on a tiny Qwen3-VL, its layout and score files, and servers that list few tokens."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.geneval2 import GenEval2Suite
from benchmarks.geneval2.judges.geneval2 import Settings, build
from benchmarks.geneval2.layout import PromptMap
from benchmarks.geneval2.prompts import FACTS, Row, alternatives, forms, listed_words, read_wording
from gotr1_eval import run_benchmark
from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.checklist import Question
from gotr1_eval.core.errors import DataError, GotR1Error, RunError, UsageError
from gotr1_eval.core.outcome import Reply, Score, Unscored
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from gotr1_eval.models.vlms import qwen
from gotr1_eval.runs.layouts import write_layout
from rewards.reward_set import RewardSet
from tests.faulty_server import faulty_server
from tests.tiny_vlms import save_tiny_qwen

SCRIPT = """
import torch
raise SystemExit("never run")
def vqa_score(prompt, image_filepath):
    return 'Is it "{}"? Yes or no.'.format(prompt)
def soft_tifa(vqa_list, image_filepath):
    for question, answer in vqa_list:
        send('{} One word, please!'.format(question))
"""
PROMPTS: list[dict[str, Any]] = [
    {"prompt": "two red cups", "atom_count": 3, "skills": ["count", "attribute", "object"],
     "vqa_list": [["How many cups are there?", "two"], ["Are they red?", "Yes"], ["Any cups?", "Yes"]]},
    {"prompt": "a dog and a bus", "atom_count": 3, "skills": ["object", "object"],
     "vqa_list": [["Is there a dog?", "Yes"], ["Is there a bus?", "Yes"]]},
    {"prompt": "a dog left of a blue bus", "atom_count": 4, "skills": ["object", "object", "position", "attribute"],
     "vqa_list": [["A dog?", "Yes"], ["A bus?", "Yes"], ["Left of it?", "Yes"], ["Is it blue?", "Yes"]]},
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "geneval2_data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in PROMPTS))
    (folder / "evaluation.py").write_text(SCRIPT)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen(tmp_path_factory.mktemp("qwen"), "qwen3_vl")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official map, with a path beside it, an absolute one, and one of a prompt that nobody asks for."""
    folder = tmp_path_factory.mktemp("pictures")
    for place in range(3):
        noise = np.random.default_rng(place).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{place}.png")
    named = {row["prompt"]: f"{place}.png" for place, row in enumerate(PROMPTS)}
    named |= {"a dog and a bus": str(folder / "1.png"), "an egg": "2.png"}
    (folder / "paths.json").write_text(json.dumps(named))
    return folder / "paths.json"


def test_the_words_are_read_and_never_run(data: Path):
    wording = read_wording(data)
    assert wording.ask(Question(id="1", text="A dog?")) == "A dog? One word, please!"
    assert wording.ask_whole("a {cup}", "corrected") == 'Is it "a {cup}"? Yes or no.'


def test_from_prompts_to_tables(data: Path, checkpoint: Path, pictures: Path, tmp_path: Path, capsys, caplog):
    command = ["bench", "geneval2", "--data", str(data), "--images", str(pictures)]
    assert run([*command, "--judge-model", str(checkpoint), "--dry-run", "--json"]) == 0
    foreseen = json.loads(capsys.readouterr().out)
    assert (foreseen["images"], foreseen["model_calls"], foreseen["answer_tokens_at_most"]) == (3, 9, 9)
    assert run([*command, "--judge-model", str(checkpoint), "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().err
    name = f"soft_tifa_gm[{checkpoint.name}, first tokens, geometric mean, as it is, reference]"
    assert name in told
    assert "1 prompts are not asked for and not judged, such as 'an egg'" in caplog.text
    tables = json.loads((tmp_path / "run" / "tables.json").read_text())
    lists = json.loads((tmp_path / "run" / "score_lists.json").read_text())
    assert [len(scores) for scores in lists] == [3, 2, 4]
    means = [math.exp(sum(map(math.log, scores)) / len(scores)) for scores in lists]
    assert tables["soft_tifa_gm"]["value"] == pytest.approx(sum(means) / 3)
    assert tables["skills"]["attribute"]["value"] == pytest.approx((lists[0][1] + lists[2][3]) / 2)
    assert (tables["skills"]["verb"]["value"], tables["atoms"]["4"]["pictures"]) == (None, 1)
    results = [
        "bench",
        "geneval2",
        "--data",
        str(data),
        "--results",
        str(tmp_path / "run" / "score_lists.json"),
        "--json",
    ]
    assert run(results) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == {key: value for key, value in tables.items() if key != "judge"}


@pytest.mark.parametrize("semantics", ["reference", "corrected"])
def test_a_shared_prefix_changes_nothing(data: Path, checkpoint: Path, semantics: Any, monkeypatch: pytest.MonkeyPatch):
    """Against one forward of the whole model a question, and the softmax of what it says first, as the script has it.

    The picture's tokens go through the language model once for all of its questions.
    """
    vlm = qwen.build(qwen.Settings(model=str(checkpoint)), Builder())
    suite = GenEval2Suite(data)
    picture = Image.fromarray(np.random.default_rng(9).integers(0, 255, (384, 416, 3), dtype=np.uint8))
    samples = [
        Sample(id=str(row.index), prompt=row.prompt, image=picture, meta={FACTS: dict(row.fact)}) for row in suite.rows
    ]
    judge = build(Settings(vlm={"use": "qwen", "model": str(checkpoint)}, semantics=semantics, data=data), Builder())
    lengths: list[tuple[int, ...]] = []
    model = judge.vlm.loaded.model.model.language_model  # type: ignore[attr-defined]
    forward = model.forward

    def counted(*given: Any, **named: Any) -> Any:
        lengths.append(tuple(named["inputs_embeds"].shape[:2]))
        return forward(*given, **named)

    monkeypatch.setattr(model, "forward", counted)
    for sample in samples:
        lengths.clear()
        (outcome,) = judge.judge([sample])
        assert isinstance(outcome, Score)
        questions = suite.rows[int(sample.id)].questions
        assert [shape[0] for shape in lengths] == [1, len(questions)]
        assert lengths[1][1] < lengths[0][1] / 2
        expected = [alone(vlm, picture, question, semantics) for question in questions]
        assert [one.verdict for one in outcome.questions] == pytest.approx(expected, abs=1e-5)
        assert outcome.value == pytest.approx(math.prod(expected) ** (1 / len(expected)), abs=1e-5)


def alone(vlm: Any, picture: Image.Image, question: Question, semantics: Any) -> float:
    """The sum of the listed first tokens' probabilities, each token once, by one whole forward in transformers."""
    request = Request(prompt=f"{question.text} One word, please!", images=(picture,))
    with torch.inference_mode():
        row, _ = vlm._read(request)
        inputs = dict(vlm.processor(images=[picture], return_tensors="pt"))
        ids = torch.tensor([row.ids])
        kinds = (ids == vlm.loaded.model.config.image_token_id).int()
        logits = vlm.loaded.model(input_ids=ids, mm_token_type_ids=kinds, **inputs).logits[0, -1]
    listed = {vlm._tokens(form)[0] for form in forms(question, semantics)}
    return float(logits.softmax(-1)[sorted(listed)].sum())


def test_the_layout_is_written_as_it_is_read(pictures: Path, tmp_path: Path):
    plan = [Sample(id=f"g/a/{place}/0", prompt=row["prompt"]) for place, row in enumerate(PROMPTS)]
    made = [Sample(id=s.id, prompt=s.prompt, image=pictures.parent / f"{place}.png") for place, s in enumerate(plan)]
    assert write_layout(PromptMap(), plan, made, tmp_path / "official") == 3
    found = PromptMap().match(tmp_path / "official", plan)
    assert found.remarks == ()
    assert [found.paths[s.id].read_bytes() for s in plan] == [s.image.read_bytes() for s in made]  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="GenEval 2's layout has one picture a prompt"):
        PromptMap().paths([plan[0], Sample(id="other", prompt=plan[0].prompt)])


def test_a_missing_picture_is_told_and_unscored(data: Path, checkpoint: Path, pictures: Path, tmp_path: Path, caplog):
    few = tmp_path / "few.json"
    few.write_text(json.dumps({PROMPTS[0]["prompt"]: str(pictures.parent / "0.png")}))
    command = ["bench", "geneval2", "--data", str(data), "--images", str(few), "--judge-model", str(checkpoint)]
    with pytest.raises(RunError, match="have under 95% of their samples scored"):
        run([*command, "--out", str(tmp_path / "run")])
    assert "2 planned samples have no picture (the official script ends there)" in caplog.text
    assert not (tmp_path / "run" / "score_lists.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[0.5, 0.5, 0.5]]", "expected the scores of 3 prompts, got 1"),
        ("[[0.5], [0.5, 1], [0.5, 1, 1, 1]]", r"prompt 0 \('two red cups'\): expected 3 scores, got 1"),
        ("[[0.5, 2, 1], [1, 1], [1, 1, 1, 1]]", r"prompt 0: expected scores in \[0, 1\], got \[0.5, 2, 1\]"),
        ("{}", "expected a list of lists of scores"),
        ("nonsense", "expected a JSON list of lists"),
    ],
)
def test_a_score_file_that_is_none_is_one_line(data: Path, tmp_path: Path, content: str, message: str):
    path = tmp_path / "scores.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        GenEval2Suite(data).sum_up_results(path, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a", "atom_count": 3, "vqa_list": [], "skills": []}', "0 questions and 0 skills"),
        ('{"prompt": "a", "atom_count": 3, "vqa_list": [["?", "Yes"]], "skills": ["taste"]}', "unknown skill 'taste'"),
        (json.dumps(PROMPTS[0]) + "\n" + json.dumps(PROMPTS[0]), "the prompt of line 1 again"),
    ],
)
def test_a_file_of_other_prompts_is_one_line(tmp_path: Path, line: str, message: str):
    (tmp_path / "geneval2_data.jsonl").write_text(line + "\n")
    with pytest.raises(GotR1Error, match=message):
        _ = GenEval2Suite(tmp_path).rows


def test_faults_of_the_script_are_mended_under_corrected():
    count, yes = (
        Question(id="1", text="How many cups?", answers=("two",)),
        Question(id="2", text="Red?", answers=("Yes",)),
    )
    spoken, other = Question(id="3", text="how many?", answers=("two",)), Question(id="4", text="Red?", answers=("No",))
    assert forms(count, "reference") == ("two", "Two", " two", " Two", "2", " ")
    assert forms(count, "corrected") == ("two", "Two", " two", " Two", "2")
    assert forms(yes, "reference") == forms(spoken, "reference") == forms(other, "reference")
    assert set(forms(yes, "corrected")) == set(forms(yes, "reference"))
    assert forms(spoken, "corrected") == forms(count, "corrected")
    assert forms(other, "corrected") == ("no", "No", " no", " No")
    assert "YES".lower() in listed_words(yes)
    assert {"yes", "no"} <= set(alternatives(other))
    assert {"one", " Ten", "7"} <= set(alternatives(count))


def served(url: str, listed: int) -> dict[str, Any]:
    return {"use": "openai_compatible", "base_url": url, "model": "org/Qwen3-VL", "listed_tokens": listed}


@pytest.mark.parametrize(("listed", "scored"), [(20, True), (3, False)])
def test_a_server_gives_bounds(data: Path, listed: int, scored: bool):
    """What is not listed is never taken for 0: the value is known to .01, or there is none."""
    chances = {"Yes": 0.9, "No": 0.0499, "yes": 0.02, " Yes": 0.01, " yes": 0.01, "It": 0.01}
    row = Row(0, "p", 3, (("A?", "Yes"), ("B?", "Yes")), ("object", "object"))
    sample = Sample(id="s", prompt="p", image=Image.new("RGB", (8, 8)), meta={FACTS: dict(row.fact)})
    with faulty_server(next_tokens=lambda begun: chances) as server:
        judge = build(Settings(vlm=served(server.url, listed), data=data), Builder())
        (outcome,) = judge.judge([sample])
    if scored:
        assert isinstance(outcome, Score)
        assert outcome.value == pytest.approx(0.94)
        assert outcome.replies[0] == Reply(
            text="", model="Qwen3-VL", finish="first_tokens", first_tokens=dict(outcome.replies[0].first_tokens)
        )
    else:
        assert isinstance(outcome, Unscored)
        assert "lies between 0.9200 and 0.9600" in outcome.detail
        assert [one.verdict for one in outcome.questions] == [pytest.approx(0.92)] * 2


def test_it_runs_from_python(data: Path, checkpoint: Path, pictures: Path, tmp_path: Path):
    frames = run_benchmark(
        suite="geneval2", data=data, images=pictures, judge_model=str(checkpoint), limit=1, out=tmp_path / "run"
    )
    assert len(frames.judgments) == 2


def test_judges_of_three_benchmarks_read_each_picture_once_for_each_model(
    data: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """GenEval, GenEval 2 and DPG-Bench's questions on the same 24 files: one decoding, one encoding by the model."""
    vlm = {"use": "qwen", "model": str(checkpoint)}
    builder = Builder()
    eyes = {"detector": "tests.plugins.fake_eyes", "encoder": "tests.plugins.fake_encoder"}
    judges = {
        "geneval": builder.judge({"use": "geneval", **eyes}),
        "geneval2": builder.judge({"use": "geneval2", "vlm": vlm, "data": str(data)}),
        "dpg": builder.judge({"use": "dpg_vlm", "vlm": vlm}),
    }
    asked = Row(0, *(PROMPTS[1][key] for key in ("prompt", "atom_count", "vqa_list", "skills")))
    question = {"id": 1, "dependency": "0", "kind": "entity - whole (dog)", "question": "Is there a dog?"}
    facts = {
        "geneval": {"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a dog and a bus"},
        FACTS: asked.fact,
        "dpg": {"item_id": "a", "propositions": [question]},
    }
    samples = []
    for place in range(24):
        noise = np.random.default_rng(place).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path := tmp_path / f"{place}.png")
        samples.append(Sample(id=str(place), prompt="a dog and a bus", image=path, meta=facts))
    encoded, opened, encode, read = [], [], qwen.QwenVlm._encode, Image.open
    monkeypatch.setattr(qwen.QwenVlm, "_encode", lambda model, image: encoded.append(image) or encode(model, image))
    monkeypatch.setattr(Image, "open", lambda file, *rest, **more: opened.append(file) or read(file, *rest, **more))
    rows = RewardSet(judges).judge(samples)
    assert all(isinstance(row[name], Score) for row in rows for name in ("geneval", "geneval2"))
    assert all(row["dpg"].replies for row in rows), "the random model was asked, whatever it said"
    assert (len(encoded), len(opened)) == (24, 24)
