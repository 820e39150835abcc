"""Which cluster an evaluation is done on: workers on this machine, or a cluster of Ray's."""

import re
from dataclasses import dataclass

from embedlab.errors import UserError

_FORMS = (
    "Type --cluster local:4 for four workers on this machine, auto for the Ray cluster of this"
    " machine or RAY_ADDRESS, or ray://HOST:10001."
)


@dataclass(frozen=True)
class ClusterAddress:
    """`workers` on this machine, started for the purpose; or, where that is 0, a cluster that runs:
    at `url`, or where Ray finds it.
    """

    workers: int = 0
    url: str = ""

    def __str__(self) -> str:
        return f"local:{self.workers}" if self.workers else self.url or "auto"

    @classmethod
    def read(cls, text: str) -> "ClusterAddress":
        """The cluster that `local:N`, `auto` or `ray://HOST:PORT` stands for.

        Raises:
            UserError: it is none of them.
        """
        if text == "auto":
            return cls()
        if found := re.fullmatch(r"local:([0-9]{1,4})", text):
            if not int(found[1]):
                raise UserError(f"--cluster {text}: nobody would work.", _FORMS)
            return cls(workers=int(found[1]))
        if re.fullmatch(r"ray://[^/:\s]+:[0-9]{1,5}", text):
            return cls(url=text)
        raise UserError(f"--cluster {text!r} is no cluster.", _FORMS)
