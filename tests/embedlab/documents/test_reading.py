"""Folders of documents become corpora; every file here is made by the test itself."""

import gzip
import json
import sys

import docx
import pyarrow
import pytest
from pyarrow import parquet
from pypdf import PdfReader, PdfWriter

import embedlab
from embedlab import documents
from embedlab.cli import run
from embedlab.errors import UserError
from embedlab.options import DocumentOptions


def pdf(path, text, password=""):
    """A page with one line of text, written by hand; encrypted by pypdf."""
    content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head, start = b"xref\n0 6\n0000000000 65535 f \n", len(data)
    data += head + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start
    path.write_bytes(data)
    if password:
        writer = PdfWriter(clone_from=PdfReader(path))
        writer.encrypt(password, algorithm="RC4-128")
        writer.write(path)


@pytest.fixture
def folder(tmp_path):
    """A document of each type that is read, and one of each fault."""
    root = tmp_path / "docs"
    (root / "deep").mkdir(parents=True)
    (root / "a.md").write_text("# Bones\n\nVitamin D prevents fractures.")
    (root / "deep/a.txt").write_text("Statins lower cholesterol.", encoding="utf-8-sig")
    (root / "page.html").write_text(
        "<html><head><title>Grüße</title><script>var lost</script></head>"
        "<body><h1>Heads</h1><p>Aspirin thins <b>blood</b>.</p></body></html>",
        encoding="utf-8",
    )
    pdf(root / "paper.pdf", "Insulin lowers glucose.")
    letter = docx.Document()
    letter.add_heading("Letter", 1)
    letter.add_paragraph("Penicillin kills bacteria.")
    letter.save(root / "letter.docx")
    (root / "rows.csv").write_text(
        'id,text,year,code\nr1,"Iron, in blood",1999,007\n2,Zinc,2001,1\n'
    )
    rows = [{"text": "Gold", "year": 2020, "tags": ["x"]}, {"text": "Lead", "year": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), root / "rows.parquet")
    (root / "rows.jsonl").write_text(
        '{"_id": "j1", "title": "T", "text": "Tin", "lang": "en", "zero": 0}\n'
        'not json\n{"_id": "j2"}\n'
    )
    # What cannot be read.
    pdf(root / "secret.pdf", "hidden", password="x")
    (root / "torn.pdf").write_bytes((root / "paper.pdf").read_bytes()[:60])
    (root / "broken.docx").write_bytes(b"PK\x03\x04 not a zip")
    (root / "empty.txt").write_text("")
    (root / "blank.md").write_text(" \n")
    (root / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (root / "picture.png").write_bytes(b"\x89PNG")
    (root / ".hidden.txt").write_text("not looked at")
    return root


def by_id(corpus):
    return dict(zip(corpus.ids, corpus.documents, strict=True))


def test_every_type_is_read_and_what_is_not_is_listed(folder):
    corpus = documents.read(folder)
    found = by_id(corpus)
    texts = {id: document["text"] for id, document in found.items()}
    assert texts.pop("page.html") == "# Heads\n\nAspirin thins **blood**."
    assert texts.pop("letter.docx") == "# Letter\n\nPenicillin kills bacteria."
    assert texts.pop("paper.pdf").strip() == "Insulin lowers glucose."
    assert texts == {
        "a.md": "# Bones\n\nVitamin D prevents fractures.",
        "deep/a.txt": "Statins lower cholesterol.",
        "r1": "Iron, in blood",
        "2": "Zinc",
        "rows.parquet#1": "Gold",
        "rows.parquet#2": "Lead",
        "j1": "Tin",
    }
    assert found["page.html"]["title"] == "Grüße"
    assert found["r1"] == {"title": "", "text": "Iron, in blood", "year": 1999, "code": "007"}
    assert found["rows.parquet#1"]["tags"] == ["x"] and "year" not in found["rows.parquet#2"]
    assert found["j1"] == {"title": "T", "text": "Tin", "lang": "en", "zero": 0}

    reasons = dict(corpus.unread)
    assert reasons.pop("secret.pdf") == "it is encrypted"
    assert reasons.pop("torn.pdf").startswith("it is no readable pdf file")
    assert reasons.pop("broken.docx").startswith("it is no readable docx file")
    assert reasons.pop("rows.jsonl#2").startswith("it is not JSON")
    assert reasons == {
        "empty.txt": "the file is empty",
        "blank.md": "it holds no text",
        "latin.txt": "it is not UTF-8 text",
        "picture.png": "files of the type .png are not read",
        "rows.jsonl#3": "it has no 'text'; its fields are '_id'",
    }


def test_an_ending_may_be_in_capitals(tmp_path):
    (tmp_path / "A.CSV").write_text("id,text,year\n1,one,2001\n")
    (tmp_path / "B.TSV").write_text("id\ttext\n2\ttwo\n")
    parquet.write_table(
        pyarrow.Table.from_pylist([{"id": "3", "text": "three"}]), tmp_path / "C.PARQUET"
    )
    with gzip.open(tmp_path / "D.JSONL.GZ", "wt") as file:
        file.write('{"_id": "4", "text": "four"}\n')
    (tmp_path / "E.MD").write_text("five")
    corpus = documents.read(tmp_path)
    texts = {id: document["text"] for id, document in by_id(corpus).items()}
    assert texts == {"1": "one", "2": "two", "3": "three", "4": "four", "E.MD": "five"}
    assert by_id(corpus)["1"]["year"] == 2001 and not corpus.unread


def test_fields_are_mapped(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("key,body,head,year,x\n01,one,1,2001,a\n02,two,2,2002,b\n")
    fields = DocumentOptions(id="key", text="body", title="head", metadata=["year"])
    assert by_id(documents.read(table, fields)) == {
        "01": {"title": "1", "text": "one", "year": 2001},
        "02": {"title": "2", "text": "two", "year": 2002},
    }
    lines = tmp_path / "corpus.jsonl"
    lines.write_text('{"key": 7, "body": "one", "x": 1}\n')
    mapped = documents.read(tmp_path, DocumentOptions(id="key", text="body"))
    assert by_id(mapped) == {"7": {"title": "", "text": "one", "x": 1}}
    with pytest.raises(UserError, match=r"it has no 'bodi'; its fields are 'key', 'body'"):
        documents.read(lines, DocumentOptions(id="key", text="bodi"))


def test_a_column_does_not_stand_where_the_text_does(tmp_path):
    lines = tmp_path / "corpus.jsonl"
    lines.write_text('{"key": 7, "body": "one", "text": "another", "x": 1}\n')
    fields = DocumentOptions(id="key", text="body")
    assert by_id(documents.read(lines, fields)) == {"7": {"title": "", "text": "one", "x": 1}}
    with pytest.raises(UserError, match="its 'text' would stand where the document's own does"):
        documents.read(lines, DocumentOptions(id="key", text="body", metadata=["text"]))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "holds no documents"),
        ({"a.txt": ""}, r"holds no documents \(a.txt: the file is empty\)"),
        ({"a.csv": "id,text\n1,x\n1,y\n"}, r"a.csv#2 gives the id '1' a second time; .* a.csv#1"),
        (
            {"a.jsonl": '{"_id": "b.txt", "text": "x"}', "b.txt": "y"},
            r"b.txt gives the id 'b.txt' a second time; the first is a.jsonl#1",
        ),
        ({"a.csv": "id,id,text\n1,1,x\n"}, "two of its columns have one name"),
    ],
)
def test_faults_of_a_whole_corpus(files, problem, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=problem):
        documents.read(tmp_path)


