"""Does a judge agree with people? Draw a study, have it rated, hold the judge against the ratings.

Three people are played by a program here, who see the right answer with some noise. Real ones open the page of
`gotr1-eval rate study` instead; all else is as below. `gotr1-eval agreement study` prints the same and more.
"""

import random
import tempfile
from pathlib import Path

from benchmarks.shapes import ShapesSuite
from gotr1_eval import Builder
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import GeneratedPictures
from gotr1_eval.study import make_study
from reports.agreement.analysis import ALL, Options, analyse
from reports.agreement.foreign_tables.mapping import read_mapping_or_none
from reports.agreement.mark_sources import read_sources
from reports.agreement.ratings import Rating, write_ratings
from reports.agreement.study_folder import Dimension, Item

folder = Path(tempfile.mkdtemp())
builder = Builder()
plan = list_samples(ShapesSuite(), ("color", "spatial"), images_per_prompt=1, limit=8, seed=0)
pictures = GeneratedPictures(builder.generator({"use": "janus", "ckpt": "tiny-janus"}))
run = run_job(
    Job(
        folder=folder / "run",
        samples=plan,
        pictures=pictures,
        rewards=builder.reward_set("shapes"),
        settings={"suite": "shapes", "seed": 0},
    )
)

study = make_study([run], folder / "study", count=12, seed=0, dimensions=["prompt_image"])
dice = random.Random(0)


def mark(item: Item, scale: Dimension) -> int:
    """What somebody gives who sees what the judge saw, with noise."""
    return round(min(max(10 * item.scores["shapes_prompt_image"] + dice.gauss(0, 1), scale.low), scale.high))


ratings = [
    Rating(item=item.item, rater=rater, dimension=scale.name, value=mark(item, scale))
    for item in study.items
    for scale in study.dimensions_of(item)
    for rater in ("ann", "ben", "cleo")
]
write_ratings(ratings, folder / "study")

found = read_sources([folder / "study"], *read_mapping_or_none(None, None))
for row in analyse(found.people, found.judges, Options()).judges:
    if row.category == ALL:
        spearman = row.coefficients["spearman"]
        print(f"{row.judge}: Spearman {spearman.value:.2f} [{spearman.low:.2f}, {spearman.high:.2f}] (n={row.n})")
