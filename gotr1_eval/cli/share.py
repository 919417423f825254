"""gotr1-eval push and bundle: a run for the hub, and a run for a bug report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gotr1_eval.core.errors import BackendError, UsageError, one_line
from gotr1_eval.core.types import Json


def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.")],
    repo: Annotated[str, typer.Option("--repo", help="The data set on the hub: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new data set private.")] = False,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Also the run's own pictures.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
) -> None:
    """Put a run on the Hugging Face hub as a data set: scores, judgments, pictures, the page, and a card.

    The hub's own token is used (`hf auth login`, or HF_TOKEN).
    """
    from gotr1_eval.cli.terminal import err, out
    from reports.run_data import load_run
    from reports.sharing import CARD, shared

    if repo.count("/") != 1 or not all(repo.split("/")):
        raise UsageError(f"--repo {repo}: expected owner/name")
    found = shared(load_run(run), pictures=pictures)
    if dry_run:
        for name in (CARD, *found.files):
            out.print(name, markup=False, soft_wrap=True)
        err.print(f"{len(found.files) + 1} files, {found.size / 1e6:,.1f} MB; nothing was sent", markup=False)
        return
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    operations = [CommitOperationAdd(CARD, found.card.encode())]
    operations += [CommitOperationAdd(name, str(path)) for name, path in found.files.items()]
    api = HfApi()
    try:
        api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
        sent = api.create_commit(
            repo, operations, commit_message=f"Run {run.absolute().name} of gotr1-eval", repo_type="dataset"
        )
    except LocalTokenNotFoundError:
        raise UsageError("the hub knows nobody here: hf auth login, or set HF_TOKEN") from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise BackendError(f"the hub refuses {repo}: {one_line(error, 200)}; nothing is lost, try again") from None
    err.print(f"{len(operations)} files in {sent.commit_url}", markup=False, soft_wrap=True)


def bundle(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    to: Annotated[Path | None, typer.Option("--to", help="The file; by default <run>-bundle.zip here.")] = None,
) -> None:
    """Pack what a bug report needs of a run: settings, versions, some of what went wrong; no pictures, no keys."""
    from benchmarks.doctor.environment import extras, versions
    from gotr1_eval.cli.terminal import err
    from reports.run_data import load_run
    from reports.sharing import write_bundle

    environment: dict[str, Json] = {
        "versions": dict(versions()),
        "extras": {extra: dict(packages) for extra, packages in extras().items()},
    }
    target = to or Path(f"{run.absolute().name}-bundle.zip")
    if target.suffix != ".zip":
        raise UsageError(f"--to {target}: expected a file ending in .zip")
    names = write_bundle(load_run(run), target, environment)
    err.print(f"{target}: {', '.join(names)}; look into it before you send it", markup=False, soft_wrap=True)
