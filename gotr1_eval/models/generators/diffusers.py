"""Any text-to-image pipeline of diffusers (Stable Diffusion, Flux, PixArt, ...), from a folder or the hub."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from transformers import PreTrainedTokenizerBase

from gotr1_eval.core.errors import DataError, MissingWeightsError, UsageError, one_line
from gotr1_eval.core.extras import install_hint
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.protocols import UNREAD, Generated, TokenBudget, Workshop
from gotr1_eval.files.downloading import may_download
from gotr1_eval.models.checkpoint import files_digest, find_folder, first_names, folder_digest, quiet
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.settings import Settings as StrictSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAN = ("batches", "takes seeds")
VERSION = 1
_INDEX = "model_index.json"
_RANDOM = re.compile(r"newly initialized")
"""How diffusers and transformers warn of weights that no file holds, and go on with random ones."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_FLAGS = ("nsfw_content_detected", "nsfw_detected")
"""Fields of a pipeline's output that say which pictures its safety checker has blackened."""


class Settings(StrictSettings):
    """Which pipeline, and how to sample from it; what is not given is the pipeline's own default.

    Attributes:
        model: a folder in diffusers' layout, or a repository on the hub.
        revision: of the repository.
        variant: of its weight files, such as `fp16`.
        scheduler: class of the scheduler, such as `DPMSolverMultistepScheduler`, set up from the pipeline's own.
        steps: of denoising.
        guidance: the pipeline's `guidance_scale`.
        height, width: of the picture, in pixels.
        negative_prompt: what the picture should not show.
        call: further arguments of the pipeline's call, ``{true_cfg_scale = 4.0}``.
        lora: a file, a folder or a repository of LoRA weights.
        lora_scale: their weight.
        batch: pictures that are made together; a picture is the same whatever else is made where it is 1.
        safety_checker: whether a checker that comes with the pipeline is used.
        offload: `model` keeps one part of the pipeline on the GPU at a time, `sequential` one layer.
        remote_code: whether code that comes with the weights may run.
        device: `auto` is the first GPU if there is one.
        dtype: `auto` is float32 on the CPU and bfloat16 on a GPU.
    """

    undeciding = frozenset({"model", "lora", "device", "offload"})

    model: str
    revision: str | None = None
    variant: str | None = None
    scheduler: str | None = None
    steps: int | None = Field(None, ge=1)
    guidance: float | None = Field(None, ge=0, allow_inf_nan=False)
    height: int | None = Field(None, ge=1)
    width: int | None = Field(None, ge=1)
    negative_prompt: str | None = None
    call: dict[str, Any] = Field(default_factory=dict)
    lora: str | None = None
    lora_scale: float = Field(1.0, allow_inf_nan=False)
    batch: int = Field(1, ge=1)
    safety_checker: bool = True
    offload: Literal["none", "model", "sequential"] = "none"
    remote_code: bool = False
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


