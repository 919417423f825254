"""gotr1-eval doctor: do the models see at all, and what is on this machine?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.cli.options import AsJson
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.types import Json
from gotr1_eval.settings import read_component

if TYPE_CHECKING:
    from benchmarks.doctor.official import Missing, Report
    from gotr1_eval.cli.official_models import Models

_FORM = "by name, or name,setting=value,...; may be given several times."
Several = list[str] | None


def doctor(
    detector: Annotated[Several, typer.Option(help=f"Detector, {_FORM}")] = None,
    encoder: Annotated[Several, typer.Option(help=f"Encoder of pictures and texts, {_FORM}")] = None,
    yes_no: Annotated[Several, typer.Option("--yes-no", help=f"Yes-no model, {_FORM}")] = None,
    depth: Annotated[Several, typer.Option(help=f"Depth model, {_FORM}")] = None,
    phrases: Annotated[Several, typer.Option(help=f"Source of noun phrases, {_FORM}")] = None,
    benchmarks: Annotated[
        Several,
        typer.Option("--for", help="The official models of compbench, geneval, aesthetic, shapes or a category."),
    ] = None,
    official: Annotated[
        bool, typer.Option("--official", help="Examine the official detectors' files; a table that can be sent back.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="The folder of official files; by default one of the user's cache.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Examine models on drawings with known answers; without options, say what is on this machine.

    Ends with an error unless everything that was asked for passed.
    """
    from gotr1_eval.core.official_files import weights_folder

    folder = (weights or weights_folder()).expanduser()
    given = {"detector": detector, "encoder": encoder, "yes_no": yes_no, "depth": depth, "phrases": phrases}
    models: Models = [
        (kind, read_component(text, f"--{kind.replace('_', '-')}"))
        for kind, texts in given.items()
        for text in texts or []
    ]
    if official:
        if models:
            raise UsageError("--official examines files; name models without it")
        _official(benchmarks or [], folder, as_json=as_json)
    elif models or benchmarks:
        _models(models, benchmarks or [], folder, as_json=as_json)
    else:
        _surroundings(folder, as_json=as_json)


def _models(models: Models, benchmarks: Sequence[str], folder: Path, *, as_json: bool) -> None:
    """Examine models one after the other, and say at the end which failed."""
    from benchmarks.doctor import examine_model
    from benchmarks.doctor.checks import checks_json
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.doctor_table import show_examinations
    from gotr1_eval.cli.official_models import official_models
    from gotr1_eval.cli.terminal import err

    builder = Builder()
    models = [*models, *(model for benchmark in benchmarks for model in official_models(benchmark, folder, builder))]
    for kind, spec in models:
        builder.check_settings(kind, spec)
    done = []
    for kind, spec in models:
        with err.status(f"{kind} {spec['use']}"):
            done.append(examine_model(builder, kind, spec))
    if as_json:
        rows = [
            {
                "kind": one.kind,
                "model": one.model,
                "passed": one.passed,
                "seconds": one.seconds,
                "checks": checks_json(one),
            }
            for one in done
        ]
        _print_json({"passed": all(one.passed for one in done), "models": rows})
    else:
        show_examinations(done)
    _fail_for(f"{one.kind} {one.model}" for one in done if not one.passed)


def _official(benchmarks: Sequence[str], folder: Path, *, as_json: bool) -> None:
    """Examine the official detectors' files in a folder: all of them, or those that the benchmarks need."""
    from benchmarks.doctor.official import examine_official, official_cases
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.doctor_table import show_reports
    from gotr1_eval.cli.terminal import err

    cases, missing = official_cases(_official_keys(benchmarks), folder)
    reports = []
    for case in cases:
        with err.status(f"{case.key} {case.semantics}"):
            reports.append(examine_official(Builder(), case, folder))
    if as_json:
        _print_json(_report_json(reports, missing))
    else:
        show_reports(reports, missing)
        _show_machine()
    _fail_for([*(f"{one.key} is missing" for one in missing), *(one.case.key for one in reports if not one.passed)])


def _official_keys(benchmarks: Sequence[str]) -> list[str]:
    """Keys of the official detectors' files that benchmarks need; of all of them where none is named.

    Raises:
        UsageError: an unknown benchmark, or none that needs such a detector.
    """
    from benchmarks.doctor.official import CASES
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.official_models import categories_of
    from gotr1_eval.core.official_files import official_file

    builder = Builder()
    parts = {part for benchmark in benchmarks for part in categories_of(benchmark, builder)}
    keys = list(dict.fromkeys(case.key for case in CASES))
    chosen = [key for key in keys if not parts or parts & set(official_file(key).made_for)]
    if not chosen:
        raise UsageError(f"--official --for {', '.join(benchmarks)}: no official detector is needed there")
    return chosen


def _report_json(reports: Sequence[Report], missing: Sequence[Missing]) -> dict[str, Json]:
    from benchmarks.doctor.drawings import VERSION
    from benchmarks.doctor.official import report_json
    from benchmarks.doctor.surroundings import versions
    from gotr1_eval.models.devices import list_devices

    return {
        "passed": not missing and all(report.passed for report in reports),
        "versions": dict(versions()),
        "devices": dict(list_devices()),
        "drawings": VERSION,
        "missing": [{"key": one.key, "file": one.name, "how_to_get": one.how_to_get} for one in missing],
        "files": [report_json(report) for report in reports],
    }


def _surroundings(folder: Path, *, as_json: bool) -> None:
    """What is on this machine."""
    from benchmarks.doctor import surroundings
    from gotr1_eval.cli.doctor_table import show_surroundings
    from gotr1_eval.models.devices import list_devices

    facts = (surroundings.versions(), list_devices(), surroundings.extras(), surroundings.weights(folder))
    if as_json:
        names = ("versions", "devices", "extras", "weights")
        _print_json({**dict(zip(names, facts, strict=True)), "weights_folder": str(folder)})
        return
    show_surroundings(*facts, str(folder))


def _show_machine() -> None:
    from benchmarks.doctor.surroundings import versions
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.models.devices import list_devices

    facts = {**versions(), **list_devices()}
    out.print("; ".join(f"{name} {value}" for name, value in facts.items()), markup=False, soft_wrap=True)


def _print_json(content: Mapping[str, object]) -> None:
    from gotr1_eval.cli.terminal import out

    out.print(json.dumps(content, indent=2, ensure_ascii=False), markup=False, soft_wrap=True)


def _fail_for(faults: Iterable[str]) -> None:
    """Raises RunError when anything is at fault."""
    if told := list(faults):
        raise RunError(f"doctor: not fit for a run: {'; '.join(told)}")
