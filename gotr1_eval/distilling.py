"""Distil a strong judge: from the scores of a run to a small head on features, validated, audited, in a folder.

from gotr1_eval.distilling import distil
made = distil(["runs/a"], "prompt_image", "judges/light", features={"use": "clip"})
print(made.validation)
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.audit import run_audit
from benchmarks.audit.card import Card
from benchmarks.audit.cases import Looks
from benchmarks.audit.page import write_card
from benchmarks.audit.trust import trust
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError, nearest_name, writing
from gotr1_eval.core.identifiers import fingerprint, utf8
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.correlations import spearman
from gotr1_eval.core.statistics.folds import FOLDS, fold_numbers, held_out
from gotr1_eval.core.statistics.heads import Kind as HeadKind
from gotr1_eval.core.statistics.heads import choose_penalty, cross_fit, fit_head
from gotr1_eval.core.statistics.intervals import estimate, prompt_weights
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.stages import Progress, Silent
from reports.agreement.marks import base_name
from reports.frontier.judged import factors_of
from reports.origins import run_labels
from reports.run_data import JudgeColumn, RunData, load_run
from rewards.distilled import DistilledJudge, prompt_mark
from rewards.light.features import OWN, Features, Kind, build_features
from rewards.light.head_file import Distilled, write_head

KINDS: Mapping[str, Kind] = {"spatial": "plan", "prompt_image": "picture"}
"""Factor -> what its judges look at."""
LEAST_SAMPLES, LEAST_PROMPTS = 20, 5
WIDEST = 1e6
"""A range beyond it stands for numbers without bounds."""
STORED = "features.npz"
TILE = 64
BINS = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """What a head is fitted on.

    Attributes:
        samples: their ids, each with its run.
        prompts: of every sample; folds take them whole.
        features: [samples, features].
        scores: the strong judge's.
        left_out: why samples do not count -> how many.
    """

    samples: Sequence[str]
    prompts: Sequence[str]
    features: Floats
    scores: Floats
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Made:
    """A distilled judge and its report card."""

    distilled: Distilled
    name: str
    card: Card

    @property
    def validation(self) -> Mapping[str, Json]:
        """What it reaches on held-out prompts."""
        return self.distilled.validation


def distil(
    runs: Sequence[Path | str],
    judge: str,
    out: Path | str,
    *,
    features: Mapping[str, Json] | None = None,
    looks_at: Kind | None = None,
    head: HeadKind = "ridge",
    untrusted: bool = False,
    audit_size: Literal["small", "medium", "large"] = "medium",
    seed: int = 0,
    progress: Progress | None = None,
) -> Made:
    """Fit, validate and audit a light judge, and write its folder.

    Args:
        runs: folders of runs that the strong judge has judged, under one name and fingerprint.
        judge: its factor or its name, whole or up to the bracket.
        features: ``{"use": "clip", ...}``, an encoder; None takes `OWN`.
        looks_at: what the features are about; by default the plan for judges of plans, otherwise the picture.
        head: logistic for soft verdicts in [0, 1]: the scores are read as chances on the judge's range.
        untrusted: the judge may be a reward even where its audit fails; its name then says so.
        audit_size: of `benchmarks.audit.SIZES`.

    Raises:
        UsageError: no such judge in a run, several of one name, too little to fit on, or a logistic head for a judge
            without bounds.
    """
    out, progress = Path(out), progress or Silent()
    loaded = [load_run(Path(run)) for run in runs]
    run_labels(loaded)  # refuses a run that is given twice
    column = _source(loaded, judge)
    kind = looks_at or _kind(loaded[0], column)
    if head == "logistic" and column.range[1] - column.range[0] > WIDEST:
        raise UsageError(f"distil: a logistic head reads scores as chances on a range, and {column.name} has none")
    builder, spec = Builder(), dict(features or {"use": OWN[kind]})
    made_of = build_features(spec, kind, builder)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    rows = _rows(loaded, column, made_of, out, progress)
    fitted = fit(rows, column, made_of, kind=kind, spec=spec, head=head, seed=seed, runs=[run.title for run in loaded])
    live = DistilledJudge(fitted, made_of)
    cards = run_audit(out / "audit", {"distilled": (live, Looks(kind))}, size=audit_size, seed=seed, progress=progress)
    write_card(cards, out / "audit", size=audit_size, seed=seed)
    verdict = trust(cards[0])
    told: dict[str, Json] = {**verdict.json(), "told": str(verdict), "size": audit_size, "seed": seed}
    fitted = replace(fitted, trust={**told, "head": fitted.fingerprint}, untrusted=untrusted)
    write_head(fitted, out)
    return Made(fitted, DistilledJudge(fitted, made_of).name, cards[0])


def _source(runs: Sequence[RunData], judge: str) -> JudgeColumn:
    """The strong judge, the same in all runs."""
    found = {}
    for run in runs:
        fitting = [column for column in run.judges if judge in (column.factor, column.name, base_name(column.name))]
        if len(fitting) != 1:
            names = ", ".join(column.name for column in run.judges) or "none"
            hint = nearest_name(judge, [column.factor for column in run.judges])
            many = f"{len(fitting)} judges" if fitting else "no judge"
            raise UsageError(
                f"distil: {run.folder} has {many} {judge!r}{hint} (it has: {names}); name one with --judge"
            )
        found[fitting[0].name, fitting[0].fingerprint] = fitting[0]
    if len(found) != 1:
        told = ", ".join(f"{name} {printed}" for name, printed in found)
        raise UsageError(f"distil: the runs were judged by different judges {judge!r}: {told or 'no run is named'}")
    (column,) = found.values()
    return column


def _kind(run: RunData, column: JudgeColumn) -> Kind:
    """What the judge looks at, by its factor.

    Raises:
        UsageError: words or boxes against a picture, which no features are about; or nothing tells.
    """
    factor = factors_of(run).get(column.name, "")
    if factor in KINDS:
        return KINDS[factor]
    came = f"it judges {factor}" if factor else "nothing tells what it looks at"
    raise UsageError(
        f"distil: {column.name}: expected a judge of pictures against prompts or of plans, {came}; --looks-at picture "
        "or plan takes such features all the same"
    )


def _rows(runs: Sequence[RunData], column: JudgeColumn, made_of: Features, out: Path, progress: Progress) -> Rows:
    """The scored samples that have features; the features are kept beside the head, and read again where they fit."""
    left_out: Counter[str] = Counter()
    chosen: list[tuple[str, Sample, float]] = []
    for run in runs:
        for sample in run.samples.values():
            outcome = run.outcomes[column.name].get(sample.id)
            if isinstance(outcome, Score):
                chosen.append((f"{run.title}/{sample.id}", sample, outcome.value))
            else:
                left_out["not judged" if outcome is None else outcome.why.value] += 1
    stated = fingerprint({"features": made_of.fingerprint, "samples": [_content(sample) for _, sample, _ in chosen]})
    known = _stored(out / STORED, stated)
    if known is None:
        known = _compute([sample for _, sample, _ in chosen], made_of, progress)
        _store(out / STORED, stated, known)
    has = np.asarray(~np.isnan(known).any(axis=1), dtype=np.bool_)
    left_out["no features of theirs"] += int((~has).sum())
    kept = [one for one, there in zip(chosen, has, strict=True) if there]
    prompts = [sample.prompt for _, sample, _ in kept]
    if len(kept) < LEAST_SAMPLES or len(set(prompts)) < LEAST_PROMPTS:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "the runs are small"
        raise UsageError(
            f"distil: expected at least {LEAST_SAMPLES} scored samples of {LEAST_PROMPTS} prompts, got {len(kept)} of "
            f"{len(set(prompts))} ({why})"
        )
    scores = np.array([score for *_, score in kept])
    return Rows([name for name, *_ in kept], prompts, known[has], scores, {k: n for k, n in left_out.items() if n})


def _content(sample: Sample) -> str:
    """What features may depend on; a picture by its file's place, size and time."""
    facts = [sample.id, sample.prompt, sample.chain or ""]
    if isinstance(sample.image, Path):
        with suppress(OSError):
            there = sample.image.stat()
            facts += [str(sample.image), str(there.st_size), str(there.st_mtime_ns)]
    return hashlib.sha256(utf8("\n".join(facts))).hexdigest()[:16]


