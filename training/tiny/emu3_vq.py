"""Training the picture tokenizer of an Emu3, whose class encodes pictures to codes and stops there.

`Emu3VQVAE.encode` gives ids, through which no gradient flows, and no loss. Here a picture's latents are quantised with
the straight-through estimator: the decoder reads codes, and what it wants of them reaches the encoder as if they were
its latents. Commitment pulls latents to their codes, as van den Oord et al. (arXiv 1711.00937, equation 3) have it.
Codes are compared by their distance, as the class does.

Which code a patch has is either given (`training.tiny.vq.patch_codes`; the encoder then learns to tell which it sees)
or found, the nearest of the codebook as it is. Found codes reconstruct as well, and cannot be foretold; see
`training.tiny.vq`.

Batch norms stay in evaluation mode, with the statistics they were made with: the class is meant to run like that, and
a decoder that learned with a batch's own would draw something else alone.

Shape suffixes: B pictures, C channels, H W pixels, h w places of a picture's codes, T tokens of a picture (row-major),
N latent vectors of a batch, K codes, D width of a code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.emu3.modeling_emu3 import Emu3VQVAE

from gotr1_eval.models.janus.encoding import to_pixels
from training.tiny.vq import VqOptions, descend, patch_codes, reconstruction_loss, retire_codes, tint_loss

Progress = Callable[[str], None]

SHARPNESS = 10.0
"""What squared distances are multiplied with before the softmax over the codes: of unit vectors that is 20 cosines."""
COMMITMENT = 0.25
"""Weight of pulling latents to their codes, beside 1 for pulling codes to their latents (arXiv 1711.00937)."""


def encode_latents(model: Emu3VQVAE, pixels_BCHW: Tensor) -> Tensor:
    """What the class compares with its codes, float32 [B, T, D], rows of a picture in row-major order."""
    frames = model.config.temporal_downsample_factor
    hidden_BtChw = model.encoder(pixels_BCHW[:, None].repeat(1, frames, 1, 1, 1))
    latents_BDthw = model.quant_conv(hidden_BtChw.permute(0, 2, 1, 3, 4))
    latents_BTD: Tensor = latents_BDthw.flatten(2).transpose(1, 2).float()
    return latents_BTD


def decode_latents(model: Emu3VQVAE, latents_BTD: Tensor, height: int) -> Tensor:
    """Pixels [B, 3, H, W], about [-1, 1]; of rows of the codebook those that `Emu3VQVAE.decode` gives.

    Args:
        height: rows of codes in a picture.
    """
    count, tokens, width = latents_BTD.shape
    quantised_BDthw = latents_BTD.transpose(1, 2).reshape(count, width, 1, height, tokens // height)
    decoded = model.decoder(
        model.post_quant_conv(quantised_BDthw).permute(0, 2, 1, 3, 4), quantised_BDthw.permute(0, 2, 1, 3, 4)
    )
    # Frames of a picture that is repeated in time; the class keeps the first.
    frames_BFCHW = decoded.view(count, -1, *decoded.shape[1:])
    pixels_BCHW: Tensor = frames_BFCHW[:, 0].float()
    return pixels_BCHW


def squared_distances(latents_ND: Tensor, codebook_KD: Tensor) -> Tensor:
    """From every latent to every code, [N, K]."""
    return (
        latents_ND.square().sum(dim=1, keepdim=True) + codebook_KD.square().sum(dim=1) - 2 * latents_ND @ codebook_KD.T
    )


def straight_through(latents_ND: Tensor, codes_ND: Tensor) -> Tensor:
    """The codes, with a gradient to themselves and, as if they were the latents, to those."""
    return codes_ND + latents_ND - latents_ND.detach()


def commitment_loss(latents_ND: Tensor, codes_ND: Tensor) -> Tensor:
    """Mean squared distance of latents and their codes: codes are pulled, and latents a quarter as much."""
    pulled = functional.mse_loss(codes_ND, latents_ND.detach())
    return pulled + COMMITMENT * functional.mse_loss(latents_ND, codes_ND.detach())


def picture_losses(
    model: Emu3VQVAE, pixels_BCHW: Tensor, given_N: Tensor | None, *, bfloat16: bool = False
) -> tuple[Tensor, ...]:
    """(drawing, commitment) of a batch; with given codes also the cross-entropy of telling them, in nats.

    Args:
        given_N: the codes of the pictures, int64; None takes the nearest.
    """
    codebook_KD = model.quantize.embedding.weight
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        latents_BTD = encode_latents(model, pixels_BCHW)
    latents_ND = latents_BTD.flatten(0, 1)
    distances_NK = squared_distances(latents_ND, codebook_KD)
    codes_ND = codebook_KD[distances_NK.argmin(dim=1) if given_N is None else given_N]
    height = pixels_BCHW.shape[2] // model.spatial_scale_factor
    quantised_BTD = straight_through(latents_ND, codes_ND).view_as(latents_BTD)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        drawn_BCHW = decode_latents(model, quantised_BTD, height)
    drawing = reconstruction_loss(drawn_BCHW, pixels_BCHW) + tint_loss(drawn_BCHW, pixels_BCHW)
    losses = (drawing, commitment_loss(latents_ND, codes_ND))
    return losses if given_N is None else (*losses, functional.cross_entropy(-SHARPNESS * distances_NK, given_N))


def train_emu3_vq(
    model: Emu3VQVAE,
    pictures_BHWC: Tensor,
    options: VqOptions,
    *,
    given: bool = True,
    begun: bool = False,
    progress: Progress = lambda line: None,
) -> list[tuple[float, ...]]:
    """Train in place on uint8 pictures [B, H, W, 3]; returns the losses of every step, as `picture_losses` gives them.

    The same model, pictures, options and number of threads give the same weights.

    Args:
        given: every distinct patch has a code of its own; else codes are found.
        begun: the codebook has its first values already.

    Raises:
        ValueError: the pictures hold more distinct patches than the model has codes.
    """
    generator = torch.Generator().manual_seed(options.seed)
    codebook_KD = model.quantize.embedding.weight
    if not begun:
        torch.nn.init.normal_(codebook_KD, generator=generator)
    side = pictures_BHWC.shape[1] // model.spatial_scale_factor
    codes_BT = patch_codes(pictures_BHWC, side, len(codebook_KD)) if given else None

    def losses(pixels_BCHW: Tensor, chosen_B: Tensor) -> tuple[Tensor, ...]:
        known_N = None if codes_BT is None else codes_BT[chosen_B].flatten()
        return picture_losses(model, pixels_BCHW, known_N, bfloat16=options.bfloat16)

    history = descend([*model.parameters()], losses, pictures_BHWC, options, generator, progress)
    if codes_BT is not None:
        retire_codes(codebook_KD, int(codes_BT.max()) + 1)
    return history


def tune_emu3_decoder(
    model: Emu3VQVAE, pictures_BHWC: Tensor, options: VqOptions, progress: Progress = lambda line: None
) -> list[tuple[float, ...]]:
    """Train the decoder further, in place, from the codes that every picture has; returns the loss of every step."""
    generator = torch.Generator().manual_seed(options.seed)
    codebook_KD = model.quantize.embedding.weight.detach()
    codes_BT = encode_pictures(model, pictures_BHWC)
    height = pictures_BHWC.shape[1] // model.spatial_scale_factor

    def losses(pixels_BCHW: Tensor, chosen_B: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            drawn_BCHW = decode_latents(model, codebook_KD[codes_BT[chosen_B]], height)
        return (reconstruction_loss(drawn_BCHW, pixels_BCHW) + tint_loss(drawn_BCHW, pixels_BCHW),)

    tuned = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    return descend(tuned, losses, pictures_BHWC, options, generator, progress)


@torch.no_grad()
def encode_pictures(model: Emu3VQVAE, pictures_BHWC: Tensor, batch_size: int = 16) -> Tensor:
    """Codes of uint8 pictures [B, H, W, 3] as `Emu3VQVAE.encode` gives them; int64 [B, T]."""
    rows = []
    for batch in torch.split(pictures_BHWC, batch_size):
        sizes = torch.tensor([batch.shape[1:3]] * len(batch))
        rows += model.encode(to_pixels(batch), sizes).image_tokens
    return torch.stack(rows).flatten(1)
