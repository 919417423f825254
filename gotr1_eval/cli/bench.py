"""gotr1-eval bench: a benchmark, from prompts or pictures to the report; `compbench` and `geneval` by their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson
from gotr1_eval.cli.requests import command
from gotr1_eval.core.errors import UsageError
from gotr1_eval.runs.request import ROLES, RunRequest, ScoreRequest

if TYPE_CHECKING:
    from gotr1_eval.bench import Prepared
    from gotr1_eval.build import Builder
    from gotr1_eval.core.protocols import PictureLayout

ALIASES = {"compbench": "t2i-compbench", "geneval": "geneval"}
"""Commands under the names that people know, and the suites that they run."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the run would take, and stop.")]
Layout = Annotated[
    str | None,
    typer.Option("--layout", help="Also write the pictures as the official scripts of this suite read them."),
]
Results = Annotated[Path | None, typer.Option("--results", help="Only sum up this file of the official scripts.")]

_EXPLAIN = """{first} The same command resumes.

A category is scored officially as soon as its models are named; --judges adds rewards to the same samples. For
example: gotr1-eval {name} --ckpt tiny-janus {example}--limit 5
"""


def run_suite(
    request: RunRequest, *, results: Results = None, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Make and judge the pictures of a benchmark, and write the report."""
    from gotr1_eval.bench import foresee, prepare_bench
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import show_estimate

    builder = Builder()
    if results is not None:
        _sum_up(request, results, builder, as_json=as_json)
        return
    prepared = prepare_bench(request, builder)
    if dry_run:
        show_estimate(foresee(prepared, builder), as_json=as_json)
        return
    _run(prepared, builder, as_json=as_json)


def generate_pictures(request: RunRequest, *, layout: Layout = None) -> None:
    """Make the pictures of a benchmark, and write them as its official scripts read them where that is asked for."""
    from gotr1_eval.bench import execute, prepare_pictures
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import Bars, err
    from gotr1_eval.runs.layouts import write_layout
    from gotr1_eval.runs.shards import expected_of
    from gotr1_eval.runs.store import read_info, read_samples

    builder = Builder()
    official = None if layout is None else _layout(layout, builder)
    prepared = prepare_pictures(request, builder)
    planned = list(prepared.samples)
    if official is not None:
        official.paths(planned)  # refuses what the layout cannot hold before anything is generated
    with Bars() as bars:
        folder = execute(prepared, builder, bars)
    count = sum(expected_of(read_info(folder)).values())
    err.print(f"{count} samples in {folder}", markup=False, soft_wrap=True)
    if official is not None:
        target = folder / str(layout)
        written = write_layout(official, planned, list(read_samples(folder).values()), target)
        err.print(f"{written} pictures in {target}", markup=False, soft_wrap=True)


def _layout(suite: str, builder: Builder) -> PictureLayout:
    """The layout that a suite states.

    Raises:
        UsageError: it states none, or there is no such suite.
    """
    found = builder.suite({"use": suite}).layout
    if found is None:
        known = ", ".join(one.name for one in builder.suites() if one.layout is not None)
        raise UsageError(f"--layout {suite}: no official scripts read pictures of that suite (known: {known})")
    return found


def score_samples(request: ScoreRequest, *, as_json: AsJson = False) -> None:
    """Judge pictures and chains made elsewhere, and write the report."""
    from gotr1_eval.bench import prepare_score
    from gotr1_eval.build import Builder

    builder = Builder()
    _run(prepare_score(request, builder), builder, as_json=as_json)


def _run(prepared: Prepared, builder: Builder, *, as_json: bool) -> None:
    from gotr1_eval.bench import execute
    from gotr1_eval.cli.finish import finish
    from gotr1_eval.cli.terminal import Bars, err

    with Bars(builder.traffic) as bars:
        folder = execute(prepared, builder, bars)
    official = [] if prepared.suite is None else prepared.suite.write_official(folder)
    for line in (*official, *(f"note: {note}" for note in prepared.notes)):
        err.print(line, markup=False, soft_wrap=True)
    finish(folder, min_coverage=prepared.request.min_coverage, as_json=as_json)


def _sum_up(request: RunRequest, results: Path, builder: Builder, *, as_json: bool) -> None:
    """Print the summary of a file that a benchmark's own scripts wrote; what is missing in it goes to stderr."""
    from gotr1_eval.bench import suite_spec
    from gotr1_eval.cli.terminal import err, out

    suite = builder.suite(suite_spec(request.suite, request.data))
    summary = suite.sum_up_results(results, request.images_per_prompt)
    for line in summary.gaps:
        err.print(f"note: {results}: {line}", markup=False, soft_wrap=True)
    text = json.dumps(summary.content, indent=2) if as_json else summary.text
    out.print(text, markup=False, soft_wrap=True)


def _explained(name: str, first: str, example: str = "") -> str:
    return _EXPLAIN.format(name=name, first=first, example=example)


bench = command(
    RunRequest,
    run_suite,
    argument="suite",
    explain=_explained("bench shapes", "Run a benchmark: generate its pictures or take a folder's, judge, report."),
)
compbench = command(
    RunRequest,
    run_suite,
    defaults={"suite": ALIASES["compbench"]},
    explain=_explained("compbench", "T2I-CompBench, or the suite that --suite names.", "--suite shapes "),
)
geneval = command(
    RunRequest,
    run_suite,
    fixed={"suite": ALIASES["geneval"]},
    explain=_explained("geneval", "GenEval, with results.jsonl and summary.json in the official form."),
)
generate = command(
    RunRequest,
    generate_pictures,
    leave_out=("images", "judges", "judge_model", "reply_cache", "min_coverage", "retry", "semantics", *ROLES),
    explain="Generate chains and pictures into a run folder, resumable. `bench` with the same --out then judges them.",
)
score = command(
    ScoreRequest,
    score_samples,
    argument="source",
    explain="Judge pictures and chains made elsewhere: prompt, image and chain from a manifest or from file names.",
)
