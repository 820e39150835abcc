from datasets import Dataset

from embedlab.compat.datasets_internals import table_rows


def test_rows_of_the_table_behind_a_selection():
    data = Dataset.from_dict({"id": list("abcdef")})
    assert table_rows(data) is None
    chosen = data.select([5, 0, 3])
    table = chosen.data.column("id").to_pylist()
    assert [table[row] for row in table_rows(chosen)] == chosen["id"][:] == ["f", "a", "d"]
