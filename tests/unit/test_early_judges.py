"""Chains are judged while pictures are painted: the same rewards, bit for bit."""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet
from tests.faulty_server import FaultyServer, faulty_server
from tests.grpo_runs import ChecksumJudge, trainer
from training import grpo
from training.metrics import Clock
from training.reward_judging import EarlyJudges

pytestmark = pytest.mark.slow

ASKED = "completeness"


def score(question: str) -> str:
    """A JSON answer that looks random and depends on the question alone."""
    value = zlib.crc32(question.encode()) % 11
    names = ("completeness", "faithfulness", "consistency", "clarity") if ASKED in question else ("score",)
    return json.dumps({name: min(value + place, 10) for place, name in enumerate(names)})


def rewards(server: FaultyServer) -> RewardSet:
    """A served judge of the chain and one of this process."""
    server.text = score
    spec = {"use": "openai_compatible", "base_url": server.url, "model": "judge", "first_wait_s": 0.01}
    served = Builder().judge({"use": "semantic", "vlm": spec})
    return RewardSet({"semantic": served, "checksum": ChecksumJudge()})


def test_the_rewards_are_the_same_bit_for_bit(tmp_path: Path):
    found = {}
    with faulty_server() as server:
        judges = rewards(server)
        for early in (False, True):
            run = trainer(
                tmp_path / str(early), RewardSet({"semantic": judges.judges["semantic"]}), judge_while_generating=early
            )
            rollout = run._roll_out(0)
            rows, _ = run._judge(rollout, Clock())
            found[early] = [(sample.chain, row) for sample, row in zip(rollout.samples, rows, strict=True)]
        asked = dict(server.asked)
    assert found[True] == found[False]
    assert len({row["semantic"].value for _, row in found[True] if isinstance(row["semantic"], Score)}) > 2
    assert all(count % 2 == 0 for question, count in asked.items() if ASKED in question), "nothing is asked twice"


def test_the_chains_are_asked_about_before_the_pictures_are_there(tmp_path: Path, monkeypatch):
    """The generator waits for the judge's server: it would wait for ever if nobody had begun to ask."""
    asked = threading.Event()
    with faulty_server() as server:
        judges = rewards(server)
        server.text = lambda question: (asked.set() if ASKED in question else None) or score(question)
        run = trainer(tmp_path, RewardSet({"semantic": judges.judges["semantic"]}), judge_while_generating=True)
        generate = grpo.generate

        def slow_generate(*arguments, written, **options):
            def tell(samples):
                written(samples)
                assert asked.wait(5)

            return generate(*arguments, written=tell, **options)

        monkeypatch.setattr(grpo, "generate", slow_generate)
        run._judge(run._roll_out(0), Clock())
    assert asked.is_set()


def test_only_servers_that_read_chains_begin_early():
    with faulty_server() as server:
        judges = rewards(server)
        early = EarlyJudges(judges)
        samples = [Sample(id=str(place), prompt="a cat", chain=f"a cat sits {place}") for place in range(5)]
        early.begin(samples[:3])
        early.begin(samples[3:])
        known = early.outcomes()
        assert list(known) == ["semantic"]
        assert judges.judge(samples, known) == judges.judge(samples)
        assert early.outcomes() == {}
    with pytest.raises(UsageError, match="no judge of the reward asks a server about the chain alone"):
        EarlyJudges(RewardSet({"checksum": ChecksumJudge()}))
