"""A changed bit in the files beside a store is an error, never another ranking or another text."""

import numpy as np
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.plain_json import from_json
from leaderboard.records import Ranking, Task, Texts
from leaderboard.storage.parquet_files import Files


@pytest.fixture
def files(tmp_path):
    random = np.random.default_rng(0)
    kept = Files(tmp_path)
    rows, scores = (
        random.integers(0, 9, (8, 3)).astype(np.int32),
        random.random((8, 3)).astype(np.float32),
    )
    rows[7] = -1  # a query that found nothing is in the file's head alone
    ranking = Ranking([f"q{n}" for n in range(8)], [f"d{n}" for n in range(9)], rows, scores)
    kept.write_ranking("run", ranking).replace(kept.ranking_path("run"))
    kept.add_texts(
        Task("T", "Retrieval"), Texts({"q0": "a question"}, {"q0": {"d0": 1}}, {"d0": "a text"})
    )
    return kept


def test_no_flipped_bit_of_a_ranking_or_a_text_goes_unseen(files):
    random, refused = np.random.default_rng(1), 0

    def all_of_it():
        found = files.read_ranking("run")
        return repr(
            (found.query_ids, found.document_ids, found.rows.tolist(), found.scores.tolist())
        ), repr(files.read_texts(Task("T", "Retrieval")))

    clean = all_of_it()
    for file in sorted(files.root.rglob("*.parquet")):
        whole = file.read_bytes()
        for at in random.choice(len(whole), size=150, replace=False):
            harmed = bytearray(whole)
            harmed[at] ^= 1 << int(random.integers(8))
            file.write_bytes(harmed)
            try:
                assert all_of_it() == clean, f"{file.name}, byte {at}"
            except LeaderboardError:
                refused += 1
        file.write_bytes(whole)
    assert refused > 300


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, r'"\ud800"', b'"\xed\xa0\x80"', b"\xff", "9" * 5000]
)
def test_json_from_outside_has_one_kind_of_error(text):
    with pytest.raises(ValueError):
        from_json(text)
    assert from_json(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
