"""Private API of Ray, read in Ray 2.60."""

from ray._private import worker


def keep_quiet() -> None:
    """Keep what nodes report, such as each lost process, from standard output, where it would stand
    between results (`worker.print_to_stdstream`, which no option of `ray.init` reaches).
    """
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None
