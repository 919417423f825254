"""The recipe of the tiny Emu3 that ships with the shapes world: the tiny Janus's weights in Emu3's classes, trained on.

Everything follows from one seed and the shipped tiny Janus; it takes about ten minutes of one processor core. What the
weights begin as is in `training.tiny.emu3_start`. The picture tokenizer then learns with `training.tiny.emu3_vq` to use
what its class has besides, and chain and picture are taught by the corpus that the tiny Janus learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerFast
from transformers.models.emu3.modeling_emu3 import Emu3VQVAE

from gotr1_eval.files.writing import make_out_folder
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.emu3.loading import Pixels, checkpoint_of, read_config, write_pixels
from gotr1_eval.models.emu3.sequence import (
    BOS,
    END_OF_FRAME,
    END_OF_ROW,
    EOS,
    IMAGE_END,
    IMAGE_START,
    IMAGE_TOKEN,
    PAD,
    PLACEHOLDER,
)
from gotr1_eval.models.janus import loading as janus_loading
from training.policies import Sampling
from training.policies.emu3 import Emu3Policy
from training.sft import Losses, SftOptions, train_sft
from training.sft_examples import SftExample
from training.tiny.emu3_start import transplanted, used_codes
from training.tiny.emu3_vq import encode_pictures, train_emu3_vq
from training.tiny.janus import FIRST
from training.tiny.shapes_corpus import PICTURE_SIDE, Example, examples, random_pictures
from training.tiny.tokenizer import GOT, train_bpe
from training.tiny.vq import VqOptions, patch_codes

Progress = Callable[[str], None]
SPECIAL = (BOS, EOS, PAD, IMAGE_START, IMAGE_TOKEN, IMAGE_END, END_OF_ROW, END_OF_FRAME, PLACEHOLDER)
WEIGHTS_DTYPE = torch.float16
PIXELS = Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), PICTURE_SIDE**2, PICTURE_SIDE**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How much of everything; the defaults make the shipped checkpoint, smaller numbers a quick try.

    Attributes:
        first: examples whose patches have the codes.
        fitted_on: examples whose states the head for image tokens is first fitted on.
        vq_pictures: random pictures beside theirs, with objects that have a texture.
        vq: of the picture tokenizer.
        corpus: examples of prompt, chain and picture in each supervised round.
        sft: of chain and picture, one round after the other, each with examples of its own.
    """

    first: int = FIRST
    fitted_on: int = 256
    vq_pictures: int = 8_000
    vq: VqOptions = field(
        default_factory=lambda: VqOptions(steps=150, batch_size=8, learning_rate=3e-4, warmup_steps=20, bfloat16=True)
    )
    corpus: int = 6_400
    sft: tuple[SftOptions, ...] = (
        SftOptions(steps=200, learning_rate=6e-4, warmup_steps=20, image_weight=4.0, bfloat16=True),
    )


def build_tiny_emu3(
    out: Path, seed: int = 0, recipe: Recipe | None = None, progress: Progress = lambda line: None
) -> None:
    """Build the checkpoint into the folder `out`, transformers' native layout.

    Args:
        seed: of the corpus, of what begins at random and of the order of training. The same seed and number of
            threads on the same machine give the same files; elsewhere they give another model of the same quality.
        recipe: the sizes of the training.
        progress: called with a line every now and then.
    """
    make_out_folder(out, "checkpoint")  # before the hours that it takes
    recipe = recipe or Recipe()
    janus = janus_loading.load_checkpoint(
        checkpoint_folder("tiny-janus"), device=torch.device("cpu"), dtype=torch.float32
    )
    first = list(examples(recipe.first, seed))
    shown_BHWC = torch.from_numpy(
        np.concatenate([np.stack([each.picture for each in first]), random_pictures(recipe.vq_pictures, seed)])
    )
    codes = used_codes(janus.model.model.vqmodel)
    tokenizer = train_tokenizer(first, codes)
    model = transplanted(janus, tokenizer, codes, seed, recipe.fitted_on)
    learn_pictures(model.model.vqmodel, shown_BHWC, replace(recipe.vq, seed=seed), progress)
    save(model, tokenizer, out)
    for place, options in enumerate(recipe.sft):
        corpus = list(examples(recipe.corpus, seed + place))
        learn_chains(model, tokenizer, out, corpus, replace(options, seed=seed + place), progress)
        save(model, tokenizer, out)
    progress(f"saved to {out}")


def train_tokenizer(corpus: Iterable[Example], codes: int) -> PreTrainedTokenizerFast:
    """The tokenizer of a tiny Emu3: the tiny Janus's merges, and a token for each code behind everything else."""
    visual = [f"<|visual token {code:06}|>" for code in range(codes)]
    return train_bpe(corpus, SPECIAL, (*GOT, *visual), bos=BOS, eos=EOS, pad=PAD)


def learn_pictures(tokenizer: Emu3VQVAE, pictures_BHWC: Tensor, options: VqOptions, progress: Progress) -> None:
    """Train the picture tokenizer on; its weights are then what half precision will keep of them."""
    train_emu3_vq(tokenizer, pictures_BHWC, options, begun=True, progress=progress)
    # The next stage learns these codes: they have to come from the weights as they will be read back.
    tokenizer.to(WEIGHTS_DTYPE).to(torch.float32).requires_grad_(False)
    side = PICTURE_SIDE // tokenizer.spatial_scale_factor
    given_BT = patch_codes(pictures_BHWC, side, tokenizer.config.codebook_size)[:500]
    right = (encode_pictures(tokenizer, pictures_BHWC[:500]) == given_BT).float().mean()
    progress(f"picture tokenizer: {right:.2%} of 500 pictures' patches get their own code")


def learn_chains(
    model: Any,  # noqa: ANN401
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    corpus: Sequence[Example],
    options: SftOptions,
    progress: Progress,
) -> None:
    """Supervised training of everything but the picture tokenizer.

    Args:
        folder: holds the configurations.
    """
    policy = Emu3Policy(checkpoint_of(model, tokenizer, read_config(folder), folder), Sampling(guidance=1.0))
    image_BT = encode_pictures(model.model.vqmodel, torch.from_numpy(np.stack([each.picture for each in corpus])))
    prompts = policy.encode([each.prompt for each in corpus])
    taught = [
        SftExample(tuple(prompt), tuple(policy.encode_chain(each.chain)), tuple(image))
        for prompt, each, image in zip(prompts, corpus, image_BT.tolist(), strict=True)
    ]

    def tell(step: int, losses: Losses) -> bool:
        if step % 50 == 0:
            progress(f"sft step {step}: chain {losses.text:.3f}, image {losses.image:.3f} nats a token")
        return True

    train_sft(policy, taught, options, after_step=tell)


def save(model: Any, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:  # noqa: ANN401
    """Write the folder: weights in half precision, configurations, tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    ids: Mapping[str, Any] = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    model.generation_config = GenerationConfig(**ids, do_sample=True, top_k=0)
    weights = {
        name: tensor.to(WEIGHTS_DTYPE) for name, tensor in model.state_dict().items() if tensor.is_floating_point()
    }
    model.config.dtype = WEIGHTS_DTYPE
    model.save_pretrained(out, state_dict={**model.state_dict(), **weights})
    tokenizer.save_pretrained(out)
    write_pixels(out, PIXELS)
