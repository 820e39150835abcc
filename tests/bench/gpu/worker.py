"""The process that measures: sections by name from a pipe, what failed back."""

import argparse
import faulthandler
import importlib
import os
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tests.bench.gpu.figures import Figures, read, write

FAILED = "Traceback"


class Place(NamedTuple):
    """Where and how large to measure."""

    device: str
    tiny: bool
    scratch: Path
    out: Path
    minilm: str | None = None
    scifact: str | None = None

    def seconds(self, number: float) -> float:
        """How long to measure one figure."""
        return 0.05 if self.tiny else number


class Skipped(Exception):
    """A section cannot run here; the reason is its message."""


def work(pipe: Connection, asked: argparse.Namespace, scratch: Path) -> None:
    os.setsid()
    faulthandler.enable()
    os.environ["EMBEDLAB_HOME"] = str(scratch / "home")
    os.environ["HF_HUB_OFFLINE"] = "1"
    pipe.send("ready")
    try:
        while True:
            pipe.send(_section(pipe.recv(), asked, scratch))
    except EOFError:
        return


def _section(name: str, asked: argparse.Namespace, scratch: Path) -> str:
    """Measure one section; the traceback of what failed, or nothing."""
    print(f"\n{name}", flush=True)
    figures = Figures(asked.out, name)
    try:
        import torch

        quiet()
        gpu = torch.cuda.is_available()
        place = Place(
            "cuda:0" if gpu else "cpu", asked.tiny or not gpu, scratch, asked.out,
            asked.minilm, asked.scifact,
        )  # fmt: skip
        module = name.partition("-")[0]  # what follows says which model
        importlib.import_module(f"tests.bench.gpu.{module}").run(figures, place)
        if gpu:
            figures.add("GPU memory, most", torch.cuda.max_memory_allocated() / 1e9, "GB")
    except Skipped as reason:
        figures.add("skipped", str(reason))
    except Exception:
        traceback.print_exc()
        return traceback.format_exc()
    finally:
        _free()
    return ""


def quiet() -> None:
    """No bars and remarks of transformers between the figures."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _free() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def conclude(out: Path, section: str, seconds: float, problem: str) -> None:
    """Note how a section ended."""
    write(out, section, read(out, section)["figures"], problem, seconds=round(seconds, 2))
    state = "failed" if problem else "done"
    said = f": {problem.strip().splitlines()[-1]}" if problem else ""
    print(f"({section}: {state} after {seconds:.1f} s{said}; {time.strftime('%H:%M:%S')})",
          flush=True)  # fmt: skip
