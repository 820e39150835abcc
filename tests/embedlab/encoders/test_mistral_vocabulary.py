"""The golden tokens of NV-Embed's prompt, on Mistral's own vocabulary
where the package mistral-common is installed.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

from embedlab.encoders.nv_embed import TEMPLATE

sentencepiece = pytest.importorskip("sentencepiece")
package = pytest.importorskip(
    "mistral_common", reason="the vocabulary comes with: pip install mistral-common"
)
PROMPT = "Instruct: Given a question, retrieve passages that answer the question\nQuery: "


@pytest.fixture(scope="module")
def vocabulary():
    return sentencepiece.SentencePieceProcessor(
        str(Path(package.__file__).parent / "data" / "tokenizer.model.v1")
    )


@pytest.fixture(scope="module")
def tokenizer(vocabulary):
    pieces = {vocabulary.id_to_piece(i): i for i in range(vocabulary.vocab_size())}
    # A pair of pieces merges where it is a piece itself;
    # SentencePiece numbers pieces in the order of merging.
    merges = [
        (piece[:cut], piece[cut:])
        for piece in sorted(pieces, key=lambda piece: -vocabulary.get_score(pieces[piece]))
        for cut in range(1, len(piece))
        if piece[:cut] in pieces and piece[cut:] in pieces
    ]
    made = Tokenizer(
        models.BPE(pieces, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def test_the_prompt_has_18_pieces_and_ends_in_the_space(vocabulary):
    assert len(vocabulary.encode(PROMPT)) == 18
    assert vocabulary.encode(PROMPT, out_type=str)[-1] == "▁"


@pytest.mark.parametrize(
    ("query", "pooled"), [("are judo throws", "▁are"), ("42 cats", "▁"), (" x", "▁")]
)
def test_pooling_begins_at_the_first_word_of_the_query(vocabulary, tokenizer, query, pooled):
    row = replace(TEMPLATE, max_length=4096).rows(tokenizer, [query], PROMPT)[0]
    assert row.ids == [1, *vocabulary.encode(PROMPT + query), 2]
    assert row.first == 18
    assert tokenizer.convert_ids_to_tokens(row.ids[18]) == pooled
