"""Bases: language models to train on and to embed with, from a name to a folder of safetensors."""
