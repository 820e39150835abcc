"""`--device`, `--workers` and `embedlab doctor` where there is no GPU."""

import pytest
import torch
import typer

from embedlab import cli as program

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
LINES = {
    "eval": "eval --model {model} --task {corner}",
    "models": "models show {model}",
    "index build": "index --model {model} --corpus {corner} --out {new}",
    "index add": "index add {index} {more}",
    "search": "search {index} w1",
    "serve": "serve {index}",
    "rag": "rag --retriever {index} --questions {questions} --k 1",
    "train": "train base-mean --base {base} --out {new}",
    "perplexity": "perplexity {base}",
    "study": "study elastic",
}


def with_device(command, name=""):
    below = getattr(command, "commands", {})
    found = [each for word in below for each in with_device(below[word], f"{name} {word}".strip())]
    return found + [name] * any("--device" in parameter.opts for parameter in command.params)


def test_every_command_with_a_device_is_here():
    program.app.registered_commands.clear()
    program.app.registered_groups.clear()
    program._register()
    assert sorted(with_device(typer.main.get_command(program.app))) == sorted(LINES)


@without_gpu
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_gpu_that_is_not_there_is_one_error(
    line, ok, refused, home, corner, tiny_folder, small_base, tmp_path
):
    paths = {name: tmp_path / name for name in ("index", "new", "more", "questions")}
    if "{index}" in line:
        ok("index", "--model", tiny_folder, "--corpus", corner, "--out", paths["index"])
    paths["questions"].write_text('{"id": "1", "question": "w1"}\n')
    paths["questions"] = paths["questions"].rename(tmp_path / "questions.jsonl")
    paths["more"].mkdir()
    (paths["more"] / "a.txt").write_text("w1 w2")
    given = {"model": tiny_folder, "base": small_base, "corner": corner, **paths}
    words = [word.format(**given) for word in line.split()]
    err = refused(*words, "--device", "cuda")
    assert err.count("The device 'cuda' cannot be used here: ") == err.count("Error:") == 1, err
    assert "--device cpu always works" in err
    assert not paths["new"].exists() and not (home / "results.duckdb").exists()


@without_gpu
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--workers", 0], "'--workers': Input should be greater than or equal to 1"),
        (["--workers", "two"], "'--workers': Input should be a valid integer"),
        (["--workers", 2, "--device", "cuda"], "The device 'cuda' cannot be used here"),
        (["--workers", 2, "--compile"], "--workers 2 is more than there are devices: cpu"),
        (["--device", "gpu"], "The device 'gpu' cannot be used here"),
        (["--device", "meta"], "The device 'meta' cannot be used here"),
    ],
)
def test_workers_and_devices_that_do_not_fit(options, problem, refused, corner, tiny_folder):
    err = refused("eval", "--model", tiny_folder, "--task", corner, *options)
    assert problem in err.replace("\n", " "), err


def found(ok):
    return {each["subject"]: each for each in ok("doctor", "--json")["findings"]}


@without_gpu
def test_doctor_says_what_computes(ok):
    findings = found(ok)
    assert findings["device"]["detail"].startswith("cpu:")
    assert findings["dtype"]["detail"].startswith("float32:")
    assert "searches on the CPU, there is no GPU for it" in findings["FAISS"]["detail"]


@pytest.mark.parametrize(
    ("seen", "detail", "mend"),
    [(0, "it is no FAISS for GPUs; --index torch searches on the GPU", "embedlab[gpu]"),
     (2, "search on 2 GPU(s)", "")],
)  # fmt: skip
def test_doctor_says_whether_faiss_is_on_the_gpus(seen, detail, mend, ok, monkeypatch):
    """Two GPUs that only torch, or FAISS too, can use."""
    from retrievers.registry import index_class

    for name, value in {
        "is_available": True, "device_count": 2, "get_device_name": "H100",
        "is_bf16_supported": True,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr("embedlab.hardware._surely_no_gpu", lambda: False)
    monkeypatch.setattr(index_class("faiss"), "gpus", staticmethod(lambda: seen))
    findings = found(ok)
    assert findings["device"]["detail"].endswith("--workers 2 by default: cuda:0, cuda:1")
    assert findings["dtype"]["detail"].startswith("bfloat16:")
    assert detail in findings["FAISS"]["detail"] and mend in findings["FAISS"]["mend"]
