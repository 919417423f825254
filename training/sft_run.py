"""A supervised run in a folder, which resumes where it stopped; and its examples, read from tables.

A row of a table (see `gotr1_eval.files.tables`) has `prompt`, `chain` (ending with `<begin_of_image>` or not), and
either `image`, a file beside the table or an absolute path, or `image_tokens`, the codes themselves; pictures are
encoded once and kept. The layout of the released GoT data is not read: its rows are not described by any source this
project could cite.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.core.errors import DataError, GotR1Error, UsageError
from gotr1_eval.files.jsonl import append_rows, read_rows
from gotr1_eval.files.pictures import PictureError, open_picture
from gotr1_eval.files.tables import read_table
from training import run_checkpoints as checkpoints
from training.accelerating import start_accelerator
from training.metrics import Report
from training.policies import Policy
from training.settings import SftSettings
from training.sft import Losses, SftExample, SftOptions, adamw, train_sft
from training.trained_parts import make_learner
from training.vq import encode_pictures

Row = Mapping[str, Any]


def read_examples(files: Sequence[Path], policy: Policy, kept: Path, batch_size: int = 32) -> list[SftExample]:
    """Every row of the files as an example, in order.

    Args:
        kept: JSONL file of image tokens by picture; pictures found there, unchanged, are not encoded again.

    Raises:
        UsageError, DataError: a file or row that cannot be read; names file and line.
    """
    rows = [(path, line, row) for path in files for line, row in _rows(path)]
    pictures = {_picture(path, row): (path, line) for path, line, row in rows if row.get("image_tokens") is None}
    codes = _encoded(pictures, policy, kept, batch_size)
    return [_example(path, line, row, policy, codes) for path, line, row in rows]


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        for row in read_table(str(path)):
            yield row.line, {name: None if cell == "" else cell for name, cell in row.cells.items()}
    except UsageError as error:
        raise UsageError(f"data: {error}") from None


def _picture(path: Path, row: Row) -> Path:
    return path.parent / str(row.get("image"))


def _key(picture: Path, policy: Policy) -> str:
    """Names a picture as it is now, at the side length and by the tokenizer that encodes it."""
    try:
        facts = picture.stat()
    except OSError:
        return ""
    model = policy.model.model.vqmodel
    sums = [part.float().sum().item() for part in (model.quantize.embedding.weight, model.quant_conv.weight)]
    text = f"{picture.absolute()} {facts.st_size} {facts.st_mtime_ns} {_side(policy)} {sums}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _side(policy: Policy) -> int:
    return int(policy.model.config.vision_config.image_size)


def _encoded(
    pictures: Mapping[Path, tuple[Path, int]], policy: Policy, kept: Path, batch_size: int
) -> dict[Path, tuple[int, ...]]:
    known = {row["key"]: tuple(row["codes"]) for _, row in read_rows(kept)} if kept.exists() else {}
    keys = {picture: _key(picture, policy) for picture in pictures}
    todo = [picture for picture, key in keys.items() if key not in known]
    kept.parent.mkdir(parents=True, exist_ok=True)
    # In float32 whatever the training runs in: a code is the nearest of thousands, and half precision takes others.
    model = copy.deepcopy(policy.model.model.vqmodel).float() if todo else None
    for start in range(0, len(todo), batch_size):
        part = todo[start : start + batch_size]
        pixels_BHWC = torch.stack([_pixels(picture, *pictures[picture], _side(policy)) for picture in part])
        found = encode_pictures(model, pixels_BHWC.to(policy.model.device)).tolist()
        append_rows(kept, [{"key": keys[picture], "codes": row} for picture, row in zip(part, found, strict=True)])
        known |= {keys[picture]: tuple(row) for picture, row in zip(part, found, strict=True)}
    return {picture: known[key] for picture, key in keys.items()}


def _pixels(picture: Path, path: Path, line: int, side: int) -> torch.Tensor:
    """The picture squashed to the model's square, uint8 [H, W, 3]."""
    try:
        image = open_picture(picture).resize((side, side), Image.Resampling.BICUBIC)
    except PictureError as error:
        raise DataError(f"the picture cannot be read: {error}", path=path, line=line) from None
    return torch.from_numpy(np.array(image))


