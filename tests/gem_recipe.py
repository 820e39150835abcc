"""The beginning of a recipe that trains a GEM on pairs: stages follow."""

HEAD = """
method = "gem"
base = "{base}"
seed = 7
dtype = "float32"
[settings]
tokens = 2
max_length = 32
[data]
path = "{pairs}"
"""
