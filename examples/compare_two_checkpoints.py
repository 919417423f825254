"""Is one checkpoint better than another, or is it noise?

    python examples/compare_two_checkpoints.py [A] [B]

Without arguments the embedded tiny Janus is compared with itself under stronger guidance. Both take the same held-out
prompts of the shapes world and the same seeds, so that the comparison is paired. Started again, it resumes where it
stopped; runs and page are in runs/.
"""

import sys
from pathlib import Path

from benchmarks.shapes import ShapesSuite
from gotr1_eval import Builder
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import GeneratedPictures
from reports.comparison.page import write_page
from reports.comparison.paired import compare_runs
from reports.comparison.tables import sentence
from reports.run_data import RunData, load_run

PLAN = list_samples(ShapesSuite(), ("color", "spatial"), images_per_prompt=1, limit=6, seed=0)


def generate_and_judge(name: str, ckpt: str, guidance: float) -> RunData:
    builder = Builder()
    pictures = GeneratedPictures(builder.generator({"use": "janus", "ckpt": ckpt, "guidance": guidance}))
    asked = {"suite": "shapes", "ckpt": ckpt, "guidance": guidance, "seed": 0}
    return load_run(
        run_job(
            Job(
                folder=Path("runs", name),
                samples=PLAN,
                pictures=pictures,
                rewards=builder.reward_set("shapes"),
                settings=asked,
            )
        )
    )


first, second = sys.argv[1:3] or ("tiny-janus", "tiny-janus")
runs = [generate_and_judge("a", first, 1.0), generate_and_judge("b", second, 2.0 if first == second else 1.0)]
comparison = compare_runs(*runs, judges=["total"])
for category, difference in comparison.judges[0].rows.items():
    print(sentence(category, difference))
write_page(runs, [comparison], Path("runs", "comparison.html"))
print("runs/comparison.html shows what moved, picture by picture")
