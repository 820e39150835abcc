"""Runs the originals named on the command line, or all; base.py says how."""

import sys

import decoders  # noqa: F401 - each registers its originals
import encoders  # noqa: F401
import numpy as np
import torch
from base import HERE, MAKERS

torch.set_num_threads(1)
(HERE / "expected").mkdir(exist_ok=True)
for name in sys.argv[3:] or MAKERS:
    numbers = {key: np.asarray(value) for key, value in MAKERS[name]().items()}
    np.savez_compressed(HERE / "expected" / f"{name}.npz", **numbers)
    print(name, {key: value.shape for key, value in numbers.items()})
