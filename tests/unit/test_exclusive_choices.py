"""Choices of which one begins another, by hand."""

from __future__ import annotations

import math

import pytest

from gotr1_eval.models.vlms.stepwise import LEAST, exclusive


def chances(given: list[float], paths: list[str]) -> list[float]:
    return [math.exp(value) for value in exclusive([math.log(chance) for chance in given], paths)]


def test_a_choice_gives_up_what_its_continuations_take():
    assert chances([0.5, 0.2, 0.3], ["1", "10", "7"]) == pytest.approx([0.3, 0.2, 0.3])


def test_the_nearest_continuation_counts_the_further_ones():
    assert chances([0.5, 0.3, 0.1, 0.05], ["1", "10", "100", "12"]) == pytest.approx([0.15, 0.2, 0.1, 0.05])


def test_a_number_that_is_one_token_of_its_own_takes_nothing():
    assert exclusive([math.log(0.5), math.log(0.2)], [["1"], ["10"]]) == (math.log(0.5), math.log(0.2))


def test_rounding_leaves_no_negative_chance():
    assert exclusive([math.log(0.2), math.log(0.2)], ["1", "10"])[0] == LEAST
