"""A small study on disk, as `gotr1-eval study` would write it, for the tests of the rating page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.types import Box
from reports.agreement.study_folder import Dimension, Item, Study, write_study

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
