"""The 80 things of COCO, and the three that GenEval calls otherwise.

GenEval (evaluation/object_names.txt) says ``computer mouse``, ``tv remote`` and ``computer keyboard`` where COCO says
``mouse``, ``remote`` and ``keyboard``; its prompts do, too. Both names are one class wherever a detector's answer meets
a prompt.
"""

from __future__ import annotations

from gotr1_eval.core.errors import LabelError, nearest_name, one_line

# fmt: off
NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "computer mouse", "tv remote", "computer keyboard", "cell phone", "microwave", "oven", "toaster",
    "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""In the order of every detector that was trained on COCO, under GenEval's names."""
FULL_NAMES = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
"""COCO's own name -> GenEval's, where they differ."""
COCO_NAMES = {full: coco for coco, full in FULL_NAMES.items()}
"""GenEval's name -> COCO's own, where they differ."""
_PLACES = {name: place for place, name in enumerate(NAMES)}


def full_name(name: str) -> str:
    """GenEval's name of a class that COCO calls otherwise; every other name as it is."""
    return FULL_NAMES.get(name, name)


def coco_name(name: str) -> str:
    """COCO's name of a class that GenEval calls otherwise; every other name as it is."""
    return COCO_NAMES.get(name, name)


_PLACES |= {coco: _PLACES[full] for coco, full in FULL_NAMES.items()}


def class_place(name: str) -> int:
    """The place in `NAMES` of a name as somebody asks for it, in any case and spacing.

    Raises:
        LabelError: it is none of the 80.
    """
    folded = " ".join(name.casefold().split())
    place = _PLACES.get(folded)
    if place is None:
        hint = nearest_name(folded, _PLACES)
        raise LabelError(f"this detector knows COCO's 80 things only, got {one_line(name, 60)!r}{hint}")
    return place
