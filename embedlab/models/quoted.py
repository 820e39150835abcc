"""Text in double quotes within a model's name, such as a prompt: what stands in it is no syntax."""

import re

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def masked(text: str) -> str:
    """The text with a neutral letter for each character in quotes, of the same length:
    separators are looked for in it, and found in the text itself.
    """
    return _QUOTED.sub(lambda found: "q" * len(found[0]), text)


def split(text: str, separator: str) -> list[str]:
    """The parts of the text between separators that stand outside quotes."""
    parts, start, hidden = [], 0, masked(text)
    while (place := hidden.find(separator, start)) >= 0:
        parts.append(text[start:place])
        start = place + len(separator)
    return [*parts, text[start:]]
