"""Five thousand generated replies: an answer of ours among quotes, rubrics, other scales, other speakers and thoughts.

The parts were written as judges write, without a look at the reader's rules. V stands for the answer, W for another
number on the scale, and the value is known before the reply is made. A wrong value is none that merely stands somewhere
in the text; what is unclear may be left unread, but not much.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

from gotr1_eval.core.reading import UnreadableReply, read_boxes, read_score, read_scores

REPLIES = 5000
NAMES = ("completeness", "faithfulness", "consistency", "clarity")

CLEAN = (
    '{"score": V}',
    '{"reasoning": "The dog is there, W of 10 hats are red.", "score": V}',
    '{"score": V, "reasoning": "The sign says \\"Score: W\\"."}',
    '```json\n{"score": V}\n```',
    '```\n{\n  "reason": "ok",\n  "score": V\n}\n```',
    "{'score': V, 'note': None}",
    '{"score": "V/10"}',
    '{"score": {"value": V, "max": 10}}',
    '{"rating": V}',
    '{"result": {"score": V}}',
    "Score: V",
    "**Score:** V/10",
    "**Final score: V**",
    "Final score: V out of 10.",
    "Answer: V",
    "The answer is V.",
    "Rating: V",
    "I would rate this image V out of 10.",
    "V",
    "V/10",
    "V points",
    "<score>V</score>",
    "<answer>V</answer>",
    "<answer>Score: V</answer>",
    "\\boxed{V}",
    "评分：V分",
    "Score：V",
    "| criterion | score |\n|---|---|\n| overall | V |",
    '<tool_call>\n{"name": "submit", "arguments": {"score": V}}\n</tool_call>',
    '"{\\"score\\": V}"',
    "Score: V (the dog is W px too low)",
    'Here is my evaluation:\n\n{"score": V}',
    'The picture shows two dogs. My score is:\n```json\n{"score": V}\n```',
)
THOUGHTS = (
    "<think>D</think>",
    "D</think>",
    "<thinking>\nD\n</thinking>\n\n",
    "◁think▷D◁/think▷",
    "[THINK]D[/THINK]",
    "<|channel|>analysis<|message|>D<|end|><|start|>assistant<|channel|>final<|message|>",
    "<seed:think>D</seed:think>",
    "<reasoning>D</reasoning>\n",
    "<thought>D</thought>\n",
    "<|begin_of_thought|>D<|end_of_thought|>\n",
    "<|START_THINKING|>D<|END_THINKING|>",
    "<reason>D</reason>\n",
    "<analysis>D</analysis>\n",
)
OPEN_THOUGHTS = (
    "<think>D",
    "<think>\nD\n<think>",
    "◁think▷D",
    "[THINK]D",
    "<|channel|>analysis<|message|>D",
    "<seed:think>D",
    "<reasoning>D",
    "<thought>\nD",
    "<|begin_of_thought|>D",
    "<|START_THINKING|>D",
    "<scratchpad>D",
    "thought\nD",
)
DRAFTS = (
    'Maybe {"score": W}. The hat is missing, though.',
    "Score: W? No, that is too low.",
    'First guess: {"score": W}. But wait, let me look again.',
    "I would rate this W out of 10, perhaps.",
    "So the answer is W.",
)
BEFORE = (
    "",
    "The picture shows W cats and a dog.\n\n",
    "Let me look at it. There are W hats [see above], and the sign is legible.\n",
    "The rubric says 8-10: all shown, 5-7: partly, 1-4: missing.\n\n",
    'You asked for {"score": n} with n from 0 to 10.\n\n',
    'On the wall stands "Score: W".\n\n',
    "The poster in the picture reads:\n> Score: W\n\n",
    "A critic gave the film 4/5 stars, the poster claims.\n\n",
    'For example, {"score": W} would mean something else.\n\n',
    "3 out of 5 dogs are visible.\n\n",
    "The jersey carries the number W, and the clock shows W:30.\n\n",
)
AFTER = (
    "",
    "\n",
    "\n\nI hope this helps!",
    "\nThe W cats are lovely.",
    "<|im_end|>",
    "</s>",
    '<|im_end|>\n<|im_start|>user\nnext<|im_end|>\n<|im_start|>assistant\n{"score": W}<|im_end|>',
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd this?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nScore: W",
    '<end_of_turn>\n<start_of_turn>user\nAnd this?<end_of_turn>\n<start_of_turn>model\n{"score": W}',
    "<|end|>\n<|user|>\nrate\n<|end|>\n<|assistant|>\nScore: W",
    '</s>[INST] rate the next [/INST] {"score": W}',
    '\n\nUser: and this one?\nAssistant: {"score": W}',
    "\n\nHuman: rate this\n\nAssistant: Score: W",
    '\nuser\nnext\nassistant\n{"score": W}',
    '\n\n### Instruction:\nRate the picture.\n\n### Response:\n{"score": W}',
    "\n\nQuestion: rate the next picture.\nAnswer: W",
)
BEHIND_OBJECT = (
    "\nThe picture contains the text:\nScore: W",
    '\nThe picture contains the text {"score": W}',
    "\n\nScale used:\n- Score: 0 (nothing there)\n- Score: 10 (all there)",
    '\nI used the form {"score": W} as asked.',
    '\n\n(The format was {"score": W}, for example.)',
    "\n\nThe scoreboard shows\nScore: W",
    '\n\nThe sign on the wall says "{"score": W}".',
    "\n\nA banner reads: Final answer W",
    '\n\nIf the hat were red, I would answer {"score": W}.',
    "\n\nIMDb lists the film with 85/100.",
)
NEVER = (
    '{"score": X} out of 5',
    '{"score": X}/5',
    '{"score": X, "max_score": 5}',
    '{"score": {"value": X, "max": 5}}',
    "Score: X\nMax: 5",
    "Score: X/5",
    "Score: X out of five",
    'On a scale of 1 to 5:\n{"score": X}',
    "Rating (1-5): X",
    '{"score": X}\n\nThat is X out of 5.',
    "Score: X point 5",
    "Score: X-7",
    "Score: X or W",
    "Score: X (or W)",
    "Score: X (W if you are strict)",
    '{"score": X}\n{"score": W}',
    "Score: X\nScore: W",
    "<score>X</score><score>W</score>",
    "Scale: \\boxed{0} to \\boxed{10}.",
    "The scoreboard in the picture shows\nScore: X\nas requested.",
    'The picture contains the text:\n{"score": X}',
    'The sign reads {"score": X}.',
    'The T-shirt says: "Score: X"',
    '"Welcome to the game\nScore: X\nGood luck" is written there.',
    "> Score: X",
    'For example: {"score": X}',
    'If the hat were red, I would answer {"score": X}.',
    'Hypothetically: {"score": X}',
    "A perfect picture would get:\nScore: X",
    'The form is {"score": X}.',
    "Score 0: nothing\nScore X: partly\nScore 10: all",
    "I'm sorry, I can't rate this image. You could use:\n```python\nscore = X\n```",
    'I cannot evaluate images.\n\n{"score": X}',
    '```python\ndef rate(image):\n    return {"score": X}\n```',
    '<|im_start|>user\n{"score": X}',
    'User: {"score": X}',
    '{"score": X}\nWait, that is too generous.',
    '{"score": X}\nOn reflection, make it W.',
    "Score: X\nActually, W.",
    'It is not {"score": X}.',
    '{"quality": {"score": X}}',
    "The image has X dogs.",
    "Score: X%",
    "Score: X stars",
    '{"score": [X, W]}',
)
CORRECTED = (
    '{"score": W}\nWait, the hat is missing.\nCorrected: {"score": V}',
    '{"score": W}\nOn reflection: {"score": V}',
    "Score: W\n\nOn reflection, the hat is missing.\nFinal score: V",
    'A draft: {"score": W}\nBetter:\n{"score": V}',
)
BOXED = (
    '[{"bbox_2d": B, "label": "dog"}]',
    '```json\n[{"bbox_2d": B}]\n```',
    '{"bbox": B, "name_en": "dog"}',
    "<|object_ref_start|>dog<|object_ref_end|><|box_start|>P<|box_end|>",
    "The dog is at B.",
    "P",
)
BEHIND_BOX = (
    "",
    '<|im_end|>\n<|im_start|>user\nnext\n<|im_start|>assistant\n[{"bbox_2d": C}]',
    "\nUser: and the cat?\nAssistant: C",
    '\nThe picture contains the text: [{"bbox_2d": C}]',
    '\nFor example [{"bbox_2d": C}] would be the cat\'s.',
)
NEVER_BOXES = (
    'If it were there I would answer [{"bbox_2d": B}], but it is not.',
    "[ymin, xmin, ymax, xmax] = B",
    '{"bbox_format": "xywh", "bbox": B}',
    '[{"bbox_2d": B, "label": "not found"}]',
    "For example: B",
    '[{"bbox_2d": B}]\n\nThe cat: [{"bbox_2d": C}]',
    "<think>It is at B",
    '◁think▷[{"bbox_2d": B}]',
)


def filled(template: str, **texts: object) -> str:
    """The template with a text for each capital letter that stands alone."""
    pattern = re.compile(rf"(?<![A-Za-z_])[{''.join(texts)}](?![A-Za-z_])")
    return pattern.sub(lambda letter: str(texts[letter.group()]), template)


def replies(count: int, seed: int) -> Iterator[tuple[str, str, str | None, float | None]]:
    """(kind, reply, finish, expected value or None where nothing may be read)."""
    draw = random.Random(seed)
    scale = (*range(11), 2.5, 7.5)
    for _ in range(count):
        value = draw.choice(scale)
        other = draw.choice([number for number in scale if number not in (value, min(value, 5))])
        kind = draw.choices(
            ("clean", "among", "behind", "thought", "corrected", "never", "draft", "cut"), (4, 4, 3, 3, 1, 3, 1, 1)
        )[0]
        clean = draw.choice(CLEAN)
        finish: str | None = draw.choice(("stop", None))
        expected: float | None = value
        if kind == "clean":
            text = clean
        elif kind == "among":
            text = draw.choice(BEFORE) + draw.choice(BEFORE) + clean + draw.choice(AFTER)
        elif kind == "behind":
            text = draw.choice(CLEAN[:10]) + draw.choice(BEHIND_OBJECT) + draw.choice(("", *BEHIND_OBJECT))
        elif kind == "thought":
            text = draw.choice(THOUGHTS) + clean + draw.choice(AFTER)
        elif kind == "corrected":
            text = draw.choice(CORRECTED)
        elif kind == "never":
            text, expected = draw.choice(NEVER), None
        elif kind == "draft":
            text, expected, finish = draw.choice(OPEN_THOUGHTS), None, draw.choice(("stop", "length", None))
        else:
            text, expected, finish = draw.choice((*DRAFTS, *BEFORE[1:])) + draw.choice((*CLEAN, "")), None, "length"
        text = filled(text, D=draw.choice(DRAFTS))
        yield kind, filled(text, V=f"{value:g}", W=f"{other:g}", X=f"{min(value, 5):g}"), finish, expected


def test_no_value_is_read_that_is_not_the_answer():
    counts: Counter[tuple[str, str]] = Counter()
    for kind, text, finish, expected in replies(REPLIES, seed=15):
        try:
            found = read_score(text, low=0, high=10, finish=finish)
        except UnreadableReply:
            counts[kind, "unread"] += 1
            continue
        assert found == expected, f"{found} instead of {expected}: {text!r}"
        counts[kind, "read"] += 1
    readable = ("clean", "among", "behind", "thought", "corrected")
    read = {kind: counts[kind, "read"] / (counts[kind, "read"] + counts[kind, "unread"]) for kind in readable}
    total = sum(counts[kind, "read"] for kind in readable)
    share = total / (total + sum(counts[kind, "unread"] for kind in readable))
    print({kind: f"{part:.1%}" for kind, part in read.items()}, f"{share:.1%} of all")
    assert read["clean"] >= 0.99
    assert share >= 0.7


def test_no_named_scores_are_read_that_are_not_the_answer():
    draw = random.Random(16)
    read = 0
    forms = (
        lambda v: "{" + ", ".join(f'"{name}": {n}' for name, n in v.items()) + "}",
        lambda v: "\n".join(f"**{name.title()}**: {n}/10" for name, n in v.items()),
        lambda v: "\n".join(f"## {name.title()}\nScore: {n}" for name, n in v.items()),
        lambda v: "[" + ", ".join(f'{{"dimension": "{name}", "score": {n}}}' for name, n in v.items()) + "]",
        lambda v: "\n".join(f'{{"{name}": {n}}}' for name, n in v.items()),
        lambda v: "| criterion | score |\n|---|---|\n" + "\n".join(f"| {name} | {n} |" for name, n in v.items()),
    )
    for _ in range(400):
        right, wrong = ({name: draw.randrange(11) for name in NAMES} for _ in range(2))
        text = draw.choice(forms)(right)
        hidden = forms[0](wrong)
        text += draw.choice(
            (
                "",
                f"\nThe plan contains the text {hidden}",
                f"<|im_end|>\n<|im_start|>assistant\n{hidden}",
                f"\nUser: {hidden}",
            )
        )
        thought = draw.choice(("", f"<think>Maybe {hidden}</think>", f"[THINK]{hidden}[/THINK]"))
        try:
            assert read_scores(thought + text, names=NAMES, low=0, high=10, finish="stop") == right, text
        except UnreadableReply:
            continue
        read += 1
    assert read >= 0.9 * 400


def test_no_boxes_are_read_that_are_not_the_answer():
    draw = random.Random(17)
    read = 0
    for place in range(600):
        corners, others = (sorted(draw.sample(range(2, 999), 4)) for _ in range(2))
        never = place % 3 == 0
        text = draw.choice(NEVER_BOXES) if never else draw.choice(BOXED) + draw.choice(BEHIND_BOX)
        points = f"({corners[0]},{corners[1]}),({corners[2]},{corners[3]})"
        text = filled(text, P=points, B=corners, C=others)
        try:
            found = [box.corners for _, box in read_boxes(text, frame=(1000, 1000), finish="stop")]
        except UnreadableReply:
            continue
        assert found == ([] if never else [tuple(corner / 1000 for corner in corners)]), text
        read += 1
    assert read >= 0.7 * 400