def _compute(samples: Sequence[Sample], made_of: Features, progress: Progress) -> Floats:
    """[samples, features]; NaN where a sample has none."""
    progress.start("features", len(samples), 0)
    rows: list[Floats | None] = []
    for start in range(0, len(samples), TILE):
        part = samples[start : start + TILE]
        rows += [row if isinstance(row, np.ndarray) else None for row in made_of.rows(part)]
        progress.advance(len(part))
    width = next((len(row) for row in rows if row is not None), 0)
    return np.array([np.full(width, np.nan) if row is None else row for row in rows]).reshape(len(rows), width)


def _stored(path: Path, stated: str) -> Floats | None:
    """The features that lie there, where they are these."""
    with suppress(OSError, ValueError, KeyError), np.load(path, allow_pickle=False) as kept:
        if str(kept["stated"]) == stated:
            return np.asarray(kept["features"], dtype=np.float64)
    return None


def _store(path: Path, stated: str, features: Floats) -> None:
    packed = io.BytesIO()
    np.savez_compressed(packed, stated=stated, features=features)
    with writing(path):
        path.write_bytes(packed.getvalue())


def fit(
    rows: Rows,
    column: JudgeColumn,
    made_of: Features,
    *,
    kind: Kind,
    spec: Mapping[str, Json],
    head: HeadKind,
    seed: int,
    runs: Sequence[str],
) -> Distilled:
    """The head on all rows with the penalty that cross-validation prefers, and what held-out prompts say of it."""
    low, high = column.range
    scores = (rows.scores - low) / (high - low) if head == "logistic" else rows.scores
    crossed = cross_fit(head, rows.features, scores, rows.prompts, seed)
    line = _line(crossed.predictions, rows.scores)
    whole = fit_head(head, rows.features, scores, choose_penalty(head, rows.features, scores, rows.prompts, seed))
    digest = hashlib.sha256(rows.features.tobytes() + rows.scores.tobytes() + utf8("\n".join(rows.samples))).hexdigest()
    training: dict[str, Json] = {
        "runs": list(runs),
        "samples": len(rows.samples),
        "prompts": len(set(rows.prompts)),
        "left_out": dict(rows.left_out),
        "digest": digest[:16],
        "prompt_marks": [*sorted({prompt_mark(prompt) for prompt in rows.prompts})],
    }
    return Distilled(
        source=column.name,
        source_fingerprint=column.fingerprint,
        range=column.range,
        looks_at=kind,
        features=dict(spec),
        features_name=made_of.name,
        features_fingerprint=made_of.fingerprint,
        head=whole,
        folds=crossed.heads,
        line=line,
        training=training,
        validation=_validate(rows, crossed.predictions, line[0], column.range, head, seed),
    )


