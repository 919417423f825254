"""The tokenizer of a tiny model: merges of bytes learned from prompts and chains of the shapes world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, BOX_END, BOX_START, OBJ_END, OBJ_START
from gotr1_eval.models.autoregressive.prompts import prompt_text
from training.tiny.shapes_corpus import Example

VOCABULARY = 560
"""Bytes and merges; special tokens come on top."""
GOT = (BOX_START, BOX_END, OBJ_START, OBJ_END)
"""GoT-R1's four tokens in the order in which its script adds them; not special, so that decoding keeps them."""


def train_bpe(
    corpus: Iterable[Example], special: Sequence[str], plain: Sequence[str], *, bos: str, eos: str, pad: str
) -> PreTrainedTokenizerFast:
    """Learn the merges. Digits stay single, as in Janus-Pro: boxes are spelled out.

    Args:
        special: tokens that decoding may leave out, behind bytes and merges.
        plain: further tokens, behind those.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    begin = tokenizer.token_to_id(bos)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, begin)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def _texts(corpus: Iterable[Example]) -> Iterable[str]:
    """Prompts and chains, without the markers that become tokens of their own."""
    for example in corpus:
        text = f" {example.chain}"
        for token in (*GOT, BEGIN_OF_IMAGE):
            text = text.replace(token, "\n")
        yield from (prompt_text(example.prompt), *text.split("\n"))
