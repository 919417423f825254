"""The tiny Janus's text tokenizer: byte-level BPE with Janus-Pro's special tokens, small but open to any text."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, BOX_END, BOX_START, OBJ_END, OBJ_START
from gotr1_eval.models.janus.sequence import BOS, PAD, prompt_text
from training.shapes_corpus import Example

EOS = "<｜end▁of▁sentence｜>"
VOCABULARY = 560
"""Bytes and merges; special tokens come on top."""
SPECIAL = (
    BOS,
    EOS,
    PAD,
    BEGIN_OF_IMAGE,
    "<end_of_image>",
    "<image_placeholder>",
    "<|User|>",
    "<|Assistant|>",
)
GOT = (BOX_START, BOX_END, OBJ_START, OBJ_END)
"""GoT-R1's four tokens in the order in which its script adds them; not special, so that decoding keeps them."""


def train_tokenizer(corpus: Iterable[Example]) -> PreTrainedTokenizerFast:
    """Learn the merges from prompts and chains. Digits stay single, as in Janus-Pro: boxes are spelled out."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in GOT])
    begin = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, begin)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
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
