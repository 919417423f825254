"""gotr1-eval distil: a light judge from a strong one's scores, validated on held-out prompts and audited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gotr1_eval.cli.options import AsJson

if TYPE_CHECKING:
    from gotr1_eval.distilling import Made


def distil(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs that the strong judge has judged.")],
    judge: Annotated[
        str, typer.Option("--judge", help="The strong judge: its factor, or its name whole or up to the bracket.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The light judge's folder: --judges distilled,folder=OUT.")],
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="An encoder (clip,model=...), or rules: shapes (of drawn pictures), layout (of plans). By what the "
            "judge looks at if not given: shapes or layout.",
        ),
    ] = None,
    looks_at: Annotated[
        Literal["picture", "plan"] | None,
        typer.Option("--looks-at", help="What the features are about, where the judge's name does not tell."),
    ] = None,
    head: Annotated[
        Literal["ridge", "logistic"], typer.Option("--head", help="logistic: the scores are read as chances.")
    ] = "ridge",
    audit_size: Annotated[
        Literal["small", "medium", "large"], typer.Option("--audit-size", help="8, 40 or 160 cases of each part.")
    ] = "medium",
    untrusted: Annotated[
        bool,
        typer.Option("--untrusted", help="Let it be a reward even if its audit says no; its name then says untrusted."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides the folds and the audit's cases.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Fit a light judge to a strong one's scores; say what it reaches on unseen prompts, and whether to train on it.

    It is refused as a reward where its audit says no. For
    example: gotr1-eval distil runs/a --judge prompt_image --features clip --out judges/light
    """
    from gotr1_eval.cli.terminal import Bars, err, print_json
    from gotr1_eval.cli.terminal import out as terminal
    from gotr1_eval.distilling import distil as make
    from gotr1_eval.settings import read_component

    spec = None if features is None else read_component(features, "--features")
    with Bars() as bars:
        made = make(
            runs, judge, out, features=spec, looks_at=looks_at, head=head, untrusted=untrusted, audit_size=audit_size,
            seed=seed, progress=bars,
        )  # fmt: skip
    if as_json:
        print_json(_facts(made))
    else:
        for line in _lines(made, out):
            terminal.print(line, markup=False, soft_wrap=True)
    err.print(f"report card: {out / 'audit' / 'audit.html'}", markup=False, soft_wrap=True)


def _facts(made: Made) -> dict[str, Any]:
    one = made.distilled
    facts = {"judge": made.name, "fingerprint": one.fingerprint, "source": one.source, "features": one.features_name}
    return {**facts, "training": one.training, "validation": one.validation, "trust": one.trust}


def _lines(made: Made, out: Path) -> list[str]:
    one: Any = made.distilled
    found, training = one.validation, one.training
    lost = ", ".join(f"{count} {why}" for why, count in training["left_out"].items())
    return [
        made.name,
        f"fitted on {training['samples']} samples of {training['prompts']} prompts ({', '.join(training['runs'])})"
        + (f"; left out: {lost}" if lost else ""),
        f"on unseen prompts ({found['folds']} folds): Spearman {_told(found['spearman'])}, "
        f"explained variance {_told(found['explained_variance'])}",
        f"error {_told(found['rmse'])}, of the mean alone {found['rmse_of_the_mean']:.3f}; calibration error "
        f"{found['calibration_error']:.3f}, before the line {found['calibration_error_before']:.3f}",
        f"can it be trained on? {one.trust['told']}",
        f"use it: --judges distilled,folder={out}" + ("" if one.untrusted else _refusal(one.trust)),
    ]


def _refusal(trust: Mapping[str, Any]) -> str:
    from rewards.distilled import TRUSTED

    if trust["can_be_trained_on"] in TRUSTED:
        return ""
    return " (refused as a reward; with untrusted=true behind it, it is taken, and its name says so)"


def _told(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return f"undefined ({found['why']})"
    ends = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['value']:.3f}{ends}"
