"""What holding an answer to a form costs a token: ``python -m tests.perf.forms [--qwen qwen.tiktoken]``.

The same random predictions are decoded with a form and without, in turns: choosing a token of free text (log-softmax
and the likeliest), choosing one that the form allows (the same with the others ruled out), and going on with it. Times
are the thread's own, not the clock's. A published vocabulary of Qwen, 151,643 tokens, lies in PyPI's dashscope
(``pip download --no-deps dashscope``).
"""

from __future__ import annotations

import argparse
import base64
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from gotr1_eval.core.forms import boxes_form, marks_form, read_form
from gotr1_eval.models.vlms.constrained_decoding import FormCompiler
from tests.tiny_vlms import MARKS, digit_tokenizer

FORMS = {
    "prompt_image": marks_form(["score"], range(11), ["description", "caption", "reasoning"]),
    "semantic": marks_form(["completeness", "faithfulness", "consistency", "clarity"], [0, 0.5, 1, 9.5, 10]),
    "reasoning_image": boxes_form((1000.0, 1000.0), ["cat", "brown dog"]),
}
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen_tokenizer(path: Path) -> Tokenizer:
    """Byte pairs from a file of tokens in order of rank, one a line with its number."""
    letters = {ord(char): char for char in pre_tokenizers.ByteLevel.alphabet() if ord(char) < 256}
    spare = iter(range(256, 400))
    alphabet = [letters.get(byte) or chr(next(spare)) for byte in range(256)]
    ranks = {base64.b64decode(line.split()[0]): place for place, line in enumerate(path.read_bytes().splitlines())}
    merges = []
    for token, rank in ranks.items():
        if len(token) > 1:
            first, second = _last_merge(token, rank, ranks)
            merges.append(("".join(alphabet[b] for b in first), "".join(alphabet[b] for b in second)))
    vocabulary = {"".join(alphabet[byte] for byte in token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(MARKS)
    return tokenizer


def _last_merge(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts that a token is put together from, by the merges of lower ranks."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        at = min(range(len(parts) - 1), key=lambda place: ranks.get(parts[place] + parts[place + 1], rank))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def measure(compiler: FormCompiler, tokenizer: Any, width: int, form: Any, answers: int) -> dict[str, float]:
    """Medians in microseconds a token, over random answers; every one of them must be of the form."""
    noise = torch.Generator().manual_seed(0)
    taken: dict[str, list[float]] = {"free": [], "held": [], "go on": []}
    tokens = 0
    for _ in range(answers):
        walk, ids = compiler.begin(form), list[int]()
        while not walk.complete:
            logits_V = torch.randn(width, generator=noise)
            stamps = [time.thread_time()]
            int(logits_V.log_softmax(-1).argmax())
            stamps.append(time.thread_time())
            held_V = logits_V.log_softmax(-1).masked_fill_(~walk.allowed(width), -torch.inf)
            ids.append(int(held_V.argmax()))
            stamps.append(time.thread_time())
            walk.take(ids[-1], float(held_V[ids[-1]]))
            stamps.append(time.thread_time())
            for name, seconds in zip(taken, np.diff(stamps), strict=True):
                taken[name].append(1e6 * float(seconds))
        read_form(tokenizer.decode(ids, skip_special_tokens=True), form)
        tokens += len(ids)
    medians = {name: float(np.median(values)) for name, values in taken.items()}
    return {**medians, "p99": float(np.percentile(taken["held"], 99)), "tokens": tokens / answers}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qwen", type=Path)
    parser.add_argument("--answers", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tiny = digit_tokenizer(MARKS)
    ways = [("tiny", tiny, tiny.get_vocab_size())]
    if given.qwen:
        ways.append(("Qwen", qwen_tokenizer(given.qwen), 151_936))
    print("| vocabulary | form of | free, µs | held, µs | held, 99 of 100, µs | going on, µs | tokens an answer |")
    print("|---|---|---|---|---|---|---|")
    for name, tokenizer, width in ways:
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)
        begun = time.thread_time()
        compiler = FormCompiler(fast)
        begun = time.thread_time() - begun
        for judge, form in FORMS.items():
            found = measure(compiler, fast, width, form, given.answers)
            cells = [found[key] for key in ("free", "held", "p99", "go on", "tokens")]
            print(f"| {name}, {width:,} | {judge} | {' | '.join(f'{cell:.0f}' for cell in cells)} |", flush=True)
        print(f"{name}: the vocabulary took {begun:.1f} s, once for a model")


if __name__ == "__main__":
    main()
