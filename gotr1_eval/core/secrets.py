"""Keys and passwords never reach a terminal, a file or another program: `redact` writes ``***`` in their place.

Known are the keys, headers and passwords of settings (`register`), environment variables whose names say that they
hold a secret, and what addresses carry: everything before an @, and the usual names of a query. Every text on its way
out passes `redact`: the messages of errors, the reasons of unscored samples, replies of servers, lines of JSON, files
that are written whole, and standard output and error (`guard_streams`).
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TextIO
from urllib.parse import quote, quote_plus, unquote

MARK = "***"
SHORTEST = 8
"""Shorter values are not looked for: `none` and `EMPTY` are what servers of one's own are given for a key."""

_NAMED = re.compile(
    r"(^|[_.-]|api|access)(key|secret|passw(or)?d|credentials?|signature|authorization|cookie)$|"
    r"(^|(api|auth|access|bearer|session|security|refresh|hf|hub)[_.-]?)token$",
    re.IGNORECASE,
)
"""Of settings. No `eos_token` and no `tokenizer`."""
_VARIABLE = re.compile(r"(^|_)([A-Z]*KEY|[A-Z]*TOKEN|SECRET|PASSWORD|PASSWD|PASS|CREDENTIALS?)(_?\d+)?$", re.IGNORECASE)
_PROXY = re.compile(r"_proxy$", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
_BEFORE_HOST = re.compile(r"(?<=://)[^\s/?#@\"'<>\\]+(?:@[^\s/?#@\"'<>\\]+)*(?=@)")
_IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:token|key|secret|passw(?:or)?d|pwd|signature|credential|sig|auth)=)[^\s&;#\"'<>\\,)]+",
    re.IGNORECASE,
)


class _Known:
    """The registered values, and the pattern that finds them; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: set[str]) -> None:
        """More values; the environment is looked at anew with them."""
        with self._lock:
            if not values <= self._values:
                self._values |= values
                self._pattern = None

    def pattern(self) -> re.Pattern[str]:
        """Of everything known, the longest first, since a piece may be part of the whole."""
        found = self._pattern
        if found is None:
            with self._lock:
                forms = {form for value in self._values | _pieces(*_from_environment()) for form in _forms(value)}
                ordered = sorted(forms, key=lambda form: (-len(form), form))
                found = self._pattern = re.compile("|".join(map(re.escape, ordered)) or r"(?!)")
        return found


_KNOWN = _Known()


def register(*secrets: str) -> None:
    """From now on these values, and what becomes of them in JSON, HTML, addresses and headers, are redacted.

    A value with blanks or signs outside ASCII is found in pieces too, since whoever stumbles over it quotes pieces.
    """
    _KNOWN.add(_pieces(*secrets))


def register_settings(values: Mapping[str, Any]) -> None:
    """Registers what settings hold under names that say so, at any depth, and the passwords in their addresses."""
    for name, value in values.items():
        for text in _texts(value):
            register(*_passwords(text))
            if _NAMED.search(name) and not name.endswith("_env") and not _is_ordinary(text):
                register(text)
        if isinstance(value, Mapping):
            register_settings(value)


def redact(text: str) -> str:
    """The text with ``***`` in the place of every secret; the text itself where there is none."""
    text = _KNOWN.pattern().sub(MARK, text)
    if "://" in text:
        text = _BEFORE_HOST.sub(MARK, text)
    if "=" in text:
        text = _IN_QUERY.sub(rf"\1{MARK}", text)
    return _HUB_TOKEN.sub(MARK, text) if "hf_" in text else text


def redacted_json(value: Any) -> Any:  # noqa: ANN401 (any value of JSON)
    """A value of JSON with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: redacted_json(each) for name, each in value.items()}
    return [redacted_json(each) for each in value] if isinstance(value, list | tuple) else value


class _GuardedStream:
    """A text stream that redacts what is written; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Returns the length that was asked for."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """One after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has)
        return getattr(self._stream, name)


def guard_streams() -> None:
    """Standard output and error redact what is written, and write what their encoding lacks as escapes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _GuardedStream):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, _GuardedStream(stream))


def show(text: str) -> None:
    """Writes a line to standard output as it is: a link that the reader is meant to open, with its token."""
    stream = getattr(sys.stdout, "_stream", sys.stdout)
    stream.write(f"{text}\n")
    stream.flush()


def names_secret(name: str) -> bool:
    """Whether a parameter of an address is named as those are whose values are secret."""
    return _IN_QUERY.search(f"?{name}=x") is not None


def _from_environment() -> Iterator[str]:
    """Values of variables named as secrets are; paths and plain words are none."""
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and not _is_ordinary(value):
            yield value
        if _PROXY.search(name):
            yield from _passwords(value)


def _is_ordinary(value: str) -> bool:
    """Whether a value that stands under the name of a secret is a path or words, which texts are full of."""
    value = value.strip()
    words = [word for word in re.split(r"[/_.\- ]", value) if word]
    plain = all(word.isalpha() and (word.islower() or word.istitle()) for word in words)
    return value.startswith(("/", "~", ".")) or plain


def _passwords(address: str) -> Iterator[str]:
    """What stands before the @ of an address, as it is there and as it is meant."""
    scheme, sign, rest = address.partition("://")
    before, at, _ = rest.rpartition("@")
    if sign and at and scheme.isalnum() and not any(char.isspace() for char in before):
        name, _, password = before.partition(":")
        secret = password or name
        yield from (secret, unquote(secret), base64.b64encode(unquote(before).encode(errors="replace")).decode())


def _texts(value: object) -> Iterator[str]:
    """The text that a setting is, or those that it lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        yield from (each for each in value if isinstance(each, str))


def _pieces(*secrets: str) -> set[str]:
    """The values and their pieces of ASCII, as far as they are long enough to be looked for."""
    found = {piece for secret in secrets for piece in (secret.strip(), *re.split(r"[^!-~]+", secret))}
    return {piece for piece in found if len(piece) >= SHORTEST}


def _forms(value: str) -> set[str]:
    """The value as it is, and as JSON, HTML, Python and addresses write it."""
    in_json = {json.dumps(value, ensure_ascii=plain)[1:-1] for plain in (True, False)}
    in_html = html.escape(value)
    in_jinja = in_html.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return {value, *in_json, repr(value)[1:-1], in_html, in_jinja, quote(value, safe=""), quote_plus(value)}
