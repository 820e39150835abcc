"""Where the files live that ship with embedlab, and where what it keeps between runs goes."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parent
# A wheel carries data/ inside the package; a source checkout has it beside the package.
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"


def home() -> Path:
    """The folder for everything kept between runs: `EMBEDLAB_HOME`, or the user's data folder."""
    return Path(os.environ.get("EMBEDLAB_HOME") or platformdirs.user_data_dir("embedlab"))


def vectors_folder() -> Path:
    """The folder of the vector store."""
    return home() / "vectors"
