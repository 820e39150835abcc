"""What result files do not say of their tasks: type, main metric and splits, from mteb."""

from embedlab.tasks.mteb_tasks import registry
from leaderboard.exchange.mteb_files import TaskFacts


def task_facts() -> dict[str, TaskFacts]:
    """The facts of every mteb task, by the names it has and had."""
    from mteb.results.task_result import outdated_tasks, renamed_tasks

    tasks = {**outdated_tasks, **registry()}
    facts = {
        name: TaskFacts(
            name, task.metadata.type, task.metadata.main_score, tuple(task.metadata.eval_splits)
        )
        for name, task in tasks.items()
    }
    return facts | {old: facts[new] for old, new in renamed_tasks.items() if new in facts}
