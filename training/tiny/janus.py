"""The recipe of the tiny Janus that ships with the shapes world: tokenizer, picture tokenizer, chain and picture.

Everything follows from one seed; it takes about an hour and a half on one processor core. The model is a true
`JanusForConditionalGeneration` in small, so that whatever runs on it runs on Janus-Pro. It is taught from a corpus
that errs at a stated rate (`training.tiny.shapes_corpus`): fluent, and clearly imperfect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, JanusConfig, JanusForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.janus.modeling_janus import JanusVQVAE

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.files.writing import make_out_folder
from gotr1_eval.models.janus.encoding import encode_pictures
from gotr1_eval.models.janus.loading import Checkpoint
from gotr1_eval.models.janus.sequence import BOS, PAD, SpecialIds, encode_prompt
from training.policies import Sampling
from training.policies.janus import JanusPolicy
from training.sft import Losses, SftOptions, train_sft
from training.sft_examples import SftExample
from training.tiny.shapes_corpus import PICTURE_SIDE, Example, examples, random_pictures
from training.tiny.tokenizer import GOT, train_bpe
from training.tiny.vq import VqOptions, reset_convolutions, train_vq, tune_decoder

EOS = "<｜end▁of▁sentence｜>"
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
Progress = Callable[[str], None]
PATCH = 8
CODES, CODE_WIDTH = 1024, 8
WIDTH, LAYERS, HEADS = 160, 5, 5
FIRST = 4000
"""Examples that both tokenizers learn from: more of the same would teach them nothing."""
TEXT_ROWS = 448
"""Rows of the text embedding; as in Janus-Pro some are left over."""
WEIGHTS_DTYPE = torch.float16
PREPROCESSING = {
    "image_processor_type": "JanusImageProcessor",
    "size": {"height": PICTURE_SIDE, "width": PICTURE_SIDE},
    "min_size": 14,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def train_tokenizer(corpus: Iterable[Example]) -> PreTrainedTokenizerFast:
    """The tokenizer of a tiny Janus; see `training.tiny.tokenizer`."""
    return train_bpe(corpus, SPECIAL, GOT, bos=BOS, eos=EOS, pad=PAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How much of everything; the defaults make the shipped checkpoint, smaller numbers a quick try.

    Attributes:
        corpus: examples of prompt, chain and picture in each supervised round.
        vq_pictures: random pictures that the picture tokenizer sees besides the corpus's: there few objects have a
            texture.
        vq: of the picture tokenizer as a whole.
        decoder: of its decoder alone, once the codes are settled, one round after the other.
        sft: of chain and picture, one round after the other, each with examples of its own.
    """

    corpus: int = 16_000
    vq_pictures: int = 8_000
    vq: VqOptions = field(default_factory=lambda: VqOptions(steps=1000, bfloat16=True))
    decoder: tuple[VqOptions, ...] = (
        VqOptions(steps=1500, learning_rate=1e-3, bfloat16=True),
        VqOptions(steps=2700, learning_rate=1e-3),
    )
    sft: tuple[SftOptions, ...] = (
        SftOptions(steps=2000, bfloat16=True),
        SftOptions(steps=1100, learning_rate=1.5e-3, image_weight=4.0, bfloat16=True),
    )


def build_tiny_janus(
    out: Path, seed: int = 0, recipe: Recipe | None = None, progress: Progress = lambda line: None
) -> None:
    """Build the checkpoint into the folder `out`, transformers' native layout.

    Args:
        seed: of the corpus, the first weights and the order of training. The same seed and number of threads on
            the same machine give the same files; elsewhere they give another model of the same quality.
        recipe: the sizes of the training.
        progress: called with a line every now and then.
    """
    make_out_folder(out, "checkpoint")  # before the hours that it takes
    recipe = recipe or Recipe()
    first = list(examples(FIRST, seed))
    tokenizer = train_tokenizer(first)
    pictures_BHWC = np.stack([example.picture for example in first])
    shown_BHWC = torch.from_numpy(np.concatenate([pictures_BHWC, random_pictures(recipe.vq_pictures, seed)]))
    learned = learn_pictures(tiny_config(tokenizer), shown_BHWC, recipe, seed, progress)
    model = tiny_model(tokenizer, seed)
    install_pictures(model, learned)
    for place, options in enumerate(recipe.sft):
        taught = sft_examples(list(examples(recipe.corpus, seed + place)), tokenizer, learned)
        learn_chains(model, tokenizer, taught, replace(options, seed=seed + place), progress)
    save(model, tokenizer, out)
    progress(f"saved to {out}")


