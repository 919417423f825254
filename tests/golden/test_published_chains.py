"""The chains that GoT-R1's authors published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gotr1_eval.core.chain import BOX_START, OBJ_START, parse_chain
from tests.conftest import shared_parameters


@pytest.mark.parametrize("path", shared_parameters("data/chains/*.jsonl"))
def test_published_chains_are_read_whole(path: Path, read_shared: Callable[[Path], str]):
    """As many objects as the text has object markers, each with its box and no defect: five in the known two."""
    for line in read_shared(path).splitlines():
        row = json.loads(line)
        chain = parse_chain(row["chain"])
        assert len(chain.objects) == row["chain"].count(OBJ_START) == row["chain"].count(BOX_START)
        assert len(chain.boxed) == len(chain.objects)
        assert all(not planned.defects for planned in chain.objects)
        assert chain.defects == ()
        assert chain.ended
        assert "<|" not in chain.prose
        if path.name == "published.jsonl":
            assert len(chain.objects) == 5
