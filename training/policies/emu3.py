"""Emu3 as a policy.

One head holds both vocabularies: a chain is scored among the text's tokens and a picture among the image tokens, as
they were sampled. What stands between them, the picture's size and the ends of its rows, is fed and never scored.

Shape suffixes: B sequences, L text positions (left-padded), T image tokens, S positions of a pass, P places in it, D
width of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.heads import Head
from gotr1_eval.models.autoregressive.prompts import prompt_text
from gotr1_eval.models.emu3.loading import Checkpoint, Pixels, load_checkpoint, write_pixels
from gotr1_eval.models.emu3.sampling import decode_images, image_head, sample_chains, sample_images, text_head
from gotr1_eval.models.emu3.sequence import Layout, chain_from_ids, chain_to_ids, encode_text
from gotr1_eval.models.local_model import choose_device
from gotr1_eval.models.sampled_sequences import Padded, SampledChain, SampledImages, unconditional_row
from training.policies import PictureGrid, Sampling
from training.policies.scoring import CHUNK, TwoHeadPolicy, flush_left_states


class Emu3Policy(TwoHeadPolicy):
    """An Emu3 with a way to score actions; its pictures are of the checkpoint's own size.

    Args:
        chunk: positions whose logits are held at once.
    """

    def __init__(self, checkpoint: Checkpoint, sampling: Sampling, chunk: int = CHUNK) -> None:
        super().__init__()
        self.model, self.tokenizer, self.special = checkpoint.model, checkpoint.tokenizer, checkpoint.special
        self.codes, self.pixels, self.layout = checkpoint.codes, checkpoint.pixels, checkpoint.layout()
        self.sampling, self.pad, self.chunk = sampling, checkpoint.special.pad, chunk

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """See `training.policies.Policy`, also for the other methods."""
        return [encode_text(self.tokenizer, prompt_text(prompt), self.special) for prompt in prompts]

    def encode_chain(self, chain: str) -> list[int]:
        """As `<|image start|>` ends it."""
        return chain_to_ids(self.tokenizer, chain, self.special)

    def sample_chains(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], cap: int, rows: int
    ) -> list[SampledChain]:
        """At the temperature of the settings."""
        choice = Choice(self.sampling.text_temperature)
        return sample_chains(
            self.model, prompts, seeds, self.layout, cap=cap, choice=choice, rows=rows, stages=self.stages
        )

    def chain_text(self, chain: SampledChain) -> str:
        """With `<begin_of_image>` for the `<|image start|>` that it wrote."""
        return chain_from_ids(self.tokenizer, chain.written, self.special)

    def sample_images(self, texts: Sequence[Sequence[int]], seeds: Sequence[int]) -> SampledImages:
        """With the guidance and the temperature of the settings."""
        choice, guidance = Choice(self.sampling.image_temperature), self.sampling.guidance
        empty = [unconditional_row(text, self.pad) for text in texts]
        return sample_images(
            self.model, texts, empty, seeds, self.layout, guidance=guidance, choice=choice, stages=self.stages
        )

    def decode(self, ids_BT: Tensor) -> Tensor:
        """By the decoder of the picture tokenizer."""
        return decode_images(self.model, ids_BT, self.layout, self.pixels)

    @property
    def grid(self) -> PictureGrid:
        """As the layout has it."""
        edge = self.model.model.vqmodel.spatial_scale_factor
        return PictureGrid(self.layout.columns * edge, self.layout.rows * edge, self.layout.tokens, self.codes.count)

    def picture_encoder(self) -> Callable[[Tensor], Tensor]:
        """By the encoder of the picture tokenizer."""
        encoder = copy.deepcopy(self.model.model.vqmodel).float()
        return lambda pictures_BHWC: _encoded(encoder, pictures_BHWC.to(self.model.device), self.pixels)

    def picture_digest(self) -> list[float]:
        """Rows and columns, and sums over weights."""
        model = self.model.model.vqmodel
        weights = (model.quantize.embedding.weight, model.quant_conv.conv.weight)
        return [self.layout.rows, self.layout.columns, *(part.float().sum().item() for part in weights)]

    def hidden_states(self, text: Padded, image_BT: Tensor) -> Tensor:
        """See `hidden_states`."""
        return hidden_states(self.model, text, image_BT, self.layout)

    def text_head(self) -> Head:
        """The part of the head for the text's tokens."""
        return text_head(self.model, self.codes)

    def image_head(self) -> Head:
        """The part of the head for image tokens."""
        return image_head(self.model, self.codes)

    @property
    def language_model(self) -> nn.Module:
        """Emu3's own."""
        stack: nn.Module = self.model.model.text_model
        return stack

    @property
    def never_trained(self) -> Sequence[nn.Module]:
        """The picture tokenizer."""
        return [self.model.model.vqmodel]

    def adapted_layers(self, targets: Sequence[str]) -> str:
        """Of the language model's attention and MLPs."""
        return rf"model\.text_model\.layers\.\d+\.(self_attn|mlp)\.({'|'.join(targets)})"

    def save(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """With what the image processor says of pixels."""
        super().save(folder, weights)
        write_pixels(folder, self.pixels)


def hidden_states(model: Any, text: Padded, image_BT: Tensor, layout: Layout) -> Tensor:  # noqa: ANN401
    """The last states that the heads read, [B, L + T - 1, D]; the last `L + T - 1` of them but for what is not sampled.

    The pass also holds the header and the ends of rows; the states before them are left out, so that the one that
    reads the header's end comes behind the one that reads the last but one token of the text.
    """
    picture_BP, before_T = _picture(image_BT, layout)
    ids_BS = torch.cat([text.ids_BL, picture_BP], dim=1)
    embedded_BSD = model.get_input_embeddings()(ids_BS)
    pads_B1 = (text.mask_BL == 0).sum(dim=1, keepdim=True)
    states_BSD = flush_left_states(model.model.text_model, embedded_BSD, pads_B1)
    length = text.ids_BL.shape[1]
    return torch.cat([states_BSD[:, : length - 1], states_BSD[:, length + before_T]], dim=1)


def _picture(image_BT: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """(ids from the header to the last image token but one [B, P], of each image token the place before it [T])."""
    count, header = len(image_BT), len(layout.header)
    rows_BRC = (image_BT + layout.codes.first).view(count, layout.rows, layout.columns)
    ended_BRC = nn.functional.pad(rows_BRC, (0, 1), value=layout.special.end_of_row)
    header_BH = torch.tensor(layout.header, device=image_BT.device).expand(count, -1)
    place_T = torch.arange(layout.tokens, device=image_BT.device)
    before_T = header - 1 + place_T + place_T // layout.columns
    return torch.cat([header_BH, ended_BRC.flatten(1)], dim=1)[:, : layout.positions - 1], before_T


@torch.inference_mode()
def _encoded(encoder: Any, pictures_BHWC: Tensor, pixels: Pixels) -> Tensor:  # noqa: ANN401
    """Codes of uint8 pictures, normalised as the checkpoint's image processor does; int64 [B, T]."""
    mean_C, std_C = (torch.tensor(values, device=pictures_BHWC.device) for values in (pixels.mean, pixels.std))
    pixels_BCHW = ((pictures_BHWC.float() / 255 - mean_C) / std_C).permute(0, 3, 1, 2).contiguous()
    sizes_B2 = torch.tensor([pictures_BHWC.shape[1:3]] * len(pictures_BHWC))
    codes: list[Tensor] = encoder.encode(pixels_BCHW, sizes_B2).image_tokens
    return torch.stack(codes).flatten(1).clone()


def read_policy(ckpt: str, device: str, dtype: Literal["float32", "bfloat16"], sampling: Sampling) -> Emu3Policy:
    """The checkpoint that training starts from; see `gotr1_eval.models.emu3.loading` for its errors."""
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
    return Emu3Policy(load_checkpoint(checkpoint_folder(ckpt), device=choose_device(device), dtype=kind), sampling)