def _example(path: Path, line: int, row: Row, policy: Policy, codes: Mapping[Path, tuple[int, ...]]) -> SftExample:
    prompt, chain = (_text(row, name, path, line) for name in ("prompt", "chain"))
    given = row.get("image_tokens")
    image = codes[_picture(path, row)] if given is None else _codes(given, path, line)
    expected = policy.model.config.vision_config.num_image_tokens
    highest = policy.model.config.vq_config.num_embeddings - 1
    if len(image) != expected or not all(0 <= code <= highest for code in image):
        raise DataError(
            f"expected {expected} image tokens in 0..{highest}, got {len(image)} in {min(image)}..{max(image)}"
            if image
            else f"expected {expected} image tokens, got none",
            path=path,
            line=line,
        )
    # The answer goes on after "Assistant:", so its first word carries a space.
    written = f" {chain.strip().removesuffix(BEGIN_OF_IMAGE)}{BEGIN_OF_IMAGE}"
    return SftExample(
        tuple(policy.encode([prompt])[0]),
        tuple(policy.tokenizer.encode(written, add_special_tokens=False)),
        image,
    )


def _codes(given: Any, path: Path, line: int) -> tuple[int, ...]:  # noqa: ANN401 - whatever a row holds
    codes = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(codes, list | tuple) or not all(type(code) is int for code in codes):
        told = json.dumps(codes, default=str)[:80]
        raise DataError(f"expected a list of whole numbers under 'image_tokens', got {told}", path=path, line=line)
    return tuple(codes)


def _text(row: Row, name: str, path: Path, line: int) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"expected a text under {name!r}, got {json.dumps(value, default=str)}", path=path, line=line)
    return value


class SftTrainer:
    """Trains a policy on the rows of the settings' data files.

    Attributes:
        stopping: set it to end after the step under way, saved.
    """

    def __init__(
        self, settings: SftSettings, folder: Path, policy: Policy, report: Report = lambda metrics: None
    ) -> None:
        """Reads the data; see `training.sft_run` for its errors. Raises UsageError as one of several processes."""
        self.settings, self.folder, self.report = settings, folder, report
        self.accelerator = start_accelerator(settings.device, settings.trackers, folder)
        if self.accelerator.num_processes > 1:
            raise UsageError(
                f"train sft runs in one process, not {self.accelerator.num_processes}: start it without accelerate"
            )
        self.examples = read_examples(settings.data, policy, folder / "image_tokens.jsonl")
        self.learner = make_learner(
            policy,
            settings.lora,
            ckpt=settings.ckpt,
            seed=settings.seed,
            gradient_checkpointing=settings.gradient_checkpointing,
        )
        self.options = SftOptions(
            steps=settings.steps,
            batch_size=settings.batch_size,
            micro_batch=settings.micro_batch,
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup_steps,
            weight_decay=settings.weight_decay,
            prompt_dropout=settings.prompt_dropout,
            text_weight=settings.text_weight,
            image_weight=settings.image_weight,
            bfloat16=settings.autocast,
            seed=settings.seed,
        )
        self.optimizer = adamw([each for each in policy.parameters() if each.requires_grad], self.options)
        self.stopping = False
        self.done = self.saved = 0

    def train(self) -> int:
        """Run until the last step or until `stopping` is set; returns the number of steps done.

        Raises:
            GotR1Error: it cannot go on; what was learned is saved.
        """
        self.done = self.saved = checkpoints.resume(self.folder / "checkpoints", self.learner, self.optimizer)
        try:
            train_sft(
                self.learner.policy, self.examples, self.options,
                start=self.done, optimizer=self.optimizer, after_step=self._after_step,
            )  # fmt: skip
        except GotR1Error:
            self._save()
            raise
        finally:
            self.accelerator.end_training()
        return self.done

    def _after_step(self, done: int, losses: Losses) -> bool:
        self.done = done
        metrics = {
            "step": done,
            "text/loss": losses.text.item(),
            "image/loss": losses.image.item(),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        append_rows(self.folder / "metrics.jsonl", [metrics])
        self.accelerator.log(metrics, step=done)
        self.report(metrics)
        if done % self.settings.save_every == 0 or done == self.settings.steps or self.stopping:
            self._save()
        return not self.stopping

    def _save(self) -> None:
        """A checkpoint, unless there is one of this step."""
        if self.done != self.saved:
            checkpoints.save(self.folder / "checkpoints", self.done, self.learner, self.optimizer, self.settings.keep)
            self.saved = self.done
