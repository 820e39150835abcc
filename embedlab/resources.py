"""Where the files live that ship with embedlab, and where what it keeps between runs goes."""

import os
import re
from pathlib import Path

import platformdirs

_FOLDER = re.compile("(file|local)://")
_PACKAGE = Path(__file__).parent
# A wheel carries data/ inside the package; a source checkout has it beside the package.
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"


def home() -> Path:
    """The folder for everything kept between runs: `EMBEDLAB_HOME`, or the user's data folder."""
    return Path(os.environ.get("EMBEDLAB_HOME") or platformdirs.user_data_dir("embedlab"))


def vectors_folder() -> Path:
    """The folder of the vector store: `EMBEDLAB_VECTORS` where that is a folder; otherwise in
    `EMBEDLAB_HOME`, which is a copy then of what is needed of `vectors_address`.
    """
    named = _FOLDER.sub("", _vectors())
    return home() / "vectors" if not named or vectors_address() else Path(named).expanduser()


def vectors_address() -> str:
    """The object store that holds the vectors, `EMBEDLAB_VECTORS` where that is an address, such as
    s3://bucket/prefix; empty where there is none.
    """
    named = _vectors()
    # One letter and a colon is a drive of Windows.
    is_address = re.match(r"[A-Za-z][\w+.-]+:", named) and not _FOLDER.match(named)
    return named if is_address else ""


def _vectors() -> str:
    return os.environ.get("EMBEDLAB_VECTORS", "").strip()
