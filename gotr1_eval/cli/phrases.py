"""gotr1-eval phrases: how the prompts of T2I-CompBench are parsed, frozen to a file or compared between sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gotr1_eval.core.errors import UsageError

if TYPE_CHECKING:
    from gotr1_eval.core.perception import Phrases


def phrases(
    data: Annotated[
        Path | None, typer.Option(help="Folder with <category>_val.txt; by default that of `data fetch`.")
    ] = None,
    source: Annotated[str, typer.Option(help="Source of the parses, as --phrases of compbench.")] = "builtin",
    freeze: Annotated[Path | None, typer.Option(help="Write the parses to this file, for --phrases frozen.")] = None,
    compare: Annotated[
        str | None, typer.Option(help="Another source; prints which scores' ingredients differ.")
    ] = None,
) -> None:
    """Freeze the parses of all prompts of T2I-CompBench, or say what two sources make of them.

    Compared is what scores are made of: the questions about phrases, the pair of objects, the counted objects, and the
    text that CLIP reads. Other words may differ without effect.
    """
    from benchmarks.t2i_compbench import CATEGORIES
    from gotr1_eval.build import Builder
    from gotr1_eval.cli.terminal import out
    from gotr1_eval.files.prompts import read_prompt_list
    from gotr1_eval.files.public_data import require_data
    from gotr1_eval.models.phrases.frozen import freeze as write_parses
    from gotr1_eval.settings import read_component

    if (freeze is None) == (compare is None):
        raise UsageError("phrases: give either --freeze FILE or --compare SOURCE")
    builder = Builder()
    data = require_data("t2i-compbench", data)
    lists = {category: data / f"{category}_val.txt" for category in CATEGORIES}
    by_category = {name: read_prompt_list(path) for name, path in lists.items() if path.exists()}
    prompts = [prompt for found in by_category.values() for prompt in found]
    if not prompts:
        raise UsageError(f"--data {data}: no prompt list such as color_val.txt there")
    first = builder.phrases(read_component(source, "--source"))
    if freeze is not None:
        out.print(f"{write_parses(first, prompts, freeze)} parses in {freeze}", markup=False, soft_wrap=True)
        return
    second = builder.phrases(read_component(compare or "", "--compare"))
    _compare(by_category, data, first, second)


def _compare(prompts: Mapping[str, Sequence[str]], data: Path, first: Phrases, second: Phrases) -> None:
    """Print every prompt whose scores are made of something else, and a count for each category."""
    from benchmarks.t2i_compbench.parsed import ParsedLists
    from gotr1_eval.cli.terminal import out

    lists = ParsedLists(data)
    names = (first.name, second.name) if first.name != second.name else ("--source", "--compare")
    summary, total = [], 0
    for category, mine in prompts.items():
        different: Counter[str] = Counter()
        prompts_that_differ = 0
        for prompt, *parses in zip(mine, first.parse(mine), second.parse(mine), strict=True):
            one, other = (lists.ingredients(category, prompt, parse) for parse in parses)
            changed = [name for name in one if one[name] != other[name]]
            different.update(changed)
            prompts_that_differ += bool(changed)
            for name in changed:
                sides = f"{names[0]}: {one[name]} | {names[1]}: {other[name]}"
                out.print(f"{category}: {prompt}\n    {name}: {sides}", markup=False, soft_wrap=True)
        told = f" ({', '.join(f'{name} {count}' for name, count in different.items())})" if different else ""
        summary.append(f"{category}: {prompts_that_differ} of {len(mine)} prompts differ{told}")
        total += prompts_that_differ
    for line in summary:
        out.print(line, markup=False, soft_wrap=True)
    whole = sum(map(len, prompts.values()))
    out.print(f"{total} of {whole} prompts differ in what their scores are made of", markup=False)
