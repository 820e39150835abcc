"""The one kind of error that a user meets: what is wrong, and what to type next."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend. The command line prints it without a traceback and exits with code 2.

    Args:
        problem: what is wrong, one sentence.
        hint: what is valid and what to type next.
    """

    def __init__(self, problem: str, hint: str = ""):
        super().__init__(problem)
        self.hint = hint


def unknown(kind: str, name: str, known: Iterable[str], more: str = "") -> UserError:
    """The error for a name that is not among the known ones, with the closest of them."""
    known = sorted(known)
    close = get_close_matches(name.lower(), {k.lower(): k for k in known}, n=3, cutoff=0.5)
    by_lower = {k.lower(): k for k in known}
    hint = f"Did you mean {' or '.join(by_lower[c] for c in close)}?" if close else ""
    return UserError(f"Unknown {kind} {name!r}.", " ".join(part for part in (hint, more) if part))


def missing_extra(feature: str, extra: str) -> UserError:
    """The error for an optional package that is not installed."""
    return UserError(f"{feature} needs packages that are not installed.", f"Type: pip install 'embedlab[{extra}]'")
