"""Commands that run: bench (also as compbench and geneval), generate, score and demo; and merge, for what they made."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from gotr1_eval.cli.app import ALIASES
from gotr1_eval.cli.options import AsJson, Intervals, NoProgress, Quiet, Verbose
from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.runs.request import ROLES, SHORT_FORMS, JudgingRequest, RunRequest, ScoreRequest, option

if TYPE_CHECKING:
    from gotr1_eval.bench import Prepared
    from gotr1_eval.build import Builder
    from gotr1_eval.core.protocols import PictureLayout


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what the run would take, or all that stands against it, and stop.")
]
Layout = Annotated[
    str | None,
    typer.Option("--layout", help="Also write the pictures as the official scripts of this suite read them."),
]
Results = Annotated[Path | None, typer.Option("--results", help="Only sum up this file of the official scripts.")]

_EXPLAIN = """{first} The same command resumes.

A category is scored officially as soon as its models are named; --judges adds rewards to the same samples. For
example: gotr1-eval {name} --ckpt tiny-janus {example}--limit 5
"""


R = TypeVar("R", bound=JudgingRequest)
_AS_THEY_ARE = (int, float, bool, Path)


def command(
    kind: type[R],
    act: Callable[..., None],
    *,
    argument: str | None = None,
    fixed: Mapping[str, object] | None = None,
    defaults: Mapping[str, str] | None = None,
    leave_out: tuple[str, ...] = (),
    explain: str,
) -> Callable[..., None]:
    """A command that reads a request and acts on it.

    Args:
        act: takes the request; its keyword-only parameters are options of this command alone.
        argument: the field that stands without an option's name.
        fixed: fields with values that this command does not ask for.
        defaults: values of fields that may be left out here, though the request itself needs them.
        leave_out: fields that mean nothing here.
        explain: the command's help; its first line stands in the list of commands.
    """
    fixed, defaults = fixed or {}, defaults or {}
    own = [one for one in inspect.signature(act, eval_str=True).parameters.values() if one.kind is one.KEYWORD_ONLY]

    def run(**given: Any) -> None:  # noqa: ANN401 (whatever the options hold)
        extra = {one.name: given.pop(one.name) for one in own}
        chosen = {name: value for name, value in given.items() if value is not None}
        act(read_request(kind, {**fixed, **defaults, **chosen}), **extra)

    hidden = {*fixed, *leave_out}
    fields = {name: field for name, field in kind.model_fields.items() if name not in hidden}
    short = {name: form for name, form in SHORT_FORMS.items() if form.field in fields}
    parameters = [
        *(_argument(name, fields.pop(name)) for name in (argument,) if name is not None),
        *(_parameter(name, form.kind, form.help) for name, form in short.items()),
        *(
            _parameter(name, _type(field), str(field.description), defaults.get(name) or _default(field))
            for name, field in fields.items()
        ),
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = explain
    return run


def read_request(kind: type[R], given: Mapping[str, Any]) -> R:
    """The request that options describe.

    Raises:
        UsageError: an option's value is not what it should be.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(f"{option(name)} {one_line(str(first['input']), 80)}: {_expected(dict(first))}") from None


def _expected(fault: Mapping[str, Any]) -> str:
    """What pydantic expected, in the project's words."""
    expected = fault.get("ctx", {}).get("expected")
    return f"expected {expected}" if expected else str(fault["msg"])


def _argument(name: str, field: FieldInfo) -> inspect.Parameter:
    described = typer.Argument(help=field.description, metavar=name.upper())
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=described, annotation=_type(field))


def _parameter(name: str, kind: type, explain: str, default: str | bool = False) -> inspect.Parameter:
    described = typer.Option(None, option(name), help=explain, show_default=default)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=described, annotation=kind | None)


def _type(field: FieldInfo) -> type:
    """What the terminal reads: numbers and paths as such, names and components as text, for the request to read."""
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind in _AS_THEY_ARE]
    return kinds[0] if kinds else str


def _default(field: FieldInfo) -> str | bool:
    """The default as the help shows it; False where there is none to show."""
    value = field.get_default()
    if isinstance(value, Mapping):
        value = value.get("use")
    return False if field.is_required() or value is None or value == () else str(value)


def _list_benchmarks(wanted: bool) -> None:
    """Shows the benchmarks and stops, before a suite is missed."""
    from gotr1_eval.cli.bench_list import show_benchmarks

    if wanted:
        show_benchmarks()
        raise typer.Exit


ListAll = Annotated[
    bool,
    typer.Option("--list", is_eager=True, callback=_list_benchmarks, help="Show every benchmark, and what it lacks."),
]


