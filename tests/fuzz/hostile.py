"""What comes from outside and does not mean well:
JSON values, bytes and lines that programs stumble over.
"""

import json
import os
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ", "0"))


def examples(few: int) -> settings:
    """So many examples, always the same; as many new ones as FUZZ says.
    None is made smaller: that takes minutes.
    """
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )


# JSON as text, since json.dumps would not write most of these.
# RFC 8259 allows all but the last rows.
JSON = [
    "null", "true", "0", "-1", "1e999", "-0.0", "1e-400", "123456789012345678901234567890", '""',
    '" "', "[]", "{}", "[null]", '[""]', '{"": null}', '{"a": {"b": [1, {"c": null}]}}',
    "[" * 500 + "]" * 500, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000,
    "9" * 5000, "1" + "0" * 400, r'"\ud800"', r'"\udfff\ud800"', r'"a\u0000b"',
    r'"\u202e\u001b[31m"', '"[/x] [bold]"', '"=1+1"', '"../../x"', '"/etc/passwd"', '"C:\\\\x"',
    '"' + "x" * 70_000 + '"', '"' + "w1 " * 20_000 + '"', r'"\u00e9"', r'"e\u0301"', '"\ufeff"',
    '"\u2028"', '"nan"', '"1"', '"1.5"', '"\U0001f600"', '["a", "a"]', '[["a"]]', "NaN", "Infinity",
    "-Infinity", "'x'", "{", '"', "", "undefined",
]  # fmt: skip
WORDS = [
    "", " ", ".", "..", "/", "//", "-", "--", "-1", "0", "1e999", "nan", "inf", "None", "true",
    "x" * 300, "x" * 5000, "a/b", "../..", "/etc/passwd", "/dev/null", "~", "~nobody/x", "file://x",
    "http://", "http://[", "hf://x", "*", "?", "%s", "{x}", "$HOME", "`id`", "a\nb", "a\tb",
    "\u202e\x1b[31m", "[/x]", "\ufeff", "e\u0301", "\U0001f600", "bm25,bm25", "a@b", "a@faiss:flat",
    "rrf(", "rrf(bm25, bm25)", "bm25 >> bm25", "(", ")", "()", ",", ";", "x.py:X", "stdlib?",
    "?a=b", "999999999999999999999", "１２", "²", "0x10", "1_000", "\ud800", "\udcff", "a\udc80b",
]  # fmt: skip

json_texts = st.one_of(
    st.sampled_from(JSON), st.text(max_size=8).map(json.dumps), st.integers().map(str)
)
words = st.one_of(
    st.sampled_from(WORDS), st.text(st.characters(exclude_characters="\x00"), max_size=12)
)


@dataclass(frozen=True)
class Damage:
    """What happens to some bytes: a bit is flipped, they are cut short,
    something is put in between or left out.
    """

    kind: str
    where: float  # share of the length
    bit: int
    put_in: bytes

    def to(self, content: bytes) -> bytes:
        at = min(int(self.where * len(content)), max(len(content) - 1, 0))
        before, after = content[:at], content[at:]
        if self.kind == "flip" and content:
            return before + bytes([after[0] ^ (1 << self.bit)]) + after[1:]
        changed = {
            "cut": before,
            "put in": before + self.put_in + after,
            "leave out": before + after[5 * self.bit + 1 :],
            "twice": before + content,
            "zeros": before + bytes(min(32, len(after))) + after[32:],
        }
        return changed.get(self.kind, self.put_in)


_PUT_IN = [
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\r",
    b"\n",
    b"\x1b[2J",
    b'"',
    b"{",
    b"}",
    b"[" * 100_000,
    b",",
    b"\t",
    b"\xe2\x80\xa8",
    b"9" * 5000,
    b"NaN",
    b"null",
]
damages = st.builds(
    Damage,
    st.sampled_from(
        ["flip", "flip", "flip", "cut", "put in", "leave out", "twice", "zeros", "other"]
    ),
    st.floats(0, 1),
    st.integers(0, 7),
    st.one_of(st.sampled_from(_PUT_IN), st.binary(max_size=64)),
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with some damage."""
    return damages.map(lambda damage: damage.to(content))


@st.composite
def with_another_value(draw, value: dict) -> str:
    """A JSON object, as text, in which one of the values, at any depth,
    is another, or is gone, or has another name.
    """
    marks = []

    def marked(part, path):
        marks.append(path)
        if isinstance(part, dict):
            for key, below in part.items():
                marked(below, (*path, key))
        elif isinstance(part, list):
            for place, below in enumerate(part[:50]):
                marked(below, (*path, place))

    marked(value, ())
    path = draw(st.sampled_from(marks))
    what = draw(st.sampled_from(["value", "value", "value", "gone", "name"]))
    token = "\x01here\x01"
    changed = json.loads(json.dumps(value))
    if not path:
        return draw(json_texts)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    if what == "gone":
        del parent[path[-1]]
    elif what == "name" and isinstance(parent, dict):
        parent[draw(st.sampled_from(["", "x", "__class__", "self", path[-1] + " "]))] = parent.pop(
            path[-1]
        )
    else:
        parent[path[-1]] = token
    return json.dumps(changed).replace(json.dumps(token), draw(json_texts))
