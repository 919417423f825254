"""What the doctor found, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gotr1_eval.cli.terminal import out
from gotr1_eval.core.errors import install_hint

if TYPE_CHECKING:
    from benchmarks.doctor.checks import Examination
    from benchmarks.doctor.official import Missing, Report

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


def show_surroundings(
    versions: Mapping[str, str],
    devices: Mapping[str, str],
    extras: Mapping[str, Mapping[str, str | None]],
    weights: Mapping[str, Mapping[str, str]],
    folder: str,
) -> None:
    """What is on this machine."""
    _show_section("versions", {name: Text(version) for name, version in versions.items()})
    _show_section("devices", {name: Text(facts) for name, facts in devices.items()})
    _show_section("extras", {name: _packages(name, packages) for name, packages in extras.items()})
    states = {
        name: Text(f"{facts['state']}: ", style=_STATES.get(facts["state"], "dim")).append(
            facts["detail"], style="default"
        )
        for name, facts in weights.items()
    }
    _show_section(f"official weights in {folder}", states)


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
