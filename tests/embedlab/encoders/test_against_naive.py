"""Each method against the naive one in naive.py: from the written checkpoint to the vector, one
text at a time.
"""

import numpy as np
import pytest
import torch
from naive import causal, cross_attention, decoder_states, everyone, last_states, unit

TEXTS = ["are judo throws allowed?", "42 cats", "how to become a radiology technician in michigan?"]
PROMPT = "Instruct: Given a question, retrieve passages\nQuery: "
TOLERANCE = 1e-5


def ids_of(model, *strings):
    return [
        i
        for string in strings
        for i in model.tokenizer(string, add_special_tokens=False)["input_ids"]
    ]


def nv_embed(model, text, prompt):
    decoder, pooling, _ = model
    ids = [1, *ids_of(model, prompt + text), 2]
    skipped = len(ids_of(model, prompt)) if prompt else 0
    states = last_states(decoder.model, ids, everyone)
    states = cross_attention(states, pooling.latents, pooling.state_dict(), heads=2)
    return unit(sum(states[i] for i in range(skipped, len(ids))) / (len(ids) - skipped))


def causal2vec(model, text, prompt):
    module = model[0]
    words = module.encoder_tokenizer(text, return_tensors="pt")
    summary = module.encoder(**words).last_hidden_state[0].mean(0)
    first, _, second = module.projector
    hidden = first.weight @ summary + first.bias
    hidden = second.weight @ (hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))) + second.bias
    before, after = [1, *(ids_of(model, prompt) if prompt else [])], [*ids_of(model, text), 2]
    table = module.decoder.model.embed_tokens.weight
    embeddings = torch.cat([table[before], hidden[None], table[after]])
    states = decoder_states(module.decoder.model, embeddings, causal)[-1]
    return torch.cat([states[len(before)], states[-1]])


def gem(pool):
    def reference(model, text, prompt):
        specials = model.tokenizer.convert_tokens_to_ids([f"<|gem_{i}|>" for i in range(3)])
        ids = [1, *ids_of(model, prompt + text), *specials]
        return pool(list(last_states(model[0].model.model, ids, causal)[-3:]))

    return reference


def llm2vec(model, text, prompt):
    around = "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"
    ids = [
        1,
        *ids_of(model, around[0] + (f"{prompt.strip()} " if prompt else "") + text + around[1]),
    ]
    states = last_states(model[0].model, ids, everyone)
    pooled = len(ids_of(model, text + around[1]))
    return sum(states[len(ids) - 1 - i] for i in range(pooled)) / pooled


def genc(model, text, prompt):
    head = "<|start_header_id|>user<|end_header_id|>\n\n" + (prompt or ".")
    marks = model.tokenizer.convert_tokens_to_ids(["<|begin_of_text|>", "<|end_of_text|>"])
    ids = [marks[0], *ids_of(model, f"{head}\n{text}<|eot_id|>\n"), marks[1]]
    states = last_states(model[0].model, ids, everyone)
    skipped = 1 + len(ids_of(model, head))
    return sum(states[i] for i in range(skipped, len(ids))) / (len(ids) - skipped)


def kalm(model, text, prompt):
    ids = ids_of(model, prompt + text)
    return unit(sum(last_states(model[0].model, ids, everyone)) / len(ids))


def in_context(model, text, prompt):
    example = "<instruct>Find the answer\n<query>what is judo\n<response>a martial art\n\n"
    ids = [1, *ids_of(model, f"{example}{prompt}{text}\n<response>" if prompt else text), 2]
    return unit(last_states(model[0].model, ids, causal)[-1])


def pooling_and_attn(variant):
    def reference(model, text, prompt):
        decoder = model[0]
        ids = [1, *ids_of(model, prompt + text), 2]
        # Tokens that nobody sees, and that are pooled.
        padding = -len(ids) % 8 if variant == 4 else 0
        ids = [decoder.pad_id] * padding + ids
        sees = causal if variant < 4 else lambda row, column, layer: column >= padding
        layers = decoder_states(decoder.model, decoder.model.embed_tokens.weight[ids], sees)
        if variant == 1:
            return unit(layers[-1][-1])
        # The last layer's states are those after the final norm.
        head, normed = (model[1], layers[-1])
        each = [*layers[:-2], normed]
        context = {
            2: lambda: normed[-1:],
            3: lambda: torch.stack([layer[-1] for layer in each]) + head.pos_emb.weight,
            4: lambda: normed,
            5: lambda: torch.stack([layer.mean(0) for layer in each]) + head.pos_emb.weight,
        }[variant]()
        names = "norm_context", "norm"
        return unit(
            cross_attention(head.latents, context, head.state_dict(), heads=2, names=names).mean(0)
        )

    return reference


REFERENCES = {
    "nv-embed": nv_embed,
    "causal2vec": causal2vec,
    "gem-mean": gem(lambda states: sum(states) / len(states)),
    "gem-concatenate": gem(torch.cat),
    "llm2vec": llm2vec,
    "genc": genc,
    "kalm": kalm,
    "in-context": in_context,
    **{f"pooling-and-attn-{variant}": pooling_and_attn(variant) for variant in (1, 2, 3, 4, 5)},
}


@torch.no_grad()
def largest_difference(name, model) -> float:
    """Between the method and its naive reference, over texts with and without prompt."""
    found = 0.0
    for prompt in ("", PROMPT):
        # One by one, so that the variant which pools padding has none.
        ours = np.stack([model.encode(text, prompt=prompt or None) for text in TEXTS])
        naive = torch.stack([REFERENCES[name](model, text, prompt) for text in TEXTS])
        assert ours.shape == naive.shape
        found = max(found, float(np.abs(ours - naive.numpy()).max()))
    return found


@pytest.mark.parametrize("name", REFERENCES)
def test_the_vector_is_the_naive_one(name, tiny, record_property):
    difference = largest_difference(name, tiny(name))
    record_property("max_difference", difference)
    assert difference <= TOLERANCE
