"""Sizes for tiny tasks: several shards and few repetitions,
so that what happens at scale happens here, and soon.
"""

from collections.abc import Callable

from tests.oracles import task_types


def shrink(set_to: Callable = setattr) -> None:
    """Apply them; `set_to` is setattr or one that can be undone."""
    from mteb.abstasks import AbsTaskClassification, AbsTaskClustering, AbsTaskRegression
    from mteb.tasks.instruction_reranking.eng import core17_instruction_retrieval

    from embedlab.encoding import batches

    set_to(AbsTaskClustering, "max_documents_per_cluster", 100)
    set_to(AbsTaskClustering, "n_clusters", 3)
    set_to(AbsTaskClassification, "n_experiments", 2)
    set_to(AbsTaskRegression, "n_experiments", 2)
    set_to(batches, "SHARD_CHARACTERS", 700)  # about 25 of the texts here
    # What one task fetches from the hub while it scores.
    set_to(core17_instruction_retrieval, "load_dataset", lambda *_, **__: task_types.changed())
