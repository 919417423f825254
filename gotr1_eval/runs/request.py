"""What is asked of a run, as one frozen object.

The command line and Python take a `RunRequest`; engines get the job that is made of it, and run.json holds it. Its
fields are the options of every benchmark command: a field's description is the option's help, so that an option is
written here and where it acts, and nowhere between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.types import Json
from gotr1_eval.settings import Component, Settings, read_component

ROLES = ("detector", "yes_no", "encoder", "depth", "phrases", "ocr")
"""The kinds of models that official metrics look with, as the fields of a `RunRequest` that name them."""

_FORM = "by name, or name,setting=value,..."


def _split(value: object) -> object:
    """A text with commas as its names; anything else as it is."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _split_reasons(value: object) -> object:
    names, known = _split(value), [why.value for why in Why]
    for name in names if isinstance(names, tuple | list) else ():
        if name not in known:
            hint = nearest_name(str(name), known)
            raise UsageError(f"--retry: no reason named {name!r}{hint} (known: {', '.join(known)})")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Reasons = Annotated[tuple[Why, ...], BeforeValidator(_split_reasons)]


class JudgingRequest(Settings):
    """What `bench` and `score` ask in common: who judges, how, and where it is kept."""

    judges: str | None = Field(
        default=None, description="A reward set, a .toml file, or judges separated by commas (see `gotr1-eval list`)."
    )
    judge_model: str | Mapping[str, Any] | None = Field(
        default=None,
        description="For judges that ask: a checkpoint folder, a hub repository, http://host:port/v1#model (several "
        "addresses with commas), or a .toml file of its settings.",
    )
    reply_cache: Path | None = Field(
        default=None, description="File in which the model's replies are kept; none by default."
    )
    tile: int | None = Field(
        default=None,
        ge=1,
        description="Samples made and judged together; what fits into memory, at most 32, if not given.",
    )
    engine: Component = Field(
        default={"use": "local"},
        description="local (this process), or ray with its settings, such as ray,workers=8,worker_gpus=0.5 "
        "(docs/scaling.md).",
    )
    out: Path | None = Field(
        default=None, description="The run folder; by default runs/ and a name made of the settings."
    )
    title: str | None = Field(
        default=None,
        description="What the run is called on its page and beside other runs; its folder's name if not given.",
    )
    min_coverage: float = Field(default=0.95, ge=0, le=1, description="Exit with an error when fewer are scored.")
    retry: Reasons = Field(
        default=(), description=f"Judge unscored samples again, by reason: {', '.join(Why)}; separated by commas."
    )

    @model_validator(mode="after")
    def _models_have_judges(self) -> JudgingRequest:
        """Replies are kept of the model that is named."""
        if self.judge_model is None and self.reply_cache is not None:
            raise UsageError("--reply-cache keeps the replies of the model that --judge-model names; name one")
        return self

    def refuse_idle_model(self) -> None:
        """Raises UsageError: a model is named that is asked, and no judge that asks it."""
        if self.judge_model is not None and self.judges is None:
            raise UsageError(
                f"--judge-model {self.judge_model}: say with --judges which judges ask it, for example --judges "
                "prompt_image or --judges paper_without_hps (see `gotr1-eval list judges` and `list rewards`)"
            )


class ScoreRequest(JudgingRequest):
    """Pictures and chains made elsewhere, to be judged as they are."""

    source: str = Field(
        description="A folder of pictures, or a table (CSV, TSV, JSON, JSON lines, Parquet); also a folder of tables, "
        "a pattern, or a URL (s3://...)."
    )
    columns: str | None = Field(
        default=None,
        description="What the table's columns hold: prompt=caption,image=image_path (also chain, category).",
    )


