"""What a judgment costs, in four currencies; what is not known stays unknown, and is never taken as nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gotr1_eval.core.types import Json

CURRENCIES: Mapping[str, str] = {
    "flops": "FLOPs of models a judgment",
    "seconds": "seconds a judgment",
    "tokens": "tokens a judgment",
    "money": "money a judgment",
}
"""Currency -> what an axis says."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one judgment.

    Attributes:
        amounts: currency -> amount; None where unknown.
        how: currency -> where the amount comes from: measured, planned, stated, or that no model is asked.
    """

    amounts: Mapping[str, float | None] = field(default_factory=dict)
    how: Mapping[str, str] = field(default_factory=dict)

    def of(self, currency: str) -> float | None:
        """The amount; None where unknown."""
        return self.amounts.get(currency)

    def json(self) -> dict[str, Json]:
        """Amounts and where they come from."""
        return {name: {"amount": self.of(name), "how": self.how.get(name, "unknown")} for name in CURRENCIES}

    def with_share(self, other: Cost, share: float) -> Cost:
        """This cost of every item, and the other's of a share of them; unknown where either is."""
        found: dict[str, float | None] = {}
        for name in CURRENCIES:
            own, more = self.of(name), other.of(name)
            found[name] = own if share == 0 else None if own is None or more is None else own + share * more
        return Cost(found, dict.fromkeys(found, f"strong one for {share:.1%}"))


def known_currencies(costs: Sequence[Cost]) -> list[str]:
    """Those in which at least two judges can be compared, and do not all cost the same."""
    found = []
    for name in CURRENCIES:
        amounts = [amount for cost in costs if (amount := cost.of(name)) is not None]
        if len(amounts) > 1 and len(set(amounts)) > 1:
            found.append(name)
    return found
