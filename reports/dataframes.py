"""A run as tidy pandas tables, for notebooks.

from gotr1_eval import load_run, plot_scores
run = load_run("runs/demo")
run.judgments.groupby(["category", "factor"]).value.mean()
plot_scores(run)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotr1_eval.core.outcome import Outcome, Score
from reports import run_data
from reports.analysis.reward import plan_columns
from reports.run_data import RunData
from reports.run_summary import ALL, summarise_run
from reports.score_export import clean_text, given_columns, picture_of

if TYPE_CHECKING:
    import pandas as pd


def load_run(folder: Path | str) -> RunFrames:
    """The run in a folder, as `RunFrames`.

    Raises:
        DataError: it is not a run folder, or a line of it is damaged.
    """
    return RunFrames(run_data.load_run(Path(folder)))


@dataclass(frozen=True)
class RunFrames:
    """A run as tables; each is made when it is first asked for.

    Attributes:
        data: the run as the reports read it: samples, outcomes with parts and replies, settings.
    """

    data: RunData

    def __repr__(self) -> str:
        """Two lines: what ran, and what each judge came to over all categories."""
        made, setup = len(self.data.samples), self.data.info.setup
        what = f"{setup.get('generator') or 'pictures'} on {self.data.info.identity.get('suite') or 'a list'}"
        whole = ALL if len(self.data.expected) > 1 else next(iter(self.data.expected), ALL)
        rows = self.summary[self.summary["category"] == whole]
        means = [
            f"{factor} {mean:.3f} (n={scored})" if scored else f"{factor} without a score"
            for factor, mean, scored in zip(rows["factor"], rows["mean"], rows["scored"], strict=True)
        ]
        return f"{self.data.title}: {what}, {made:,} samples\n{', '.join(means)}"

    def _repr_html_(self) -> str:
        """The table of means for a notebook, a row a category and a column a judge."""
        means = self.summary.pivot(index="category", columns="factor", values="mean")
        order = list(dict.fromkeys(self.summary["category"])), [column.factor for column in self.data.judges]
        table = means.reindex(index=order[0], columns=order[1]).round(3)
        first, _, second = repr(self).partition("\n")
        return f"<p><b>{escape(first)}</b><br>{escape(second)}</p>{table.to_html(na_rep='')}"

    @cached_property
    def samples(self) -> pd.DataFrame:
        """A row a sample, by id: prompt, category, chain, image, seed, generator, what the plan is like, given columns.

        ``chain words``, ``planned objects`` and ``planned area`` are NaN where there is no chain (no readable box).
        """
        import pandas as pd

        samples = list(self.data.samples.values())
        table = pd.DataFrame(
            {
                "prompt": [clean_text(sample.prompt) for sample in samples],
                "prompt id": [sample.id.rpartition("/")[0] for sample in samples],
                "category": [self.data.category(sample) for sample in samples],
                "chain": [sample.chain and clean_text(sample.chain) for sample in samples],
                "image": [picture_of(sample) for sample in samples],
                "seed": [sample.seed for sample in samples],
                "generator": [sample.generator for sample in samples],
            },
            index=pd.Index([sample.id for sample in samples], name="sample"),
        )
        for name, values in plan_columns(samples).items():
            table[name] = pd.Series(values, dtype=float).reindex(table.index)
        given = pd.DataFrame(given_columns(samples, table.columns), index=table.index)
        return pd.concat([table, given], axis=1)

    @cached_property
    def judgments(self) -> pd.DataFrame:
        """A row a judgment: sample, category, factor, judge, value, why, detail, note.

        ``value`` is NaN where there is no score, and ``why`` then says why: ``missing`` where nothing was judged, else
        the reason; it is empty where there is a score.
        """
        import pandas as pd

        rows = [
            {
                "sample": sample.id,
                "category": self.data.category(sample),
                "factor": column.factor,
                "judge": column.name,
                **_outcome(self.data.outcomes[column.name].get(sample.id)),
            }
            for column in self.data.judges
            for sample in self.data.samples.values()
        ]
        return pd.DataFrame(rows, columns=["sample", "category", "factor", "judge", "value", "why", "detail", "note"])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a category and judge: mean, its intervals and counts, as the run's table prints them.

        ``low`` and ``high`` are the 95 % interval over prompts; what the other columns hold says
        `gotr1_eval.core.statistics.summary.Summary`.
        """
        import pandas as pd

        factors = {column.name: column.factor for column in self.data.judges}
        rows: list[dict[str, Any]] = [
            {"category": category, "factor": factors[judge], "judge": judge, **asdict(cell)}
            for category, row in summarise_run(self.data).rows.items()
            for judge, cell in row.items()
        ]
        table = pd.DataFrame(rows)
        numbers = [name for name in table.columns if name not in ("category", "factor", "judge")]
        return table.astype(dict.fromkeys(numbers, float)).astype(dict.fromkeys(_COUNTS, int))

    @property
    def values(self) -> pd.DataFrame:
        """The scores alone, a row a sample and a column a factor; NaN where there is no score."""
        wide = self.judgments.pivot(index="sample", columns="factor", values="value")
        return wide.reindex(index=self.samples.index, columns=[column.factor for column in self.data.judges])


_COUNTS = ("scored", "unscored", "not_applicable", "missing")


def _outcome(outcome: Outcome | None) -> dict[str, float | str]:
    if outcome is None:
        return {"value": float("nan"), "why": "missing", "detail": "", "note": ""}
    if isinstance(outcome, Score):
        return {"value": outcome.value, "why": "", "detail": "", "note": outcome.note}
    return {"value": float("nan"), "why": outcome.why.value, "detail": outcome.detail, "note": ""}
