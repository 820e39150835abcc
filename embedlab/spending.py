"""What a command may spend on servers that are paid for, and what it has spent."""

import threading

from embedlab.errors import UserError

_KEPT = "What was answered is kept, and is not paid for again."


class Purse:
    """One for a command, however many models and tasks it evaluates; threads share it.

    Args:
        budget: US dollars; None knows no end.
    """

    def __init__(self, budget: float | None = None) -> None:
        self.budget, self.spent, self._promised = budget, 0.0, 0.0
        self._lock = threading.Lock()

    def check(self, price: float, what: str) -> None:
        """Refuse what would cost more than is left.

        Args:
            price: what it will cost, in US dollars.
            what: for the message, such as "SciFact".

        Raises:
            UserError: it is beyond the budget; nothing was sent.
        """
        if self.budget is not None and self.spent + price > self.budget:
            spent = f" beside {shown(self.spent)} spent already" if self.spent else ""
            raise UserError(
                f"{what} costs about {shown(price)}{spent}: more than --budget {self.budget:g}.",
                f"Type a larger --budget, or choose fewer tasks. {_KEPT}",
            )

    def promise(self, price: float) -> None:
        """Set aside what a request will cost.

        Raises:
            UserError: it is beyond the budget.
        """
        with self._lock:
            if self.budget is not None and self.spent + self._promised + price > self.budget:
                raise UserError(
                    f"The next request would go beyond --budget {self.budget:g}:"
                    f" {shown(self.spent)} are spent.",
                    f"Type a larger --budget. {_KEPT}",
                )
            self._promised += price

    def settle(self, promised: float, paid: float) -> None:
        """A request that `promised` was set aside for has cost `paid`; 0 where it failed."""
        with self._lock:
            self._promised -= promised
            self.spent += paid


def shown(dollars: float) -> str:
    """An amount as people write it: 0.13 USD, 0.000042 USD."""
    return f"{dollars:.2f} USD" if dollars >= 0.1 or not dollars else f"{dollars:.2g} USD"
