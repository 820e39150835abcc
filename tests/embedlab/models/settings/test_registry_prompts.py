"""Hub models get the prompts that mteb gives them:
its whole registry of text models, swept without weights.

What is right is taken from mteb's wrappers as they are built from the registry's entries, never
from embedlab.
"""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from embedlab import models
from embedlab.models import find
from embedlab.models.cards import Card, cards
from embedlab.models.facts import mteb_registry
from embedlab.models.facts.fact_cache import Remembered
from embedlab.models.facts.model_facts import FACTS
from embedlab.models.loaded import _known_to_mteb
from embedlab.models.settings.prompts import prompt_for, prompts_for_search

TASKS = (
    "SciFact", "ArguAna", "NFCorpus", "TRECCOVID", "STSBenchmark", "Banking77Classification",
    "TwentyNewsgroupsClustering.v2", "AskUbuntuDupQuestions", "SprintDuplicateQuestions",
    "SummEvalSummarization.v2",
)  # fmt: skip


def parts():
    """Every task with each role that its texts have."""
    import mteb
    from mteb.types import PromptType

    for name in TASKS:
        task = mteb.get_task(name).metadata
        for role in (
            (PromptType.query, PromptType.document)
            if task.type in ("Retrieval", "Reranking")
            else (None,)
        ):
            yield task, role


def wrapped(meta):
    """What mteb puts before a text, by task and role; None for models that run in another way."""
    from mteb.models.abs_encoder import AbsEncoder, PromptSource
    from mteb.models.instruct_wrapper import InstructSentenceTransformerModel as Instruct
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper as Plain
    from mteb.models.sentence_transformer_wrapper import _resolve_prompt
    from mteb.types import PromptType

    given = dict(meta.loader_kwargs or {})
    loader = meta.loader
    if loader and not inspect.isclass(loader) and loader.__name__ == "q3e_instruct_loader":
        # As its source says.
        loader, given = Instruct, {**given, "apply_instruction_to_passages": False}
        given["instruction_template"] = inspect.getmodule(meta.loader).instruction_template
    if loader is Plain:
        prompts, _ = AbsEncoder.validate_task_to_prompt_name(
            given.get("model_prompts"), raise_for_invalid_keys=False
        )
        return lambda task, role: _resolve_prompt(prompts, task, role) or ""
    if loader is not Instruct:
        return None
    wrapper = Instruct.__new__(Instruct)
    wrapper.instruction_template = given.get("instruction_template")
    wrapper.prompts_dict = given.get("prompts_dict")
    if given.get("prompt_priority"):
        wrapper.prompt_priority = [
            PromptSource.from_str(source) for source in given["prompt_priority"]
        ]
    passages = given.get("apply_instruction_to_passages", True)
    return lambda task, role: (
        ""
        if role == PromptType.document and not passages
        else wrapper.get_task_instruction(task, role) or ""
    )


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore")
def test_every_hub_model_gets_mtebs_prompts(home, monkeypatch):
    from mteb.models.get_model_meta import MODEL_REGISTRY

    # Thousands of files that nobody reads again.
    monkeypatch.setattr(Remembered, "_write", lambda self: None)

    questions, seen, different = list(parts()), 0, {}
    for name, meta in MODEL_REGISTRY.items():
        known = _known_to_mteb(name)  # of every model, since any may be asked for
        if "registry" in known:
            assert prompts_for_search(
                Card(name=name, method="auto", source=name, **known), {}, "Find it"
            )
        right = wrapped(meta) if list(meta.modalities) == ["text"] else None
        if right is None or find(name).method != "auto":
            continue
        seen += 1
        card = replace(Card(name=name, method="auto", source=name), **known)
        for task, role in questions:
            if (got := prompt_for(card, {}, task, role)) != (wanted := right(task, role)):
                different.setdefault(name, (task.name, role, got, wanted))
    assert different == {}
    assert seen >= 390  # less the models that get a card of their own


def test_settings_of_the_registry_reach_the_loader(home, tiny_folder, monkeypatch):
    """A hub model of the registry, its weights replaced by the tiny ones:
    lengths and poolings are those of mteb.
    """
    from embedlab import hub

    monkeypatch.setattr(hub, "snapshot", lambda repository, revision=None: tiny_folder)
    model = models.load("codefuse-ai/C2LLM-0.5B", device="cpu", dtype="float32")
    assert model.card.registry == "codefuse-ai/C2LLM-0.5B"
    assert model.settings["processor_kwargs"]["padding_side"] == "left"
    # Its padding then is a matter of the encoder.
    assert model.encoder.encode(["w1 w2"]).shape == (1, 32)
    assert mteb_registry.settings("GritLM/GritLM-7B") == {"include_prompt": False}
    assert mteb_registry.settings("Octen/Octen-Embedding-4B-INT8")["truncate_dim"] == 1024


def test_the_loader_takes_what_the_registry_sets(tiny_folder):
    from embedlab.encoders import stock

    assert stock.load(tiny_folder, device="cpu", max_length=7).max_seq_length == 7
    assert not stock.load(tiny_folder, device="cpu", include_prompt=False)[1].include_prompt
    assert stock.load(tiny_folder, device="cpu", truncate_dim=8).encode(["w1"]).shape == (1, 8)


OWN = {
    "none": {},
    "both roles": {"query": "w1 ", "document": "w2 "},
    "a role by its other name": {"query": "w1 ", "passage": "w2 "},
    "by type of task": {"STS": "w3 ", "Retrieval-query": "w4 ", "document": "w5 "},
    "by task": {"STSBenchmark": "w6 ", "query": "w1 "},
}