class DiffusersGenerator(LocalModel[Any]):
    """Generates with a pipeline, which is read when it is first needed.

    The noise of a picture is drawn on the CPU from its own seed, so that it is the same on every device and in every
    batch. The arithmetic is not: in another batch sums round differently (by up to one grey level in float32), and the
    name therefore says the batch.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when diffusers is not installed, there is no such device, or nothing to offload from."""
        _diffusers()
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch)
        if settings.offload != "none" and self._device.type == "cpu":
            raise UsageError(f"offload={settings.offload} needs a GPU, and the device is the CPU")
        self._settings = settings
        self.independent = settings.batch == 1

    @cached_property
    def name(self) -> str:
        """Of the folder, or of the repository and its commit; with the LoRA and the batch."""
        folder = self._folder.resolve()
        own = folder.name
        if not Path(self._settings.model).expanduser().is_dir():
            own = f"{self._settings.model.rpartition('/')[2]}@{own[:7]}"
        lora = f"+{Path(self._settings.lora).stem}" if self._settings.lora else ""
        return f"{own}{lora}-batch{self._settings.batch}"

    @cached_property
    def fingerprint(self) -> str:
        """Of all files, the settings, the number format, and the releases of diffusers and of this code."""
        kept = self._settings.model_dump_json(exclude={"model", "revision", "lora", "device", "offload"})
        folders = [self._folder, *sorted(path for path in self._folder.rglob("*") if path.is_dir())]
        digests = {str(path.relative_to(self._folder)): folder_digest(path) for path in folders}
        lora = None if self._lora is None else _digest(self._lora)
        release = str(_diffusers().__version__).rpartition(".")[0]
        facts = json.dumps([VERSION, release, str(self._dtype), digests, lora, kept])
        return f"diffusers-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One picture a prompt, in batches of the stated size; see `gotr1_eval.core.protocols.Generator`.

        A batch that does not fit into memory is halved; `made_together` of each picture's meta says how many there
        were.

        Raises:
            UsageError: as many seeds as prompts are needed, or the pipeline takes none of the settings.
            BackendError: memory does not suffice for a single picture.
        """
        if len(prompts) != len(seeds):
            raise UsageError(f"as many seeds as prompts are needed, got {len(seeds)} for {len(prompts)}")
        return self._in_batches(list(zip(prompts, seeds, strict=True)), self._generate)

    @cached_property
    def _folder(self) -> Path:
        """The pipeline's folder; of a repository only the files are fetched that the pipeline needs."""
        given = self._settings.model
        folder = Path(given).expanduser()
        if not folder.is_dir():
            folder = self._fetched()
        if not (folder / _INDEX).is_file():
            raise UsageError(f"{folder} has no {_INDEX}; expected a folder that diffusers' save_pretrained wrote")
        return folder

    def _fetched(self) -> Path:
        settings = self._settings
        try:
            return Path(
                _diffusers().DiffusionPipeline.download(
                    settings.model,
                    revision=settings.revision,
                    variant=settings.variant,
                    trust_remote_code=settings.remote_code,
                    local_files_only=not may_download(),
                )
            )
        except (OSError, ValueError) as error:
            raise MissingWeightsError(
                f"no pipeline folder {settings.model}, and the hub gives no such pipeline: {one_line(error, 160)}"
            ) from None

    @cached_property
    def _lora(self) -> Path | None:
        given = self._settings.lora
        if given is None:
            return None
        file = Path(given).expanduser()
        return file if file.is_file() else find_folder(given, None)

    def _load(self) -> Any:  # noqa: ANN401 - diffusers is untyped
        """The pipeline on its device, ready to be called."""
        settings = self._settings
        index = _read_index(self._folder)
        without = {} if settings.safety_checker or "safety_checker" not in index else {"safety_checker": None}
        diffusers = _diffusers()
        with quiet(), _no_random_weights(self._folder):
            try:
                pipeline = diffusers.DiffusionPipeline.from_pretrained(
                    self._folder,
                    dtype=self._dtype,
                    variant=settings.variant,
                    trust_remote_code=settings.remote_code,
                    local_files_only=True,
                    **without,
                )
            except (OSError, KeyError, TypeError, RuntimeError, AttributeError, ValueError) as error:
                if "trust_remote_code" in str(error):
                    raise UsageError(
                        f"{self._folder}: the pipeline is code beside the weights; remote_code=true lets it run"
                    ) from None
                raise DataError(f"the pipeline cannot be read: {one_line(error)}", path=self._folder) from None
        pipeline.set_progress_bar_config(disable=True)
        _check_taken(pipeline, self._arguments(1))
        if settings.scheduler is not None:
            pipeline.scheduler = _scheduler(settings.scheduler, pipeline.scheduler)
        if self._lora is not None:
            _add_lora(pipeline, self._lora, settings.lora_scale)
        self._place(pipeline)
        return _Watched(pipeline)

    def _place(self, pipeline: Any) -> None:  # noqa: ANN401
        offload = self._settings.offload
        if offload == "model":
            pipeline.enable_model_cpu_offload(device=self._device)
        elif offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=self._device)
        else:
            pipeline.to(self._device)

    @property
    def _network(self) -> torch.nn.Module:
        parts = self.loaded.pipeline.components.values()
        return torch.nn.ModuleList(part for part in parts if isinstance(part, torch.nn.Module))

    def _arguments(self, count: int) -> dict[str, Any]:
        """What the pipeline is called with for so many pictures, beside prompts and noise."""
        settings = self._settings
        given = {
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            "height": settings.height,
            "width": settings.width,
            "negative_prompt": None if settings.negative_prompt is None else [settings.negative_prompt] * count,
        }
        return {name: value for name, value in given.items() if value is not None} | settings.call

    def _generate(self, pairs: Sequence[tuple[str, int]]) -> list[Generated]:
        prompts = [prompt for prompt, _ in pairs]
        noise = [torch.Generator("cpu").manual_seed(seed % 2**63) for _, seed in pairs]
        arguments = self._arguments(len(pairs))
        try:
            with quiet():
                output, unread = self.loaded(prompts, generator=noise, output_type="np", **arguments)
        except ValueError as error:  # how pipelines refuse sizes and other arguments
            raise UsageError(f"{self.name}: {one_line(error)}") from None
        flags = next((output[name] for name in _FLAGS if output.get(name)), [False] * len(pairs))
        meta = {"pipeline": type(self.loaded.pipeline).__name__, "made_together": len(pairs)}
        kind = str(self._dtype).removeprefix("torch.")
        return [
            _made(pixels, bool(flagged), meta | cut, kind)
            for pixels, flagged, cut in zip(output.images, flags, unread, strict=True)
        ]


