"""Settings -> live objects: the only place that loads plug-ins. What is built twice is loaded once."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from gotr1_eval.core.errors import DataError, MissingWeightsError, UsageError
from gotr1_eval.core.perception import Depth, FileDetector, Ocr, Phrases, YesNo
from gotr1_eval.core.plugins import (
    BENCHMARKS,
    DEPTHS,
    DETECTORS,
    ENCODERS,
    GENERATORS,
    JUDGES,
    OCRS,
    PERCEPTUAL,
    PHRASES,
    REWARD_MODELS,
    VLMS,
    YES_NO,
    Registry,
    check_offers,
)
from gotr1_eval.core.protocols import (
    Detector,
    Encoder,
    Generator,
    Grounder,
    Judge,
    Metered,
    Perceptual,
    RewardModel,
    Served,
    Spent,
    Suite,
    TokenBudget,
    Vlm,
)
from gotr1_eval.core.types import Json
from gotr1_eval.files.downloading import without_downloads
from gotr1_eval.models.vlms.cached import CachedVlm
from gotr1_eval.settings import Settings, read_component, read_settings, read_toml
from rewards.grounders import DetectorGrounder, PrecomputedGrounder, VlmGrounder, VlmGrounderSettings
from rewards.reward_set import RewardSet, assemble, read_reward_set

_PROTOCOLS: Mapping[Registry, type] = {
    JUDGES: Judge, DETECTORS: Detector, VLMS: Vlm, ENCODERS: Encoder, YES_NO: YesNo, DEPTHS: Depth, PHRASES: Phrases,
    OCRS: Ocr, PERCEPTUAL: Perceptual, REWARD_MODELS: RewardModel, GENERATORS: Generator, BENCHMARKS: Suite,
}  # fmt: skip
"""What every plug-in of a kind offers."""
_MODELS = {
    "detector": DETECTORS, "encoder": ENCODERS, "yes_no": YES_NO, "depth": DEPTHS, "phrases": PHRASES, "ocr": OCRS,
    "vlm": VLMS,
}  # fmt: skip


class Builder:
    """Builds plug-ins from ``{"use": name, ...}``; the `Workshop` that plug-ins are handed.

    Every method raises `UsageError` for an unknown name or setting.
    """

    def __init__(self) -> None:
        self._built: dict[tuple[str, str], object] = {}
        self._built_for: dict[int, list[object]] = {}
        """Of something built, by its id: what was asked for while it was built, and for that in turn."""
        self._asked_for: list[list[object]] = []
        """The same of what is being built now, the innermost last."""

    def built(self) -> list[object]:
        """Everything that was built so far."""
        return list(self._built.values())

    def detector(self, spec: Mapping[str, Json]) -> Detector:
        """A detector, built once per spec."""
        return cast(Detector, self._build(DETECTORS, spec))

    def vlm(self, spec: Mapping[str, Json] | str) -> Vlm:
        """A language-vision model, built once per spec; a text is read as that of ``--judge-model``."""
        return cast(Vlm, self._build(VLMS, read_judge_model(spec) if isinstance(spec, str) else spec))

    def traffic(self) -> str:
        """What the servers behind models are doing, for a line of progress; empty where there are none."""
        return "; ".join(built.traffic() for built in tuple(self._built.values()) if isinstance(built, Served))

    def spent(self) -> list[Spent]:
        """What the servers behind models counted so far."""
        return [built.spent() for built in tuple(self._built.values()) if isinstance(built, Metered)]

    def ready(self) -> None:
        """Ask the servers behind models whether they answer; not those behind a cache, which may know everything.

        Raises:
            UsageError, BackendError: one does not, and why.
        """
        built = tuple(self._built.values())
        cached = {id(model.vlm) for model in built if isinstance(model, CachedVlm)}
        for model in built:
            if isinstance(model, Served) and id(model) not in cached:
                model.ready()

    def encoder(self, spec: Mapping[str, Json]) -> Encoder:
        """An encoder, built once per spec."""
        return cast(Encoder, self._build(ENCODERS, spec))

    def perceptual(self, spec: Mapping[str, Json]) -> Perceptual:
        """A perceptual distance, built once per spec."""
        return cast(Perceptual, self._build(PERCEPTUAL, spec))

    def reward_model(self, spec: Mapping[str, Json]) -> RewardModel:
        """A reward model, built once per spec."""
        return cast(RewardModel, self._build(REWARD_MODELS, spec))

    def yes_no(self, spec: Mapping[str, Json]) -> YesNo:
        """A yes-no model, built once per spec."""
        return cast(YesNo, self._build(YES_NO, spec))

    def depth(self, spec: Mapping[str, Json]) -> Depth:
        """A depth model, built once per spec."""
        return cast(Depth, self._build(DEPTHS, spec))

    def phrases(self, spec: Mapping[str, Json]) -> Phrases:
        """A source of noun phrases, built once per spec."""
        return cast(Phrases, self._build(PHRASES, spec))

    def ocr(self, spec: Mapping[str, Json]) -> Ocr:
        """A reader of text, built once per spec."""
        return cast(Ocr, self._build(OCRS, with_vlm(spec)))

    def grounder(self, spec: Mapping[str, Json]) -> Grounder:
        """A grounder: a detector by name, or ``{"use": "vlm", "vlm": ..., ...}``, a language-vision model."""
        if spec.get("use") != "vlm":
            detector = self.detector(spec)
            if isinstance(detector, FileDetector):
                return PrecomputedGrounder(detector, detector.name, detector.fingerprint)
            return DetectorGrounder(detector)
        values = {option: value for option, value in spec.items() if option != "use"}
        settings = read_settings(VlmGrounderSettings, values, where="grounder 'vlm'")
        return VlmGrounder(self.vlm(settings.vlm), one_question=settings.one_question, prompt_file=settings.prompt_file)

    def generator(self, spec: Mapping[str, Json]) -> Generator:
        """A generator, built once per spec."""
        return cast(Generator, self._build(GENERATORS, spec))

    def deciding(self, spec: Mapping[str, Json]) -> dict[str, Json]:
        """The given settings of a generator by which a picture may be another one, beside its fingerprint."""
        _, settings = self._read(GENERATORS, spec)
        return {name: value for name, value in spec.items() if name not in {"use", *settings.undeciding}}

    def token_budget(self, spec: Mapping[str, Json]) -> TokenBudget:
        """What a sample of the generator takes; reads its configuration, loads no weights."""
        module, settings = self._read(GENERATORS, spec)
        return cast(TokenBudget, module.token_budget(settings))

    def judge(self, spec: Mapping[str, Json]) -> Judge:
        """A judge, built once per spec."""
        return cast(Judge, self._build(JUDGES, spec))

    def suite(self, spec: Mapping[str, Json]) -> Suite:
        """A benchmark suite; dashes and underscores in its name are the same."""
        name = str(spec["use"]).replace("-", "_")
        return cast(Suite, self._build(BENCHMARKS, {**spec, "use": name}))

    def suites(self) -> list[Suite]:
        """Every suite that needs no setting of its own, by name."""
        modules = {name: BENCHMARKS.load(name) for name in BENCHMARKS.list()}
        open_ones = [
            name
            for name, module in modules.items()
            if not any(field.is_required() for field in module.Settings.model_fields.values())
        ]
        return [self.suite({"use": name}) for name in open_ones]

    def reward_set(
        self, name: str, judge_model: Mapping[str, Json] | None = None, *, idle_model: bool = False
    ) -> RewardSet:
        """Judges and total of a reward set; see `rewards.reward_set.read_reward_set` for what a name may be.

        Args:
            judge_model: the language-vision model of every judge that asks one and does not name its own; before the
                one that the set names for all.
            idle_model: the model has judges of its own beside the set, none of which need ask it.

        Raises:
            UsageError: also when a model is named and no judge of the set asks one.
        """
        specs = self.judge_specs(name, judge_model, idle_model=idle_model)
        settings = read_reward_set(name)
        build = self._judge_or_absent if settings.absent == "empty" else self.judge
        judges = {factor: build(spec) for factor, spec in specs.items()}
        return assemble(settings, judges, self._turns(judges))

    def _turns(self, judges: Mapping[str, Judge]) -> list[Collection[str]]:
        """The factors in groups: within one, judges are the same or hold a common model that is not a server."""
        groups: list[tuple[set[str], set[int]]] = []
        for factor, judge in judges.items():
            held = [judge, *self._built_for.get(id(judge), ())]
            factors, models = {factor}, {id(model) for model in held if not isinstance(model, Served)}
            for group in [group for group in groups if group[1] & models]:
                groups.remove(group)
                factors |= group[0]
                models |= group[1]
            groups.append((factors, models))
        return [factors for factors, _ in groups if len(factors) > 1]

    def _judge_or_absent(self, spec: Mapping[str, Json]) -> Judge:
        """A judge, or what stands for it where its weights are not on this machine; nothing is fetched."""
        judge = self.judge(spec)
        try:
            with without_downloads():
                judge.fingerprint  # noqa: B018 - looks for every file that the judge needs
        except MissingWeightsError as error:
            low, high = judge.range
            return self.judge(
                {
                    "use": "gotr1_eval.absent_judge", "name": judge.name, "lowest": low, "highest": high,
                    "looks_at": judge.looks_at, "reason": str(error),
                }
            )  # fmt: skip
        return judge

    def judge_specs(
        self, name: str, judge_model: Mapping[str, Json] | None = None, *, idle_model: bool = False
    ) -> dict[str, Mapping[str, Json]]:
        """Factor -> the settings of every judge of a reward set, the model filled in; arguments as of `reward_set`."""
        settings = read_reward_set(name)
        model = judge_model or settings.judge_model
        specs = {factor: self.with_model(spec, model) for factor, spec in settings.judges.items()}
        if judge_model is not None and specs == settings.judges and not idle_model:
            raise UsageError(f"--judge-model: no judge of {name!r} asks a model that is left open")
        return specs

    def check_settings(self, kind: str, spec: Mapping[str, Json]) -> None:
        """Read a model's settings and build nothing; `kind` is ``detector``, ``encoder``, ``yes_no``, ..."""
        self._read(_MODELS[kind], with_vlm(spec))

    def with_model(self, spec: Mapping[str, Json], model: Mapping[str, Json] | None) -> Mapping[str, Json]:
        """The judge's settings with the common model filled in where it asks one, and unchanged where it does not.

        Raises:
            UsageError: it asks one, and there is none.
        """
        name = str(spec.get("use", ""))
        settings = JUDGES.load(name).Settings
        for field in sorted(settings.holds_judges & set(spec)):
            given = spec[field]
            inner = read_component(given) if isinstance(given, str) else cast(Mapping[str, Json], given)
            if (filled_in := self.with_model(inner, model)) != inner:
                spec = {**spec, field: dict(filled_in)}
        open_fields = {"vlm", "grounder"} & set(settings.model_fields) - set(spec)
        if not open_fields:
            return spec
        if model is None:
            raise UsageError(f"judge {name!r} asks a language-vision model; name one with --judge-model (judge_model)")
        filled: dict[str, Json] = {"vlm": dict(model), "grounder": {"use": "vlm", "vlm": dict(model)}}
        return {**spec, **{field: filled[field] for field in open_fields}}

    def spec_of(self, built: object) -> dict[str, Json]:
        """The settings of something that this builder built, from which another process can build it, too.

        Raises:
            UsageError: it was made elsewhere.
        """
        for (_, spec), live in self._built.items():
            if live is built:
                return dict(json.loads(spec))
        raise UsageError(f"{type(built).__name__} was not built from settings, and cannot be built in other processes")

    def _build(self, registry: Registry, spec: Mapping[str, Json]) -> object:
        key = (registry.kind, json.dumps(spec, sort_keys=True, default=str))
        if key not in self._built:
            module, settings = self._read(registry, spec)
            self._asked_for.append([])
            try:
                built = module.build(settings, self)
            finally:
                asked_for = self._asked_for.pop()
            check_offers(built, _PROTOCOLS[registry], f"{registry.kind} {spec.get('use')!r}")
            self._built[key] = built
            self._built_for[id(built)] = asked_for
        if self._asked_for:
            self._asked_for[-1] += [self._built[key], *self._built_for[id(self._built[key])]]
        return self._built[key]

    def _read(self, registry: Registry, spec: Mapping[str, Json]) -> tuple[Any, Settings]:
        """The plug-in's module, and its settings filled from the spec."""
        name = str(spec.get("use", ""))
        module: Any = registry.load(name)
        values = {option: value for option, value in spec.items() if option != "use"}
        return module, read_settings(module.Settings, values, where=f"{registry.kind} {name!r}")


