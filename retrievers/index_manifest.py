"""The manifest of an index on disk: what its folder names, signs and vouches for."""

import json
import re
from pathlib import Path
from typing import Any

import xxhash

from retrievers.errors import RetrieverError

MANIFEST = "index.json"
SIGNATURE = "retrievers index"
FORMAT = 2
# The folder of one generation of files: the process that writes it, and a random part.
GENERATION = re.compile(r"data-(\d+)-\w+")
AGAIN = "Build it again."


def is_index(path: Path) -> bool:
    """Whether the folder at `path` is an index's; says nothing of its state."""
    try:
        return bool(unchecked(Path(path))["signature"] == SIGNATURE)
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return False


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the index at `path`.

    Raises:
        RetrieverError: there is no index, its manifest is damaged, or another version wrote it.
    """
    path = Path(path)
    if not path.is_dir():
        raise RetrieverError(
            f"There is no index at {path}.",
            "Build one: embedlab index --corpus DIR --out " + str(path),
        )
    try:
        manifest = unchecked(path)
    except FileNotFoundError:
        raise RetrieverError(
            f"{path} is not an index, or a half-written one: {MANIFEST} is missing.", AGAIN
        ) from None
    except (ValueError, RecursionError):
        raise RetrieverError(
            f"The index at {path} is damaged: {MANIFEST} is no JSON.", AGAIN
        ) from None
    except OSError as error:
        raise RetrieverError(
            f"The index at {path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("signature") != SIGNATURE:
        raise RetrieverError(
            f"{path} is not an index: its {MANIFEST} is another program's, or older.", AGAIN
        )
    if manifest.pop("checksum", None) != manifest_checksum(manifest):
        raise RetrieverError(
            f"The index at {path} is damaged: {MANIFEST} was changed after it was written.", AGAIN
        )
    if (version := manifest.get("format")) != FORMAT:
        raise RetrieverError(f"The index at {path} has format {version}, not {FORMAT}.", AGAIN)
    if not GENERATION.fullmatch(str(manifest.get("data"))) or not isinstance(
        manifest.get("files"), dict
    ):
        raise RetrieverError(f"The index at {path} is damaged: {MANIFEST} names no files.", AGAIN)
    return manifest


def unchecked(path: Path) -> dict[str, Any]:
    """What the manifest holds, whatever that is."""
    manifest: dict[str, Any] = json.loads((path / MANIFEST).read_bytes())
    return manifest


def named_generation(path: Path) -> str | None:
    """The generation that the manifest names now; None where that cannot be told."""
    try:
        data: str | None = unchecked(path)["data"]
        return data
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None


def manifest_checksum(manifest: dict[str, Any]) -> str:
    """The digest of a manifest without its own checksum."""
    return xxhash.xxh3_128_hexdigest(json.dumps(manifest, sort_keys=True).encode())
