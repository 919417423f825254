"""README and docs: every link leads somewhere, and every command in them is one that the program takes."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
import typer
import typer.main

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import make_app
from gotr1_eval.core.plugins import JUDGES
from gotr1_eval.settings import read_settings
from rewards.reward_set import read_reward_set
from rewards.total import Total

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchor_of(heading: str) -> str:
    """The anchor a repository browser gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def commands(page: Path) -> list[str]:
    """The lines of the page's code blocks that call the program, continued lines joined, without comments."""
    code = "\n".join(FENCE.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    calls = re.findall(r"(?:^|&& )\s*gotr1-eval (.*?)(?= && |$)", code, re.MULTILINE)
    return [re.sub(r"\s#.*| \.\.\.$|\s>.*", "", call).strip() for call in calls]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(anchor_of, headings), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_taken_as_they_stand(page: Path):
    program = typer.main.get_command(make_app())
    for call in commands(page):
        command, words = program, shlex.split(call)
        while hasattr(command, "commands"):
            assert words[0] in command.commands, call
            command = command.commands[words.pop(0)]
        # Parses and checks every option and argument, and runs nothing; an option that only shows something ends there.
        with suppress(typer.Exit):
            command.make_context(call, words)


def test_the_reward_set_of_the_docs_is_one(tmp_path: Path):
    (text,) = re.findall(r"^```toml\n(# my_rewards.*?)^```", (ROOT / "docs/rewards.md").read_text("utf-8"), re.M | re.S)
    file = tmp_path / "my_rewards.toml"
    file.write_text(text, encoding="utf-8")
    settings = read_reward_set(str(file))
    for spec in Builder().judge_specs(str(file)).values():
        values = {option: value for option, value in spec.items() if option != "use"}
        read_settings(JUDGES.load(spec["use"]).Settings, values, where=spec["use"])
    ranges = {"aesthetic": (-1.0, 1.0)}
    facts = {factor: (ranges.get(factor, (0.0, 1.0)), factor == "spatial") for factor in settings.judges}
    assert Total(settings.total, facts).name == "total[paper; aesthetic by affine(0.2,0.35); spatial when applicable]"


def test_there_are_commands_to_check():
    assert sum(len(commands(page)) for page in PAGES) > 60
