"""The Hugging Face hub: whether it can be reached, and snapshots of its models."""

import os
import socket
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

from embedlab.errors import UserError
from embedlab.terminal import echo

OFFLINE_HINT = (
    "What works offline: bm25, all-minilm-l6-v2, a local model folder, models already in the hub's"
    " cache; and as tasks stdlib, stdlib-mini, BEIR folders and --data-dir."
)


@cache
def reachable() -> bool:
    """Whether the hub answers; a proxy is taken to lead there."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    try:
        socket.create_connection((_host(), 443), timeout=3).close()
    except OSError:
        return False
    return True


@cache
def settle() -> bool:
    """Whether the hub can be reached;
    where not, tell its libraries once to work from their cache, and say so.

    Call before the first import of transformers, datasets or huggingface_hub: they read the
    environment then.
    """
    if not reachable() and "HF_HUB_OFFLINE" not in os.environ:
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
        echo(f"The hub ({_host()}) cannot be reached: working offline.", err=True)
    return reachable()


def _host() -> str:
    return urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or ""


def snapshot(repository: str, revision: str | None = None) -> Path:
    """The local folder of a hub model, downloaded when the cache lacks it.
    Its name is the resolved commit.

    Raises:
        UserError: the model does not exist, is gated, or the hub cannot be reached and the cache
            lacks it.
    """
    online = settle()
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                local_files_only=not online,
                ignore_patterns=["*.onnx", "*.h5", "*.msgpack", "openvino/*", "onnx/*", "*.gguf"],
            )
        )
    except errors.GatedRepoError as error:
        raise UserError(
            f"The model {repository} is gated: its owners ask you to accept terms first.",
            f"Accept them on https://huggingface.co/{repository}, then type: hf auth login",
        ) from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.HFValidationError,
    ) as error:
        raise UserError(
            f"No model {repository!r}"
            + (f" at revision {revision!r}" if revision else "")
            + " on the hub or on disk.",
            "Type `embedlab models` for the known names, or give a hub id (owner/name) or a local"
            " folder.",
        ) from error
    except (
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        errors.HfHubHTTPError,
        OSError,
    ) as error:
        raise UserError(
            f"The model {repository} is not in the hub's cache, and the hub cannot be reached.",
            OFFLINE_HINT,
        ) from error
