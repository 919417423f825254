"""Training the picture tokenizer: a `JanusVQVAE` learns pictures as rows of code ids (Janus-Pro's VQ-16 in small).

The codes live on the unit sphere: latents and codebook are compared by cosine, and the codebook is stored with unit
rows. That is what `JanusVQVAE.decode` expects (it normalises the rows it looks up) and what makes
`JanusVQVAE.encode` (which normalises nothing) choose the same ids.

Shape suffixes: B pictures, C channels, H W pixels, N latent vectors of a batch, K codes, D width of a code,
T tokens of a picture (row-major).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.janus.modeling_janus import JanusVQVAE

from training.schedule import cosine_schedule

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VqOptions:
    """How to train.

    Attributes:
        commitment: weight of pulling latents to their codes, against 1 for pulling codes to their latents.
        revive_every: steps between two revivals of codes that nothing uses; in the last quarter there is none.
        bfloat16: run the convolutions in bfloat16 (losses and codebook stay float32).
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    commitment: float = 0.25
    revive_every: int = 20
    bfloat16: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Quantised:
    """Pictures on their way through the codebook.

    Attributes:
        pixels_BCHW: the reconstruction, about [-1, 1].
        latents_ND: what the encoder said, unit rows.
        codes_ND: the nearest codes, unit rows.
        ids_N: their ids.
    """

    pixels_BCHW: Tensor
    latents_ND: Tensor
    codes_ND: Tensor
    ids_N: Tensor


def to_pixels(pictures_BHWC: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] in 0..255 -> float32 [B, 3, H, W] in [-1, 1]."""
    # Here and in `decode_latents`: from a permuted layout every convolution runs at half its speed on the CPU.
    return pictures_BHWC.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1.0


def nearest_codes(latents_ND: Tensor, codebook_KD: Tensor) -> Tensor:
    """The id of the code nearest by angle, for every latent; int64 [N]."""
    return (latents_ND @ functional.normalize(codebook_KD, dim=-1).T).argmax(dim=-1)


def codebook_loss(latents_ND: Tensor, codes_ND: Tensor, commitment: float) -> Tensor:
    """Mean squared distance that pulls codes to latents, plus `commitment` times the one the other way round."""
    pull_codes = functional.mse_loss(codes_ND, latents_ND.detach())
    pull_latents = functional.mse_loss(latents_ND, codes_ND.detach())
    return pull_codes + commitment * pull_latents


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


def straight_through(latents_ND: Tensor, codes_ND: Tensor) -> Tensor:
    """The codes' values with the latents' gradient."""
    return latents_ND + (codes_ND - latents_ND).detach()


def encode_latents(model: JanusVQVAE, pixels_BCHW: Tensor) -> Tensor:
    """The encoder's unit latents, [B * T, D], a picture's rows in row-major order."""
    latents_BDhw = model.quant_conv(model.encoder(pixels_BCHW)).float()
    return functional.normalize(latents_BDhw.permute(0, 2, 3, 1).flatten(0, 2), dim=-1)


def quantise(model: JanusVQVAE, pixels_BCHW: Tensor) -> Quantised:
    """Encode, quantise with a straight-through gradient, decode."""
    latents_ND = encode_latents(model, pixels_BCHW)
    codebook_KD = model.quantize.embedding.weight
    ids_N = nearest_codes(latents_ND.detach(), codebook_KD.detach())
    codes_ND = functional.normalize(codebook_KD[ids_N], dim=-1)
    decoded_BCHW = decode_latents(model, straight_through(latents_ND, codes_ND))
    return Quantised(decoded_BCHW, latents_ND, codes_ND, ids_N)


def decode_latents(model: JanusVQVAE, latents_ND: Tensor) -> Tensor:
    """Pixels [B, 3, H, W], about [-1, 1], of unit latents [B * T, D]."""
    side = model.quantize.quant_state_dims[0]
    latents_BDhw = latents_ND.view(-1, side, side, latents_ND.shape[1]).permute(0, 3, 1, 2).contiguous()
    pixels_BCHW: Tensor = model.decoder(model.post_quant_conv(latents_BDhw))
    return pixels_BCHW.float()


@torch.inference_mode()
def encode_pictures(model: JanusVQVAE, pictures_BHWC: Tensor, batch_size: int = 16) -> Tensor:
    """Image tokens of uint8 pictures [B, H, W, 3]; int64 [B, T]."""
    rows = []
    for batch in torch.split(pictures_BHWC, batch_size):
        latents_ND = encode_latents(model, to_pixels(batch))
        rows.append(nearest_codes(latents_ND, model.quantize.embedding.weight).view(len(batch), -1))
    return torch.cat(rows).clone()


@torch.no_grad()
def revive_unused(codebook_KD: Tensor, used_K: Tensor, latents_ND: Tensor, generator: torch.Generator) -> int:
    """Move every code that is not `used` to a random latent of the batch; returns how many were moved."""
    unused = (~used_K).nonzero().flatten()
    chosen = torch.randint(len(latents_ND), (len(unused),), generator=generator)
    codebook_KD[unused] = latents_ND[chosen].to(codebook_KD.dtype)
    return len(unused)


@torch.no_grad()
def normalise_codebook(model: JanusVQVAE) -> None:
    """Store unit rows, so that `JanusVQVAE.encode` and `decode` mean the same codes."""
    weight = model.quantize.embedding.weight
    weight.copy_(functional.normalize(weight, dim=-1))


def reset_convolutions(model: JanusVQVAE) -> None:
    """Start every convolution at torch's own scale; transformers' 0.02 is for fine-tuning and trains slowly here."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.reset_parameters()


