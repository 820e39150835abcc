"""A language model that reranks by the logits of yes and no."""

import pytest

from embedlab.errors import UserError
from embedlab.models import load
from tests.tiny_models import LLAMA

WORDS = "Passage Query Does the passage answer query Answer yes or no : ? ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random Llama that knows the question's words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from embedlab.training.new_base import write_random

    words = ["[PAD]", "[UNK]", *WORDS.split(), *(f"w{n}" for n in range(50))]
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=256
    )
    wrapped.chat_template = "{% for message in messages %}w1 {{ message.content }}{% endfor %}"
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lm") / "asker"
    settings = {**LLAMA, "max_position_embeddings": 256}
    write_random(folder, wrapped, "llama", **settings, num_key_value_heads=2)
    return folder


def test_scores_are_the_difference_of_two_logits(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = load(f"yes-no({folder})?max_length=96", device="cpu", dtype="float32")
    long = " ".join(f"w{n % 50}" for n in range(300))
    pairs = [("w1 w2", "w3"), ("w1 w2", "w3 w4 w5 w6 w7 w8"), ("w9", long)]
    scores = model.encoder.predict(pairs, show_progress_bar=False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    language_model = AutoModelForCausalLM.from_pretrained(folder).eval()
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    for (query, document), score in zip(pairs, scores, strict=True):
        question = (
            f"Passage: {document}\nQuery: {query}\nDoes the passage answer the query?"
            " Answer yes or no.\nAnswer:"
        )
        ids = tokenizer(question, return_tensors="pt")["input_ids"]
        if ids.shape[1] > 96:  # the passage is cut, the question stays whole
            question = model.encoder[0].question(query, document)
            ids = tokenizer(question, return_tensors="pt")["input_ids"]
            assert 88 <= ids.shape[1] <= 96
            assert question.endswith("Answer:") and "w9" in question
        with torch.inference_mode():
            logits = language_model(ids).logits[0, -1]
        assert float(score) == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)


def test_it_has_a_name_and_a_place(folder):
    from embedlab.models import composition

    card = composition.find(f"bm25 >> yes-no({folder})")
    assert card.name == "bm25 >> yes-no(asker)"
    with pytest.raises(UserError, match="reranks"):
        composition.find(f"rrf(bm25, yes-no({folder}))")


def test_a_model_without_the_answers_is_refused(small_base):
    with pytest.raises(UserError, match="no single token for the answer 'yes'"):
        load(f"yes-no({small_base})", device="cpu")
