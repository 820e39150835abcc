"""Loading a model by its method: whole or not at all,
and whatever goes wrong is said in one sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedlab.bases import folders
from embedlab.errors import UserError
from embedlab.hardware import as_torch
from embedlab.models import backends
from embedlab.models.files import digests, identity, integrity, source_code
from embedlab.models.settings import common_settings
from leaderboard.plain_json import from_json

_OURS = "pip_install_embedlab"  # the name of our modules in a saved folder


@dataclass
class Loading:
    """How a model is loaded, when it comes to that:
    whole or not at all, and every error is a user's.
    """

    name: str  # as the user wrote it
    method: str | Callable[..., Any]  # a method's name, or a loader
    force: bool
    arguments: dict[str, Any]  # of the loader; dtype by its name, so that no torch is needed before
    folder: Path | None = None
    chosen: dict[str, Any] = field(default_factory=dict)  # settings put on what was loaded
    backend: str = ""  # what runs the backbone, where that is not torch
    misfit: integrity.Misfit = field(default_factory=integrity.Misfit)  # known once it was loaded

    def __call__(self) -> Any:
        quiet()
        from sentence_transformers.base.model import BaseModel

        from embedlab.encoders.methods import method

        load = method(self.method).load if isinstance(self.method, str) else self.method
        backend = backends.BACKENDS.get(self.backend)
        # What is exported is what torch has in full precision.
        dtype = "float32" if backend and backend.exports else self.arguments["dtype"]
        arguments = {**self.arguments, "dtype": as_torch(dtype)}
        if self.force and self.method == "sentence-transformers":
            arguments["model_kwargs"] = {
                **arguments.get("model_kwargs", {}),
                "ignore_mismatched_sizes": True,
            }
        where = [str(self.folder)] if self.folder else []
        with integrity.watched(seed=0 if self.force else None) as misfit:
            try:
                encoder = load(*where, **arguments)
                if not isinstance(encoder, BaseModel):  # an object, out of code of the user's
                    return encoder
                encoder.eval()
            except UserError:
                raise
            except Exception as error:
                misfit(None).refuse(self.folder or self.name)
                raise _refusal(self.name, self.folder, error) from error
        self.misfit = misfit(encoder)
        if not self.force:
            self.misfit.refuse(self.folder or self.name)
        from embedlab.encoders.modules.tokenizers import settle

        settle(encoder)
        common_settings.put(encoder, self.chosen, self.name)
        if backend and backend.exports:
            from embedlab.encoders.backends.backbone import serve

            dtype = self.arguments["dtype"]
            serve(encoder, backend.name, backend.runtime, dtype, digests.of_loaded, self.name)
        return encoder


def _refusal(name: str, folder: Path | None, error: Exception) -> UserError:
    if damaged := _damaged_json(folder):
        return UserError(damaged, "Get the model again.")
    if type(error).__name__ == "UnpicklingError":
        return UserError(
            f"The weights of {name} hold other things than tensors, which could be code.",
            "Get the model as model.safetensors.",
        )
    if "trust_remote_code" in str(error):
        if nowhere := (
            [one for one in identity.module_classes(folder) if _is_nowhere(one, folder)]
            if folder
            else []
        ):
            return UserError(
                f"The model {name} needs {', '.join(nowhere)}, which is neither in its folder nor"
                " in a package here.",
                "Install the package that it comes from"
                + (": pip install -U embedlab" if nowhere[0].startswith(_OURS) else "."),
            )
        code = sorted(path.name for path in folder.rglob("*.py")) if folder else []
        return UserError(
            f"The model {name} brings Python code of its own"
            + (f" ({', '.join(code)})" if code else "")
            + ".",
            f"Read it in {folder}. If you trust it, type again with --trust-remote-code.",
        )
    if base := _base_that_is_not_here(folder):
        return UserError(
            f"The adapter {folder} is to be put on the model {base!r}, which is not here.",
            "Get it, or correct base_model_name_or_path in adapter_config.json; relative paths"
            " begin where you are.",
        )
    text = (
        str(error)
        if isinstance(error, OSError | ValueError | KeyError)
        else f"{type(error).__name__}: {error}"
    )
    return UserError(
        f"The model {name} cannot be loaded: {text}", "Type again with --debug before the command."
    )


def _is_nowhere(reference: str, folder: Path) -> bool:
    package = reference.rpartition(".")[0]
    # A file that embedlab itself put there only names the package that the model needs.
    here = (folder / f"{package}.py").is_file() and not package.startswith(_OURS)
    known = "--" in reference or package.startswith("sentence_transformers")
    return not known and not here and not source_code.module_file(package)


def _base_that_is_not_here(folder: Path | None) -> str:
    """The base of the folder's first adapter that can be had neither from disk nor from the hub."""
    for base in identity.adapter_bases(folder) if folder else ():
        try:
            folders.folder(base)
        except UserError:
            return base
    return ""


def _damaged_json(folder: Path | None) -> str:
    """What is wrong with the first configuration that is no JSON; empty where all are."""
    for file in sorted(folder.rglob("*.json")) if folder else ():
        try:
            from_json(file.read_bytes())
        except ValueError as error:
            return f"{file} is no JSON: {error}."
    return ""


def quiet() -> None:
    """No bars or notices of the libraries while weights load: the command line has its own."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
