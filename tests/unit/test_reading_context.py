"""What the words before and behind a value say of it: one case a mark, a word and a distance."""

from __future__ import annotations

import pytest

from gotr1_eval.core.reading import UnreadableReply, read_score
from gotr1_eval.core.reading.context import Standing, name_of, standing

MEANT, QUOTED, UNCLEAR = Standing.MEANT, Standing.QUOTED, Standing.UNCLEAR


def of(lead: str, **options: bool) -> Standing:
    """How a value is meant that stands right behind these words."""
    return standing(lead, len(lead), **options)


LEADS = {
    "": MEANT,
    "My score is: ": MEANT,
    "Here is the JSON: ": MEANT,
    "Below is the form, filled in: ": MEANT,
    "So ": MEANT,
    "I would rate ": MEANT,
    "I'll give the picture ": MEANT,
    "For example: ": QUOTED,
    "It might be ": QUOTED,
    "The sign says ": QUOTED,
    "The banner shows ": QUOTED,
    "The picture: ": QUOTED,
    "By the picture the score is ": MEANT,
    "A cat and a dog ": UNCLEAR,
    "It is a good one. ": MEANT,
    "The sign says so. ": MEANT,
    "The sign says so! My score is ": MEANT,
}


@pytest.mark.parametrize("lead", LEADS)
def test_the_lead_of_the_same_line(lead: str):
    assert of(lead) is LEADS[lead]


def test_without_strictness_only_what_disqualifies_counts():
    assert of("A cat and a dog ", strict=False) is MEANT
    assert of("The banner shows ", strict=False) is MEANT
    assert of("For example: ", strict=False) is QUOTED


@pytest.mark.parametrize(("opening", "closing"), [('"', '"'), ("“", "”"), ("「", "」"), ("«", "»")])
def test_an_open_quotation_mark(opening: str, closing: str):
    """Within the paragraph, and within a thousand characters; closed, or closed twice, it quotes nothing."""
    assert of(f"My score is {opening}") is QUOTED
    assert of(f"My score of the {opening}cat{closing} is ") is MEANT
    assert of(f"My score of the {opening}cat{closing} {opening}") is QUOTED
    assert of(f"{opening}\n\nMy score is ") is MEANT
    assert of(f"{opening}\nMy score is ") is QUOTED
    assert of(f"{opening}{'x' * 987}My score is ") is QUOTED
    assert of(f"{opening}{'x' * 988}My score is ") is MEANT
    if opening != closing:
        assert of(f"My score {closing} is ") is MEANT


@pytest.mark.parametrize("mark", ["> ", " > ", "  > "])
def test_a_line_that_is_quoted_as_in_a_mail(mark: str):
    assert of(f"{mark}") is QUOTED
    assert of(f"Well.\n{mark}") is QUOTED
    assert of("   > ") is UNCLEAR
    assert of("My score -> ") is MEANT


ABOVE = {
    "The sign reads:\n": QUOTED,
    "My answer:\n": MEANT,
    "My answer:\n```json\n": MEANT,
    "For example:\n```json\n": QUOTED,
    "For example:\n\n": QUOTED,
    "For example:\n**\n": QUOTED,
    "The sign says\n": QUOTED,
    "The sign says\n```\n": QUOTED,
    "The sign says\n\n": MEANT,
    "The sign shows\n\n": QUOTED,
    "The sign contains\n\n\n": QUOTED,
    "The sign says so.\n": MEANT,
    "Is it what the sign says?\n": MEANT,
    "So it says!\n": MEANT,
    "A sign (it says what it says)\n": MEANT,
    "A sign [it says what it says]\n": MEANT,
    "A sign {it says what it says}\n": MEANT,
    'A sign that says "so"\n': MEANT,
    "A sign that says so…\n": MEANT,
    "For example. My answer:\n": MEANT,
    "My answer. For example:\n": QUOTED,
    "The score for the picture:\n": MEANT,
    "The score for the picture\n": QUOTED,
    "The sign says \0\0\n": MEANT,
}


@pytest.mark.parametrize("above", ABOVE)
def test_the_line_above(above: str):
    assert of(above) is ABOVE[above]


def test_the_line_above_counts_within_four_hundred_characters():
    blank = "\n" * 385
    assert of(f"For example:{blank}") is QUOTED
    assert of(f"For example:{blank}{blank}") is MEANT


def test_a_bullet_or_a_number_is_no_lead():
    for mark in ("- ", "* ", "1. ", "2) ", "(", "**", "`", "• ", "$"):
        assert of(mark) is MEANT
        assert of(f"For example:\n{mark}") is QUOTED


@pytest.mark.parametrize(
    ("key", "name"),
    [("Final Score", "final_score"), ("final-score", "final_score"), ("__score__", "score"), (" 'a'  “b”: ", "a_b"),
     ("`Score`", "score"), ("**Score**", "score"), ("ÉTÉ", "été"), ("x" * 300, "x" * 200)],
)  # fmt: skip
def test_names_of_keys(key: str, name: str):
    assert name_of(key) == name


@pytest.mark.parametrize("unit", ["%", " %", " percent", " stars", " star", "★", " ⭐", "/5", " out of 5", " of 5"])
def test_another_unit_behind_an_object(unit: str):
    with pytest.raises(UnreadableReply):
        read_score(f'{{"score": 4}}{unit}', low=0, high=10)
    assert read_score('{"score": 4}\nThe stars are there.', low=0, high=10) == 4
