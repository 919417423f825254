"""The 80 things of COCO in the order of every detector trained on it, under GenEval's names.

GenEval (evaluation/object_names.txt) says ``computer mouse``, ``tv remote`` and ``computer keyboard`` where COCO says
``mouse``, ``remote`` and ``keyboard``; its prompts do, too. Detections carry GenEval's name when everything is asked
for; both names may be asked for.
"""

from __future__ import annotations

from gotr1_eval.core.errors import LabelError, nearest_name, one_line

NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "computer mouse", "tv remote", "computer keyboard", "cell phone", "microwave", "oven", "toaster",
    "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
_PLACES = {name: place for place, name in enumerate(NAMES)} | {"mouse": 64, "remote": 65, "keyboard": 66}


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
