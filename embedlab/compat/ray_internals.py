"""Private API of Ray, read in Ray 2.60."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import ray_constants, worker


def keep_quiet() -> None:
    """Keep what nodes report, such as each lost process, from standard output, where it would stand
    between results (`worker.print_to_stdstream`, which no option of `ray.init` reaches).
    """
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


@contextmanager
def loopback_alone() -> Iterator[None]:
    """Ray that is started meanwhile listens on 127.0.0.1, as it does where it has no clusters;
    elsewhere `ray.init` takes that address for the machine's own (`services.get_node_ip_address`).
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def read_token_again() -> None:
    """Have Ray heed RAY_AUTH_MODE and RAY_AUTH_TOKEN, which it reads once in a process
    (`authentication_token_setup`; before 2.52 it knows neither).
    """
    from ray import _raylet

    known: Any = _raylet
    if hasattr(known, "AuthenticationTokenLoader"):
        known.Config.initialize("")
        known.AuthenticationTokenLoader.instance().reset_cache()
