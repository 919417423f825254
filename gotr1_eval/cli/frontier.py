"""gotr1-eval frontier: how light may a judge be? Agreement with a reference against what a judgment costs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.cli.agreement import Data, Draws, Mapping, People, Seed, Sources, show_grid
from gotr1_eval.cli.options import AsJson, JudgeModel, judge_model_spec, split_names
from gotr1_eval.cli.terminal import err, print_json
from gotr1_eval.cli.terminal import out as terminal
from gotr1_eval.core.errors import UsageError

Costs = Annotated[
    Path | None,
    typer.Option("--costs", help="A TOML file that states costs and prices of judges (see docs/light_judges.md)."),
]
By = Annotated[
    str | None,
    typer.Option("--by", help="The coefficient: spearman, pearson, kendall_b; of labels 0 and 1 roc_auc, kappa, ..."),
]
Factors = Annotated[
    list[str] | None,
    typer.Option(
        "--factor",
        metavar="FACTOR=JUDGE,...",
        help="Judges of a factor (semantic, spatial, reasoning_image, prompt_image), where their names do not tell.",
    ),
]


def frontier(
    sources: Sources = None,
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", help="A judge that the others of its factor are held against. Repeatable."),
    ] = None,
    judges: Annotated[
        str | None,
        typer.Option("--judges", help="Judge the run's samples by these first, beside those that judged them."),
    ] = None,
    judge_model: JudgeModel = None,
    factor: Factors = None,
    costs: Costs = None,
    by: By = None,
    mapping: Mapping = None,
    data: Data = None,
    people: People = "mean",
    draws: Draws = 1000,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for frontier.html, .json and .md; none by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every judge's agreement beside its cost, by factor; who is dominated; how many prompts need no model.

    For example: gotr1-eval frontier runs/a studies/a, or gotr1-eval frontier runs/a --reference prompt_image
    """
    from gotr1_eval.light import find_frontiers
    from gotr1_eval.planning.judge_costs import read_costs
    from reports.agreement.foreign_tables.mapping import read_mapping_or_none
    from reports.frontier.tables import frontier_grid, frontier_lines

    check_coefficient(by)
    stated = read_costs(costs)
    if judges is not None:
        judge_first(sources or [], judges, judge_model)
    elif judge_model is not None:
        raise UsageError("--judge-model: say with --judges which judges ask it")
    found = find_frontiers(
        sources or [], read_mapping_or_none(mapping, data), reference=reference or [], groups=read_groups(factor),
        costs=stated, by=by, people=people, draws=draws, seed=seed,
    )  # fmt: skip
    if as_json:
        content = {"frontiers": [one.json() for one in found.frontiers], "notes": list(found.notes)}
        print_json(content)
    else:
        for one in found.frontiers:
            show_grid(frontier_grid(one))
        for line in [*frontier_lines(found.frontiers), *found.notes]:
            terminal.print(line, style="dim", markup=False, soft_wrap=True)
    if out is not None:
        from reports.frontier.page import write_frontiers

        command = " ".join(map(shlex.quote, sys.argv[1:]))
        page = write_frontiers(found.frontiers, found.notes, out, command)
        err.print(f"page: {page}", markup=False, soft_wrap=True)


def check_coefficient(by: str | None) -> None:
    """Raises UsageError where --by names none."""
    from reports.frontier.coefficients import COEFFICIENTS

    if by is not None and by not in COEFFICIENTS:
        raise UsageError(f"--by {by}: expected one of {', '.join(COEFFICIENTS)}")


def judge_first(sources: list[Path], judges: str, judge_model: str | None) -> None:
    """Judge the samples of the one run among the sources by more judges.

    Raises:
        UsageError: no run or several are named.
    """
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import Bars
    from gotr1_eval.runs.costs import counted
    from gotr1_eval.runs.judge_more import judge_more

    runs = [path for path in sources if (path / "run.json").exists()]
    if len(runs) != 1:
        raise UsageError(f"--judges: expected one run whose samples are judged, got {len(runs)}")
    builder = Builder()
    rewards = builder.reward_set(judges, judge_model_spec(judge_model, judges))
    builder.ready()
    with Bars(builder.traffic) as bars, counted(runs[0], bars, builder.spent) as meter:
        judge_more(runs[0], rewards, meter)


def read_groups(texts: list[str] | None) -> dict[str, str]:
    """Judge -> factor, as --factor says.

    Raises:
        UsageError: no factor of that name, or no judge.
    """
    from reports.frontier.judged import FACTORS

    found: dict[str, str] = {}
    for text in texts or []:
        factor, _, names = text.partition("=")
        if factor not in FACTORS or not split_names(names):
            raise UsageError(f"--factor {text}: expected FACTOR=JUDGE,... with a factor of {', '.join(FACTORS)}")
        found |= dict.fromkeys(split_names(names), factor)
    return found