def train_vq(
    model: JanusVQVAE, pictures_BHWC: Tensor, options: VqOptions, progress: Progress = lambda line: None
) -> list[float]:
    """Train in place on uint8 pictures [B, H, W, 3]; returns the reconstruction loss of every step.

    The same model, pictures, options and number of threads give the same weights.
    """
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.99))
    scheduler = cosine_schedule(optimizer, options.steps, options.warmup_steps)
    codebook_KD = model.quantize.embedding.weight
    used_K = torch.zeros(len(codebook_KD), dtype=torch.bool)
    losses = []
    for step in range(options.steps):
        chosen = torch.randint(len(pictures_BHWC), (options.batch_size,), generator=generator)
        pixels_BCHW = to_pixels(pictures_BHWC[chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            out = quantise(model, pixels_BCHW)
        reconstruction = reconstruction_loss(out.pixels_BCHW, pixels_BCHW)
        loss = reconstruction + codebook_loss(out.latents_ND, out.codes_ND, options.commitment)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        used_K[out.ids_N] = True
        losses.append(reconstruction.item())
        if step % options.revive_every == 0 and step < options.steps * 3 // 4:
            revive_unused(codebook_KD, used_K, out.latents_ND.detach(), generator)
            used_K.zero_()
        if step % 100 == 0:
            progress(f"vq step {step}: reconstruction {losses[-1]:.4f}")
    normalise_codebook(model)
    return losses


def tune_decoder(
    model: JanusVQVAE, pictures_BHWC: Tensor, options: VqOptions, progress: Progress = lambda line: None
) -> list[float]:
    """Train the decoder further, in place, while every picture keeps its codes; returns the loss of every step.

    With the codes at rest the decoder gets colours right that it could only follow before.
    """
    generator = torch.Generator().manual_seed(options.seed)
    tuned = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    optimizer = torch.optim.Adam(tuned, lr=options.learning_rate, betas=(0.9, 0.99))
    scheduler = cosine_schedule(optimizer, options.steps, options.warmup_steps)
    losses = []
    for step in range(options.steps):
        chosen = torch.randint(len(pictures_BHWC), (options.batch_size,), generator=generator)
        pixels_BCHW = to_pixels(pictures_BHWC[chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            with torch.no_grad():
                codebook_KD = functional.normalize(model.quantize.embedding.weight, dim=-1)
                codes_ND = codebook_KD[nearest_codes(encode_latents(model, pixels_BCHW), codebook_KD)]
            decoded_BCHW = decode_latents(model, codes_ND)
        loss = reconstruction_loss(decoded_BCHW, pixels_BCHW) + tint_loss(decoded_BCHW, pixels_BCHW)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(tuned, 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if step % 100 == 0:
            progress(f"decoder step {step}: loss {losses[-1]:.4f}")
    return losses
