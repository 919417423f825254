"""Training the picture tokenizer: a `JanusVQVAE` learns the pictures of a small world as rows of code ids.

Janus-Pro's VQ-16 finds its codes by itself. Here they are given: every distinct patch of the world's pictures has a
code of its own, the encoder learns to tell which it sees, and the decoder to draw it. Codes found by themselves
reconstruct as well, but cannot be foretold: the encoder sees the whole picture (attention, group norms) and wrote
what it knew of an object into the empty patches around, so that white alone had 355 codes and 5.2 nats of entropy.

The codes live on the unit sphere: latents and codebook are compared by cosine, and the codebook is stored with unit
rows. That is what `JanusVQVAE.decode` expects (it normalises the rows it looks up) and what makes
`JanusVQVAE.encode` (which normalises nothing) choose the same ids.

Shape suffixes: B pictures, C channels, H W pixels, N latent vectors of a batch, K codes, D width of a code,
T tokens of a picture (row-major).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.janus.modeling_janus import JanusVQVAE

from gotr1_eval.models.janus.encoding import encode_latents, to_pixels
from training.schedule import cosine_schedule

Progress = Callable[[str], None]

SHARPNESS = 20.0
"""What cosines are multiplied with before the softmax over the codes: the encoder is sure at a margin of about 0.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VqOptions:
    """How to train.

    Attributes:
        bfloat16: run the convolutions in bfloat16 (losses and codebook stay float32).
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    bfloat16: bool = False
    seed: int = 0


def patch_codes(pictures_BHWC: Tensor, side: int, codes: int) -> Tensor:
    """The code of every patch: equal pixels have equal codes, the commonest patch has code 0; int64 [B, T].

    Args:
        side: patches along each edge of a picture.
        codes: how many there are.

    Raises:
        ValueError: the pictures hold more distinct patches than there are codes.
    """
    count, height, width, channels = pictures_BHWC.shape
    cut = pictures_BHWC.reshape(count, side, height // side, side, width // side, channels).transpose(2, 3)
    rows = np.ascontiguousarray(cut.reshape(count * side * side, -1).numpy())
    # Sorting rows as single opaque values is a hundred times quicker than sorting them number by number.
    opaque = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, kind_N, counts_S = np.unique(opaque, return_inverse=True, return_counts=True)
    if len(counts_S) > codes:
        raise ValueError(f"{len(counts_S)} distinct patches, and only {codes} codes")
    rank_S = np.empty_like(counts_S)
    rank_S[np.argsort(-counts_S, kind="stable")] = np.arange(len(counts_S))
    return torch.from_numpy(rank_S[kind_N].reshape(count, side * side))


def recognition_loss(latents_ND: Tensor, codebook_KD: Tensor, ids_N: Tensor) -> Tensor:
    """Mean cross-entropy in nats of telling the right code by cosine: pulls a latent to it and all codes apart."""
    cosines_NK = latents_ND @ functional.normalize(codebook_KD, dim=-1).T
    return functional.cross_entropy(SHARPNESS * cosines_NK, ids_N)


def reconstruction_loss(pixels_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Mean absolute error, plus mean squared errors of the pixels and of their differences to the next pixel.

    The first keeps edges crisp, the second forbids large misses, and the third keeps fine texture: without it a
    striped object is first of all an object of the stripes' mean colour, and stays one for long.
    """
    error_BCHW = pixels_BCHW - target_BCHW
    edges = error_BCHW.diff(dim=2).square().mean() + error_BCHW.diff(dim=3).square().mean()
    return error_BCHW.abs().mean() + error_BCHW.square().mean() + edges


