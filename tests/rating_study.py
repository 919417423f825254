"""A small study on disk, as `gotr1-eval study` would write it, for the tests of the rating page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.types import Box
from gotr1_eval.study import QUESTION, preference
from reports.agreement.study_folder import Design, Dimension, Item, Study, write_study

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script> </fieldset> {{7*7}} \u202e"
SECRETS = ("secret-model", "secret-category", "secret-stratum", "secret-judge", "run-a/", "0.123456")


def written_study(folder: Path, items: int = 3) -> Study:
    """Every item has a chain and, but for the last one, a picture; its facts that must stay hidden are `SECRETS`."""
    chain = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])
    (folder / "pictures").mkdir(parents=True)
    found = []
    for number in range(items):
        image = None if number == items - 1 else f"pictures/secret-model-{number}.png"
        if image is not None:
            Image.new("RGB", (64, 64), ("red", "green", "blue")[number % 3]).save(folder / image)
        found.append(
            Item(
                item=f"run-a/secret-category/{number}",
                prompt=f"request {number}" if number else HOSTILE,
                chain=chain if number else f"{HOSTILE} a cat (0,0),(500,500)",
                image=image,
                inclusion_probability=0.5,
                category="secret-category",
                generator="secret-model",
                stratum="secret-stratum",
                scores={"secret-judge": 0.123456},
            )
        )
    dimensions = (
        Dimension(
            name="clarity", judge="secret-judge", rubric="Is it clear?\n\nMarks: 0 no", low=0, high=10, needs=("chain",)
        ),
        Dimension(
            name="prompt_image", judge="secret-judge", rubric="Does it show it?", low=0, high=10, needs=("image",)
        ),
    )
    study = Study(name="secret-study", seed=5, population=10, dimensions=dimensions, items=tuple(found))
    write_study(study, folder)
    return study


def written_pairs(folder: Path, pairs: int = 3, controls: int = 1, design: Design | None = None) -> Study:
    """Pairs of two secret models, red against blue, and controls whose right answer is their green first picture."""
    (folder / "pictures").mkdir(parents=True)
    for colour in ("red", "blue", "green"):
        Image.new("RGB", (64, 64), colour).save(folder / "pictures" / f"secret-model-{colour}.png")
    made = [
        Item(
            item=f"run-a/secret-category/{number} vs run-b/secret-category/{number}",
            pair=(f"run-a/secret-category/{number}", f"run-b/secret-category/{number}"),
            prompt=f"request {number}" if number else HOSTILE,
            image="pictures/secret-model-red.png",
            other_image="pictures/secret-model-blue.png",
            inclusion_probability=0.5,
            category="secret-category",
            generator="secret-model",
            stratum="secret-stratum",
            cluster=f"request {number}",
            scores={"secret-judge": float(number % 2)},
        )
        for number in range(pairs)
    ]
    known = [
        Item(
            item=f"control/{number}",
            pair=(f"control/{number}/first", f"control/{number}/second"),
            prompt="something green",
            image="pictures/secret-model-green.png",
            other_image="pictures/secret-model-red.png",
            control={"preference": (1.0, 1.0)},
        )
        for number in range(controls)
    ]
    study = Study(
        name="secret-study",
        seed=5,
        population=10,
        dimensions=(preference(QUESTION),),
        items=(*made, *known),
        design=design or Design(),
    )
    write_study(study, folder)
    return study
