"""A recipe of one step on a tiny decoder, with a [data] table of a test's own."""

RECIPE = """
method = "decoder"
base = "{base}"
[settings]
max_length = 24
[data]
{data}
[[stages]]
objective = "{objective}"
steps = 1
batch_size = 2
"""
