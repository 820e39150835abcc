"""A wrong key of a TOML file is named with its file and line, however deep it stands."""

from dataclasses import dataclass, field

import pytest

from embedlab import toml_files
from embedlab.errors import UserError
from embedlab.models.kinds import Kind


@dataclass(frozen=True)
class Inner:
    rank: int = 1


@dataclass(frozen=True)
class Step:
    steps: int
    rate: float = 1.0
    inner: Inner | None = None


@dataclass(frozen=True)
class Whole:
    name: str
    steps: list[Step] = field(default_factory=list)
    kind: Kind = Kind.DENSE
    more: dict[str, float] = field(default_factory=dict)


GOOD = """name = "a"
kind = "sparse"

[more]
x = 1

[[steps]]
steps = 3
rate = 2

[[steps]]
steps = 4
[steps.inner]
rank = 7
"""


def test_a_file_becomes_what_it_says(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text(GOOD)
    expected = Whole("b", [Step(3, 2.0), Step(4, inner=Inner(7))], Kind.SPARSE, {"x": 1.0})
    assert toml_files.read_as(Whole, file, "thing", given={"name": "b"}) == expected


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('name = "a"', "name = 3", 1, "name = 3: Expected `str`, got `int`"),
        ('kind = "sparse"', 'kind = "spares"', 2, "kind = 'spares'"),
        ("x = 1", 'x = "one"', 4, "more = {'x': 'one'}: Expected `float`, got `str`"),
        ("steps = 3", "", 7, "missing required field `steps`"),
        ("steps = 4", "steps = 4.5", 12, "steps = 4.5: Expected `int`, got `float`"),
        ("steps = 4", "steps = 4\nstepz = 4", 13, "Unknown key 'stepz'"),
        ("rank = 7", "rang = 7", 14, "Unknown key 'rang'"),
        ("rank = 7", "rank = true", 14, "rank = True: Expected `int`, got `bool`"),
        ("[more]", "[moore]", 4, "Unknown key 'moore'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, line, words):
    file = tmp_path / "a.toml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        toml_files.read_as(Whole, file, "thing")
    assert words in f"{error.value} {error.value.hint}"
    assert f"{file}:{line}" in f"{error.value} {error.value.hint}"
