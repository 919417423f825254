"""The T2I-CompBench(++) suite: its eight prompt lists, fetched once, or the user's copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from benchmarks.official import PlainSuite, looks_with
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import OfficialMetric, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.prompts import read_prompt_list
from gotr1_eval.files.public_data import require_data
from gotr1_eval.runs.layouts import NumberedNames
from gotr1_eval.settings import Settings as StrictSettings

CATEGORIES = ("color", "shape", "texture", "spatial", "3d_spatial", "non_spatial", "numeracy", "complex")


class Settings(StrictSettings):
    """Where the lists lie: a folder with ``<category>_val.txt``, one prompt a line; None for the fetched ones.

    Attributes:
        split: ``train`` takes ``<category>_train.txt``, the prompts that the benchmark leaves to training.
    """

    data: Path | None = None
    split: Literal["val", "train"] = "val"


class CompBenchSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`."""

    reward_set = "without_models"
    images_per_prompt = 10
    official = (
        OfficialMetric("official_attribute", "blip_vqa", ("color", "shape", "texture")),
        OfficialMetric("official_spatial", "spatial_2d", ("spatial",)),
        OfficialMetric("official_3d_spatial", "spatial_3d", ("3d_spatial",)),
        OfficialMetric("official_non_spatial", "non_spatial", ("non_spatial",)),
        OfficialMetric("official_numeracy", "numeracy", ("numeracy",)),
        OfficialMetric("official_complex", "three_in_one", ("complex",)),
    )

    layout = NumberedNames("T2I-CompBench")

    def __init__(self, data: Path | None, split: Literal["val", "train"] = "val") -> None:
        self._data, self._split = data, split
        self.name = "t2i-compbench" if split == "val" else f"t2i-compbench-{split}"
        self._lists: dict[str, Sequence[str]] = {}

    @cached_property
    def data(self) -> Path:
        """The folder of lists; raises UsageError when none is given and none was fetched."""
        return require_data("t2i-compbench", self._data)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """All of the benchmark's; of the train lists those that are there, by name: a training's prompts hang on it."""
        if self._split == "val":
            return CATEGORIES
        ending = f"_{self._split}.txt"
        found = tuple(sorted(path.name.removesuffix(ending) for path in self.data.glob(f"*{ending}")))
        if not found:
            raise UsageError(f"no <category>{ending} in {self.data}")
        return found

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts of this split, in the file's order.

        Line ends are stripped, a trailing full stop is kept.

        Raises:
            DataError: the file is missing, empty, or not UTF-8.
        """
        if category not in self._lists:
            self._lists[category] = read_prompt_list(self.data / f"{category}_{self._split}.txt")
        return self._lists[category]

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Of UniDet, BLIP-VQA, CLIP ViT-B/32 and DPT those that the category's script runs."""
        size = "rs200" if category in ("spatial", "complex") else "r50"
        unidet = {"use": "unidet", "size": size, "weights": file(f"unidet-{size}"), "labels": file("unidet-labels")}
        models: dict[str, Mapping[str, Json]] = {
            "yes_no": {"use": "blip", "model": file("blip-vqa")},
            "detector": unidet,
            "depth": {"use": "dpt"},
            "encoder": {"use": "clip", "model": file("clip-b32")},
            "phrases": {"use": "builtin"},
        }
        metric = next(metric for metric in self.official if category in metric.categories)
        return {role: models[role] for role in looks_with(metric)}


def build(settings: Settings, workshop: Workshop) -> CompBenchSuite:
    """The suite; its lists are looked for when a prompt is asked for."""
    return CompBenchSuite(settings.data, settings.split)
