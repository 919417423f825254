"""A whole run, from plan to judged samples: what `compbench` and `score` have in common."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from gotr1_eval.core.judging import check_facts
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.protocols import Asking, Remarking
from gotr1_eval.core.secrets import redacted_json
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.remote_pictures import EMBEDDED
from gotr1_eval.runs.growth import grown_identity, in_order_made, places
from gotr1_eval.runs.part_work import bring_view_up_to_date
from gotr1_eval.runs.samples import PromptDigest
from gotr1_eval.runs.shards import Shard
from gotr1_eval.runs.sources import Painter, picture_stamp
from gotr1_eval.runs.stages import Progress, Silent, generate, is_judged, judge
from gotr1_eval.runs.store import RunInfo, RunStore, read_info, read_samples
from rewards.reward_set import RewardSet

TILE = 32
"""Samples made and judged together, unless a setting says otherwise."""

_PACKAGES = ("gotr1-eval", "torch", "transformers", "numpy", "scipy", "pillow", "spacy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Samples to be made and judged in a run folder, by whichever engine.

    Attributes:
        samples: in order; may be iterated over several times.
        painter: where their pictures come from.
        asked: the resolved settings that decide the samples; a resumed run must agree with them.
        tile: samples made and judged together; None takes what the run has, or else what fits, at most `TILE`.
        retry: reasons for which unscored samples are judged again.
        request: what the user asked for, kept in run.json.
    """

    folder: Path
    samples: Iterable[Sample]
    painter: Painter
    rewards: RewardSet
    asked: Mapping[str, Json]
    tile: int | None = None
    retry: Collection[Why] = ()
    request: Mapping[str, Json] = field(default_factory=dict)


def run_benchmark(
    folder: Path,
    plan: Sequence[Sample],
    painter: Painter,
    rewards: RewardSet,
    *,
    asked: Mapping[str, Json],
    tile: int | None = None,
    shard: Shard | None = None,
    progress: Progress | None = None,
    retry: Collection[Why] = (),
    ready: Callable[[], None] = lambda: None,
    request: Mapping[str, Json] | None = None,
) -> Path:
    """Generate and judge every sample of the plan, in the given run folder; resumes what is there.

    Args:
        asked: the resolved settings that decide the samples; a resume must agree with them.
        tile: samples per piece of work; part of the settings, since float rounding depends on the batch. None takes
            what the run already has, or else as many as fit into memory, at most `TILE`.
        shard: only this part of the plan, in a folder of its own.
        retry: reasons for which unscored samples are judged again.
        ready: raises when the judges' models cannot answer; called before anything is generated, where anything is
            left to judge.
        request: what the user asked for, kept in run.json.

    Returns:
        The folder that was written.

    A run may grow: asked for more prompts, pictures, categories or rows than before, it goes on.

    Raises:
        UsageError: the folder holds a run with other settings, or a judge needs facts that no prompt has.
    """
    progress = progress or Silent()
    folder = shard.folder(folder) if shard is not None else folder
    tile = tile or tile_of(folder) or painter.fitting_tile(TILE)
    facts = survey(plan)
    check_facts(rewards.judges.values(), facts.known)
    identity = run_identity(asked, facts, painter, tile)
    if shard is not None:
        identity["shard"] = str(shard)
        plan = shard.take(plan, tile)
        # A part of a run stands on the whole run's prompts: merged, it is that run.
        facts = replace(survey(plan), prompts=facts.prompts)
    bring_view_up_to_date(folder)
    grown_from = None
    if shard is None and (folder / "run.json").exists():
        plan, identity, grown_from = _grown(folder, plan, identity, painter)
    setup = run_setup(facts, painter.name, rewards, request=request)
    with RunStore.open(folder, RunInfo(identity=identity, setup=setup), grown_from) as store:
        if rewards.judges and not is_judged(store, plan, rewards, retry):
            ready()
        samples = generate(store, plan, painter, tile=tile, progress=progress, anew=places(identity))
        if rewards.judges:
            # What a file says about pictures can be held against the pictures only now that they are there.
            known = samples if shard is None else ()
            setup = run_setup(facts, painter.name, rewards, samples=known, request=request)
            store.describe(RunInfo(identity=identity, setup=setup))
            judge(store, samples, rewards, tile=tile, progress=progress, retry=retry, anew=places(identity))
    return folder


def _grown(
    folder: Path, plan: Sequence[Sample], identity: dict[str, Json], painter: Painter
) -> tuple[Sequence[Sample], dict[str, Json], Mapping[str, Json] | None]:
    """Plan and identity of a run that goes on with more than it was asked for, and its identity before; else None."""

    def identity_of(part: Sequence[Sample]) -> dict[str, Json]:
        return {"plan": survey(part).digest, "pictures": painter.fingerprint_of(part)}

    there = read_info(folder)
    if there.identity == redacted_json(identity):
        return plan, identity, None
    made = read_samples(folder)
    grown = grown_identity(there, identity, plan, identity_of, len(made))
    return (plan, identity, None) if grown is None else (in_order_made(plan, made), grown, there.identity)


def tile_of(folder: Path) -> int | None:
    """The tile of the run that the folder holds, None where it holds none."""
    tile = read_info(folder).identity.get("tile") if (folder / "run.json").exists() else None
    return tile if isinstance(tile, int) else None


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


def run_identity(asked: Mapping[str, Json], plan: Survey, painter: Painter, tile: int) -> dict[str, Json]:
    """What decides the samples of a run; the same whatever the engine."""
    return {**asked, "tile": tile, "pictures": painter.fingerprint, "plan": plan.digest}


def run_setup(
    plan: Survey,
    generator: str,
    rewards: RewardSet,
    *,
    samples: Iterable[Sample] = (),
    request: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """What run.json says besides the identity.

    Args:
        samples: all of the run, for what judges have to remark about them.
        request: what the user asked for.
    """
    judges: list[Json] = [
        {
            "factor": factor,
            "name": maker.name,
            "fingerprint": maker.fingerprint,
            "range": list(maker.range),
            "remarks": [*maker.remarks(samples)] if isinstance(maker, Remarking) else [],
            **({"answers": maker.answers} if isinstance(maker, Asking) and maker.answers != "none" else {}),
        }
        for factor, maker in rewards.judges.items()
    ]
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
        "request": dict(request or {}),
        "judges": judges,
        "expected": dict(plan.expected),
        "prompts": {category: [one.number, one.value] for category, one in plan.prompts.items()},
        "command": " ".join(map(shlex.quote, sys.argv[1:])),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