def _made(pixels: NDArray[np.float32], flagged: bool, meta: dict[str, Any], kind: str) -> Generated:
    """The picture of values in [0, 1], float [height, width, 3]; or why there is none."""
    if flagged:
        missing = "the pipeline's safety checker has blackened it (setting safety_checker)"
    elif not np.isfinite(pixels).all():
        missing = f"its values are not finite in {kind} (setting dtype)"
    else:
        levels = (pixels * 255).round().astype(np.uint8)
        return Generated(image=Image.fromarray(levels).convert("RGB"), meta=meta)
    return Generated(image=None, meta=meta, missing=Unscored(why=Why.NOT_GENERATED, detail=missing))


class _Watched:
    """A pipeline that tells how much of each prompt its tokenizers have cut off.

    Which tokenizer reads a prompt up to which length is written in the code of each pipeline. So the calls are watched
    in which a tokenizer cuts; the first texts that it is given are the prompts, those that follow what is not wanted.
    """

    def __init__(self, pipeline: Any) -> None:  # noqa: ANN401
        self.pipeline = pipeline
        self._cut: dict[str, list[int]] = {}
        for name, part in pipeline.components.items():
            if isinstance(part, PreTrainedTokenizerBase):
                _watch(part, partial(self._note, name))

    def _note(self, tokenizer: str, cut: Sequence[int]) -> None:
        self._cut.setdefault(tokenizer, []).extend(cut)

    def __call__(self, prompts: Sequence[str], **arguments: Any) -> tuple[Any, list[dict[str, Any]]]:  # noqa: ANN401
        """(the pipeline's output, what stands in the meta of each picture about its prompt).

        A token counts as unread where no tokenizer keeps it: Flux reads with T5 what does not fit into CLIP.
        """
        self._cut.clear()
        output = self.pipeline(prompt=list(prompts), **arguments)
        rows = zip(*(cut[: len(prompts)] for cut in self._cut.values()), strict=False)
        unread = [{UNREAD: min(row), "cut_tokens": dict(zip(self._cut, row, strict=True))} for row in rows]
        return output, unread or [{} for _ in prompts]


