"""Training splits of tasks on disk: what becomes a row, what never does, and the proof of it."""

import json
import random

import pytest

from embedlab.training import training_data
from embedlab.training.overlap import Unseen
from tests.embedlab.training.decoder_recipe import RECIPE
from tests.embedlab.training.overlap import repeated

WORDS = [f"w{n}" for n in range(400)]


def text(seed, length=12):
    return " ".join(random.Random(seed).sample(WORDS, length))


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder with a training and a test split that overlap in every way."""
    place = tmp_path / "mine"
    (place / "qrels").mkdir(parents=True)
    documents = {f"d{n}": text(n, 30) for n in range(12)}
    queries = {f"q{n}": text(100 + n) for n in range(8)}
    queries["same"] = queries["q7"].upper() + "!"  # of the test query q7
    queries["near"] = queries["q7"].replace(queries["q7"].split()[-1], "changed")
    queries["around"] = f"see: {queries['q7']} (again)"
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = (json.dumps({"_id": id, "text": words}) for id, words in texts.items())
        (place / f"{name}.jsonl").write_text("\n".join(lines))
    train = [("q0", "d0"), ("q0", "d1"), ("q1", "d2"), ("q2", "d9")]  # d9 is relevant in the test
    train += [("same", "d3"), ("near", "d4"), ("around", "d5")]
    for name, pairs in (("train", train), ("test", [("q6", "d9"), ("q7", "d10")])):
        rows = "".join(f"{query}\t{document}\t1\n" for query, document in pairs)
        (place / "qrels" / f"{name}.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return place, documents, queries


def test_rows_of_a_beir_folder_and_the_proof(folder, home):
    place, documents, queries = folder
    rows, record = training_data.load({"task": str(place)}, seed=1)
    wanted = {("q0", "d0"), ("q0", "d1"), ("q1", "d2")}
    assert {tuple(row.values()) for row in rows} == {
        (queries[query], documents[document]) for query, document in wanted
    }
    (found,) = record["unseen"].values()
    assert found["held_out_texts"] == 4 and found["left"] == 0
    assert found["dropped"] == {"exact": 2, "contained": 1, "near": 1}  # `same` and d9 are exact
    assert found["compared_texts"] == 13 and found["shared_corpus_documents"] == 3
    test = [queries["q6"], queries["q7"], documents["d9"], documents["d10"]]
    assert not list(repeated([each for row in rows for each in row.values()], test))


def test_further_tasks_are_kept_unseen(folder, home, tmp_path):
    place, _, queries = folder
    path = tmp_path / "pairs.jsonl"
    lines = [{"query": queries["q6"], "positive": "a b c d e"}, {"query": "f g", "positive": "h i"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    rows, record = training_data.load({"path": str(path), "unseen": [str(place)]}, seed=1)
    assert list(rows) == lines[1:] and next(iter(record["unseen"].values()))["left"] == 0
    rows, record = training_data.load({"path": str(path)}, seed=1)
    assert len(rows) == 2 and "unseen" not in record


def test_sources_together(folder, home, tmp_path):
    place, *_ = folder
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"query": f"a{n}", "positive": "b"}) for n in range(9)))
    data = {"sources": [{"task": str(place)}, {"path": str(path), "limit": 4}]}
    rows, record = training_data.load(data, seed=1)
    assert len(rows) == 7 and record["rows"] == 7 and record["unseen"]
    assert training_data.load(data, seed=1)[1] == record


@pytest.fixture
def mirror(tmp_path):
    sts = "subset\tscore\tsentence1\tsentence2\n"
    pairs = [(5.0, text(1), text(2)), (4.0, text(3), text(4)), (3.9, text(5), text(6))]
    (tmp_path / "STSBenchmark.train.tsv").write_text(
        sts + "".join(f"x\t{score}\t{one}\t{other}\n" for score, one, other in pairs)
    )
    (tmp_path / "STSBenchmark.tsv").write_text(sts + f"x\t1.0\t{text(3)}\t{text(9)}\n")
    (tmp_path / "STSBenchmark.dev.tsv").write_text(sts + f"x\t1.0\t{text(10)}\t{text(11)}\n")
    bank = tmp_path / "banking77"
    bank.mkdir()
    lines = [f"{text(20 + n)},c{n % 4}" for n in range(16)]
    (bank / "train.csv").write_text("text,label\n" + "\n".join(lines))
    (bank / "test.csv").write_text(f"text,label\n{text(20)},c0\n{text(60)},c1\n")
    return tmp_path


def test_pairs_of_sts(mirror, home):
    data = {"task": "STSBenchmark", "data_dir": str(mirror)}
    rows, record = training_data.load(data, seed=1)
    found = {tuple(row.values()) for row in rows}
    assert found == {(text(1), text(2)), (text(2), text(1))}  # text(3) is of the test split
    assert record["unseen"]["STSBenchmark"]["dropped"]["exact"] == 1
    rows, _ = training_data.load(data | {"min_score": 3.5}, seed=1)
    assert (text(6), text(5)) in {tuple(row.values()) for row in rows}


def test_examples_of_classes(mirror, home):
    data = {"task": "Banking77Classification", "data_dir": str(mirror), "other_classes": 2}
    rows, record = training_data.load(data, seed=1)
    label = {text(20 + n): n % 4 for n in range(16)}
    for row in rows:
        classes = [label[each] for each in row.values()]
        assert classes[0] == classes[1] and len({*classes}) == 3 and row["query"] != row["positive"]
        assert text(20) not in row.values()  # of the test split
    assert len(rows) >= 8 and record["unseen"]["Banking77Classification"]["left"] == 0
    assert training_data.load(data, seed=1)[1] == record
    assert training_data.load(data, seed=2)[1] != record


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ('task = "FOLDER"\nsplit = "test"', "names a test split"),
        ('path = "FOLDER"\nsplit = "test"', "names a test split"),
        ('path = "MIRROR/banking77/test.csv"', "names a test split"),
        ('hub = "owner/name"\nsplit = "train+test[:10]"', "names a test split"),
        ('[[data.sources]]\ntask = "FOLDER"\nsplit = "test"', "names a test split"),
        ('task = "MSMARCO"\nsplit = "dev"', "is evaluated on its split dev"),
        ('task = "FOLDER"\nsplit = "dev"', "has no qrels/dev.tsv"),
        ('task = "SciFact"', "is read from disk"),
        ('task = "NoSuchTask"', "Unknown task"),
        ('task = "FOLDER"\npath = "x.jsonl"', "names 2 sources"),
        ('task = "FOLDER"\n[[data.sources]]\ntask = "FOLDER"', "Move it into a source"),
        (
            '[[data.sources]]\ntask = "FOLDER"\nunseen = ["stdlib"]',
            "Unknown key in [[data.sources]]",
        ),
        ('task = "FOLDER"\nunseen = ["NoSuchTask"]', "Unknown task"),
        ('task = "FOLDER"\nunseen = "stdlib"', "is not what it has to be"),
        (
            'task = "Banking77Classification"\ndata_dir = "MIRROR"\nother_classes = 4',
            "has 4 classes",
        ),
        ('task = "STSBenchmark"\ndata_dir = "MIRROR"\nmin_score = 6', "No pair of STSBenchmark"),
    ],
)
def test_bad_data_are_one_sentence(data, problem, folder, mirror, cli, home, decoder, tmp_path):
    path = tmp_path / "recipe.toml"
    data = data.replace("FOLDER", str(folder[0])).replace("MIRROR", str(mirror))
    path.write_text(RECIPE.format(base=decoder, data=data, objective="contrastive"))
    code, _, err = cli("train", path, "--out", tmp_path / "out")
    assert code == 2 and problem in err and "Traceback" not in err, err


def test_the_proof_is_in_the_checkpoints_record(folder, cli, home, decoder, tmp_path):
    path = tmp_path / "recipe.toml"
    data = f'task = "{folder[0]}"'
    path.write_text(RECIPE.format(base=decoder, data=data, objective="contrastive"))
    code, _, err = cli("train", path, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    kept = json.loads((tmp_path / "out" / "training.json").read_text())
    (proof,) = kept["data"]["stage 1"]["unseen"].values()
    assert proof["left"] == 0 and sum(proof["dropped"].values()) == 4


def by_hand(one, other):
    """Jaccard index of neighbouring words."""
    sets = [
        {*zip(["", *words], [*words, ""], strict=True)} for words in (one.split(), other.split())
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_near_is_what_its_formula_says():
    """Prefix filtering loses none: against the comparison of every pair."""
    source = random.Random(5)
    texts = [text(n, 8) for n in range(60)]
    held, training = texts[:30], []
    for each in texts:
        words = each.split()
        for _ in range(source.randrange(4)):
            words[source.randrange(8)] = source.choice(WORDS)
        training.append(" ".join(words))
    unseen = Unseen(held)
    near = {each for each in training if unseen.kind(each) in ("near", "exact")}
    wanted = {each for each in training if any(by_hand(each, other) >= 0.7 for other in held)}
    assert near == wanted and 3 < len(wanted) < 40
