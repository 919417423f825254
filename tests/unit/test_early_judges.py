"""Chains and pictures are judged while others are sampled: the same rewards, bit for bit."""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet
from rewards.total import Total, TotalSettings
from tests.faulty_server import FaultyServer, faulty_server
from tests.grpo_runs import ChecksumJudge, trainer
from training import collector
from training.early_judges import EarlyJudges

pytestmark = pytest.mark.slow

ASKED = "completeness"


def score(question: str) -> str:
    """A JSON answer that looks random and depends on the question alone."""
    value = zlib.crc32(question.encode()) % 11
    names = ("completeness", "faithfulness", "consistency", "clarity") if ASKED in question else ("score",)
    return json.dumps({name: min(value + place, 10) for place, name in enumerate(names)})


def rewards(server: FaultyServer) -> RewardSet:
    """Served judges of the chain and of the picture, and one of this process."""
    server.text = score
    spec = {"use": "openai_compatible", "base_url": server.url, "model": "judge", "first_wait_s": 0.01}
    served = {name: Builder().judge({"use": name, "vlm": spec}) for name in ("semantic", "prompt_image")}
    return RewardSet({**served, "checksum": ChecksumJudge()})


def total(judges: RewardSet, *names: str) -> RewardSet:
    """The sum of some of them."""
    chosen = {name: judges.judges[name] for name in names}
    facts = {name: (judge.range, judge.may_not_apply) for name, judge in chosen.items()}
    return RewardSet(chosen, Total(TotalSettings(rule="weighted", weights=dict.fromkeys(names, 1.0)), facts, chosen))


@pytest.mark.parametrize("per_chain", [1, 2])
def test_the_rewards_are_the_same_bit_for_bit(tmp_path: Path, per_chain: int):
    found = {}
    with faulty_server() as server:
        judges = total(rewards(server), "semantic", "prompt_image", "checksum")
        for early in (False, True):
            run = trainer(tmp_path / str(early), judges, overlap=early, pictures_per_chain=per_chain)
            judged = run.collector.judge(run.collector.sample(0))
            samples = judged.rollout.samples
            found[early] = [(sample.chain, row) for sample, row in zip(samples, judged.rows, strict=True)]
        asked = dict(server.asked)
    assert found[True] == found[False]
    assert len({row["semantic"].value for _, row in found[True] if isinstance(row["semantic"], Score)}) > 2
    assert len({row["prompt_image"].value for _, row in found[True] if isinstance(row["prompt_image"], Score)}) > 1
    counts = [count for question, count in asked.items() if "barks" not in question]  # what a server is tried with
    assert sum(counts) == 2 * (8 // per_chain + 8), "nothing is asked twice"


def test_the_chains_are_asked_about_before_the_pictures_are_there(tmp_path: Path, monkeypatch):
    """The generator waits for the judge's server: it would wait for ever if nobody had begun to ask."""
    asked = threading.Event()
    with faulty_server() as server:
        judges = rewards(server)
        server.text = lambda question: (asked.set() if ASKED in question else None) or score(question)
        run = trainer(tmp_path, RewardSet({"semantic": judges.judges["semantic"]}), judge_while_generating=True)
        generate = collector.generate

        def slow_generate(*arguments, written, **options):
            def tell(samples):
                written(samples)
                assert asked.wait(5)

            return generate(*arguments, written=tell, **options)

        monkeypatch.setattr(collector, "generate", slow_generate)
        run.collector.judge(run.collector.sample(0))
    assert asked.is_set()


def test_pictures_are_asked_about_while_the_next_tile_is_sampled(tmp_path: Path, monkeypatch):
    """The second tile's pictures wait for the first one's questions, and are sampled after them."""
    asked = threading.Event()
    with faulty_server() as server:
        judges = rewards(server)
        server.text = lambda question: (asked.set() if ASKED not in question else None) or score(question)
        run = trainer(tmp_path, RewardSet({"prompt_image": judges.judges["prompt_image"]}), overlap=True)
        policy, tiles = run.learner.policy, []
        sample_images = policy.sample_images

        def slow(texts, seeds):
            assert not tiles or asked.wait(5)
            tiles.append(len(texts))
            return sample_images(texts, seeds)

        monkeypatch.setattr(policy, "sample_images", slow)
        judged = run.collector.judge(run.collector.sample(0))
    assert tiles == [4, 4]
    assert len(judged.rows) == 8


def test_only_servers_begin_early():
    with faulty_server() as server:
        judges = rewards(server)
        early = EarlyJudges(judges)
        begun, other = early.begin(), early.begin()
        picture = Image.new("RGB", (8, 8))
        samples = [
            Sample(id=str(place), prompt=f"a cat {place}", chain=f"a cat sits {place}", image=picture)
            for place in range(5)
        ]
        for part in (samples[:3], samples[3:]):
            begun.chains(part)
            begun.pictures(part)
        known = begun.outcomes(judges)
        assert sorted(known) == ["prompt_image", "semantic"]
        assert judges.judge(samples, known) == judges.judge(samples)
        assert other.outcomes(judges) == {}
    with pytest.raises(UsageError, match="no judge of the reward asks a server"):
        EarlyJudges(RewardSet({"checksum": ChecksumJudge()}))
