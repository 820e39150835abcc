"""The options of an evaluation, from `embedlab.options`, where they are declared."""

from dataclasses import fields

from embedlab.option_fields import default_of
from embedlab.options import GROUPS
from generators.page_tables import code, table

_HEAD = """# Options of an evaluation

Declared once in `embedlab/options.py`: `embedlab eval` has them as options, `embedlab.evaluate` as
keyword arguments, and every run records them whole (`embedlab runs show ID`). An option that no
model of a request could use is refused.
"""


def page() -> str:
    """The page reference/options.md."""
    parts = [_HEAD]
    for group in GROUPS.values():
        rows = [
            [
                code(each.metadata["flag"] or f"--{each.name.replace('_', '-')}"),
                code(each.name),
                code(default_of(each)),
                each.metadata["help"],
            ]
            for each in fields(group)
        ]
        about = (group.__doc__ or "").split("\n\n")[0]
        parts += [
            f"## {about}",
            table(["command line", "Python", "default in Python", "meaning"], rows),
        ]
    return "\n\n".join(parts)
