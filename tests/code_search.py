"""The built-in code search, which several tests and benchmarks read beside an evaluation."""

from embedlab import tasks
from embedlab.evaluation.retrieval_data import RetrievalData, retrieval_data


def read() -> RetrievalData:
    """StdlibMiniCodeSearch: its documents, queries and judgements."""
    (task,) = tasks.resolve(["StdlibMiniCodeSearch"])
    tasks.load(task)
    return retrieval_data(task, "test", "default")
