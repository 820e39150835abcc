"""What comes of one model on one part of a task, seen through one view."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from embedlab.encoding.cost import Cost
from embedlab.encoding.vectors.views import View
from leaderboard.records import Examples, PerQuery, Ranking, Texts


@dataclass
class TaskResult:
    """Scores and costs of a part of a task.

    scores: by mteb's names; costs: by the names that the leaderboard knows; phases: seconds, in
    order; cost: of encoding; prompts: by role, of a composition by part; depth: documents ranked
    for a query, where these are not as many as the task asks for; missing: judged queries and
    documents that the task's data lack. What searching tasks
    have alone: per_query, ranking, texts; what the others have: examples.
    """

    split: str
    subset: str
    view: View
    scores: dict[str, float]
    costs: dict[str, float]
    phases: dict[str, float]
    cost: Cost | None = None
    prompts: Mapping[str, Any] = field(default_factory=dict)
    depth: int | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    per_query: PerQuery | None = None
    examples: Examples | None = None
    ranking: Ranking | None = None
    texts: Texts | None = None
