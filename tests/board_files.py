"""Files in the form of benchmarks that are fetched: prompts and judge's wording of our own, a few of each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.protocols import Request
from tests.fakes import ScriptedVlm

WISE_SCRIPT = '''
raise SystemExit("a fetched script was run")

def build_evaluation_messages(prompt_data, image_base64):
    return [
        {"role": "system", "content": [{"type": "text", "text": "Judge strictly."}]},
        {"role": "user", "content": [{"type": "text", "text": f"""Does it show {{the}} meaning?
PROMPT: "{prompt_data['Prompt']}"
EXPLANATION: "{prompt_data['Explanation']}"
Answer."""}, {"type": "image_url", "image_url": {"url": f"data:{image_base64}"}}]},
    ]
'''
WISE_PROMPTS = {
    1: "the red fruit of a saying",
    2: "a drink of the east",
    401: "noon at the pole",
    641: "a plant at a window",
}
WISE_LEGACY_FILES = {
    "cultural_common_sense.json": (1, 2),
    "spatio-temporal_reasoning.json": (401, 641),
    "natural_science.json": (),
}

UNIGENBENCH_SCRIPT = '''
import package_that_is_nowhere

EXPLANATION_DICT_EN = {"Attribute - Color": "colours", "Style": "styles", "Action - State": "states"}
EXPLANATION_DICT_ZH = {"属性-颜色": "颜色", "风格": "风格"}
SYSTEM_PROMPT_EN_TEMPLATE = """Of 「{prompt}」 judge {testpoint}.
{explanation}
{test_explanation}
Write <score>."""
SYSTEM_PROMPT_ZH_TEMPLATE = "「{prompt}」 {testpoint} {explanation} {test_explanation}"
LANG_CONFIGS = {
    "en": {
        "explanation_dict": EXPLANATION_DICT_EN,
        "system_prompt_template": SYSTEM_PROMPT_EN_TEMPLATE,
        "checkpoint_header": "Definitions",
        "checkpoint_desc_header": "Descriptions",
    },
    "zh": {
        "explanation_dict": EXPLANATION_DICT_ZH,
        "system_prompt_template": SYSTEM_PROMPT_ZH_TEMPLATE,
        "checkpoint_header": "定义",
        "checkpoint_desc_header": "描述",
    },
}
'''
UNIGENBENCH_ROWS = {
    "en": [
        (0, "two red cups", ["Attribute - Color", "Style"], ["red", "a photograph"]),
        (7, 'a cat, "asleep"', ["Action - State"], ["sleeping"]),
    ],
    "en_long": [(509, "a long prompt", ["Attribute - Color", "Style"], ["blue", "ink"])],
    "zh": [(0, "红杯", ["属性-颜色", "风格"], ["红", "照片"])],
    "zh_long": [(3, "长", ["风格"], ["水墨"])],
}

COREBENCH_SCRIPT = '''
import package_that_is_nowhere

TEMPLATE = """
Say yes or no.
"""
'''

TIIF_SCRIPT = """
raise SystemExit("a fetched script was run")
raw_prompt = "First: ##YNQuestions##"
raw_prompt_1 = "Second: ##YNQuestions##"
raw_prompt_2 = "Third: ##YNQuestions##"

def generate_with_prompt(prompt, image_path, client):
    messages = [
        {"role": "system", "content": "Be a critic."},
        {"role": "user", "content": [{"type": "text", "text": prompt}]},
    ]
"""


def paint(path: Path, colour: str = "red") -> None:
    """A small picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)


def write_wise(folder: Path) -> Path:
    """Four prompts of either protocol, and both scripts."""
    rows = [
        {"Prompt": text, "Explanation": f"what {at} means", "Category": "c", "Subcategory": "s", "prompt_id": at}
        for at, text in WISE_PROMPTS.items()
    ]
    _write_json(folder / "merge.json", rows)
    for name, ids in WISE_LEGACY_FILES.items():
        _write_json(folder / name, [row for row in rows if row["prompt_id"] in ids])
    for script in ("vllm_eval.py", "gpt_eval.py"):
        _write(folder / script, WISE_SCRIPT)
    return folder


def write_unigenbench(folder: Path) -> Path:
    """A few prompts of each list; the long English one lacks a comma, as the authors' does."""
    for name, items in UNIGENBENCH_ROWS.items():
        language = name.partition("_")[0]
        kinds_key, texts_key = ("Testpoints", "Testpoint Description") if language == "en" else ("考点", "考点对应描述")
        rows = []
        for index, prompt, kinds, texts in items:
            facts = json.dumps({kinds_key: kinds, texts_key: texts}, ensure_ascii=False)
            facts = (
                facts.replace('"Attribute - Color", "Style"', '"Attribute - Color" "Style"') if index == 509 else facts
            )
            rows.append({"index": index, f"prompt_{language}": prompt, f"sub_dims_{language}": facts})
        _write_csv(folder / f"test_prompts_{name}.csv", rows)
    _write(folder / "eval_common.py", UNIGENBENCH_SCRIPT)
    return folder


def write_corebench(folder: Path) -> Path:
    """Two prompts of one dimension and one of each other, with two questions each, and the script."""
    for name in ("C-MI", "C-MA", "C-MR", "C-TR", "R-LR", "R-BR", "R-HR", "R-PR", "R-GR", "R-AR", "R-CR", "R-RR"):
        rows = {
            f"{name}-{at:03d}": {
                "Prompt": f"{name} prompt {at}",
                "Checklist": [
                    {"question": f"Is there a cup in {name} {at}?", "tags": ["instance_pos"]},
                    {"question": f"Is there no dog in {name} {at}?", "tags": ["instance_neg"]},
                ],
            }
            for at in range(1, 3 if name == "C-MI" else 2)
        }
        _write_json(folder / f"{name}.json", rows)
    _write(folder / "evaluate.py", COREBENCH_SCRIPT)
    return folder


def write_tiif(folder: Path, attributes: Iterable[str] = ("numeracy", "negation")) -> Path:
    """Two prompts of these attributes, short and long, and the script."""
    for attribute in attributes:
        prompts = [
            {"type": attribute, "short_description": f"{attribute} {at}", "long_description": f"long {attribute} {at}"}
            for at in range(2)
        ]
        asked = [
            {
                "type": attribute,
                "yn_question_list": [f"Is {at} there?  ", "Is a dog there?"],
                "yn_answer_list": ["Yes", "no"],
            }
            for at in range(2)
        ]
        for name, rows in (("prompts", prompts), ("eval_prompts", asked)):
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            _write(folder / f"{attribute}_{name}.jsonl", text)
    _write(folder / "eval_with_vlm.py", TIIF_SCRIPT)
    return folder


def answers(folder: Path, said: Mapping[str, str], name: str = "scripted") -> Path:
    """The settings of a model that answers so (tests.plugins.answering_vlm), as --judge-model takes them."""
    _write_json(folder / "answers.json", dict(said))
    settings = folder / "judge.toml"
    _write(settings, f'use = "tests.plugins.answering_vlm"\nanswers = "{folder / "answers.json"}"\nname = "{name}"\n')
    return settings


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_json(path: Path, content: Any) -> None:
    _write(path, json.dumps(content, ensure_ascii=False))


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


class Shop(Builder):
    """A workshop whose one model answers by a function, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Request], Any], name: str = "scripted") -> None:
        super().__init__()
        self.model = ScriptedVlm(answer)
        self.model.name = name

    def vlm(self, spec: Mapping[str, Any]) -> ScriptedVlm:  # type: ignore[override]
        """The one model, whatever is asked for."""
        return self.model
