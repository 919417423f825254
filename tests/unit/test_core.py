"""Small pieces of the core: outcomes, identifiers, settings, plug-ins, statistics."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.identifiers import fingerprint, safe_name, sample_id, sample_seed
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why, check_range
from gotr1_eval.core.plugins import DETECTORS, GENERATORS, JUDGES
from gotr1_eval.core.statistics.intervals import prompt_bootstrap, tail
from gotr1_eval.core.statistics.summary import summarise
from gotr1_eval.core.types import Box, Detection
from gotr1_eval.runs.judgments import Judgment, judgment_row, read_judgment
from gotr1_eval.settings import Component, Settings, read_settings, read_toml


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_is_finite(value: float):
    with pytest.raises(ValueError, match="finite"):
        Score(value=value)
    with pytest.raises(ValueError, match="finite"):
        Score(value=0.0, parts={"a": value})


def test_unscored_has_no_value():
    assert not hasattr(Unscored(why=Why.REFUSED), "value")
    with pytest.raises(TypeError):
        float(Unscored(why=Why.REFUSED))  # type: ignore[arg-type]


def test_a_judge_that_leaves_its_range_is_a_bug():
    with pytest.raises(ValueError, match="declares the range"):
        check_range(Score(value=1.5), 0, 1, "liar")


_outcomes = st.one_of(
    st.builds(
        Score,
        value=st.floats(0, 1),
        parts=st.dictionaries(st.text(), st.floats(0, 1), max_size=3),
        note=st.text(),
        seen=st.just((Detection("cat", Box(0, 0.25, 0.5, 1), 0.5),)),
        replies=st.lists(st.builds(Reply, text=st.text(), model=st.text()), max_size=2).map(tuple),
    ),
    st.builds(Unscored, why=st.sampled_from(Why), detail=st.text()),
)


@given(_outcomes)
def test_a_judgment_survives_json(outcome: Outcome):
    judgment = Judgment(sample="a/b/0/0", judge="x", fingerprint="f", outcome=outcome, seconds=0.25)
    assert read_judgment(json.loads(json.dumps(judgment_row(judgment)))) == judgment


def test_only_a_failed_backend_is_not_final():
    def judged(outcome: Outcome) -> Judgment:
        return Judgment(sample="s", judge="j", fingerprint="f", outcome=outcome)

    assert judged(Score(value=0)).final
    assert [why for why in Why if not judged(Unscored(why=why)).final] == [Why.BACKEND]


def test_ids_and_seeds_are_fixed():
    assert sample_id("shapes", "color", 7, 1) == "shapes/color/00007/1"
    # sha256(b"0\nshapes/color/00007/1"), first 8 bytes, computed with coreutils' sha256sum.
    assert sample_seed(0, "shapes/color/00007/1") == 0x318FDD3C36FDE39C
    assert sample_seed(1, "shapes/color/00007/1") != sample_seed(0, "shapes/color/00007/1")


@given(st.text(max_size=300))
def test_safe_names_are_safe_and_distinct(text: str):
    name = safe_name(text)
    assert 0 < len(name) <= 70
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0 ')
    assert name == text or name != safe_name(text + "x")


def test_fingerprints_change_with_every_fact():
    base = {"judge": "x", "version": 1}
    assert fingerprint(base) == fingerprint({"version": 1, "judge": "x"})
    assert len({fingerprint(base), fingerprint(base | {"version": 2}), fingerprint(base | {"model": "m"})}) == 3


class _Options(Settings):
    grounder: Component
    matching: str = "assigned"


def test_settings_are_strict():
    assert read_settings(_Options, {"grounder": "shapes"}, where="x").grounder == {"use": "shapes"}
    with pytest.raises(UsageError, match=r"^here: unknown setting 'matchin'; did you mean 'matching'\? \(known: "):
        read_settings(_Options, {"grounder": "shapes", "matchin": "paper"}, where="here")
    with pytest.raises(UsageError, match=r"^here: setting 'grounder': Field required$"):
        read_settings(_Options, {}, where="here")
    with pytest.raises(UsageError, match=r"setting 'matching': .*string.*, got 3"):
        read_settings(_Options, {"grounder": "shapes", "matching": 3}, where="here")


def test_toml_errors_name_the_file(tmp_path: Path):
    bad = tmp_path / "bad.toml"
    bad.write_text("a = [")
    with pytest.raises(DataError, match=r"bad\.toml: not a TOML file"):
        read_toml(bad)
    with pytest.raises(DataError, match=r"none\.toml: cannot read the settings file: No such file"):
        read_toml(tmp_path / "none.toml")


def test_plugins_are_files():
    assert {"geometric", "reasoning_image", "shapes_semantic", "shapes_prompt_image"} <= set(JUDGES.list())
    assert "total" not in JUDGES.list()
    assert set(DETECTORS.list()) >= {"shapes"}
    assert set(GENERATORS.list()) >= {"janus"}
    assert all(summary for summary in JUDGES.list().values())


def test_an_unknown_plugin_gets_the_nearest_name():
    with pytest.raises(
        UsageError, match=r"no judge named 'geometrical'; did you mean 'geometric'\? \(known: .*geometric, "
    ):
        JUDGES.load("geometrical")
    with pytest.raises(UsageError, match="no module named 'nowhere' can be imported"):
        JUDGES.load("nowhere.judge")
    with pytest.raises(UsageError, match="the module has no 'build'"):
        JUDGES.load("json.decoder")


def test_a_third_partys_plugin_is_a_dotted_path():
    assert JUDGES.load("rewards.geometric").build is not None


def test_a_mean_counts_everything():
    outcomes: list[tuple[str, Outcome | None]] = [
        ("a", Score(value=1.0)),
        ("a", Score(value=0.5)),
        ("b", Score(value=0.0)),
        ("b", Unscored(why=Why.UNREADABLE)),
        ("c", Unscored(why=Why.NOT_APPLICABLE)),
        ("d", None),
    ]
    summary = summarise(outcomes)
    assert summary.mean == 0.5
    assert (summary.scored, summary.unscored, summary.not_applicable, summary.missing) == (3, 1, 1, 1)
    assert summary.coverage == 3 / 5
    assert str(summary).startswith("0.500 [")
    assert str(summary).endswith("(n=3, unscored 1, not applicable 1, missing 1)")


def test_nothing_scored_is_no_number():
    summary = summarise([("a", Unscored(why=Why.BACKEND))])
    assert summary.mean is None
    assert (summary.low, summary.high) == (None, None)
    assert str(summary) == "no score (n=0, unscored 1, not applicable 0, missing 0)"
    assert summarise([]).coverage == 1.0


def test_the_interval_agrees_with_scipys_bootstrap():
    values = np.random.default_rng(5).normal(size=80)
    low, high = prompt_bootstrap([[value] for value in values], seed=1)
    level = 1 - 2 * tail(80)
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)


def test_the_interval_draws_whole_prompts():
    """Four pictures alike of each prompt say no more than one: the interval must not shrink."""
    values = np.random.default_rng(6).normal(size=60)
    one = prompt_bootstrap([[value] for value in values])
    four = prompt_bootstrap([[value] * 4 for value in values])
    assert four == pytest.approx(one)
    assert prompt_bootstrap([[1.0, 2.0]]) == (None, None)
