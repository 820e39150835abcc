"""Which prompt precedes a text: the card's words for the task,
its instruction template, mteb's or the model's own.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from embedlab.models import mteb_registry
from embedlab.models.cards import Card
from embedlab.models.fact_cache import Remembered

if TYPE_CHECKING:
    from mteb.types import PromptType

Described: TypeAlias = Any  # mteb's TaskMetadata, or the `RetrievalTask` that stands for it


def prompt_for(
    card: Card, own: dict[str, str], task_metadata: "Described", prompt_type: "PromptType | None"
) -> str:
    """The prompt for a text of a task in a role.

    The first of these that applies, in mteb's order of precedence within each:

    1. the card's `prompts`, by task-role, task, type-role, type, role; `{instruction}` is filled
    in;
    2. the card's `instruction` template around the task's own instruction from mteb; documents of
       asymmetric tasks stay bare unless the card says `instruct_documents`;
    3. for a hub model of mteb's registry, what mteb's own wrapper of the model gives;
    4. the prompts in the model's sentence-transformers configuration, as mteb and `encode_query`
    take them.

    Args:
        card: the model's card.
        own: the model's own prompts, the default one under the empty name (`profile.FACTS`).
        task_metadata: mteb's metadata of the task, or a `RetrievalTask`.
        prompt_type: mteb's `PromptType`, or None for tasks whose texts have no role.
    """
    from mteb.models.abs_encoder import get_prompt_name

    name = get_prompt_name(card.prompts, task_metadata, prompt_type)
    if name is not None:
        words = card.prompts[name]
        return (
            words.format(instruction=instruction_of(task_metadata, prompt_type))
            if "{instruction}" in words
            else words
        )
    if card.instruction:
        if (
            prompt_type is not None
            and prompt_type.value == "document"
            and not card.instruct_documents
        ):
            return ""
        return card.instruction.format(instruction=instruction_of(task_metadata, prompt_type))
    if card.registry:
        # Asking mteb imports torch, which a run with nothing to encode does without.
        known = Remembered({"registry": card.registry, "own": own})
        question = (
            f"{task_metadata.name} {task_metadata.type} {prompt_type} {task_metadata.prompt!r}"
        )
        return known.get(
            question, lambda: mteb_registry.prompt(card.registry, own, task_metadata, prompt_type)
        )
    # sentence-transformers fills in both roles,
    # so that its default prompt is for texts without a role.
    own = {"query": "", "document": "", **own}
    name = get_prompt_name(
        {key: value for key, value in own.items() if key}, task_metadata, prompt_type
    )
    return own.get("" if name is None else name, "")


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