@pytest.mark.effect(
    "index build --docs",
    "index build --id",
    "index build --text",
    "index build --title",
    "index build --metadata",
)
def test_through_the_front_door(folder, tmp_path, monkeypatch, capsys, home):
    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["embedlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        return (ended.value.code or 0, *capsys.readouterr())

    out = tmp_path / "index"
    code, said, listed = command(
        "index", folder, "--model", "bm25", "--index", "lucene", "--out", out, "--json"
    )
    assert code == 0 and "secret.pdf: it is encrypted" in listed and "9 were left out" in listed
    assert json.loads(said)["documents"] == 10 and len(json.loads(said)["unread"]) == 9
    _, said, _ = command("search", out, "which drug kills bacteria", "--json")
    assert json.loads(said)["results"][0]["id"] == "letter.docx"

    table = tmp_path / "t.csv"
    table.write_text("key,body,head,year,x\nk1,iron,metals,2001,a\n")
    fields = ["--id", "key", "--text", "body", "--title", "head", "--metadata", "year"]
    build = ("index", "--docs", table, "--model", "bm25", "--out", out, *fields)
    assert command(*build, "--metadata", "x")[0] == 0  # typed twice, both count
    assert embedlab.Index.load(out).search("metals", 1, where="x = 'a'")[0].metadata["year"] == 2001
    assert command(*build)[0] == 0
    hit = embedlab.Index.load(out).search("metals", 1)[0]
    assert (hit.id, hit.text, hit.metadata) == (
        "k1",
        "metals iron",
        {"year": 2001, "title": "metals"},
    )
    index = embedlab.Index.build(table, "bm25", id="key", text="body")
    assert index.search("iron", 1)[0].metadata == {"head": "metals", "year": 2001, "x": "a"}

    code, _, error = command("index", tmp_path / "none", "--model", "bm25", "--out", out)
    assert code == 2 and "There is no corpus" in error
    code, _, error = command("index", folder, "--docs", folder, "--model", "bm25", "--out", out)
    assert code == 2 and "both name the documents" in error
