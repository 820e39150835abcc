"""Golden prompts, token by token, and which of the tokens are pooled."""

import checkpoints
import pytest

from embedlab.encoders.modules.template import Template, cut_at_words, default_marks
from embedlab.errors import UserError

PROMPT = "Instruct: Given a question, retrieve passages that answer the question\nQuery: "


def shown(model, text, prompt=None):
    """(tokens, pooled tokens) of one input."""
    features = model.preprocess([text], prompt=prompt)
    ids, pooled = features["input_ids"][0], features["pooling_mask"][0].bool()
    return model.tokenizer.convert_ids_to_tokens(ids), model.tokenizer.convert_ids_to_tokens(
        ids[pooled]
    )


def test_nv_embed_pools_from_the_first_word_of_the_query(tiny):
    tokens, pooled = shown(tiny("nv-embed"), "are judo throws", PROMPT)
    assert tokens[0] == "<s>" and tokens[-1] == "</s>"
    assert "".join(tokens[1:-1]) == "▁" + (PROMPT + "are judo throws").replace(" ", "▁")
    assert pooled == ["▁are", "▁judo", "▁throws", "</s>"]


def test_nv_embed_pools_the_prompt_s_space_where_it_stays_apart_as_published(tiny):
    assert shown(tiny("nv-embed"), " judo throws", PROMPT)[1] == ["▁", "▁judo", "▁throws", "</s>"]


def test_nv_embed_pools_all_of_a_document(tiny):
    tokens, pooled = shown(tiny("nv-embed"), "are judo throws")
    assert tokens == pooled == ["<s>", "▁are", "▁judo", "▁throws", "</s>"]


def test_causal2vec_puts_the_contextual_token_between_instruction_and_text(tiny):
    model = tiny("causal2vec")
    features = model.preprocess(["are judo"], prompt="Query: ")
    tokens = model.tokenizer.convert_ids_to_tokens(features["input_ids"][0])
    place = features["context_mask"][0].tolist().index(1)
    assert tokens[0] == "<s>" and tokens[place + 1 :] == ["▁are", "▁judo", "</s>"]
    assert "".join(tokens[1:place]) == "▁Query:▁"
    assert features["pooling_mask"][0].nonzero().flatten().tolist() == [place, len(tokens) - 1]


def test_gem_ends_with_its_special_tokens_and_pools_them(tiny):
    tokens, pooled = shown(tiny("gem-mean"), "are judo")
    assert tokens == ["<s>", "▁are", "▁judo", "<|gem_0|>", "<|gem_1|>", "<|gem_2|>"]
    assert pooled == ["<|gem_0|>", "<|gem_1|>", "<|gem_2|>"]


def test_llm2vec_pools_the_text_with_what_closes_the_turn(tiny):
    tokens, pooled = shown(tiny("llm2vec"), "are judo", " Given a question:")
    assert tokens[:2] == ["<s>", "<|start_header_id|>"]
    assert "".join(tokens[2:]) == "▁user<|end_header_id|>▁\n\nGiven▁a▁question:▁are▁judo<|eot_id|>"
    assert pooled == ["▁are", "▁judo", "<|eot_id|>"]


def test_llm2vec_never_pools_the_instruction_of_a_text_that_was_cut(tiny):
    decoder = tiny("llm2vec")[0]
    short, long = decoder.rows(["judo", "x" * 900], "Given a question:")
    assert len(long.ids) == decoder.max_seq_length
    assert long.first == short.first > 10
    assert long.ids[: long.first] == short.ids[: short.first]


def test_genc_pools_what_follows_the_instruction(tiny):
    tokens, pooled = shown(tiny("genc"), "are judo", "the question.")
    assert tokens[:2] == ["<|begin_of_text|>", "<|start_header_id|>"]
    assert (
        "".join(tokens[2:])
        == "▁user<|end_header_id|>▁\n\nthe▁question.\nare▁judo<|eot_id|>▁\n<|end_of_text|>"
    )
    assert "".join(pooled) == "\nare▁judo<|eot_id|>▁\n<|end_of_text|>"


def test_kalm_adds_no_token_and_pools_all(tiny):
    tokens, pooled = shown(tiny("kalm"), "are judo", "Instruct: Find \n Query: ")
    assert tokens == pooled
    assert "".join(tokens) == "Instruct:ĠFindĠĊĠQuery:ĠareĠjudo"


def test_in_context_examples_precede_queries_alone(tiny):
    model = tiny("in-context")
    tokens, pooled = shown(model, "are judo", "<instruct>Find\n<query>")
    text = model.tokenizer.convert_tokens_to_string(tokens[1:-1])
    example = "<instruct>Find the answer\n<query>what is judo\n<response>a martial art\n\n"
    assert text == f"{example}<instruct>Find\n<query>are judo\n<response>"
    assert (tokens[0], tokens[-1], pooled) == ("<s>", "</s>", ["</s>"])
    assert shown(model, "are judo")[0] == ["<s>", "▁are", "▁judo", "</s>"]


def test_a_cut_query_keeps_what_follows_it(tiny):
    model = tiny("in-context")
    tokens, _ = shown(model, "judo " * 300, "<instruct>Find\n<query>")
    examples = model.tokenizer.tokenize(model[0].template.prefix)
    assert len(tokens) <= 128 + len(examples) + 8
    assert "".join(tokens[-12:]).endswith("\n<0x3C>response<0x3E></s>")


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_masked_and_never_pooled(tiny, side):
    decoder = tiny("nv-embed")[0]
    before = decoder.padding_side
    decoder.padding_side = side
    try:
        features = decoder.preprocess(["are judo throws", "judo"], prompt=PROMPT)
    finally:
        decoder.padding_side = before
    padded = features["attention_mask"][1] == 0
    assert padded.tolist() == (
        [True] * 2 + [False] * 13 if side == "left" else [False] * 13 + [True] * 2
    )
    assert not features["pooling_mask"][1][padded].any()
    assert (features["input_ids"][1][padded] == 2).all()


def test_the_tokenizer_adds_nothing_by_itself():
    tokenizer = checkpoints.tokenizer()
    assert tokenizer("judo")["input_ids"][0] == 1  # it would put BOS in front, as Mistral's does
    row = Template(start=["<s>"], end=["</s>"]).rows(tokenizer, ["judo"])[0]
    assert row.ids.count(1) == row.ids.count(2) == 1
    assert default_marks(tokenizer) == {"start": ["<s>"], "end": []}


def test_words_are_cut_by_llm2vec_s_rule():
    tokenizer = checkpoints.tokenizer()
    text = " ".join(["judo throws"] * 30)  # 60 words, 60 tokens
    assert cut_at_words(tokenizer, text, 40, 512) == " ".join(["judo throws"] * 20)
    assert cut_at_words(tokenizer, text, 60, 512) == text
    # One word: nothing would be left.
    assert cut_at_words(tokenizer, "x" * 900, 40, 512) == "x" * 900
    assert cut_at_words(tokenizer, "x" * 900, 40, 512, rescue=False) == ""


def test_a_token_that_the_vocabulary_lacks():
    with pytest.raises(UserError, match="no token '<bos>'"):
        Template(start=["<bos>"]).rows(checkpoints.tokenizer(), ["judo"])


def test_an_unknown_span():
    with pytest.raises(UserError, match="Unknown pooled span 'query'"):
        Template(pooled="query")
