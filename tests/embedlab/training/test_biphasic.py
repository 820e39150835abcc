"""First causal, then masked language modelling
(arXiv:2507.00994) on a decoder without its causal mask.
"""

import pytest
import torch
import torch.nn.functional as F
from small_pairs import TEXTS

from embedlab.errors import UserError
from embedlab.training import objectives, untrained
from embedlab.training.losses import decoder_masking
from embedlab.training.losses.language import causal_states
from embedlab.training.losses.masking import IGNORED


@pytest.fixture
def model(decoder):
    settings = {"attention": "bidirectional", "language_model": True, "max_length": 32}
    return untrained.build("decoder", decoder, settings).eval()


def test_the_causal_phase_does_not_look_ahead(model):
    features = model.preprocess(TEXTS[:2])
    ids, mask = features["input_ids"], features["attention_mask"]
    other = ids.clone()
    other[0, 6] = (other[0, 6] + 1) % len(model.tokenizer)
    one, two = (causal_states(model[0], each, mask) for each in (ids, other))
    assert torch.allclose(one[0, :6], two[0, :6], atol=1e-6)
    assert not torch.allclose(one[0, 6:], two[0, 6:], atol=1e-4)
    free, moved = (model[0].states(mask, input_ids=each)[0] for each in (ids, other))
    assert not torch.allclose(free[0, 0], moved[0, 0], atol=1e-6)  # its own attention looks ahead


def test_the_causal_phase_is_a_causal_models(model, decoder):
    causal = untrained.build("decoder", decoder, {"language_model": True, "max_length": 32}).eval()
    values = [
        float(objectives.build("next-token", one, {})([one.preprocess(TEXTS)]))
        for one in (model, causal)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_masked_phase_by_hand(model, monkeypatch):
    features = model.preprocess(TEXTS[:3])
    kept = {}
    real = decoder_masking.mask_tokens

    def watched(*args, **how):
        kept["hidden"], kept["targets"] = real(*args, **how)
        return kept["hidden"], kept["targets"]

    monkeypatch.setattr(decoder_masking, "mask_tokens", watched)
    torch.manual_seed(3)
    value = objectives.build("masked-token", model, {"share": 0.5})([features])
    hidden, targets = kept["hidden"], kept["targets"]
    asked = targets != IGNORED
    assert 0.2 < asked.sum() / features["attention_mask"].sum() < 0.7
    assert (hidden[~asked] == features["input_ids"][~asked]).all()
    logits = (
        model[0]
        .model(
            input_ids=hidden,
            attention_mask=features["attention_mask"],
            position_ids=model[0].positions(features["attention_mask"]),
        )
        .logits
    )
    wanted = F.cross_entropy(logits[asked], targets[asked])  # each from its own place
    assert float(value) == pytest.approx(float(wanted), rel=1e-5)


def test_a_causal_decoder_is_refused(decoder):
    model = untrained.build("decoder", decoder, {"max_length": 32})
    with pytest.raises(UserError, match="sees both sides") as error:
        objectives.build("masked-token", model, {})
    assert "bidirectional" in error.value.hint
