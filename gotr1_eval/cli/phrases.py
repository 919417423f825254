"""gotr1-eval phrases: how the prompts of T2I-CompBench are parsed, frozen to a file or compared between sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.core.errors import UsageError


def phrases(
    data: Annotated[
        Path | None, typer.Option(help="Folder with <category>_val.txt; by default that of `data fetch`.")
    ] = None,
    source: Annotated[str, typer.Option(help="Source of the parses, as --phrases of compbench.")] = "builtin",
    freeze: Annotated[Path | None, typer.Option(help="Write the parses to this file, for --phrases frozen.")] = None,
    compare: Annotated[str | None, typer.Option(help="Another source; prints where its noun phrases differ.")] = None,
) -> None:
    """Freeze the parses of all prompts of T2I-CompBench, or say where two sources of noun phrases differ."""
    from benchmarks.t2i_compbench import CATEGORIES
    from benchmarks.t2i_compbench.prompt_lists import read_prompts
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.official import component_spec
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.core.public_data import require_data
    from gotr1_eval.models.phrases.frozen import freeze as write_parses

    if (freeze is None) == (compare is None):
        raise UsageError("phrases: give either --freeze FILE or --compare SOURCE")
    builder = Builder()
    data = require_data("t2i-compbench", data)
    lists = [data / f"{category}_val.txt" for category in CATEGORIES]
    prompts = [prompt for path in lists if path.exists() for prompt in read_prompts(path)]
    if not prompts:
        raise UsageError(f"--data {data}: no prompt list such as color_val.txt there")
    first = builder.phrases(component_spec(source, "--source"))
    if freeze is not None:
        out.print(f"{write_parses(first, prompts, freeze)} parses in {freeze}", markup=False, soft_wrap=True)
        return
    second = builder.phrases(component_spec(compare or "", "--compare"))
    parses = zip(prompts, first.parse(prompts), second.parse(prompts), strict=True)
    different = [(prompt, one, other) for prompt, one, other in parses if one.noun_chunks != other.noun_chunks]
    for prompt, one, other in different:
        sides = f"{first.name}: {'; '.join(one.noun_chunks)} | {second.name}: {'; '.join(other.noun_chunks)}"
        out.print(f"{prompt}\n    {sides}", markup=False, soft_wrap=True)
    out.print(f"{len(different)} of {len(prompts)} prompts differ in their noun phrases", markup=False)