@pytest.mark.parametrize("default", [None, "plain"])
@pytest.mark.parametrize("kind", OWN)
@pytest.mark.filterwarnings("ignore")
def test_a_folders_own_prompts_are_used_as_mteb_uses_them(
    home, tiny_folder, tmp_path, kind, default
):
    """Vectors of mteb's wrapper around the same folder, task by task and role by role."""
    import mteb
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from mteb.types import PromptType
    from sentence_transformers import SentenceTransformer

    from embedlab.encoding.encoder import Encoder

    own = OWN[kind] | ({default: "w9 w8 "} if default else {})
    model = SentenceTransformer(
        str(tiny_folder), device="cpu", prompts=own, default_prompt_name=default
    )
    model.save(str(tmp_path / "model"))
    official = SentenceTransformerEncoderWrapper(str(tmp_path / "model"), device="cpu")
    ours = models.load(str(tmp_path / "model"), device="cpu", dtype="float32")
    encoder = Encoder(ours)
    for name in ("SciFact", "STSBenchmark", "Banking77Classification"):
        task = mteb.get_task(name).metadata
        for role in (
            (PromptType.query, PromptType.document) if task.type == "Retrieval" else (None,)
        ):
            prompt = prompt_for(ours.card, ours.fact("prompts"), task, role)
            vectors, _ = encoder.encode(
                ["w20 w30"], role=role.value if role else "text", prompt=prompt
            )
            wanted = official.encode(
                Texts(["w20 w30"]),
                task_metadata=task,
                hf_split="test",
                hf_subset="default",
                prompt_type=role,
            )
            assert np.allclose(vectors[None].read(), wanted, atol=1e-6), (name, role, prompt)


class Texts:
    """The part of a DataLoader that mteb's wrappers use."""

    def __init__(self, texts):
        self.texts = texts
        self.dataset = type("Dataset", (), {"features": ("text",)})

    def __iter__(self):
        return iter([{"text": self.texts}])


INSTRUCTED = (
    "Qwen/Qwen3-Embedding-0.6B",
    "NovaSearch/stella_en_400M_v5",
    "intfloat/multilingual-e5-small",
)


@pytest.mark.parametrize("name", INSTRUCTED)
def test_what_is_searched_has_the_prompts_of_what_is_measured(home, name):
    """An index asks like a retrieval task whose instruction is the user's."""
    from mteb.models.get_model_meta import MODEL_REGISTRY
    from mteb.types import PromptType

    class Task:
        name, type, prompt = "Mine", "Retrieval", {"query": "Find what answers"}

    right = wrapped(MODEL_REGISTRY[name])
    card = Card(name=name, method="auto", source=name, **_known_to_mteb(name))
    given = prompts_for_search(card, {}, "Find what answers")
    assert given == {role.value: {"prompt": right(Task, role)} for role in PromptType}
    assert given["query"]["prompt"]


@pytest.mark.parametrize(
    "name", [*INSTRUCTED, *(name for name, card in cards().items() if card.instruction)]
)
def test_without_an_instruction_an_index_asks_as_a_folder_is_evaluated(home, tmp_path, name):
    from mteb.types import PromptType

    from embedlab import corpus_index, tasks

    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "w1"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "w1"}\n')
    (tmp_path / "qrels/test.tsv").write_text("q\td\t1\n")
    (task,) = tasks.resolve([str(tmp_path)])
    card = cards().get(name) or Card(name=name, method="auto", source=name, **_known_to_mteb(name))
    given = prompts_for_search(card, {}, corpus_index.INSTRUCTION)
    assert given == {
        role.value: {"prompt": prompt_for(card, {}, task.metadata, role)} for role in PromptType
    }


@pytest.mark.parametrize(
    "own", [{}, {"query": "w1 ", "document": "w2 "}, {"query": "w1 ", "passage": "w2 "}]
)
def test_an_index_holds_the_vectors_that_were_measured(home, tiny_folder, tmp_path, own):
    from sentence_transformers import SentenceTransformer

    from embedlab import corpus_index
    from embedlab.encoding.encoder import Encoder

    SentenceTransformer(str(tiny_folder), device="cpu", prompts=own).save(str(tmp_path / "model"))
    name = str(tmp_path / "model")
    used = corpus_index.encoder(name, device="cpu", dtype="float32")
    measured = models.load(name, device="cpu", dtype="float32")
    assert used.id == measured.identity
    prompts = prompts_for_search(measured.card, FACTS["prompts"](measured.encoder), "any")
    texts = ["w20 w30", "w5"]
    for role, vectors in (
        ("query", used.encode_queries(texts)),
        ("document", used.encode_documents([{"text": text} for text in texts])),
    ):
        seen, _ = Encoder(measured).encode(texts, role=role, prompt=prompts[role]["prompt"])
        assert np.allclose(vectors, seen[None].read(), atol=1e-6)


@pytest.mark.parametrize("name", [name for name, card in cards().items() if card.registry])
def test_a_card_that_names_the_registry_is_asked_as_there(home, name):
    from mteb.models.get_model_meta import MODEL_REGISTRY

    right = wrapped(MODEL_REGISTRY[cards()[name].registry])
    assert all(
        prompt_for(cards()[name], {}, task, role) == right(task, role) for task, role in parts()
    )
