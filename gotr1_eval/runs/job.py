"""What a run is asked to make and judge, held against what its folder holds already.

A run may be asked for more of the same: prompts, pictures a prompt, categories, rows behind those of a table. What was
made and judged stays. That the old samples are among the new ones is proved by their digest, not assumed: the samples
that the run was asked for before must give the digest that its run.json holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gotr1_eval.core.facts import check_facts
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.secrets import redacted_json
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.description import Survey, expected_of, survey
from gotr1_eval.runs.parquet_parts import parts_of
from gotr1_eval.runs.shards import Shard
from gotr1_eval.runs.sources import PictureSource
from gotr1_eval.runs.store import RunInfo, read_info, read_samples
from rewards.reward_set import RewardSet

TILE = 32
"""Samples made and judged together, unless a setting says otherwise."""
GROWING = ("categories", "images_per_prompt", "limit", "plan", "pictures")
"""Keys of a run's identity that differ where it grows."""
GROWN = "grown"
"""The key that holds how many samples there were each time the run grew; tiles do not cross these places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Samples to be made and judged in a run folder, by whichever engine.

    Attributes:
        samples: in order; may be iterated over several times.
        pictures: where their pictures come from.
        settings: what decides the samples; a resumed run must agree with it.
        tile: samples made and judged together, a setting, too, since float rounding depends on the batch; None takes
            what the run has, or else what fits into memory, at most `TILE`.
        retry: reasons for which unscored samples are judged again.
        request: what the user asked for, kept in run.json.
    """

    folder: Path
    samples: Iterable[Sample]
    pictures: PictureSource
    rewards: RewardSet
    settings: Mapping[str, Json]
    tile: int | None = None
    retry: Collection[Why] = ()
    request: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSamples:
    """The samples of a run in the order in which tiles are cut, and what run.json is to say of them.

    Attributes:
        identity: what decides the samples; the same whatever the engine.
        there: what run.json says now, where the run goes on with more than it was asked for; else None.
    """

    samples: Iterable[Sample]
    facts: Survey
    identity: Mapping[str, Json]
    there: RunInfo | None = None

    @property
    def anew(self) -> tuple[int, ...]:
        """Where tiles begin anew, since the run grew there."""
        return grown_at(self.identity)

    @property
    def grown_from(self) -> Mapping[str, Json] | None:
        """The identity of the run that grows; None where it does not."""
        return None if self.there is None else self.there.identity


def list_samples(job: Job, folder: Path, tile: int, shard: Shard | None = None) -> RunSamples:
    """Look at the samples once, and at what the folder holds.

    Args:
        folder: of the run, or of its shard.

    Raises:
        UsageError: a judge needs facts that no prompt has.
    """
    facts = survey(job.samples)
    check_facts(job.rewards.judges.values(), facts.known)
    identity: dict[str, Json] = {
        **job.settings,
        "tile": tile,
        "pictures": job.pictures.fingerprint,
        "plan": facts.digest,
    }
    if shard is not None:
        taken = shard.take(list(job.samples), tile)
        # A shard of a run stands on the whole run's prompts: merged, it is that run.
        facts = replace(survey(taken), prompts=facts.prompts)
        return RunSamples(samples=taken, facts=facts, identity={**identity, "shard": str(shard)})
    if not (folder / "run.json").exists():
        return RunSamples(samples=job.samples, facts=facts, identity=identity)
    there = read_info(folder)
    if there.identity == redacted_json(identity):
        return RunSamples(samples=job.samples, facts=facts, identity=identity)
    if (before := grown_at(there.identity)) and {**there.identity} == {**identity, GROWN: [*before]}:
        samples = _in_order(job.samples, folder, identity)
        return RunSamples(samples=samples, facts=facts, identity=there.identity)
    if not _grows(there, identity, job, facts.count):
        return RunSamples(samples=job.samples, facts=facts, identity=identity)
    held = sum(expected_of(there).values()) if parts_of(folder) is not None else len(read_samples(folder))
    samples = _in_order(job.samples, folder, identity)
    identity[GROWN] = [*dict.fromkeys([*before, held])]
    return RunSamples(samples=samples, facts=facts, identity=identity, there=there)


def tile_of(folder: Path) -> int | None:
    """The tile of the run that the folder holds, None where it holds none."""
    tile = read_info(folder).identity.get("tile") if (folder / "run.json").exists() else None
    return tile if isinstance(tile, int) else None


def grown_at(identity: Mapping[str, Json]) -> tuple[int, ...]:
    """How many samples a run had each time it grew."""
    grown = identity.get(GROWN)
    return tuple(int(str(count)) for count in grown) if isinstance(grown, list) else ()


def _grows(there: RunInfo, identity: Mapping[str, Json], job: Job, count: int) -> bool:
    """Whether the job is that of the run there, and more of the same."""
    old = there.identity
    differing = {key for key in (*old, *identity) if key != GROWN and old.get(key) != identity.get(key)}
    was_asked = _asked_before(there)
    if "plan" not in differing or differing - set(GROWING) or was_asked is None:
        return False
    earlier = _Filtered(job.samples, was_asked)
    facts = survey(earlier)
    # A folder of pictures is looked at again only for samples that are the same.
    return (
        facts.count < count
        and facts.digest == old["plan"]
        and job.pictures.fingerprint_of(earlier) == old.get("pictures")
    )


def _asked_before(there: RunInfo) -> Callable[[int, Sample], bool] | None:
    """Whether the sample at a place of the new plan belongs to what the run was asked for; None where none can tell."""
    setup: Mapping[str, Any] = there.setup
    prompts, images, count = setup.get("prompts"), there.identity.get("images_per_prompt"), expected_of(there)
    if not prompts or not count:
        return None
    if "source" in there.identity:
        total = sum(count.values())
        return lambda place, sample: place < total
    if not isinstance(images, int):
        return None

    def was_asked(place: int, sample: Sample) -> bool:
        number = prompts.get(str(sample.meta.get("category", "all")), (0,))[0]
        return _index(sample, "prompt_index") < number and _index(sample, "image_index") < images

    return was_asked


def _index(sample: Sample, key: str) -> int:
    value = sample.meta.get(key)
    return value if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True)
class _Filtered:
    """Some of the samples of a plan, without a list of them."""

    samples: Iterable[Sample]
    keep: Callable[[int, Sample], bool]

    def __iter__(self) -> Iterator[Sample]:
        return (sample for place, sample in enumerate(self.samples) if self.keep(place, sample))


def _in_order(samples: Iterable[Sample], folder: Path, identity: Mapping[str, Json]) -> Iterable[Sample]:
    """The samples of a grown run: those that it holds in the order in which it does, then the others."""
    parts = parts_of(folder)
    if parts is not None and "source" in identity:
        return samples  # new rows stand behind those of before, and there may be too many to be held
    planned = {sample.id: sample for sample in samples}
    laid_out = [] if parts is None else parts.ids()
    held = dict.fromkeys(name for name in (*laid_out, *read_samples(folder)) if name in planned)
    return [planned[name] for name in held] + [one for name, one in planned.items() if name not in held]