class RunRequest(JudgingRequest):
    """A benchmark's prompts, the pictures for them, and who judges."""

    suite: str = Field(
        description="A benchmark (see `gotr1-eval list suites`), also name,setting=value; or a .txt, .jsonl, .csv or "
        ".parquet file of prompts (pattern, URL)."
    )
    data: Path | None = Field(
        default=None, description="Folder with the suite's prompts; by default what `gotr1-eval data fetch` brought."
    )
    generator: Component | None = Field(default=None, description=f"Who makes the pictures, {_FORM}")
    images: Path | None = Field(
        default=None,
        description="Judge the pictures of this folder, in the benchmark's official layout, made elsewhere.",
    )
    categories: Names = Field(default=(), description="Only these categories, separated by commas.")
    images_per_prompt: int | None = Field(default=None, ge=1, description="By default the suite's own number.")
    limit: int | None = Field(default=None, ge=1, description="Only so many prompts of each category.")
    seed: int = Field(default=0, description="Seed of the run.")
    detector: Component | None = Field(default=None, description=f"Detector of the official metrics, {_FORM}")
    yes_no: Component | None = Field(default=None, description=f"Model that answers about phrases, {_FORM}")
    encoder: Component | None = Field(default=None, description=f"Encoder of pictures and texts, {_FORM}")
    depth: Component | None = Field(default=None, description=f"Depth model of 3d_spatial, {_FORM}")
    phrases: Component | None = Field(
        default=None, description=f"Source of noun phrases, {_FORM}; builtin unless given."
    )
    ocr: Component | None = Field(default=None, description=f"Reader of the text in pictures, {_FORM}")
    semantics: Literal["reference", "corrected"] = Field(
        default="reference", description="Official metrics as their scripts compute them, bug for bug, or corrected."
    )
    shard: str | None = Field(
        default=None, description="Only this shard of the run, such as 1/4; `gotr1-eval merge` puts shards together."
    )

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, values: Any) -> Any:  # noqa: ANN401 (pydantic hands over whatever it was given)
        return unfold(values) if isinstance(values, Mapping) else values

    @property
    def models(self) -> dict[str, dict[str, Json]]:
        """Role -> the model that is named for it."""
        return {role: dict(spec) for role in ROLES if (spec := getattr(self, role)) is not None}


@dataclass(frozen=True, slots=True)
class ShortForm:
    """An option that stands for one setting of a component.

    Attributes:
        field: the request's field that holds the component.
        use: the component that it names; None where another option names it.
        setting: of the component.
        kind: type of the value.
        help: what it does.
    """

    field: str
    use: str | None
    setting: str
    kind: type
    help: str


SHORT_FORMS: Mapping[str, ShortForm] = {
    "ckpt": ShortForm(
        "generator",
        "janus",
        "ckpt",
        str,
        "A Janus generator: a checkpoint folder, a hub repository, or tiny-janus (embedded); short for "
        "--generator janus,ckpt=...",
    ),
    "guidance": ShortForm("generator", None, "guidance", float, "The generator's guidance weight; Janus's is 5."),
    "chain_cap": ShortForm("generator", None, "chain_cap", int, "Most tokens of a chain; 600 unless given."),
    "detections": ShortForm(
        "detector",
        "precomputed",
        "path",
        Path,
        "Detections made elsewhere (docs/metrics.md); short for --detector precomputed,path=...",
    ),
}


def option(name: str) -> str:
    """A field's name as people type it: ``--images-per-prompt``."""
    return f"--{name.replace('_', '-')}"


def unfold(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a request with its short forms written out.

    Raises:
        UsageError: a short form beside the component that it names, or without the one that it needs.
    """
    full = {name: value for name, value in values.items() if name not in SHORT_FORMS}
    short = {name: (SHORT_FORMS[name], values[name]) for name in SHORT_FORMS if values.get(name) is not None}
    for name, (form, value) in short.items():
        if form.use is not None:
            if full.get(form.field) is not None:
                raise UsageError(f"give either {option(name)} or {option(form.field)}, of which it is a short form")
            full[form.field] = {"use": form.use, form.setting: str(value)}
    for name, (form, value) in short.items():
        if form.use is None:
            named = full.get(form.field)
            if named is None and full.get("images") is not None:
                raise UsageError(f"{option(name)}: the pictures of --images are made already")
            if named is None:
                raise UsageError(f"{option(name)} is a setting of the {form.field}: name one with {option(form.field)}")
            spec = read_component(named, option(form.field)) if isinstance(named, str) else named
            full[form.field] = {**spec, form.setting: value}
    return full
