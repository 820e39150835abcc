"""Which prompt precedes a text: the card's words for the task,
its instruction template, mteb's or the model's own.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from embedlab.errors import UserError, unknown
from embedlab.models.cards import Card
from embedlab.models.facts import mteb_registry
from embedlab.models.facts.fact_cache import Remembered
from embedlab.models.settings import common_settings, model_settings

if TYPE_CHECKING:
    from mteb.types import PromptType

Described: TypeAlias = Any  # mteb's TaskMetadata, or the `RetrievalTask` that stands for it


def prompt_for(
    card: Card, own: dict[str, str], task_metadata: "Described", prompt_type: "PromptType | None"
) -> str:
    """The prompt for a text of a task in a role.

    The first of these that applies, in mteb's order of precedence within each:

    1. the prompts of the user's, behind the model's name or on a card, then their template;
    2. the card's `prompts`, by task-role, task, type-role, type, role; `{instruction}` is filled
       in;
    3. the card's `instruction` template around the task's own instruction from mteb; documents of
       asymmetric tasks stay bare unless the card says `instruct_documents`;
    4. for a hub model of mteb's registry, what mteb's own wrapper of the model gives;
    5. the prompts in the model's sentence-transformers configuration, as mteb and `encode_query`
       take them.

    Args:
        card: the model's card.
        own: the model's own prompts, the default one under the empty name (`profile.FACTS`).
        task_metadata: mteb's metadata of the task, or a `RetrievalTask`.
        prompt_type: mteb's `PromptType`, or None for tasks whose texts have no role.
    """
    return with_reason(card, own, task_metadata, prompt_type)[0]


def with_reason(
    card: Card, own: dict[str, str], task_metadata: "Described", prompt_type: "PromptType | None"
) -> tuple[str, str]:
    """The prompt, and whose it is, in words; arguments as those of `prompt_for`."""
    from mteb.models.abs_encoder import get_prompt_name

    def filled(words: str) -> str:
        if "{instruction}" not in words:
            return words
        return words.replace("{instruction}", instruction_of(task_metadata, prompt_type))

    whose = common_settings.whose(card)
    is_document = prompt_type is not None and prompt_type.value == "document"
    chosen = common_settings.prompts(card.chosen)
    name = get_prompt_name(chosen, task_metadata, prompt_type)
    if name is None and prompt_type is None and "text" in chosen:
        name = "text"
    if name is not None:
        return filled(chosen[name]), f"{whose}, prompt.{name}"
    # Documents keep what they have without the user's template.
    if (template := card.chosen.get("instruction")) and (
        not is_document or card.instruct_documents
    ):
        return filled(template), f"{whose}, instruction"
    name = get_prompt_name(card.prompts, task_metadata, prompt_type)
    if name is not None:
        return filled(card.prompts[name]), f"embedlab's card, prompts.{name}"
    if card.instruction:
        if is_document and not card.instruct_documents:
            return "", "embedlab's card: documents go without instruction"
        return filled(card.instruction), "embedlab's card, instruction"
    if card.registry:
        # Asking mteb imports torch, which a run with nothing to encode does without.
        known = Remembered({"registry": card.registry, "own": own})
        question = (
            f"{task_metadata.name} {task_metadata.type} {prompt_type} {task_metadata.prompt!r}"
        )
        answer: str = known.get(
            question, lambda: mteb_registry.prompt(card.registry, own, task_metadata, prompt_type)
        )
        return answer, f"mteb's registry, {card.registry}"
    # sentence-transformers fills in both roles,
    # so that its default prompt is for texts without a role.
    own = {"query": "", "document": "", **own}
    name = get_prompt_name(
        {key: value for key, value in own.items() if key}, task_metadata, prompt_type
    )
    prompt = own.get("" if name is None else name, "")
    return prompt, "the model's own files" if prompt else "none is declared"


def refuse_unused_prompts(card: Card, own: dict[str, str], tasks: "Sequence[Described]") -> None:
    """Refuse a prompt or template behind a model's name that changes no text of these tasks.

    A card of the user's may have prompts for other tasks: there, a name that is neither a role nor
    a task type nor a task is refused.

    Args:
        tasks: mteb's metadata of each task, or what stands for it.

    Raises:
        UserError: names the setting.
    """
    typed: Collection[str] = card.chosen
    if card.file:
        _refuse_unknown(card, tasks)
        typed = model_settings.split(card.name)[1]  # behind the card's name
    for key in [key for key in without_effect(card, own, tasks) if key in typed][:1]:
        where = ", ".join(task.name or "search" for task in tasks[:3])
        raise UserError(
            f"{key}={card.chosen[key]!r} has no effect on {card.origin} in {where}: every text"
            " has the same prompt without.",
            "Leave it out. Prompts go by role (prompt.query, prompt.document; prompt.text where"
            " texts have none), task type (prompt.STS) or task (prompt.SciFact-query).",
        )


def without_effect(card: Card, own: dict[str, str], tasks: "Sequence[Described]") -> list[str]:
    """Which of the prompts that were chosen for a model change no text of these tasks."""
    idle = []
    for key in [key for key in card.chosen if common_settings.is_sentence(key)] if tasks else ():
        less = {name: value for name, value in card.chosen.items() if name != key}
        without = replace(card, chosen=less)
        if all(
            prompt_for(card, own, task, role) == prompt_for(without, own, task, role)
            for task in tasks
            for role in _roles(task)
        ):
            idle.append(key)
    return idle


def _roles(task: "Described") -> "tuple[PromptType | None, ...]":
    from mteb.types import PromptType

    both = (PromptType.query, PromptType.document)
    if has_roles(task):
        return both
    # Some tasks of these types tell their two sides apart.
    return (*both, None) if task.type in ("STS", "PairClassification") else (None,)


def has_roles(task: "Described") -> bool:
    """Whether a task's texts are queries and documents."""
    return "Retrieval" in task.type or "Reranking" in task.type


