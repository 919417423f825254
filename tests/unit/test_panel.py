"""The panel: its members are fixed, and one whose weights are missing is an empty column and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval import score
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import MissingWeightsError
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.files.jsonl import read_rows
from rewards.reward_set import read_reward_set
from tests.tiny_clip import random_clip_folder
from tests.tiny_reward_models import image_reward_file

MEMBERS = [
    "pick_score[PickScore_v1]", "image_reward[ImageReward-v1.0]",
    "laion_aesthetic[aesthetic-v2, clip-vit-large-patch14]", "clip_score[clip-vit-large-patch14]",
    "aesthetic[hps-v2.1]", "hps_v3[HPSv3]", "unified_reward[UnifiedReward-2.0-qwen3vl-8b, three marks]",
    "vqa_score[Qwen2.5-VL-7B-Instruct, t2v_metrics]", "ocr_reward[rapidocr pp-ocrv6-small above 0 upright]",
]  # fmt: skip


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_the_members_are_the_same_whatever_is_on_the_machine(weights: Path):
    names = [judge.name for judge in Builder().reward_set("panel").judges.values()]
    assert names == MEMBERS
    small = [judge.name for judge in Builder().reward_set("panel-small").judges.values()]
    assert set(small) < set(names)
    assert read_reward_set("panel").total is None


def test_two_of_them_look_through_one_clip(weights: Path):
    builder, specs = Builder(), Builder().judge_specs("panel")
    look, liking = (builder.judge(specs[name]) for name in ("clip_score", "laion_aesthetic"))
    assert liking._model._encoder is look._encoder  # type: ignore[attr-defined]


def test_an_absent_member_answers_nothing_and_says_why(weights: Path):
    judge: Any = Builder().reward_set("panel").judges["hps_v3"]
    (outcome,) = judge.judge([Sample(id="1", prompt="a", image=Image.new("RGB", (8, 8)))])
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.NOT_APPLICABLE
    (line,) = judge.remarks([])
    assert line.startswith("hps_v3[HPSv3] is an empty column: hps_v3: the weights: no HPSv3.safetensors in ")
    with pytest.raises(MissingWeightsError):
        Builder().judge({"use": "hps_v3"}).fingerprint  # noqa: B018


def test_an_empty_column_changes_no_other_number_and_is_filled_once_the_weights_are_here(tmp_path: Path, weights: Path):
    """One run folder, resumed: what was judged stays as it is, and only the new judge is asked."""
    random_clip_folder(tmp_path / "clip-tiny")
    (tmp_path / "vocabulary").mkdir()
    image_reward_file(tmp_path / "vocabulary" / "ImageReward.pt")
    table = tmp_path / "table.jsonl"
    with table.open("w") as file:
        for name in ("red", "green"):
            Image.new("RGB", (40, 40), name).save(tmp_path / f"{name}.png")
            file.write(json.dumps({"prompt": name, "image": f"{name}.png"}) + "\n")
    clip = f'clip = {{ use = "clip_score", encoder = "clip,model={tmp_path / "clip-tiny"}" }}\n'
    liked = (
        'liked = { use = "image_reward", model = { use = "image_reward", image_heads = 2, text_heads = 2, '
        f'tokenizer = "{tmp_path / "vocabulary"}" }} }}\n'
    )
    (tmp_path / "one.toml").write_text(f"[judges]\n{clip}")
    (tmp_path / "both.toml").write_text(f'absent = "empty"\n[judges]\n{clip}{liked}')

    def judged(judges: str, out: str) -> list[dict[str, Any]]:
        score(source=str(table), judges=str(tmp_path / judges), out=tmp_path / out)
        return [row for _, row in read_rows(tmp_path / out / "judgments.jsonl")]

    def told(rows: list[dict[str, Any]], kind: str) -> list[Any]:
        return [row.get("value") for row in rows if row["judge"].startswith(kind)]

    alone, beside = judged("one.toml", "alone"), judged("both.toml", "run")
    assert told(beside, "clip_score") == told(alone, "clip_score")
    assert told(beside, "image_reward") == [None, None]
    before = json.loads((tmp_path / "run" / "run.json").read_text())
    (remark,) = [line for judge in before["setup"]["judges"] for line in judge["remarks"]]
    assert "image_reward[ImageReward-v1.0] is an empty column" in remark
    (tmp_path / "vocabulary" / "ImageReward.pt").rename(weights / "ImageReward.pt")
    filled = judged("both.toml", "run")
    assert filled[: len(beside)] == beside
    assert told(filled, "clip_score") == told(alone, "clip_score")
    assert None not in told(filled, "image_reward")[2:]
    assert len(told(filled, "image_reward")) == 4
    after = json.loads((tmp_path / "run" / "run.json").read_text())
    assert after["identity"] == before["identity"]
