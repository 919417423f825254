"""Janus as a policy.

Shape suffixes: B sequences, L text positions (left-padded), T image tokens, D width of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.heads import Head, float32_head
from gotr1_eval.models.janus.encoding import encode_pictures
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint
from gotr1_eval.models.janus.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.janus.sequence import encode_prompt
from gotr1_eval.models.local_model import choose_device
from gotr1_eval.models.sampled_sequences import Padded, SampledChain, SampledImages
from training.policies import PictureGrid, Sampling
from training.policies.scoring import CHUNK, TwoHeadPolicy, flush_left_states


class JanusPolicy(TwoHeadPolicy):
    """A Janus with a way to score actions; wrapped as one module, so that data parallelism sees one forward pass.

    Args:
        chunk: positions whose logits are held at once.
    """

    def __init__(self, checkpoint: Checkpoint, sampling: Sampling, chunk: int = CHUNK) -> None:
        super().__init__()
        self.model, self.tokenizer, self.special = checkpoint.model, checkpoint.tokenizer, checkpoint.special
        self.sampling, self.pad, self.chunk = sampling, checkpoint.special.pad, chunk

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """See `training.policies.Policy`, also for the other methods."""
        return [encode_prompt(self.tokenizer, prompt, self.special) for prompt in prompts]

    def encode_chain(self, chain: str) -> list[int]:
        """As `<begin_of_image>` ends it."""
        # The answer goes on after "Assistant:", so its first word carries a space.
        written = f" {chain.strip().removesuffix(BEGIN_OF_IMAGE)}{BEGIN_OF_IMAGE}"
        ids: list[int] = self.tokenizer.encode(written, add_special_tokens=False)
        return ids

    def sample_chains(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], cap: int, rows: int
    ) -> list[SampledChain]:
        """At the temperature of the settings."""
        choice = Choice(self.sampling.text_temperature)
        return sample_chains(
            self.model, prompts, seeds, self.special, cap=cap, choice=choice, rows=rows, stages=self.stages
        )

    def chain_text(self, chain: SampledChain) -> str:
        """Without an appended `<begin_of_image>`."""
        text: str = self.tokenizer.decode(list(chain.written), skip_special_tokens=False)
        return text

    def sample_images(self, texts: Sequence[Sequence[int]], seeds: Sequence[int]) -> SampledImages:
        """With the guidance and the temperature of the settings."""
        choice, guidance = Choice(self.sampling.image_temperature), self.sampling.guidance
        return sample_images(
            self.model, texts, seeds, self.special, guidance=guidance, choice=choice, stages=self.stages
        )

    def decode(self, ids_BT: Tensor) -> Tensor:
        """By the decoder of the picture tokenizer."""
        return decode_images(self.model, ids_BT)

    @property
    def grid(self) -> PictureGrid:
        """A square."""
        vision, codes = self.model.config.vision_config, self.model.config.vq_config.num_embeddings
        return PictureGrid(vision.image_size, vision.image_size, vision.num_image_tokens, codes)

    def picture_encoder(self) -> Callable[[Tensor], Tensor]:
        """By the encoder of the picture tokenizer."""
        encoder = copy.deepcopy(self.model.model.vqmodel).float()
        return lambda pictures_BHWC: encode_pictures(encoder, pictures_BHWC.to(self.model.device))

    def picture_digest(self) -> list[float]:
        """Side length, and sums over weights."""
        model = self.model.model.vqmodel
        sums = [part.float().sum().item() for part in (model.quantize.embedding.weight, model.quant_conv.weight)]
        return [self.grid.height, *sums]

    def hidden_states(self, text: Padded, image_BT: Tensor) -> Tensor:
        """See `hidden_states`."""
        return hidden_states(self.model, text, image_BT)

    def text_head(self) -> Head:
        """The language head."""
        return float32_head(self.model.lm_head)

    def image_head(self) -> Head:
        """The generation head."""
        return float32_head(self.model.model.generation_head)

    @property
    def language_model(self) -> nn.Module:
        """A Llama."""
        stack: nn.Module = self.model.model.language_model
        return stack

    @property
    def never_trained(self) -> Sequence[nn.Module]:
        """The picture tokenizer, and the tower that reads pictures, which generation does not use."""
        return [getattr(self.model.model, part) for part in ("vqmodel", "vision_model", "aligner")]

    def adapted_layers(self, targets: Sequence[str]) -> str:
        """Of the language model's attention and MLPs."""
        return rf"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.({'|'.join(targets)})"


def hidden_states(model: Any, text: Padded, image_BT: Tensor) -> Tensor:  # noqa: ANN401
    """The language model's last states over text and all image tokens but the last, [B, L + T - 1, D]."""
    text_BLD = model.get_input_embeddings()(text.ids_BL)
    image_BTD = model.prepare_embeddings_for_image_generation(image_BT[:, :-1])
    embedded_BSD = torch.cat([text_BLD, image_BTD.to(text_BLD.dtype)], dim=1)
    return flush_left_states(model.model.language_model, embedded_BSD, (text.mask_BL == 0).sum(dim=1, keepdim=True))


def read_policy(ckpt: str, device: str, dtype: Literal["float32", "bfloat16"], sampling: Sampling) -> JanusPolicy:
    """The checkpoint that training starts from; see `gotr1_eval.models.janus.loading` for its errors."""
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
    return JanusPolicy(load_checkpoint(checkpoint_folder(ckpt), device=choose_device(device), dtype=kind), sampling)
