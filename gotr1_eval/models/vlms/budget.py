"""What a served model may cost, in tokens or in money, from the start of the process."""

from __future__ import annotations

import threading

from gotr1_eval.core.errors import BudgetError


class Budget:
    """Counts what was spent, for any number of threads.

    Args:
        tokens: of questions and answers together; None for no limit.
        cost: in the currency of the prices; None for no limit.
        prices: of a million tokens of questions, and of answers.
    """

    def __init__(self, tokens: int | None, cost: float | None, prices: tuple[float, float]) -> None:
        self._tokens, self._cost, self._prices = tokens, cost, prices
        self._lock = threading.Lock()
        self._spent = (0, 0)

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._tokens is not None or self._cost is not None

    @property
    def tokens(self) -> int:
        """Spent so far."""
        return sum(self._spent)

    @property
    def cost(self) -> float:
        """Spent so far."""
        return sum(count * price for count, price in zip(self._spent, self._prices, strict=True)) / 1e6

    @property
    def spent(self) -> bool:
        """Whether a limit is reached; requests under way at that moment are still paid for."""
        over = self._tokens is not None and self.tokens >= self._tokens
        return over or (self._cost is not None and self.cost >= self._cost)

    def spend(self, asked: int, answered: int) -> None:
        """Tokens of a question and its answer."""
        with self._lock:
            self._spent = (self._spent[0] + asked, self._spent[1] + answered)

    def check(self) -> None:
        """Raises BudgetError once a limit is reached."""
        if self.spent:
            raise BudgetError(
                f"the judge model's budget is spent ({self}); what was judged is saved, and the same command goes on "
                "with a new one"
            )

    def __str__(self) -> str:
        told = f"{self.tokens:,}" + (f" of {self._tokens:,}" if self._tokens is not None else "") + " tokens"
        if any(self._prices):
            told += f", cost {self.cost:.2f}" + (f" of {self._cost:.2f}" if self._cost is not None else "")
        return told
