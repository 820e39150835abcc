"""TOML files: cards, benchmarks, recipes."""

import tomllib
from pathlib import Path
from typing import Any

from embedlab.errors import UserError


def read(path: Path, what: str, hint: str = "") -> dict[str, Any]:
    """What the file says.

    Args:
        what: the file is, for the message: "recipe".

    Raises:
        UserError: it is no TOML in UTF-8, or cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also of its encoding, and of numbers too long for Python
        raise UserError(f"The {what} {path} is no TOML: {error}.", hint or "Mend the file.") from error
    except RecursionError:
        raise UserError(f"The {what} {path} is nested too deep.", hint or "Mend the file.") from None
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read: {error.strerror}.", "Check its permissions.") from error
