"""gotr1-eval doctor: do the models see at all, and what is on this machine?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from gotr1_eval.cli.app import ALIASES
from gotr1_eval.cli.options import AsJson
from gotr1_eval.cli.terminal import out, print_json
from gotr1_eval.core.errors import RunError, UsageError, nearest_name
from gotr1_eval.core.extras import install_hint
from gotr1_eval.core.types import Json
from gotr1_eval.settings import read_component

if TYPE_CHECKING:
    from benchmarks.doctor.checks import Examination
    from benchmarks.doctor.official import Missing, Report
    from gotr1_eval.build import Builder
    from gotr1_eval.core.protocols import Suite


_FORM = "by name, or name,setting=value,...; may be given several times."
Several = list[str] | None
Models = list[tuple[str, Mapping[str, Json]]]
"""(role of the model, its settings)."""
AESTHETIC = "aesthetic"
"""Not a benchmark but a judge, whose encoder is published as one file as well."""


def doctor(
    detector: Annotated[Several, typer.Option(help=f"Detector, {_FORM}")] = None,
    encoder: Annotated[Several, typer.Option(help=f"Encoder of pictures and texts, {_FORM}")] = None,
    yes_no: Annotated[Several, typer.Option("--yes-no", help=f"Yes-no model, {_FORM}")] = None,
    depth: Annotated[Several, typer.Option(help=f"Depth model, {_FORM}")] = None,
    phrases: Annotated[Several, typer.Option(help=f"Source of noun phrases, {_FORM}")] = None,
    vlm: Annotated[Several, typer.Option(help=f"Language-vision model that tells probabilities, {_FORM}")] = None,
    ocr: Annotated[Several, typer.Option(help=f"Reader of the text in pictures, {_FORM}")] = None,
    benchmarks: Annotated[
        Several,
        typer.Option("--for", help="The official models of a benchmark, of one of its categories, or of aesthetic."),
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
    from gotr1_eval.files.official_files import weights_folder

    folder = (weights or weights_folder()).expanduser()
    given = {
        "detector": detector, "encoder": encoder, "yes_no": yes_no, "depth": depth, "phrases": phrases, "ocr": ocr,
        "vlm": vlm,
    }  # fmt: skip
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
        _environment(folder, as_json=as_json)


def _models(models: Models, benchmarks: Sequence[str], folder: Path, *, as_json: bool) -> None:
    """Examine models one after the other, and say at the end which failed."""
    from benchmarks.doctor import examine_model
    from benchmarks.doctor.checks import checks_json
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import err

    builder = Builder()
    models = [*models, *(model for benchmark in benchmarks for model in official_models(benchmark, folder, builder))]
    for kind, spec in models:
        builder.check_settings(kind, spec)
    for line in missing_data(benchmarks, builder):
        err.print(f"note: {line}", markup=False, soft_wrap=True)
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
        print_json({"passed": all(one.passed for one in done), "models": rows})
    else:
        show_examinations(done)
    _fail_for(f"{one.kind} {one.model}" for one in done if not one.passed)


def _official(benchmarks: Sequence[str], folder: Path, *, as_json: bool) -> None:
    """Examine the official detectors' files in a folder: all of them, or those that the benchmarks need."""
    from benchmarks.doctor.official import examine_official, official_cases
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import err

    cases, missing = official_cases(_official_keys(benchmarks), folder)
    reports = []
    for case in cases:
        with err.status(f"{case.key} {case.semantics}"):
            reports.append(examine_official(Builder(), case, folder))
    if as_json:
        print_json(_report_json(reports, missing))
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
    from gotr1_eval.files.official_files import official_file

    builder = Builder()
    parts = {part for benchmark in benchmarks for part in categories_of(benchmark, builder)}
    keys = list(dict.fromkeys(case.key for case in CASES))
    chosen = [key for key in keys if not parts or parts & set(official_file(key).made_for)]
    if not chosen:
        raise UsageError(f"--official --for {', '.join(benchmarks)}: no official detector is needed there")
    return chosen


def _report_json(reports: Sequence[Report], missing: Sequence[Missing]) -> dict[str, Json]:
    from benchmarks.doctor.drawings import VERSION
    from benchmarks.doctor.environment import versions
    from benchmarks.doctor.official import report_json
    from gotr1_eval.models.local_model import list_devices

    return {
        "passed": not missing and all(report.passed for report in reports),
        "versions": dict(versions()),
        "devices": dict(list_devices()),
        "drawings": VERSION,
        "missing": [{"key": one.key, "file": one.name, "how_to_get": one.how_to_get} for one in missing],
        "files": [report_json(report) for report in reports],
    }


