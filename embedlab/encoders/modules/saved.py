"""Modules that a saved model's folder holds, and how sentence-transformers asks for them."""

from pathlib import Path
from typing import Any, Self

from sentence_transformers.base.modules import Module

from embedlab.encoders import trust  # noqa: F401 - saved models load by SentenceTransformer(path)
from embedlab.errors import UserError

# What modules hand on to each other: tensors by name, and now and then a list of them or a number.
Features = dict[str, Any]


class FromFolder(Module):
    """A module that reads its own folder (`from_folder`), wherever that has to come from."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # sentence-transformers leaves it bare

    @classmethod
    def from_folder(cls, folder: Path, *, model_kwargs: dict[str, Any]) -> Self:
        """The module that `save` wrote to `folder`.

        Args:
            model_kwargs: what the model was loaded with, such as the dtype of its weights.
        """
        return cls(**cls.load_config(str(folder)))

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """As sentence-transformers calls it; `init_defaults` has no effect:
        our folders say everything.

        Raises:
            UserError: the model has no such folder.
        """
        folder = cls.load_dir_path(
            model_name_or_path, subfolder, token, cache_folder, revision, local_files_only
        )
        if folder is None:
            raise UserError(
                f"The model {model_name_or_path} has no folder {subfolder!r}, where its module"
                f" {cls.__name__} is kept.",
                "Get the model again.",
            )
        return cls.from_folder(Path(folder), model_kwargs=kwargs.get("model_kwargs") or {})
