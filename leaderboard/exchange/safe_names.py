"""Names that come from users, as names of files."""

import re


def segment(name: str) -> str:
    """A name as one folder or file: nothing in it leads elsewhere."""
    return re.sub(r"[^\w.=+-]", "_", name).lstrip(".") or "_"
