"""A language model's file is read once for all that transformers takes from it."""

import pytest

gguf = pytest.importorskip("gguf")


def test_a_file_is_read_once(tmp_path):
    from embedlab.compat.gguf_internals import read_once

    file = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    with read_once():
        assert gguf.GGUFReader(file) is gguf.GGUFReader(file)
        kind = gguf.MODEL_ARCH.LLAMA
        assert gguf.get_tensor_name_map(kind, 1) is gguf.get_tensor_name_map(kind, 1)
        assert gguf.get_tensor_name_map(kind, 1).mapping == names(kind, 1).mapping
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == (reader, names)
