"""Claims and citations; a cross-encoder as their judge."""

import pytest

from embedlab.errors import UserError
from embedlab.rag.claims import AskedModel, Claim, claims, entailment
from embedlab.rag.generator import Generated
from embedlab.rag.scoring import abstained, token_recall


def test_claims_and_what_they_cite():
    assert claims("Lima is big [1]. It is old [2, 3].") == [
        Claim("Lima is big.", (1,)),
        Claim("It is old.", (2, 3)),
    ]
    assert claims("Lima is big. [1] It is old.[2][3]") == [
        Claim("Lima is big.", (1,)),
        Claim("It is old.", (2, 3)),
    ]
    assert claims("unknown") == claims("I don't know.") == claims("") == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("unknown", True), ("Unknown.", True), ("", True), ("I do not know the answer.", True),
        ("The answer is unknown", True), ("the documents do not say", True),
        ("unknown_error", False), ("KeyError", False), ("no", False),
    ],
)  # fmt: skip
def test_abstentions(answer, said):
    assert abstained(answer) is said


def test_token_recall():
    assert token_recall("it returns the size of a file in bytes", ["the size of a file"]) == 1
    assert token_recall("size", ["size of file", "x"]) == pytest.approx(1 / 3)


def test_an_entailment_model_judges(tmp_path, word_tokenizer):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    def save(name, labels):
        config = BertConfig(
            vocab_size=len(word_tokenizer), hidden_size=8, num_hidden_layers=1,
            num_attention_heads=1, intermediate_size=8, max_position_embeddings=64,
            id2label=dict(enumerate(labels)), label2id={label: n for n, label in enumerate(labels)},
        )  # fmt: skip
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.copy_(torch.tensor([0.0, 1.0, 0.0][: len(labels)]))
        model.save_pretrained(tmp_path / name)
        word_tokenizer.save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    pairs = [("w1", ["w1 w2", "w3"]), ("w1", [])]
    yes = entailment(save("yes", ["contradiction", "entailment", "neutral"]), "cpu")
    no = entailment(save("no", ["entailment", "neutral", "contradiction"]), "cpu")
    assert yes.verdicts(pairs) == [True, False] and no.verdicts(pairs) == [False, False]
    with pytest.raises(UserError, match="no label for entailment"):
        entailment(save("other", ["good", "bad"]), "cpu")
    with pytest.raises(UserError, match="cannot be loaded"):
        entailment(str(tmp_path / "nowhere"), "cpu")


def test_without_documents_nothing_is_supported():
    class Yes:
        def fits(self, prompt):
            return True

        def generate_all(self, prompts):
            return ((n, Generated("yes", 1, 1)) for n, _ in enumerate(prompts))

    assert AskedModel(Yes()).verdicts([("a", []), ("b", ["b"])]) == [False, True]
