"""Which prompt precedes a text: the card's words for the task, its instruction template, or the model's own prompts."""

from embedlab.cards import Card


def prompt_for(card: Card, own: dict[str, str], task_metadata, prompt_type) -> str:
    """The prompt for a text of a task in a role.

    The first of these that applies, in mteb's order of precedence within each:

    1. the card's `prompts`, by task-role, task, type-role, type, role; `{instruction}` is filled in;
    2. the card's `instruction` template around the task's own instruction from mteb; documents of asymmetric tasks
       stay bare unless the card says `instruct_documents`;
    3. the prompts in the model's sentence-transformers configuration.

    Args:
        card: the model's card.
        own: the model's own prompts, the default one under the empty name (`profile.FACTS`).
        task_metadata: mteb's metadata of the task.
        prompt_type: mteb's `PromptType`, or None for tasks whose texts have no role.
    """
    from mteb.models.abs_encoder import get_prompt_name

    name = get_prompt_name(card.prompts, task_metadata, prompt_type)
    if name is not None:
        words = card.prompts[name]
        return (
            words.format(instruction=instruction_of(task_metadata, prompt_type)) if "{instruction}" in words else words
        )
    if card.instruction:
        if prompt_type is not None and prompt_type.value == "document" and not card.instruct_documents:
            return ""
        return card.instruction.format(instruction=instruction_of(task_metadata, prompt_type))
    name = get_prompt_name({key: value for key, value in own.items() if key}, task_metadata, prompt_type)
    return own.get(name if name is not None else "", "")


def instruction_of(task_metadata, prompt_type) -> str:
    """The task's own instruction: from its metadata, else the general one of its task type."""
    from mteb.abstasks.abstask import get_abstask_prompt

    prompt = task_metadata.prompt
    if isinstance(prompt, dict):
        prompt = prompt.get(prompt_type.value if prompt_type else "query") or prompt.get("query")
    return prompt or get_abstask_prompt(task_metadata.name)
