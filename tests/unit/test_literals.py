"""What is found of objects and lists in free text: values, where they begin and end, and how they ended."""

from __future__ import annotations

import json

import pytest

from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, State, Value, find_structures


def plain(value: Value) -> object:
    """Lists and pairs of a value; a quoted text as ("text",), so that it differs from a bare one."""
    if isinstance(value, Leaf):
        return (value.text,) if value.quoted else value.text
    if isinstance(value, Items):
        return [plain(each) for each in value.values]
    return {key: plain(each) for key, each in value.pairs}


def found(text: str, **options: bool) -> list[tuple[object, str]]:
    """(value, state) of every structure."""
    return [(plain(one.value), one.state.value) for one in find_structures(text, **options)]


def closed(text: str) -> list[bool]:
    return [one.value.closed for one in find_structures(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [2, "x"]}', {"a": "1", "b": ["2", ("x",)]}),
        ("{'a': 'it's', 'b': True,}", {"a": ("it's",), "b": "True"}),
        ('{"a": "the "red" hat", "b": 1}', {"a": ('the "red" hat',), "b": "1"}),
        ('{"a": "the "red"\n}', {"a": ('the "red',)}),
        ("{a: b, c: [d e]}", {"a": "b", "c": ["d e"]}),
        ("[(1, 2), (3, 4)]", [["1", "2"], ["3", "4"]]),
        ("[1, 2,]", ["1", "2"]),
        ('{"a": 1\n"b": 2}', {"a": "1", "b": "2"}),
        ('{"a": "x"\n\'b\': 2}', {"a": ("x",), "b": "2"}),
        ('{"a": [1] "b": 2}', {"a": ["1"], "b": "2"}),
        ('{"a": 1, // one\n"b": 2 /* two */}', {"a": "1", "b": "2"}),
        ('{"a": 8 // of 10\n}', {"a": "8"}),
        ('{"a": 1, # one\n"b": 2}', {"a": "1", "b": "2"}),
        ('{"url": http://x}', {"url": "http://x"}),
        ('{{"a": 1}', {"a": "1"}),
        ('{"a": {"b": {}}, "c": []}', {"a": {"b": {}}, "c": []}),
        ('{"a" : 1}', {"a": "1"}),
        ('{"a": 1, "a": 2}', {"a": "2"}),
        ('{"a": "{[("}', {"a": ("{[(",)}),
        ('{"a": (x), "b": [(y)]}', {"a": ["x"], "b": [["y"]]}),
        ("[[1], [2]]", [["1"], ["2"]]),
    ],
)
def test_whole_literals(text: str, value: object):
    assert found(text) == [(value, "whole")]
    assert closed(text) == [True]


def test_repeated_keys_are_all_kept():
    (one,) = find_structures('{"a": 1, "a": 2}')
    assert isinstance(one.value, Pairs)
    assert [key for key, _ in one.value.pairs] == ["a", "a"]


@pytest.mark.parametrize(
    "escape", ["\\n", "\\t", "\\r", "\\b", "\\f", '\\"', "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00"]
)
def test_escapes_are_those_of_json(escape: str):
    text = f'{{"a": "x{escape}y"}}'
    assert found(text) == [({"a": (json.loads(text)["a"],)}, "whole")]


def test_half_a_pair_is_replaced():
    assert found('{"a": "x\\ud83dy"}') == [({"a": ("x\N{REPLACEMENT CHARACTER}y",)}, "whole")]
    assert found('{"a": "x\\qy"}') == [({"a": ("xqy",)}, "whole")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": 2', {"a": "1"}),
        ('{"a": 1, "b": ', {"a": "1"}),
        ('{"a": 1, "b": "x', {"a": "1"}),
        ('{"a": "x"', {"a": ("x",)}),
        ("[1, [2, 3", ["1", ["2"]]),
        ('{"a": [{"b": 1}, {"c": 2', {"a": [{"b": "1"}, {}]}),
        ('{"a": {"b": 1}, "c', {"a": {"b": "1"}}),
        ('{"a": [1, 2], {', {"a": ["1", "2"]}),
        ("[", []),
        ("{", {}),
    ],
)
def test_what_is_cut_keeps_what_was_complete(text: str, value: object):
    found_now = found(text)
    assert found_now[0] == (value, "broken" if text.endswith("], {") else "cut")
    assert closed(text)[0] is False


def test_a_bare_value_at_the_end_counts_when_the_model_has_ended_it():
    assert found('{"a": 1, "b": 2', ended=True) == [({"a": "1", "b": "2"}, "cut")]
    assert found("[1, 2", ended=True) == [(["1", "2"], "cut")]
    assert found("[1, 2", ended=False) == [(["1"], "cut")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": 8 (or 9)}', {"a": "1", "b": "8 (or 9)"}),
        ('{"a": 8,5}', {"a": "8,5"}),
        ('{"a": "x", 5}', {"a": "x,5"}),
        ('{"a": [1],5}', {"a": ["1"]}),
        ('{"a": 1]', {}),
        ('{"a": "x"]', {"a": ("x",)}),
        ('{"a": 1 "b": 2}', {}),
        ("[1}, 2]", []),
        ("[,1]", []),
        ('{"a":}', {}),
        ('{"a": [1, {"b": 2], "c": 3}', {"a": ["1", {}]}),
        ('{"a": 1, {"b": 2}}', {"a": "1"}),
    ],
)
def test_what_is_no_literal_keeps_what_is_sure(text: str, value: object):
    first = found(text)[0]
    assert first[0] == value
    assert first[1] == ("whole" if text.endswith("(or 9)}") else "broken")


def test_brackets_are_found_one_after_the_other():
    text = 'so {"a": 1} and [2] and { "c": 3'
    places = [(one.start, one.end, one.state) for one in find_structures(text)]
    assert [(text[start:end], state) for start, end, state in places] == [
        ('{"a": 1}', State.WHOLE), ("[2]", State.WHOLE), ('{ "c": 3', State.CUT),
    ]  # fmt: skip
    broken = find_structures('{"a": 1] [2]')
    assert [one.state for one in broken] == [State.BROKEN, State.WHOLE]
    assert find_structures("no bracket (1, 2)") == []


def test_depth_has_a_limit():
    """Sixty-four brackets within one another; the last of them may hold values."""
    deep = "[" * 64 + "1" + "]" * 64
    assert found(deep)[0][1] == "whole"
    deeper = "[" * 65 + "1" + "]" * 65
    assert found(deeper)[0][1] == "broken"


def test_it_takes_no_more_than_one_pass():
    """A quote that never ends, or brackets that never close, end at the end of the text."""
    for text in ('{"a": "' + "x" * 1000, "[" * 50, '{"a": [' + "1, " * 500):
        (one,) = find_structures(text)[:1]
        assert (one.start, one.end, one.state) == (0, len(text), State.CUT)
