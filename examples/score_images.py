"""Score pictures: which of them show what was asked for?

The pictures are drawn by the embedded world of shapes, one as asked and one with a fault. Yours are files that you
have, and your judge another (see `gotr1-eval list judges`), which may ask a model: `judges=["prompt_image"],
judge_model="Qwen/Qwen2.5-VL-7B-Instruct"`, or a server's address. The three lines at the end stay the same.
"""

import random
import tempfile
from pathlib import Path

from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import Fault, scene_for
from gotr1_eval.shapes.statements import read_prompt

PROMPT = "a red circle on the left of a blue square"
folder = Path(tempfile.mkdtemp())
for name, faults in {"right": frozenset(), "wrong": frozenset({Fault.ATTRIBUTE})}.items():
    draw_scene(scene_for(read_prompt(PROMPT), random.Random(1), faults)).save(folder / f"{name}.png")

from gotr1_eval import score_images  # noqa: E402

table = score_images([folder / "right.png", folder / "wrong.png"], [PROMPT, PROMPT], judges=["shapes_prompt_image"])
print(table[["image", "shapes_prompt_image"]].to_string())
