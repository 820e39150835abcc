"""A cluster of Ray's: started on this machine or joined, what its nodes are, processes on them."""

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embedlab.cluster import signal_actions
from embedlab.cluster.nodes import Node, ask, every, unlike
from embedlab.cluster.pool import Pool
from embedlab.cluster.process import Place
from embedlab.cluster.secluded import secluded
from embedlab.cluster_address import ClusterAddress
from embedlab.errors import UserError, missing_extra
from embedlab.hardware import MOST_CPU_WORKERS

Say = Callable[[str], None]

_CONNECT = 5.0  # seconds until an address counts as out of reach
_WORKERS_PER_CORE = 4  # at most
_STORE = 1 << 30  # bytes at most for what is on its way between processes of this machine


@dataclass(frozen=True)
class Engine:
    """A cluster as evaluations use it, from the command's process or from one of the cluster's own.

    workers: processes that encode and search; needs: what each takes of a node, in Ray's words;
    here: the node of the command, "" where its machine is none; unfit: nodes that get no work.
    """

    workers: int
    needs: Mapping[str, float]
    here: str
    unfit: tuple[str, ...] = ()

    def of(self, workers: int) -> "Engine":
        """A part of it."""
        return replace(self, workers=workers)

    def workplace(self, make: Callable[[], Any], say: Say) -> Pool:
        """Its workers, each with the object that `make` gives there."""
        options: dict[str, Any] = {**self.needs, "scheduling_strategy": "SPREAD"}
        options["max_concurrency"] = 2  # one text is tokenised while another is in the model
        if self.unfit:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self.unfit)})"}
        place = Place(str(Path.cwd()), {"EMBEDLAB_HOME": os.environ.get("EMBEDLAB_HOME", "")})
        return Pool(options, place, make, self.workers, say, at_once=2)

    def beside(self, make: Callable[[], Any], number: int, say: Say) -> Pool:
        """Processes on the machine of the command, as that sees it; they only coordinate."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(self.here, soft=False)
        threads = str(max(1, (os.cpu_count() or 1) // number))
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        gpus = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
        place = Place(str(Path.cwd()), {"OMP_NUM_THREADS": threads, **ours, **gpus}, whole=True)
        options = {"num_cpus": 0, "scheduling_strategy": strategy}
        return Pool(options, place, make, number, say, at_once=1)


class Board:
    """What processes tell the command while they work, in order."""

    def __init__(self, engine: Engine) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(engine.here, soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": strategy, "max_restarts": -1}
        self._events: Any = ray.remote(_Events).options(**options).remote()

    def add(self, *event: Any) -> None:
        """Put an event up."""
        self._events.add.remote(event)

    def taken(self) -> list[tuple[Any, ...]]:
        """The events since the last time; those of a process that was lost are not seen."""
        import ray
        from ray.exceptions import RayActorError

        events: list[tuple[Any, ...]] = []
        with suppress(RayActorError):
            events = ray.get(self._events.taken.remote())
        return events

    def stop(self) -> None:
        """Take it down."""
        import ray

        ray.kill(self._events)


class _Events:
    def __init__(self) -> None:
        self._events: list[tuple[Any, ...]] = []

    def add(self, event: tuple[Any, ...]) -> None:
        self._events.append(event)

    def taken(self) -> list[tuple[Any, ...]]:
        events, self._events = self._events, []
        return events


_open: list[tuple[ClusterAddress, bool, Engine]] = []


@contextmanager
def opened(address: ClusterAddress, *, on_gpus: bool, say: Say) -> Iterator[Engine]:
    """The cluster at this address; a cluster within itself is the same one.

    Args:
        address: as `--cluster` gives it.
        on_gpus: each worker has a GPU; else cores.
        say: takes a line for the user.

    Raises:
        UserError: Ray is not installed, the cluster cannot be reached or joined, or none of its
            nodes can do the work.
    """
    if _open and _open[-1][:2] == (address, on_gpus):
        yield _open[-1][2]
        return
    try:
        import ray
    except ImportError:
        raise missing_extra("--cluster", "cluster") from None
    theirs, folder = ray.is_initialized(), ""
    if theirs and address.workers:
        raise UserError(
            f"Ray runs in this process already, and --cluster {address} would start it.",
            "Type auto, or end it: ray.shutdown().",
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent home
    with ExitStack() as stack:
        folder = stack.enter_context(secluded()) if address.workers else ""
        if not theirs:
            before = signal.getsignal(signal.SIGTERM)
            stack.callback(_at_sigterm, before or signal.SIG_DFL)
            stack.callback(_end)
        if address.workers:
            engine = _start(address.workers, on_gpus, folder)
        else:
            if not theirs:
                _join(address)
            engine = _engine(_fitting(say), on_gpus, _is_client(address))
        if not theirs:
            ctrl_c = signal.getsignal(signal.SIGINT)
            # Ray's own handler ends with a crash.
            _at_sigterm(ctrl_c if callable(ctrl_c) else signal.default_int_handler)
        _open.append((address, on_gpus, engine))
        stack.callback(_open.pop)
        yield engine


def _end() -> None:
    import ray

    with signal_actions.kept():
        ray.shutdown()


def _at_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _start(workers: int, on_gpus: bool, folder: str) -> Engine:
    import ray

    machine = os.cpu_count() or 1
    if workers > _WORKERS_PER_CORE * machine:
        raise UserError(
            f"--cluster local:{workers}: this machine has {machine} cores.",
            f"Type --cluster local:{machine}: more would only take memory.",
        )
    cores = max(1, machine // workers)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _connected(
        f"local:{workers}",
        address="local",
        num_cpus=workers * cores,
        include_dashboard=False,
        object_store_memory=max(80 << 20, min(_STORE, memory // 8)),
        log_to_driver=False,
        logging_level="CRITICAL",
        _temp_dir=folder,
    )
    gpus = sum(int(node["Resources"].get("GPU", 0)) for node in every())
    if on_gpus and gpus < workers:
        raise UserError(
            f"--cluster local:{workers}: each worker takes a GPU, and this machine has {gpus}.",
            f"Type --cluster local:{gpus}, or --device cpu." if gpus else "Type --device cpu.",
        )
    needs = {"num_gpus": 1, "num_cpus": 0} if on_gpus else {"num_cpus": cores}
    return Engine(workers, needs, ray.get_runtime_context().get_node_id())


def _join(address: ClusterAddress) -> None:
    named = address.url or os.environ.get("RAY_ADDRESS", "")
    if named.startswith("ray://") and find_spec("grpc") is None:
        raise UserError(
            "ray:// addresses need the package grpcio, which is not installed.",
            "Type: pip install 'embedlab[cluster]'",
        )
    _refuse_out_of_reach(named)
    if named.startswith("ray://"):
        logging.getLogger("ray").setLevel(logging.ERROR)
        with warnings.catch_warnings(action="ignore"):
            _connected(str(address), address=named)
    else:
        _connected(
            str(address), address=named or "auto", log_to_driver=False, logging_level="CRITICAL"
        )


def _refuse_out_of_reach(named: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = named.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"The cluster {named} cannot be reached: {error}.",
            "Is it running there (ray status), and may this machine reach the port?",
        ) from error


def _connected(name: str, **options: Any) -> None:
    import ray

    from embedlab.compat.ray_internals import keep_quiet

    keep_quiet()
    try:
        with signal_actions.kept():
            ray.init(**options)
    except Exception as error:  # of another version of Python or Ray, for one: it names both
        said = " ".join(str(error).split())
        raise UserError(
            f"--cluster {name}: {said[:500]}",
            "Type local:2 for workers on this machine; `ray start --head` starts one for auto."
            " Where it asks for a token, set RAY_AUTH_MODE=token.",
        ) from error


def _fitting(say: Say) -> tuple[list[Node], list[Node]]:
    """The nodes that have what this process has, and the others, which are named.

    Raises:
        UserError: there is none of the first kind.
    """
    fit: list[Node] = []
    unfit: list[Node] = []
    for node, problem in unlike(ask()):
        (unfit if problem else fit).append(node)
        if problem:
            say(f"The node {node.name} gets no work: {problem}.")
        elif node.other_processor:
            say(
                f"The node {node.name} has another processor than this machine"
                f" ({node.other_processor}): vectors from there may differ in their last bits."
            )
    if not fit:
        raise UserError(
            "No node of the cluster can do the work.",
            "Install there what is here: the same Python, embedlab, torch and transformers.",
        )
    return fit, unfit


def _engine(nodes: tuple[list[Node], list[Node]], on_gpus: bool, client: bool) -> Engine:
    import ray

    fit, unfit = nodes
    here = "" if client else ray.get_runtime_context().get_node_id()
    ids = tuple(node.id for node in unfit)
    if on_gpus:
        workers = sum(int(node.gpus) for node in fit)
        needs = {"num_gpus": 1, "num_cpus": 0}
    else:
        cores = min(MOST_CPU_WORKERS, max(int(node.cpus) for node in fit) or 1)
        workers = sum(int(node.cpus) // cores for node in fit)
        needs = {"num_cpus": cores}
    if not workers:
        raise UserError(
            f"The cluster has no {'GPUs' if on_gpus else 'CPUs'} to work on.",
            "Type --device cpu, or join nodes with GPUs." if on_gpus else "Join nodes with CPUs.",
        )
    return Engine(workers, needs, here if here not in ids else "", ids)


def _is_client(address: ClusterAddress) -> bool:
    return (address.url or os.environ.get("RAY_ADDRESS", "")).startswith("ray://")
