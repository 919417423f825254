"""Wording is read out of a fetched source file by its syntax tree; nothing of the file is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gotr1_eval.core.errors import DataError
from gotr1_eval.files.authors_wording import SourceFile, Template
from gotr1_eval.files.public_data import git_blob, hash_fault

SOURCE = '''
import package_that_is_nowhere
raise SystemExit("it was run")
ASK = "Is it there?"
KINDS = {"a": "what a is", "b": "what " "b is"}
ALL = {"ask": ASK, "kinds": KINDS, "names": ["a", ("b",)]}
COMPUTED = ASK.upper()
ITSELF = ITSELF

def messages(item, picture):
    return [
        {"role": "system", "content": [{"type": "text", "text": "Be strict."}]},
        {"role": "user", "content": [{"type": "text", "text": f"""Look at {{this}}: "{item['Prompt']}"
and {item['Prompt']}, {picture!r}."""}, {"type": "image_url", "image_url": {"url": picture}}]},
    ]
'''


@pytest.fixture
def source(tmp_path: Path) -> SourceFile:
    path = tmp_path / "judge.py"
    path.write_text(SOURCE, encoding="utf-8")
    return SourceFile(path)


def test_constants_and_the_turns_of_a_chat(source: SourceFile):
    assert source.constant("ASK") == "Is it there?"
    assert source.constant("KINDS") == {"a": "what a is", "b": "what b is"}
    assert source.constant("ALL") == {"ask": "Is it there?", "kinds": source.constant("KINDS"), "names": ["a", ["b"]]}
    system, user = source.templates("messages")
    assert system == Template((("Be strict.", None),))
    assert user.slots == ("item['Prompt']", "item['Prompt']", "picture")
    filled = user.fill({"item['Prompt']": "a {cup}", "picture": "P"})
    assert filled == 'Look at {this}: "a {cup}"\nand a {cup}, P.'


@pytest.mark.parametrize(
    ("name", "expected"),
    [("NOTHING", "no constant NOTHING"), ("COMPUTED", "COMPUTED is computed"), ("ITSELF", "ITSELF is computed")],
)
def test_a_constant_that_cannot_be_read_is_told(source: SourceFile, name: str, expected: str):
    with pytest.raises(DataError, match=expected):
        source.constant(name)


def test_another_file_is_told(source: SourceFile, tmp_path: Path):
    with pytest.raises(DataError, match="no function ask"):
        source.templates("ask")
    with pytest.raises(DataError, match="has no text under 'words'"):
        source.templates("messages", key="words")
    page = tmp_path / "page.html"
    page.write_text("<html>404: not found</html>", encoding="utf-8")
    with pytest.raises(DataError, match="expected its authors' Python source"):
        SourceFile(page)


def test_a_pin_may_be_the_id_in_git(tmp_path: Path):
    path = tmp_path / "greeting"
    path.write_bytes(b"hello\n")
    # `git hash-object` of this content, and its sha256.
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert hash_fault(path, "ce013625030ba8dba906f756967f9e9ca394464a") == ""
    assert hash_fault(path, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03") == ""
    assert hash_fault(path, "0" * 40).startswith("git id is ce0136250")
    assert hash_fault(path, "0" * 64).startswith("sha256 is 5891b5b52")