def _line(predictions: Floats, scores: Floats) -> tuple[float, float]:
    """(slope, offset) from held-out predictions to scores: it sets right what a penalty draws together.

    A straight line keeps every order and every difference, of which training lives; a falling one would turn the judge
    round, and what does not follow the scores at all is worth their mean.
    """
    centred = predictions - predictions.mean()
    square = float(centred @ centred)
    slope = max(float(centred @ scores) / square, 0.0) if square > 0 else 0.0
    return slope, float(scores.mean() - slope * predictions.mean())


def _on_the_scale(rows: Rows, predictions: Floats, seed: int) -> Floats:
    """Held-out predictions, each by a line that was fitted without its fold."""
    found = np.full(len(predictions), np.nan)
    for fitted, out in held_out(fold_numbers(rows.prompts, seed)):
        slope, offset = _line(predictions[fitted], rows.scores[fitted])
        found[out] = slope * predictions[out] + offset
    return found


def _validate(
    rows: Rows, predictions: Floats, slope: float, ends: tuple[float, float], head: HeadKind, seed: int
) -> dict[str, Json]:
    """What held-out prompts say, with intervals over prompts; the raw error of calibration stands beside that after."""
    calibrated = np.clip(_on_the_scale(rows, predictions, seed), *ends)
    weights, prompts = prompt_weights(rows.prompts, 1000, seed)
    errors = (calibrated - rows.scores) ** 2
    around = (rows.scores - rows.scores.mean()) ** 2
    root = np.sqrt(weights @ errors / weights.sum(axis=1))
    total = weights @ around
    explained = np.divide(total - weights @ errors, total, out=np.full(len(total), np.nan), where=total > 0)
    raw = predictions * (ends[1] - ends[0]) + ends[0] if head == "logistic" else np.clip(predictions, *ends)
    return {
        "folds": min(FOLDS, prompts),
        "samples": len(rows.scores),
        "prompts": prompts,
        "spearman": estimate(spearman(slope * predictions, rows.scores, weights), prompts=prompts).json(),
        "explained_variance": estimate(explained, prompts=prompts).json(),
        "rmse": estimate(root, prompts=prompts).json(),
        "rmse_of_the_mean": float(rows.scores.std()),
        "calibration_error": calibration_error(calibrated, rows.scores),
        "calibration_error_before": calibration_error(raw, rows.scores),
    }


def calibration_error(predictions: Floats, scores: Floats) -> float:
    """The mean over ten bins of equal numbers, by prediction, of how far its mean is from the mean score."""
    order = np.argsort(predictions, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [abs(float(predictions[part].mean() - scores[part].mean())) * len(part) for part in bins]
    return sum(gaps) / len(scores)
