"""The one kind of error that a user meets: what is wrong, and what to type next."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend.
    The command line prints it without a traceback and exits with code 2.

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
    return UserError(
        f"{feature} needs packages that are not installed.",
        f"Type: pip install 'embedlab[{extra}]'",
    )


@contextmanager
def training_packages(feature: str) -> Iterator[None]:
    """Imports that need the packages of the extra `train`, for `feature`.

    Raises:
        UserError: one of them is not installed.
    """
    try:
        yield
    except ImportError as error:
        if error.name in ("accelerate", "datasets", "peft"):
            raise missing_extra(feature, "train") from None
        raise


_PACKAGES = {"embedlab", "retrievers", "leaderboard", "app"}
_NEXT = {
    errno.ENOSPC: "Free some space, or choose another disk (EMBEDLAB_HOME, --db, --out).",
    errno.EDQUOT: "Free some of your quota, or choose another disk (EMBEDLAB_HOME, --db, --out).",
    errno.EFBIG: (
        "Raise the limit of a file's size (ulimit -f), or choose another disk (EMBEDLAB_HOME, --db,"
        " --out)."
    ),
    errno.EROFS: "The disk is read-only: choose another (EMBEDLAB_HOME, --db, --out).",
    errno.EACCES: "Check the permissions, or choose another place (EMBEDLAB_HOME, --db, --out).",
    errno.EPERM: "Check the permissions, or choose another place (EMBEDLAB_HOME, --db, --out).",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: (
        "A link in it leads back to itself: choose another place (EMBEDLAB_HOME, --db, --out)."
    ),
    errno.ENOTDIR: (
        "A part of it is a file, no folder: choose another place (EMBEDLAB_HOME, --db, --out)."
    ),
    errno.EISDIR: "It is a folder: name a file.",
    errno.EMFILE: "Raise the number of open files: ulimit -n 4096",
}


def explained(error: BaseException) -> tuple[str, str] | None:
    """What is wrong and what to type next: of our own errors,
    and of those that a machine gives to any program.

    Our packages do not import each other's errors; a class that comes from one of them and has a
    `hint` is ours.

    Returns:
        problem and hint; None for anything else, which is a fault of a program and no one's to mend
        but its authors'.
    """
    ours = any(cls.__module__.partition(".")[0] in _PACKAGES for cls in type(error).__mro__)
    if ours and hasattr(error, "hint"):
        return str(error), error.hint
    if isinstance(error, MemoryError):
        return (
            "The memory of this machine is used up.",
            "Type --batch-tokens with a smaller number, or fewer --workers.",
        )
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        # The words of `tempfile`.
        return (
            "No folder for temporary files can be written.",
            "Free some space, or name another: TMPDIR=DIR",
        )
    if number := _from_foreign_runtime(error):
        return f"A file cannot be written: {os.strerror(number)}.", _NEXT[number]
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop from "):
        # Python 3.11's ELOOP.
        return (
            f"{str(error).removeprefix('Symlink loop from ')} cannot be used.",
            _NEXT[errno.ELOOP],
        )
    if isinstance(error, OSError) and error.errno in _NEXT:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return (
            f"{' and '.join(names) or 'A file'} cannot be used: {error.strerror}.",
            _NEXT[error.errno],
        )
    return None


def reason(error: BaseException, command: str) -> tuple[str, str]:
    """The problem and hint that are recorded of what failed inside a command, while the rest goes
    on; `--debug` shows its traceback.
    """
    if os.environ.get("EMBEDLAB_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return explained(error) or (
        f"{type(error).__name__}: {error}",
        f"Type `embedlab --debug {command} ...` to see where it happened.",
    )


# What libraries that write files themselves make of the machine's error: Rust (safetensors,
# tokenizers), C++ (Arrow, torch, FAISS). torch's writer of archives names no reason; it is the
# disk's.
_NUMBERED, _WRITER = (
    re.compile(r"\((?:os error|errno) (\d+)\)"),
    re.compile(r"PytorchStreamWriter|inline_container"),
)


def _from_foreign_runtime(error: BaseException) -> int | None:
    """The machine's number for an error that came as another library's own;
    None where it is not one of `_NEXT`.
    """
    text = str(error)
    if isinstance(error, OSError) and error.errno:
        return None
    if match := _NUMBERED.search(text):
        return int(match[1]) if int(match[1]) in _NEXT else None
    if isinstance(error, RuntimeError) and _WRITER.search(text):
        return errno.ENOSPC
    return next((number for number in _NEXT if os.strerror(number) in text), None)