def _watch(tokenizer: Any, note: Callable[[list[int]], None]) -> None:  # noqa: ANN401
    """Make a tokenizer tell how many tokens of each text it cuts off, whenever it is asked to."""
    kind: Any = type(tokenizer)

    def call(self: Any, text: Any = None, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
        encoded = kind.__call__(self, text, *rest, **options)
        if options.get("truncation"):
            texts = [text] if isinstance(text, str) else list(text)
            most = options.get("max_length") or self.model_max_length
            special = options.get("add_special_tokens", True)
            whole = kind.__call__(self, texts, add_special_tokens=special, verbose=False)
            note([max(len(ids) - most, 0) for ids in whole["input_ids"]])
        return encoded

    # Python looks for a call in the class: another class of the same name, for this one object.
    tokenizer.__class__ = type(kind.__name__, (kind,), {"__call__": call})


def _check_taken(pipeline: Any, arguments: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Raises UsageError: the pipeline makes no picture of a text, or takes no argument of one of these names."""
    taken = inspect.signature(type(pipeline).__call__).parameters
    kind = type(pipeline).__name__
    if "prompt" not in taken:
        raise UsageError(f"{kind} makes no picture of a text")
    for name in arguments:
        if name not in taken or name in ("prompt", "generator", "output_type"):
            known = ", ".join(sorted(set(taken) - {"self", "prompt", "generator", "output_type"}))
            raise UsageError(f"{kind} takes no {name}; it takes: {known}")


def _scheduler(name: str, before: Any) -> Any:  # noqa: ANN401
    """The scheduler of a class of that name, set up as the one before."""
    diffusers = _diffusers()
    kind: Any = getattr(diffusers, name, None)
    known = inspect.isclass(kind) and issubclass(kind, diffusers.SchedulerMixin)
    if not known:
        raise UsageError(f"diffusers has no scheduler {name!r}; it would follow on {type(before).__name__}")
    compatible = {type(before).__name__, *(one.__name__ for one in getattr(before, "compatibles", ()))}
    if name not in compatible:
        raise UsageError(f"{name} cannot follow on {type(before).__name__}; it may be: {', '.join(sorted(compatible))}")
    return kind.from_config(before.config)


def _add_lora(pipeline: Any, place: Path, scale: float) -> None:  # noqa: ANN401
    kind = type(pipeline).__name__
    if not hasattr(pipeline, "load_lora_weights"):
        raise UsageError(f"{kind} takes no LoRA")
    where = {"pretrained_model_name_or_path_or_dict": str(place)}
    if place.is_file():
        where = {"pretrained_model_name_or_path_or_dict": str(place.parent), "weight_name": place.name}
    try:
        with quiet():
            pipeline.load_lora_weights(**where, adapter_name="lora", local_files_only=True)
            pipeline.set_adapters(["lora"], [scale])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"not a LoRA of {kind}: {one_line(error)}", path=place) from None


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"not JSON: {one_line(error)}", path=folder / _INDEX) from None
    if not isinstance(index, dict) or "_class_name" not in index:
        raise DataError("expected a pipeline's parts and its _class_name", path=folder / _INDEX)
    return index


def _digest(place: Path) -> str:
    return files_digest([place]) if place.is_file() else folder_digest(place)


@contextmanager
def _no_random_weights(folder: Path) -> Iterator[None]:
    """See that every weight comes from a file; the libraries say of the others that they are random, and go on.

    Raises:
        DataError: one does not.
    """
    said: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: said.append(_COLOURS.sub("", record.getMessage()))  # type: ignore[method-assign]
    libraries = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    before = [(library, library.handlers, library.level) for library in libraries]
    for library in libraries:
        library.handlers, library.level = [listener], logging.WARNING
    try:
        yield
    finally:
        for library, handlers, level in before:
            library.handlers, library.level = handlers, level
    if faults := [one_line(text, 200) for text in said if _RANDOM.search(text)]:
        raise DataError(f"the weights do not fit the configuration: {first_names(faults)}", path=folder)


def _diffusers() -> Any:  # noqa: ANN401 - untyped
    """The package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import diffusers
    except ImportError as error:
        raise UsageError(
            f"generator 'diffusers' is not installed ({one_line(error)}): {install_hint('diffusers')}"
        ) from None
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    return diffusers


def token_budget(settings: Settings) -> TokenBudget:
    """A pipeline makes neither chains nor picture tokens."""
    return TokenBudget(chain_at_most=0, image=0)


def build(settings: Settings, workshop: Workshop) -> DiffusersGenerator:
    """The generator; needs nothing from the workshop."""
    return DiffusersGenerator(settings)