def _environment(folder: Path, *, as_json: bool) -> None:
    """What is on this machine."""
    from benchmarks.doctor import environment
    from gotr1_eval.models.expected_packages import expected_packages
    from gotr1_eval.models.local_model import list_devices

    machine = (environment.versions(), list_devices(), environment.extras())
    facts = (*machine, expected_packages(), environment.prompts(), environment.weights(folder))
    if as_json:
        names = ("versions", "devices", "extras", "packages", "prompts", "weights")
        print_json({**dict(zip(names, facts, strict=True)), "weights_folder": str(folder)})
        return
    show_environment(*facts, str(folder))


def _show_machine() -> None:
    from benchmarks.doctor.environment import versions
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.models.local_model import list_devices

    facts = {**versions(), **list_devices()}
    out.print("; ".join(f"{name} {value}" for name, value in facts.items()), markup=False, soft_wrap=True)


def _fail_for(faults: Iterable[str]) -> None:
    """Raises RunError when anything is at fault."""
    if told := list(faults):
        raise RunError(f"doctor: not fit for a run: {'; '.join(told)}")


_MOST_SHOWN = 6
"""Detections of a drawing that the table shows; --json has all."""
_STATES = {"found": "green", "missing": "yellow", "wrong": "red"}


def show_examinations(examinations: Sequence[Examination]) -> None:
    """A line a model, and below it a row a check."""
    for one in examinations:
        _show_title(f"{one.kind} {one.model}", one.passed, f"{one.seconds:.1f} s")
        _show_checks(one)


def show_reports(reports: Sequence[Report], missing: Sequence[Missing]) -> None:
    """Each file: what it is, how it loaded and ran, its checks, and the first detections in each drawing."""
    for report in reports:
        _show_title(f"{report.case.key}, {report.case.semantics}", report.passed, report.examination.model)
        _show_facts(_report_facts(report))
        _show_checks(report.examination)
        _show_detections(report)
    for lack in missing:
        text = Text("MISSING  ", style="bold red").append(
            f"{lack.key}: {lack.name}; {lack.how_to_get}", style="default"
        )
        out.print(text, soft_wrap=True)


def _report_facts(report: Report) -> dict[str, Text]:
    facts = {"file": f"{report.path.name}, {report.bytes:,} bytes", "sha256": report.sha256}
    if report.tensors is not None:
        facts["tensors"] = f"{report.tensors.in_file} in the file, {report.tensors.weights} of them weights"
    if report.load_seconds is not None:
        facts["loading"] = f"{report.load_seconds:.1f} s"
    if report.seconds_a_picture is not None:
        facts["looking"] = f"{report.seconds_a_picture:.1f} s a picture"
    return {name: Text(fact) for name, fact in facts.items()}


def _show_title(title: str, passed: bool, remark: str) -> None:
    out.print(Text(f"{title}  ", style="bold").append_text(_verdict(passed)).append(f"  {remark}", style="dim"))


def _show_checks(examination: Examination) -> None:
    grid = _plain_grid()
    for check in examination.checks:
        grid.add_row(_verdict(check.passed), Text(check.name), Text(check.detail, overflow="fold"))
    out.print(grid)


def _show_detections(report: Report) -> None:
    """Boxes in pixels of the drawing."""
    if not report.found:
        return
    grid = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for column in ("", "drawing", "label", "score", "x1", "y1", "x2", "y2"):
        grid.add_column(column, justify="left" if column in ("", "drawing", "label") else "right")
    shown: dict[str, int] = {}
    for drawing, (width, height), one in report.found:
        shown[drawing] = shown.get(drawing, 0) + 1
        if shown[drawing] <= _MOST_SHOWN:
            box = (value * side for value, side in zip(one.box.corners, (width, height, width, height), strict=True))
            grid.add_row("", drawing, Text(one.label), f"{one.score:.4f}", *(f"{value:.1f}" for value in box))
    out.print(grid)
    if left_out := sum(max(count - _MOST_SHOWN, 0) for count in shown.values()):
        out.print(f"   and {left_out} more; --json has them all", style="dim")