def tiny_config(tokenizer: PreTrainedTokenizerFast) -> JanusConfig:
    """Janus-Pro's configuration in small; the vision tower is there for the format only and is never trained."""
    special = SpecialIds.of(tokenizer)
    tokens = (PICTURE_SIDE // PATCH) ** 2
    return JanusConfig(
        text_config={
            "model_type": "llama",
            "vocab_size": TEXT_ROWS,
            "hidden_size": WIDTH,
            "intermediate_size": WIDTH * 5 // 2,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "max_position_embeddings": 2048,
            "bos_token_id": special.bos,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": special.pad,
            "tie_word_embeddings": False,
        },
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "mlp_ratio": 1.0,
            "image_size": PICTURE_SIDE,
            "patch_size": PATCH,
            "projection_dim": WIDTH,
            "num_image_tokens": tokens,
        },
        vq_config={
            "base_channels": 32,  # GroupNorm(32) allows no fewer
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "latent_channels": 32,
            "embed_dim": CODE_WIDTH,
            "num_embeddings": CODES,
            "num_patches": PICTURE_SIDE // PATCH,
            "projection_dim": WIDTH,
            "image_token_embed_dim": WIDTH,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image_placeholder>"),
        tie_word_embeddings=False,
    )


def tiny_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Any:  # noqa: ANN401 - transformers is untyped
    """An untrained model of `tiny_config`, float32."""
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(tiny_config(tokenizer))
    for part in (model.model.generation_aligner, model.model.generation_head):
        for module in part.modules():
            if isinstance(module, torch.nn.Linear):
                module.reset_parameters()
    return model


def learn_pictures(
    config: JanusConfig, pictures_BHWC: Tensor, recipe: Recipe, seed: int, progress: Progress
) -> JanusVQVAE:
    """A trained picture tokenizer; its weights are what half precision will keep of them."""
    torch.manual_seed(seed)
    tokenizer = JanusVQVAE(config.vq_config)
    reset_convolutions(tokenizer)
    tokenizer.train()
    train_vq(tokenizer, pictures_BHWC, replace(recipe.vq, seed=seed), progress)
    for options in recipe.decoder:
        tune_decoder(tokenizer, pictures_BHWC, replace(options, seed=seed), progress)
    # The next stage learns these codes: they have to come from the weights as they will be read back.
    return tokenizer.eval().to(WEIGHTS_DTYPE).to(torch.float32)


def install_pictures(model: Any, tokenizer: JanusVQVAE) -> None:  # noqa: ANN401
    """Put the picture tokenizer into the model, frozen, and start the image embeddings from its codes."""
    model.model.vqmodel.load_state_dict(tokenizer.state_dict())
    model.model.vqmodel.eval().requires_grad_(False)
    with torch.no_grad():
        model.model.generation_embeddings.weight.copy_(tokenizer.quantize.embedding.weight)


def learn_chains(
    model: Any,  # noqa: ANN401
    tokenizer: PreTrainedTokenizerFast,
    taught: list[SftExample],
    options: SftOptions,
    progress: Progress,
) -> None:
    """Supervised training of everything but the picture tokenizer and the vision tower."""
    for unused in (model.model.vision_model, model.model.aligner):
        unused.requires_grad_(False)
    model.train()
    model.model.vqmodel.eval()

    def tell(step: int, losses: Losses) -> bool:
        if step % 50 == 0:
            progress(f"sft step {step}: chain {losses.text:.3f}, image {losses.image:.3f} nats a token")
        return True

    policy = JanusPolicy(Checkpoint(model, tokenizer, SpecialIds.of(tokenizer)), Sampling(guidance=1.0))
    train_sft(policy, taught, options, after_step=tell)
    model.eval()


def sft_examples(
    corpus: Sequence[Example], tokenizer: PreTrainedTokenizerFast, pictures: JanusVQVAE
) -> list[SftExample]:
    """The corpus as ids."""
    special = SpecialIds.of(tokenizer)
    image_BT = encode_pictures(pictures, torch.from_numpy(np.stack([example.picture for example in corpus])))
    return [
        SftExample(
            tuple(encode_prompt(tokenizer, example.prompt, special)),
            # The answer goes on after "Assistant:", so its first word carries a space.
            tuple(tokenizer.encode(f" {example.chain}", add_special_tokens=False)),
            tuple(image),
        )
        for example, image in zip(corpus, image_BT.tolist(), strict=True)
    ]


def save(model: Any, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:  # noqa: ANN401
    """Write the folder: weights in half precision, configurations, tokenizer."""
    special = SpecialIds.of(tokenizer)
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        bos_token_id=special.bos,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=special.pad,
        generation_kwargs={"boi_token_id": special.begin_of_image},
        do_sample=True,
        top_k=0,
    )
    model.to(WEIGHTS_DTYPE).save_pretrained(out)
    model.to(torch.float32)
    tokenizer.save_pretrained(out)
    (out / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING, indent=2) + "\n", encoding="utf-8")
