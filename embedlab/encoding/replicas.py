"""Several copies of a model that encode side by side: one per GPU, or on the CPU one per core.

On the CPU each copy shares the weights and has cores of its own: no core waits for another at the
end of every matrix product, and each works in its own cache.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from sentence_transformers import SentenceTransformer

from embedlab.encoding import kernels
from embedlab.errors import UserError

T = TypeVar("T")


class Workers:
    """Threads, each with a copy of the model; work goes to whoever is free.

    Args:
        model: the loaded sentence-transformers model.
        devices: one per worker, as `hardware.devices` gives them.
        depth: layers that have to run; None runs all.
        compiled: let torch compile the layers.

    Raises:
        UserError: the layers of a model that cannot be copied were to be compiled.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        devices: list[str],
        *,
        depth: int | None = None,
        compiled: bool = False,
    ) -> None:
        try:
            first = kernels.replica(model, devices[0], depth)
        except (TypeError, RuntimeError) as error:
            if compiled:  # compiling changes the layers, which is done to copies alone
                raise UserError(
                    f"This model cannot be compiled: {error}.", "Leave --compile out."
                ) from error
            # A plugin's model may hold what cannot be copied: it works alone, as it is.
            first, devices, depth = model, devices[:1], None
            self.kernels = "plain"
        else:
            self.kernels = (
                "compiled" if compiled else "packed" if kernels.can_pack(first) else "plain"
            )
        if self.kernels == "packed":
            kernels.pack(first)
        self._free: SimpleQueue[SentenceTransformer] = SimpleQueue()
        for copy in [first, *(kernels.replica(first, device) for device in devices[1:])]:
            if compiled:
                kernels.compile_layers(copy)
            self._free.put(copy)
        self._devices = devices

    def __len__(self) -> int:
        return len(self._devices)

    def __enter__(self) -> "Workers":
        self._threads = torch.get_num_threads()
        on_cpu = self._devices.count("cpu")
        each = max(1, self._threads // on_cpu) if on_cpu else self._threads
        self._pool = ThreadPoolExecutor(
            len(self._devices), initializer=torch.set_num_threads, initargs=(each,)
        )
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown(cancel_futures=True)
        # A worker's setting becomes that of threads yet to come.
        torch.set_num_threads(self._threads)

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """`work(encoder, *arguments)` on the next free worker."""
        return self._pool.submit(self._run, work, arguments)

    def _run(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        encoder = self._free.get()
        try:
            return work(encoder, *arguments)
        finally:
            self._free.put(encoder)
