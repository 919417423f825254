"""gotr1-eval cascade: the threshold from which a strong judge is asked, what it promises, and whether that was kept."""

from __future__ import annotations

import json
from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gotr1_eval.cli.agreement import Data, Draws, Mapping, People, Seed, Sources
from gotr1_eval.cli.frontier import By, Costs, check_coefficient
from gotr1_eval.cli.options import AsJson, JudgeModel
from gotr1_eval.core.errors import DataError, RunError, UsageError, one_line
from gotr1_eval.core.types import Json

if TYPE_CHECKING:
    from gotr1_eval.cascading import Checked, Fit
    from gotr1_eval.core.statistics.intervals import Estimate

cascade = typer.Typer(help="A cheap judge where it is sure, a strong one where it is not.")
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference", help="A judge, or a dimension of people. People if there are any, else the strong judge."
    ),
]


@cascade.command("fit")
def fit(
    cheap: Annotated[
        str, typer.Option("--cheap", help="The cheap judge: geometric, or distilled,folder=judges/light.")
    ],
    strong: Annotated[str, typer.Option("--strong", help="The strong judge: spatial, or name,setting=value,...")],
    out: Annotated[Path, typer.Option("--out", help="A .toml file for --judges; the promise lies beside it as .json.")],
    sources: Sources = None,
    judge_model: JudgeModel = None,
    reference: Reference = None,
    evidence: Annotated[
        str,
        typer.Option("--evidence", help="What says how sure the cheap judge is: value, components, questions, spread."),
    ] = "value",
    loss: Annotated[
        float, typer.Option("--loss", min=0.0, help="Agreement that may be lost against the strong judge alone.")
    ] = 0.01,
    by: By = None,
    costs: Costs = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Find the threshold on runs that both judges judged; say beforehand what it will cost and lose.

    For example: gotr1-eval cascade fit runs/a studies/a --cheap geometric --strong spatial --judge-model MODEL --out
    cascade.toml
    """
    from gotr1_eval.build import read_judge_model
    from gotr1_eval.cascading import fit_cascade
    from gotr1_eval.cli.terminal import err, print_json
    from gotr1_eval.cli.terminal import out as terminal
    from gotr1_eval.planning.judge_costs import read_costs
    from gotr1_eval.settings import read_component
    from reports.agreement.foreign_tables.mapping import read_mapping_or_none
    from rewards.light.doubt import EVIDENCE

    kind = next((one for one in EVIDENCE if one == evidence), None)
    if kind is None:
        raise UsageError(f"--evidence {evidence}: expected one of {', '.join(EVIDENCE)}")
    check_coefficient(by)
    if out.suffix != ".toml":
        raise UsageError(f"--out {out}: expected a file ending in .toml, which --judges takes")
    found = fit_cascade(
        sources or [], read_component(cheap, "--cheap"), read_component(strong, "--strong"),
        read_mapping_or_none(mapping, data), judge_model=None if judge_model is None else read_judge_model(judge_model),
        reference=reference, evidence=kind, allowed=loss, by=by, costs=read_costs(costs), people=people, draws=draws,
        seed=seed,
    )  # fmt: skip
    _write(found, out)
    if as_json:
        print_json(found.json())
    else:
        for line in fit_lines(found):
            terminal.print(line, markup=False, soft_wrap=True)
    err.print(f"use it: --judges {out}; check it: gotr1-eval cascade check {out} RUN", markup=False, soft_wrap=True)


@cascade.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="CASCADE.toml", help="What `cascade fit` wrote.")],
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|RATINGS", help="A run that the cascade judged, or both of its judges; ratings."),
    ],
    reference: Reference = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Hold a cascade's promise against other runs; ends with exit code 1 where it was not kept."""
    from gotr1_eval.cascading import check_cascade
    from gotr1_eval.cli.terminal import out as terminal
    from gotr1_eval.cli.terminal import print_json
    from reports.agreement.foreign_tables.mapping import read_mapping_or_none

    told = _read(file)
    found = check_cascade(
        told, sources, read_mapping_or_none(mapping, data), reference=reference, people=people, draws=draws, seed=seed
    )
    if as_json:
        print_json(found.json())
    else:
        for line in check_lines(told, found):
            terminal.print(line, markup=False, soft_wrap=True)
    kept = {"share": found.share, "loss": found.loss}
    broken = [name for name, one in kept.items() if one is not None and one.verdict == "more than told"]
    if broken:
        raise RunError(f"{file}: the promise was not kept: {' and '.join(broken)} more than told")


def fit_lines(found: Fit) -> list[str]:
    """What was fitted and what it promises."""
    one = found.fitted
    lost = ", ".join(f"{count} {why}" for why, count in one.left_out.items())
    costs = [
        f"{currency}: {cheap:.3g} for the cheap judge, {strong:.3g} for the strong, {both:.3g} for the cascade "
        f"({both / strong:.1%} of the strong)"
        for currency in found.costs["cheap"].amounts
        if (cheap := found.costs["cheap"].of(currency)) is not None
        and (strong := found.costs["strong"].of(currency))
        and (both := found.costs["cascade"].of(currency)) is not None
    ]
    return [
        found.name,
        f"fitted on {one.items} items of {one.prompts} prompts against {found.reference}"
        + (f"; left out: {lost}" * bool(lost)),
        f"agreement ({one.by.replace('_', ' ')}): cheap {shown(one.cheap)}, strong {shown(one.strong)}, cascade on "
        f"unseen prompts {shown(one.cascade)}",
        f"told beforehand: the strong judge is asked about {shown(one.share, percent=True)} of the items, and the loss "
        f"of agreement against it is {shown(one.loss)} (allowed: {one.allowed:g})",
        f"thresholds of the folds: {', '.join(f'{threshold:g}' for threshold in one.folds)}",
        *(f"expected cost of a judgment, {line}" for line in costs),
    ]


def check_lines(told: AbstractMapping[str, Any], found: Checked) -> list[str]:
    """What was told and what was found."""
    how = "as the cascade judged them" if found.ran else "computed from both judges' scores"
    share = found.share
    lines = [
        f"{told['name']}: {found.items} items, {how}",
        f"strong judge asked: told {shown(share.told, percent=True)}, found {shown(share.found, percent=True)}: "
        f"{share.verdict}",
    ]
    loss = "loss of agreement: unknown, the runs hold no scores of both judges on their own"
    if found.loss is not None:
        loss = (
            f"loss of agreement: told {shown(found.loss.told)}, found {shown(found.loss.found)}: {found.loss.verdict}"
        )
    costs = [f"{name} a judgment: told {before:.3g}, found {now:.3g}" for name, (before, now) in found.costs.items()]
    return [*lines, loss, *costs]


def shown(one: Estimate, *, percent: bool = False) -> str:
    """A number with its interval."""
    if one.value is None:
        return f"undefined ({one.why})"
    form = "{:.1%}" if percent else "{:.3f}"
    ends = "" if one.low is None or one.high is None else f" [{form.format(one.low)}, {form.format(one.high)}]"
    return form.format(one.value) + ends


def _write(found: Fit, out: Path) -> None:
    """The reward set, and beside it the promise."""
    from gotr1_eval.core.errors import writing
    from gotr1_eval.files.writing import write_atomically

    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    one = found.fitted
    lines = [
        f"# Fitted by gotr1-eval cascade fit against {one_line(found.reference)}; {out.stem}.json holds its promise.",
        "[judges.cascade]",
        'use = "cascade"',
        f"threshold = {one.threshold!r}",
        f'evidence = "{one.evidence}"',
        *(f"{role} = {_toml(spec)}" for role, spec in found.specs.items()),
    ]
    write_atomically(out, "\n".join(lines) + "\n")
    content = json.dumps(found.json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(out.with_suffix(".json"), content + "\n")


def _toml(value: Json | AbstractMapping[str, Json]) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, AbstractMapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _read(file: Path) -> dict[str, Any]:
    """The promise that lies beside a cascade's file.

    Raises:
        DataError: there is none.
    """
    from gotr1_eval.cascading import FORMAT

    path = file.with_suffix(".json")
    fields = ("name", "cheap", "strong", "reference", "evidence", "threshold", "coefficient", "share", "loss", "costs")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        missing = [field for field in fields if field not in content]
    except OSError as error:
        raise DataError(f"no promise of a cascade: {error.strerror}; make one with cascade fit", path=path) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"not a cascade's promise ({one_line(error)})", path=path) from None
    if missing or content.get("format") != FORMAT:
        raise DataError(f"not a cascade's promise of format {FORMAT} (without {', '.join(missing) or 'it'})", path=path)
    return dict(content)
