"""An agreement as a terminal shows it."""

from __future__ import annotations

import json

from gotr1_eval.cli.terminal import out
from reports.agreement.analysis import Agreement
from reports.agreement.as_json import agreement_json


def show_agreement(agreement: Agreement, *, as_json: bool) -> None:
    """The tables, and below them what was counted and left out."""
    if as_json:
        text = json.dumps(agreement_json(agreement), indent=2, ensure_ascii=False, allow_nan=False)
        out.print(text, markup=False, soft_wrap=True)
        return