def show_environment(
    versions: Mapping[str, str],
    devices: Mapping[str, str],
    extras: Mapping[str, Mapping[str, str | None]],
    packages: Mapping[str, str],
    prompts: Mapping[str, Mapping[str, str]],
    weights: Mapping[str, Mapping[str, str]],
    folder: str,
) -> None:
    """What is on this machine, and last, to be copied, the commands that bring what is not."""
    _show_section("versions", {name: Text(version) for name, version in versions.items()})
    _show_section("devices", {name: Text(facts) for name, facts in devices.items()})
    _show_section("extras", {name: _packages(name, packages) for name, packages in extras.items()})
    _show_section("packages that others need (docs/packages.md)", {name: Text(said) for name, said in packages.items()})
    _show_section("benchmarks' prompts", _states(prompts))
    _show_section(f"official weights in {folder}", _states(weights))
    lacking = {name: one["detail"] for name, one in {**prompts, **weights}.items() if one["state"] == "missing"}
    if lacking:
        out.print("to bring what is missing", style="bold")
        for command in dict.fromkeys(lacking.values()):
            out.print(f"  {command}", markup=False, soft_wrap=True)


def _states(files: Mapping[str, Mapping[str, str]]) -> dict[str, Text]:
    """A word for each, and where it is or what is wrong with it; how to get what is missing stands below."""
    found = {}
    for name, facts in files.items():
        state = facts["state"]
        text = Text(state, style=_STATES.get(state, "dim"))
        found[name] = text if state == "missing" else text.append(f": {facts['detail']}", style="default")
    return found


def _packages(extra: str, packages: Mapping[str, str | None]) -> Text:
    text = Text(", ".join(f"{name} {version}" for name, version in packages.items() if version))
    absent = [name for name, version in packages.items() if not version]
    if not absent:
        return text
    hint = "python -m spacy download en_core_web_sm" if absent == ["en_core_web_sm"] else install_hint(extra)
    return text.append(f"{', ' if text else ''}not installed: {', '.join(absent)}; {hint}", style="yellow")


def _show_section(title: str, facts: Mapping[str, Text]) -> None:
    out.print(title, style="bold", markup=False)
    _show_facts(facts)


def _show_facts(facts: Mapping[str, Text]) -> None:
    grid = _plain_grid()
    for name, fact in facts.items():
        fact.overflow = "fold"
        grid.add_row(Text(name), fact)
    out.print(grid)


def _plain_grid() -> Table:
    return Table(box=None, show_header=False, pad_edge=True, padding=(0, 2))


def _verdict(passed: bool) -> Text:
    return Text("ok", style="green") if passed else Text("FAILED", style="bold red")


def missing_data(benchmarks: Sequence[str], builder: Builder) -> list[str]:
    """A line for each benchmark whose prompts are fetched, and are not on this machine."""
    from gotr1_eval.files.public_data import known_data

    data = {one.key: one for one in known_data()}
    names = dict.fromkeys(_known(name, builder)[0].name for name in benchmarks if name != AESTHETIC)
    return [
        f"{name}: {len(data[name].missing)} of its {len(data[name].files)} fetched files are not here; "
        f"`gotr1-eval data fetch {name}`"
        for name in names
        if name in data and data[name].missing
    ]


def known_names(builder: Builder) -> dict[str, tuple[Suite, tuple[str, ...]]]:
    """What `--for` takes: suites by name and by their command's, and categories -> (suite, its categories)."""
    known: dict[str, tuple[Suite, tuple[str, ...]]] = {}
    for suite in builder.suites():
        names = [suite.name, *(alias for alias, (name, _) in ALIASES.items() if name == suite.name)]
        known |= dict.fromkeys(names, (suite, suite.categories))
        if suite.official:
            known |= {category: (suite, (category,)) for category in suite.categories if category not in known}
    return known


def categories_of(name: str, builder: Builder) -> tuple[str, ...]:
    """The names under which the official files of a benchmark or category are listed."""
    if name == AESTHETIC:
        return (name,)
    suite, categories = _known(name, builder)
    return (name, suite.name, *categories)


def official_models(name: str, folder: Path, builder: Builder) -> Models:
    """The models of a benchmark or of one category, with the files of a folder; each once.

    A file that is not there is named all the same, so that the model says what it lacks.

    Raises:
        UsageError: an unknown benchmark.
    """

    def file(key: str) -> str:
        from gotr1_eval.files.official_files import find_interchangeable, official_file

        one = official_file(key)
        return one.name if one.on_hub else str(find_interchangeable(one, folder) or folder / one.name)

    if name == AESTHETIC:
        return [("encoder", {"use": "hps", "weights": file("hps")})]
    suite, categories = _known(name, builder)
    models: Models = []
    for category in categories:
        for model in suite.official_models(category, file).items():
            models += [] if model in models else [model]
    return models


def _known(name: str, builder: Builder) -> tuple[Suite, tuple[str, ...]]:
    known = known_names(builder)
    if name not in known:
        names = (*known, AESTHETIC)
        raise UsageError(f"--for {name}: no such benchmark{nearest_name(name, names)} (known: {', '.join(names)})")
    return known[name]
