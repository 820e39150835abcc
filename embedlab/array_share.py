"""One share of a plan that several independent processes do, each the same command with its own:
`0/3`, `1/3`, `2/3`, or what Slurm says of an array job.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from embedlab.errors import UserError

_SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True)
class Share:
    """Share `index`, counted from 0, of `parts`."""

    index: int
    parts: int

    def __str__(self) -> str:
        return f"{self.index}/{self.parts}"

    @classmethod
    def read(cls, text: str) -> "Share":
        """The share that `i/n` or `slurm` stands for.

        Raises:
            UserError: it is neither, there is no such share, or this is no array job of Slurm's.
        """
        if text == "slurm":
            return cls._of_slurm()
        if not (found := re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)):
            raise UserError(
                f"--array {text!r} is no share of a plan.",
                "Type i/n, counted from 0: --array 0/3, 1/3 and 2/3 in three processes; or slurm in"
                " an array job of Slurm's.",
            )
        index, parts = map(int, found.groups())
        if index >= parts:
            last = f"the last of {parts} is {parts - 1}/{parts}" if parts else "of one it is 0/1"
            raise UserError(
                f"--array {text}: there is no such share.", f"They count from 0: {last}."
            )
        return cls(index, parts)

    @classmethod
    def _of_slurm(cls) -> "Share":
        said = [os.environ.get(name, "") for name in _SLURM]
        if lacking := [
            name for name, value in zip(_SLURM, said, strict=True) if not value.isdecimal()
        ]:
            raise UserError(
                f"--array slurm: {lacking[0]} is not set, so this is no array job of Slurm's.",
                "Submit it with sbatch --array=0-7, or type a share: --array 0/8.",
            )
        id, first, count = map(int, said)
        if not first <= id < first + count:
            raise UserError(
                f"--array slurm: job {id} of {count} from {first} on: the array has gaps.",
                f"Submit it with sbatch --array=0-{max(count, 1) - 1}.",
            )
        return cls(id - first, count)

    def beside(self, store: Path) -> Path:
        """The store of this share, beside that of the whole."""
        return store.with_name(f"{store.stem}-{self.index}-of-{self.parts}{store.suffix}")
