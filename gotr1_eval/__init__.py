"""gotr1-eval: judges, rewards, benchmarks and reports for image generators that reason before they paint.

The public names below are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from gotr1_eval.core.errors import UsageError

_PUBLIC = {
    "Box": "gotr1_eval.core.types",
    "Detection": "gotr1_eval.core.types",
    "Sample": "gotr1_eval.core.types",
    "Reply": "gotr1_eval.core.outcome",
    "Score": "gotr1_eval.core.outcome",
    "Unscored": "gotr1_eval.core.outcome",
    "Why": "gotr1_eval.core.outcome",
    "Chain": "gotr1_eval.core.chain",
    "parse_chain": "gotr1_eval.core.chain",
    "write_chain": "gotr1_eval.core.chain",
    "draw_plan": "gotr1_eval.core.canvas",
    "Builder": "gotr1_eval.build",
    "GeometricJudge": "rewards.geometric",
    "ReasoningImageJudge": "rewards.reasoning_image",
    "Total": "rewards.total",
    "RunRequest": "gotr1_eval.runs.request",
    "ScoreRequest": "gotr1_eval.runs.request",
    "read_messages": "gotr1_eval.models.vlms.messages",
    "run_benchmark": "gotr1_eval.bench",
    "score": "gotr1_eval.bench",
    "analyse_run": "gotr1_eval.analysis",
    "score_images": "gotr1_eval.scoring",
    "score_samples": "gotr1_eval.scoring",
    "load_run": "reports.dataframes",
    "plot_scores": "reports.notebook_figures",
    "plot_distributions": "reports.notebook_figures",
    "plot_factors": "reports.notebook_figures",
    "plot_against_plan": "reports.notebook_figures",
    "compare_runs": "reports.notebook",
    "write_page": "reports.notebook",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605

NEIGHBOURS = ("rewards", "benchmarks", "reports", "training")
"""The packages installed beside this one, whose names other people's folders may bear."""


def check_neighbours() -> None:
    """Make sure that ``import rewards`` and the like find ours.

    Raises:
        UsageError: a folder or module of the same name comes first on the path; the message names it.
    """
    home = Path(__file__).resolve().parent.parent
    for name in NEIGHBOURS:
        spec = importlib.util.find_spec(name)
        places = (
            [Path(place).resolve() for place in (spec.submodule_search_locations or [spec.origin or ""])]
            if spec
            else []
        )
        if home / name not in places:
            found = places[0] if places else "nothing"
            raise UsageError(
                f"'import {name}' finds {found} instead of gotr1-eval's own package {home / name}; "
                "start from another folder, or rename that one"
            )


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'gotr1_eval' has no attribute {name!r}")
    check_neighbours()
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
