"""Keys and passwords are in no message, no file and no reply, in whatever form they come by."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gotr1_eval.core import secrets
from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.secrets import MARK, redact, redacted_json, register, register_settings
from gotr1_eval.core.types import Sample
from gotr1_eval.files.jsonl import append_rows
from gotr1_eval.files.remote_pictures import IMAGE_URL
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.models.servers.connection import api_key, read_headers, split_address
from gotr1_eval.models.vlms.server_settings import Settings
from gotr1_eval.runs.sources import GivenPictures
from gotr1_eval.runs.stages import Work, work_on
from gotr1_eval.runs.store import RunInfo, RunStore
from gotr1_eval.settings import read_settings
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge

KEY = 'sk-"4711"&not/a+real-key'


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    """No test leaves a secret behind."""
    monkeypatch.setattr(secrets, "_KNOWN", secrets._Known())


def settings(**given: object) -> Settings:
    return Settings(base_url="http://127.0.0.1:9/v1", model="m", **given)


def test_a_registered_secret_is_found_in_every_form():
    register(KEY)
    forms = [
        KEY, json.dumps({"key": KEY}), repr(KEY), f"<td>{KEY.replace('&', '&amp;').replace(chr(34), '&#34;')}</td>",
        "https://a/?key=sk-%224711%22%26not%2Fa%2Breal-key",
    ]  # fmt: skip
    for form in forms:
        assert "4711" not in redact(form), form
    assert redact(redact(forms[1])) == redact(forms[1])
    assert json.loads(redact(forms[1])) == {"key": MARK}


def test_pieces_of_a_broken_key_are_found():
    register("sk-first-part\nsk-second-part é sk-third-part")
    assert redact("Illegal header value b'Bearer sk-second-part'") == f"Illegal header value b'Bearer {MARK}'"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://bob:hunter2@host/v1#m", "http://***@host/v1#m"),
        ("cannot open https://me@x.org:p@ss@host/a.png now", "cannot open https://***@host/a.png now"),
        ("https://h/a.png?X-Amz-Signature=abc&size=3&token=x", "https://h/a.png?X-Amz-Signature=***&size=3&token=***"),
        ("https://h/a.png?sv=1&amp;sig=Zm9v%3D", "https://h/a.png?sv=1&amp;sig=***"),
        ("the token hf_abcdefghijKLMNOPQRSTuvwx was refused", "the token *** was refused"),
        ("write to a@b.org; a?b=c, monkey=3, https://h/@scope/x@1.2.js", None),
        ("<tokens> ;key=<value> 4@5", None),
    ],
)
def test_addresses_and_hub_tokens_are_known_by_their_form(text, clean):
    assert redact(text) == (text if clean is None else clean)


def test_the_environment_is_known_by_its_names(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "1234567890abcdef")
    monkeypatch.setenv("HF_TOKEN", "my-own-token-1")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:proxy-pass-1@proxy:3128")
    monkeypatch.setenv("TLS_KEY", "/etc/keys/server.pem")
    monkeypatch.setenv("NO_TOKEN", "disabled")
    told = redact("1234567890abcdef my-own-token-1 proxy-pass-1 /etc/keys/server.pem disabled")
    assert told == "*** *** *** /etc/keys/server.pem disabled"


def test_settings_are_known_by_their_names():
    with pytest.raises(UsageError) as refused:
        read_settings(Settings, {"model": "m", "api_key": "sk-in-a-file-1", "headers": {"x-api-key": "other-1-key"}},
                      where="vlm 'x'")  # fmt: skip
    assert "unknown setting 'api_key'" in str(refused.value) or "base_url" in str(refused.value)
    assert redact("sk-in-a-file-1 other-1-key") == "*** ***"
    register_settings({"api_key_env": "MY_VARIABLE_1", "tokenizer": "some/tokenizer-1", "eos_token": "<|im_end_1|>"})
    assert redact("MY_VARIABLE_1 some/tokenizer-1 <|im_end_1|>") == "MY_VARIABLE_1 some/tokenizer-1 <|im_end_1|>"


def test_everything_that_is_written_is_redacted(tmp_path, monkeypatch):
    register("the-secret-1")
    assert str(UsageError("no the-secret-1 here")) == "no *** here"
    assert Unscored(why=Why.BACKEND, detail="no the-secret-1").detail == "no ***"
    assert one_line("x" * 90 + " the-secret-1", 96).endswith(" ***")
    append_rows(tmp_path / "rows.jsonl", [{"text": "the-secret-1"}])
    write_atomically(tmp_path / "page.html", "<b>the-secret-1</b>")
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert len(written) == 2
    assert "the-secret-1" not in "".join(written)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    secrets.guard_streams()
    print("one the-secret-1", file=sys.stderr)
    assert stream.getvalue() == "one ***\n"


def test_a_run_whose_settings_held_a_password_can_be_resumed(tmp_path):
    info = RunInfo(identity={"source": "https://me:a-password@host/list.csv"}, setup={})
    for _ in range(2):
        with RunStore.open(tmp_path / "run", info):
            pass
    assert "a-password" not in (tmp_path / "run" / "run.json").read_text()
    other = RunInfo(identity={"source": "https://me:a-password@host/other.csv"}, setup={})
    with pytest.raises(UsageError, match=r"now .*other\.csv") as refused:
        RunStore.open(tmp_path / "run", other)
    assert "a-password" not in str(refused.value)


def test_redacted_values_of_json():
    assert redacted_json({"a": ["http://u:p@h", 1], "b": None}) == {"a": ["http://***@h", 1], "b": None}


@pytest.mark.parametrize("around", ["{}\n", "\r\n{}", " {}\t", "\ufeff{}", '"{}"', "'{}'\n"])
def test_what_copying_leaves_around_a_key_is_taken_off(around, monkeypatch):
    monkeypatch.setenv("MY_KEY", around.format("sk-test-4711"))
    assert api_key(settings(api_key_env="MY_KEY")) == "sk-test-4711"


@pytest.mark.parametrize(
    ("key", "told"), [("sk-4711\nsk-4712", "a line end"), ("sk-4711 x", "a blank"), ("sk-4711é", "no sign of ASCII")]
)
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key, told, monkeypatch):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(UsageError, match=f"the key in MY_KEY cannot be sent: sign 8 of .* is {told}") as refused:
        api_key(settings(api_key_env="MY_KEY"))
    assert "4711" not in str(refused.value)


def test_headers_come_from_settings_and_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-of-mine-1\n")
    given = settings(
        headers={"x-api-key": "$MY_KEY", "Authorization": "Bearer abcdefgh-1", "X-Title": "my study of cats"}
    )
    assert read_headers(given) == {
        "x-api-key": "secret-of-mine-1", "Authorization": "Bearer abcdefgh-1", "X-Title": "my study of cats",
    }  # fmt: skip
    assert redact("secret-of-mine-1, abcdefgh-1, my study of cats") == "***, ***, my study of cats"
    assert "secret-of-mine-1" not in repr(given)
    for headers, told in [
        ({"a b": "x"}, "the name of a header"),
        ({"x": "$NOT_SET_1"}, "NOT_SET_1.*not set"),
        ({"x": "a\nb"}, "a line end"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=told):
            read_headers(settings(headers=headers))


def test_a_password_in_an_address_is_sent_apart_and_never_shown():
    shown, headers, query = split_address("https://bob:p%40ss-word@host:8000/v1?api-version=2024-10-01")
    assert shown == "https://host:8000/v1"
    assert headers == {"Authorization": "Basic Ym9iOnBAc3Mtd29yZA=="}  # base64 of bob:p@ss-word
    assert query == {"api-version": "2024-10-01"}
    assert redact("Ym9iOnBAc3Mtd29yZA== and p@ss-word") == "*** and ***"


@pytest.mark.parametrize(
    "address", ["localhost:8000/v1", "ftp://a/v1", "http://", "http://a:x/v1", "http://u:pw-1@/v1"]
)
def test_what_is_no_address_is_one_line(address):
    with pytest.raises(UsageError, match="expected an address such as http://") as refused:
        read_settings(Settings, {"base_url": address, "model": "m"}, where="vlm")
    assert "pw-1" not in str(refused.value)


def test_a_signed_address_stays_whole_for_the_run_and_never_reaches_the_disk(tmp_path: Path):
    address = "https://example.org/a.png?X-Amz-Signature=0123456789abcdef"
    plan = [Sample(id="s/all/0/0", prompt="a cat", meta={IMAGE_URL: address})]
    seen: list[object] = []
    work = Work(
        pictures=GivenPictures("given"), rewards=RewardSet({"x": ScriptedJudge(lambda _: Score(value=1.0))}), tile=1
    )
    for _ in range(2):  # made, and then resumed
        with RunStore.open(tmp_path / "run", RunInfo(identity={}, setup={})) as store:
            work_on(store, plan, work, generated=lambda samples: seen.append(samples[0].meta[IMAGE_URL]))
    assert seen == [address, address]
    assert "0123456789abcdef" not in (tmp_path / "run" / "samples.jsonl").read_text()