def with_vlm(spec: Mapping[str, Json]) -> Mapping[str, Json]:
    """The settings of a ``vlm`` that says its model as ``--judge-model`` does, with the model's settings in its place.

    ``vlm,model=Qwen/Qwen2.5-VL-7B-Instruct`` is what fits into an option; other settings are left as they are.
    """
    model = spec.get("model")
    if spec.get("use") != "vlm" or not isinstance(model, str):
        return spec
    return {**{name: value for name, value in spec.items() if name != "model"}, "vlm": read_judge_model(model)}


def read_judge_model(text: str, reply_cache: Path | None = None) -> dict[str, Json]:
    """The settings of the model that ``--judge-model`` names.

    Args:
        text: a checkpoint folder, a repository on the Hugging Face hub, servers and their model,
            ``http://127.0.0.1:8000/v1#Qwen/Qwen2.5-VL-7B-Instruct`` (several addresses with commas between them), a
            ``.toml`` file with the settings of a language-vision model, or a plug-in, ``name,setting=value,...``, where
            no folder has that name.
        reply_cache: file in which replies are kept; None keeps none.

    Raises:
        UsageError: a server without the name of its model.
        DataError: the file is no TOML.
    """
    spec: dict[str, Json]
    if text.endswith(".toml"):
        spec = {"use": "openai_compatible", **read_toml(Path(text))}
    elif text.startswith(("http://", "https://")):
        servers, _, model = text.partition("#")
        if not model:
            raise UsageError(
                f"--judge-model {text}: which model? append its name, as in {text}#Qwen/Qwen2.5-VL-7B-Instruct"
            )
        urls: list[Json] = [url.strip() for url in servers.split(",")]
        spec = {"use": "openai_compatible", "base_url": urls if len(urls) > 1 else urls[0], "model": model}
    elif text.partition(",")[0] in VLMS.list() and not Path(text).exists():
        spec = read_component(text, "--judge-model")
    else:
        spec = {"use": _local_kind(text), "model": text}
    if spec["use"] == "openai_compatible" and (family := _box_family(str(spec.get("model", "")))):
        spec = {"family": family, **spec}
    return spec if reply_cache is None else {"use": "cached", "vlm": spec, "path": str(reply_cache)}


def _box_family(model: str) -> str | None:
    """How a served model answers boxes, where its name tells; None leaves it to a setting."""
    name = re.sub("[^a-z0-9]", "", model.lower())
    if "qwen25vl" in name:
        return "qwen2.5-vl"
    return "thousand" if "qwen2vl" in name or "qwen3vl" in name else None


def _local_kind(model: str) -> str:
    """The plug-in that runs a checkpoint: by a folder's configuration, or else by a repository's name."""
    path = Path(model) / "config.json"
    if not path.is_file():
        name = model.lower()
        return "qwen" if "qwen" in name and "vl" in name else "transformers_auto"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, sees = config.get("model_type"), "vision_config" in config
        writes = any(str(one).endswith("ForCausalLM") for one in config.get("architectures") or ())
    except (ValueError, AttributeError, TypeError):
        raise DataError("not a model's configuration", path=path) from None
    if kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"):
        return "qwen"
    return "causal_lm" if writes and not sees else "transformers_auto"
