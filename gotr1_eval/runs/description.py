"""What run.json says of a run: its samples in a few facts, the judges, the libraries."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gotr1_eval.core.protocols import Asking, Judge, Remarking
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.remote_pictures import EMBEDDED
from gotr1_eval.runs.samples import PromptDigest
from gotr1_eval.runs.sources import picture_stamp
from gotr1_eval.runs.store import RunInfo
from rewards.reward_set import RewardSet

_PACKAGES = ("gotr1-eval", "torch", "transformers", "numpy", "scipy", "pillow", "spacy")


@dataclass(frozen=True, slots=True)
class Survey:
    """A plan in few facts.

    Attributes:
        digest: changes when anything about any sample does, also the content of a picture that is given.
        expected: category -> number of samples.
        prompts: category -> its list of prompts.
        known: names of the facts that at least one of the samples has.
    """

    digest: str
    expected: Mapping[str, int]
    prompts: Mapping[str, PromptDigest]
    known: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """Samples of the plan."""
        return sum(self.expected.values())


def survey(plan: Iterable[Sample]) -> Survey:
    """The facts of a plan, in one pass that keeps none of its samples."""
    digest = hashlib.sha256()
    expected: Counter[str] = Counter()
    prompts: dict[str, PromptDigest] = {}
    known = set[str]()
    for sample in plan:
        inside = sample.meta.get(EMBEDDED)
        file = Path(str(inside["file"])) if isinstance(inside, dict) else sample.image
        picture = picture_stamp(file) if isinstance(file, Path) else None
        facts = [sample.id, sample.prompt, sample.seed, sample.chain, picture, dict(sample.meta)]
        digest.update(json.dumps(facts, sort_keys=True).encode())
        category = str(sample.meta.get("category", "all"))
        expected[category] += 1
        prompts.setdefault(category, PromptDigest()).add(sample)
        known.update(name for name, fact in sample.meta.items() if fact is not None)
    return Survey(digest.hexdigest()[:16], expected, prompts, frozenset(known))


def run_setup(
    plan: Survey,
    generator: str,
    rewards: RewardSet,
    *,
    request: Mapping[str, Json],
    samples: Iterable[Sample] = (),
) -> dict[str, Json]:
    """What run.json says besides the identity.

    Args:
        request: what the user asked for.
        samples: all of the run, for what judges have to remark about them.
    """
    judges: list[Json] = [judge_facts(factor, judge, samples) for factor, judge in rewards.judges.items()]
    if (total := rewards.total) is not None:
        judges.append(
            {
                "factor": "total",
                "name": total.name,
                "fingerprint": total.fingerprint,
                "range": list(total.range),
                "settings": total.settings.model_dump(mode="json"),
            }
        )
    return {
        "generator": generator,
        "request": dict(request),
        "judges": judges,
        "expected": dict(plan.expected),
        "prompts": {category: [one.number, one.value] for category, one in plan.prompts.items()},
        "command": " ".join(map(shlex.quote, sys.argv[1:])),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def judge_facts(factor: str, judge: Judge, samples: Iterable[Sample]) -> dict[str, Json]:
    """What run.json says of a judge that is asked as a factor, with what it has to remark about the samples."""
    return {
        "factor": factor,
        "name": judge.name,
        "fingerprint": judge.fingerprint,
        "range": list(judge.range),
        "looks_at": judge.looks_at,
        "remarks": [*judge.remarks(samples)] if isinstance(judge, Remarking) else [],
        **({"answers": judge.answers} if isinstance(judge, Asking) and judge.answers != "none" else {}),
    }


def _versions() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def expected_of(info: RunInfo) -> dict[str, int]:
    """Category -> samples that a run, or a shard, was asked for."""
    expected = info.setup.get("expected")
    return {str(name): int(str(count)) for name, count in expected.items()} if isinstance(expected, dict) else {}
