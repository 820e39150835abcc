"""Sixteen pairs of question and code."""

TEXTS = [
    f"def {verb}_{noun}(self, {noun}):\n    # the {noun} of number {i}\n    return"
    f" self.{noun}s.{verb}({i})"
    for i, (verb, noun) in enumerate(
        (verb, noun)
        for verb in ("read", "write", "remove", "count")
        for noun in ("file", "row", "node", "key")
    )
]
QUERIES = [
    f"How to {text.split('(')[0].removeprefix('def ').replace('_', ' the ')}?" for text in TEXTS
]