def tint_loss(pixels_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Mean absolute error of the differences between channels: what makes a grey look coloured."""
    error_BCHW = pixels_BCHW - target_BCHW
    return (error_BCHW - error_BCHW.roll(1, dims=1)).abs().mean()


def decode_latents(model: JanusVQVAE, latents_ND: Tensor) -> Tensor:
    """Pixels [B, 3, H, W], about [-1, 1], of unit latents [B * T, D]."""
    side = model.quantize.quant_state_dims[0]
    latents_BDhw = latents_ND.view(-1, side, side, latents_ND.shape[1]).permute(0, 3, 1, 2).contiguous()
    pixels_BCHW: Tensor = model.decoder(model.post_quant_conv(latents_BDhw))
    return pixels_BCHW.float()


def drawing_loss(model: JanusVQVAE, ids_N: Tensor, pixels_BCHW: Tensor) -> Tensor:
    """What the decoder makes of the right codes, held against the picture."""
    drawn_BCHW = decode_latents(model, functional.normalize(model.quantize.embedding.weight[ids_N], dim=-1))
    return reconstruction_loss(drawn_BCHW, pixels_BCHW) + tint_loss(drawn_BCHW, pixels_BCHW)


@torch.no_grad()
def finish_codebook(model: JanusVQVAE, used: int) -> None:
    """Store unit rows, so that `JanusVQVAE.encode` and `decode` mean the same codes, and retire those nobody uses."""
    weight = model.quantize.embedding.weight
    weight.copy_(functional.normalize(weight, dim=-1))
    retire_codes(weight, used)


@torch.no_grad()
def retire_codes(codebook_KD: Tensor, used: int) -> None:
    """Make the codes behind the used ones equal to code 0.

    Of equal codes the first is chosen, so that no picture is ever encoded with the others.
    """
    codebook_KD[used:] = codebook_KD[0]


def reset_convolutions(model: JanusVQVAE) -> None:
    """Start every convolution at torch's own scale; transformers' 0.02 is for fine-tuning and trains slowly here."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.reset_parameters()


def train_vq(
    model: JanusVQVAE, pictures_BHWC: Tensor, options: VqOptions, progress: Progress = lambda line: None
) -> list[tuple[float, ...]]:
    """Train in place on uint8 pictures [B, H, W, 3]; returns (recognition, drawing) loss of every step.

    The same model, pictures, options and number of threads give the same weights.

    Raises:
        ValueError: the pictures hold more distinct patches than the model has codes.
    """
    generator = torch.Generator().manual_seed(options.seed)
    codebook_KD = model.quantize.embedding.weight
    torch.nn.init.normal_(codebook_KD, generator=generator)
    codes_BT = patch_codes(pictures_BHWC, model.quantize.quant_state_dims[0], len(codebook_KD))

    def losses(pixels_BCHW: Tensor, chosen_B: Tensor) -> tuple[Tensor, ...]:
        ids_N = codes_BT[chosen_B].flatten()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            latents_ND = encode_latents(model, pixels_BCHW)
            drawing = drawing_loss(model, ids_N, pixels_BCHW)
        return recognition_loss(latents_ND, codebook_KD, ids_N), drawing

    history = descend([*model.parameters()], losses, pictures_BHWC, options, generator, progress)
    finish_codebook(model, int(codes_BT.max()) + 1)
    return history


def tune_decoder(
    model: JanusVQVAE, pictures_BHWC: Tensor, options: VqOptions, progress: Progress = lambda line: None
) -> list[tuple[float, ...]]:
    """Train the decoder further, in place, while every picture keeps its codes; returns the drawing loss of every step.

    The encoder is sure of its codes long before the decoder draws their colours and textures cleanly.

    Raises:
        ValueError: as of `train_vq`.
    """
    generator = torch.Generator().manual_seed(options.seed)
    codes_BT = patch_codes(pictures_BHWC, model.quantize.quant_state_dims[0], len(model.quantize.embedding.weight))

    def losses(pixels_BCHW: Tensor, chosen_B: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            return (drawing_loss(model, codes_BT[chosen_B].flatten(), pixels_BCHW),)

    tuned = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    return descend(tuned, losses, pictures_BHWC, options, generator, progress)


def descend(
    trained: list[torch.nn.Parameter],
    losses: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    pictures_BHWC: Tensor,
    options: VqOptions,
    generator: torch.Generator,
    progress: Progress,
) -> list[tuple[float, ...]]:
    """Adam on the sum of the losses, over batches drawn at random; returns the losses of every step.

    Args:
        losses: of pixels [B, 3, H, W], and of the indices [B] of the pictures that they are.
    """
    optimizer = torch.optim.Adam(trained, lr=options.learning_rate, betas=(0.9, 0.99))
    scheduler = cosine_schedule(optimizer, options.steps, options.warmup_steps)
    history = []
    for step in range(options.steps):
        chosen = torch.randint(len(pictures_BHWC), (options.batch_size,), generator=generator)
        parts = losses(to_pixels(pictures_BHWC[chosen]), chosen)
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(parts).sum(), inputs=trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        scheduler.step()
        history.append(tuple(part.item() for part in parts))
        if step % 100 == 0:
            progress(f"picture tokenizer, step {step}: {' + '.join(f'{part:.4f}' for part in history[-1])}")
    return history