def _refuse_unknown(card: Card, tasks: "Sequence[Described]") -> None:
    """Refuse prompts on a card of the user's that go by no role, task type or task."""
    from typing import get_args

    from mteb.abstasks.task_metadata import TaskType

    from embedlab.compat.mteb_internals import task_classes

    known = {"query", "document", "text", *get_args(TaskType), *task_classes()} | {
        task.name for task in tasks
    }
    for name in common_settings.prompts(card.chosen):
        if name not in known and re.sub("-(query|document)$", "", name) not in known:
            raise unknown(
                f"role, task type or task of a prompt in {card.file}",
                name,
                known,
                "Valid: query, document, text, a task type (STS) or a task (SciFact), also with a"
                " role behind it: SciFact-query.",
            )


def instruction_of(task_metadata: "Described", prompt_type: "PromptType | None") -> str:
    """The task's own instruction: from its metadata, else the general one of its task type."""
    from mteb.abstasks.abstask import get_abstask_prompt

    prompt = task_metadata.prompt
    if isinstance(prompt, dict):
        prompt = prompt.get(prompt_type.value if prompt_type else "query") or prompt.get("query")
    return prompt or get_abstask_prompt(task_metadata.name)


@dataclass(frozen=True)
class RetrievalTask:
    """Stands for mteb's metadata where a corpus is searched that no task describes."""

    instruction: str
    name: str = ""
    type: str = "Retrieval"
    eval_langs: tuple[str, ...] = ("eng-Latn",)
    domains: tuple[str, ...] = ()
    task_subtypes: tuple[str, ...] = ()
    prompt: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", {"query": self.instruction})


def prompts_for_search(
    card: Card, own: dict[str, str], instruction: str
) -> dict[str, dict[str, Any]]:
    """By role, the arguments of `encode_query`
    and `encode_document` that give a text its prompt.
    """
    from mteb.types import PromptType

    task = RetrievalTask(instruction)
    return {role.value: {"prompt": prompt_for(card, own, task, role)} for role in PromptType}
