"""The nodes of a cluster: whether what runs there is what runs here."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# What vectors are made with, and what reads them. The versions' differences change last bits.
PACKAGES = (
    "embedlab", "torch", "transformers", "sentence-transformers", "tokenizers", "numpy", "scipy",
)  # fmt: skip
_SECONDS = 60.0  # until a node counts as one that does not answer
_KERNELS = ("avx", "amx", "fma", "asimd", "sve")  # what matrix products choose their code by


@dataclass(frozen=True)
class Node:
    """A node by Ray's id and the name that people know; what it has; what it answered, if it did:
    packages with their versions, "python" among them, and the flags of its processor.
    """

    id: str
    name: str
    cpus: float
    gpus: float
    packages: Mapping[str, str] | None = None
    flags: frozenset[str] = frozenset()

    @property
    def other_processor(self) -> str:
        """Flags that either its processor or this machine's has alone; empty where none."""
        return ", ".join(sorted(self.flags ^ _flags(_processor())))


def every() -> list[dict[str, Any]]:
    """Ray's nodes as it describes them."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return nodes


def named(node: Mapping[str, Any]) -> str:
    """How people know one of Ray's nodes."""
    host, name = node["NodeManagerHostname"], node["NodeName"]
    return host if name in (host, "") else f"{name} ({host})"


def ask() -> Iterator[Node]:
    """The living ones of the nodes that offer CPUs or GPUs, with what they have."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def there(packages: Sequence[str]) -> tuple[dict[str, str], str]:
        # Travels as code, not by its name: embedlab may not be there.
        import importlib.metadata
        import pathlib
        import platform

        found = {"python": platform.python_version()}
        for package in packages:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = ""
        try:
            with pathlib.Path("/proc/cpuinfo").open(encoding="utf-8") as file:
                lines = [line for line in file if line.startswith(("flags", "Features"))]
        except OSError:
            lines = []
        return found, lines[0] if lines else ""

    probe = ray.remote(num_cpus=0, max_retries=0)(there)
    asked = []
    for node in every():
        has = node["Resources"]
        if node["Alive"] and (has.get("CPU", 0) or has.get("GPU", 0)):
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked.append((node, probe.options(scheduling_strategy=strategy).remote(PACKAGES)))
    for node, answer in asked:
        has = node["Resources"]
        found = Node(node["NodeID"], named(node), has.get("CPU", 0), has.get("GPU", 0))
        try:
            packages, line = ray.get(answer, timeout=_SECONDS)
        except RayError:
            yield found
        else:
            yield Node(found.id, found.name, found.cpus, found.gpus, packages, _flags(line))


def unlike(nodes: Iterator[Node]) -> Iterator[tuple[Node, str]]:
    """Each node with what it has otherwise than this process; empty where nothing."""
    here = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    for node in nodes:
        if node.packages is None:
            yield node, "it does not answer"
            continue
        other = [
            f"{name} {node.packages[name] or 'is not there'} ({here[name] or 'none'} here)"
            for name in here
            if node.packages[name] != here[name]
        ]
        yield node, ", ".join(other)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    from embedlab.hardware import processor_flags

    return ": " + " ".join(processor_flags())


def _flags(line: str) -> frozenset[str]:
    flags = line.partition(":")[2].split()
    return frozenset(flag for flag in flags if flag.startswith(_KERNELS))