def run_suite(
    request: RunRequest,
    *,
    results: Results = None,
    dry_run: DryRun = False,
    list_all: ListAll = False,
    intervals: Intervals = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Make and judge the pictures of a benchmark, and write the report.

    Args:
        list_all: was acted on before the request was read.
    """
    from gotr1_eval.bench import foresee, prepare_bench
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import show_estimate
    from gotr1_eval.obstacles import obstacles, refuse

    builder = Builder()
    if results is not None:
        _sum_up(request, results, builder, as_json=as_json)
        return
    if dry_run:
        refuse(obstacles(request, builder))
    prepared = prepare_bench(request, builder)
    if dry_run:
        show_estimate(foresee(prepared, builder), as_json=as_json)
        return
    _run(prepared, builder, as_json=as_json, intervals=intervals, quiet=quiet, verbose=verbose)


def generate_pictures(
    request: RunRequest, *, layout: Layout = None, dry_run: DryRun = False, quiet: NoProgress = False
) -> None:
    """Make the pictures of a benchmark, and write them as its official scripts read them where that is asked for."""
    from gotr1_eval.bench import execute, foresee, prepare_pictures
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import Bars, err, hushed, show_estimate
    from gotr1_eval.runs.description import expected_of
    from gotr1_eval.runs.layouts import write_layout
    from gotr1_eval.runs.store import read_info, read_samples
    from rewards.inputs import never_made

    builder = Builder()
    official = None if layout is None else _layout(layout, builder)
    prepared = prepare_pictures(request, builder)
    planned = list(prepared.samples)
    if official is not None:
        official.paths(planned)  # refuses what the layout cannot hold before anything is generated
    if dry_run:
        show_estimate(foresee(prepared, builder), as_json=False)
        return
    with hushed(quiet), Bars(builder.traffic) as bars:
        folder = execute(prepared, builder, bars)
    count = sum(expected_of(read_info(folder)).values())
    err.print(f"{count} samples in {folder}", markup=False, soft_wrap=True)
    if reasons := [missing.detail for sample in read_samples(folder).values() if (missing := never_made(sample))]:
        err.print(f"{len(reasons)} of them without a picture; {reasons[0]}", markup=False, soft_wrap=True)
    if official is not None:
        target = folder / str(layout).partition(",")[0]
        written = write_layout(official, planned, list(read_samples(folder).values()), target)
        err.print(f"{written} pictures in {target}", markup=False, soft_wrap=True)


def _layout(suite: str, builder: Builder) -> PictureLayout:
    """The layout that a suite states.

    Raises:
        UsageError: it states none, or there is no such suite.
    """
    from gotr1_eval.bench import suite_spec

    found = builder.suite(suite_spec(suite)).layout
    if found is None:
        known = ", ".join(one.name for one in builder.suites() if one.layout is not None)
        raise UsageError(f"--layout {suite}: no official scripts read pictures of that suite (known: {known})")
    return found


def score_samples(
    request: ScoreRequest,
    *,
    dry_run: DryRun = False,
    intervals: Intervals = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Judge pictures and chains made elsewhere, and write the report."""
    from gotr1_eval.bench import foresee, prepare_score
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import show_estimate

    builder = Builder()
    prepared = prepare_score(request, builder)
    if dry_run:
        show_estimate(foresee(prepared, builder), as_json=as_json)
        return
    _run(prepared, builder, as_json=as_json, intervals=intervals, quiet=quiet, verbose=verbose)


def _run(prepared: Prepared, builder: Builder, *, as_json: bool, intervals: bool, quiet: bool, verbose: bool) -> None:
    from gotr1_eval.bench import execute, write_results
    from gotr1_eval.cli.finish import show_report
    from gotr1_eval.cli.terminal import Bars, err, hushed

    with hushed(quiet):
        with Bars(builder.traffic) as bars:
            folder = execute(prepared, builder, bars)
        official, told, page = write_results(prepared, folder)
        for line in (*official, *(f"note: {note}" for note in prepared.notes)):
            err.print(line, markup=False, soft_wrap=True)
        show_report(told, page, as_json=as_json, intervals=intervals, quiet=quiet, verbose=verbose)


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
    defaults={"suite": ALIASES["compbench"][0]},
    explain=_explained("compbench", "T2I-CompBench, or the suite that --suite names.", "--suite shapes "),
)
geneval = command(
    RunRequest,
    run_suite,
    fixed={"suite": ALIASES["geneval"][0]},
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


def demo(
    out: Annotated[Path, typer.Option("--out", help="The run folder.")] = Path("runs/demo"),
    limit: Annotated[int, typer.Option(min=1, help="Prompts of each category.")] = 10,
) -> None:
    """Generate pictures of held-out shapes prompts with the embedded tiny Janus, judge them, and write the report."""
    from gotr1_eval.cli.terminal import err

    err.print("The demo runs the embedded world of shapes; its numbers say nothing about real pictures.")
    generator = {"use": "janus", "ckpt": "tiny-janus", "guidance": 2.0}
    run_suite(RunRequest(suite="shapes", generator=generator, limit=limit, out=out))
    err.print(f"Open {out / 'report.html'} in a browser.", markup=False, soft_wrap=True)


def merge(
    out: Annotated[
        Path, typer.Argument(help="The whole run's folder; its shards lie beside it, as --shard wrote them.")
    ],
) -> None:
    """Put the shards of a run together; the command that made them, without --shard, then goes on in the whole run."""
    from gotr1_eval.cli.terminal import err
    from gotr1_eval.runs.shards import merge as put_together

    count = put_together(out)
    err.print(f"{count} samples in {out}", markup=False, soft_wrap=True)
