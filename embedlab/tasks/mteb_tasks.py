"""The tasks that mteb knows."""


def registry() -> dict[str, type]:
    """mteb's task classes by name."""
    from mteb.get_tasks import _TASKS_REGISTRY

    return _TASKS_REGISTRY
