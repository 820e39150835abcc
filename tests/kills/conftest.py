"""Small models for the commands that are killed."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # jobs.py and killing.py


@pytest.fixture(scope="session")
def environment(tiny_folder, small_base):
    """What killing.py is run with."""
    return {
        **os.environ,
        "KILLS_MODEL": str(tiny_folder),
        "KILLS_BASE": str(small_base),
        "OMP_NUM_THREADS": "1",
    }
