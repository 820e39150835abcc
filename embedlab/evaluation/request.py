"""What the user asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from embedlab.options import (
    GROUPS,
    EncodingOptions,
    LoadingOptions,
    ServerOptions,
    ShareOptions,
    TaskOptions,
    ViewOptions,
    grouped,
)
from leaderboard.records import plain


@dataclass(frozen=True)
class Request:
    """What the user asked for; recorded with every run."""

    models: Sequence[str]
    tasks: Sequence[str]
    loading: LoadingOptions = field(default_factory=LoadingOptions)
    views: ViewOptions = field(default_factory=ViewOptions)
    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    task: TaskOptions = field(default_factory=TaskOptions)
    share: ShareOptions = field(default_factory=ShareOptions)
    db: Path | None = None

    @classmethod
    def of(
        cls, models: Sequence[str], tasks: Sequence[str], *, db: Path | None = None, **options: Any
    ) -> Self:
        """A request with options by the names of their fields, whatever group they are in."""
        return cls(models, tasks, **grouped(options), db=db)

    def with_options(self, **options: Any) -> Self:
        """The same request with other options, by the names of their fields."""
        changed = {}
        for name in GROUPS:
            own = {each.name for each in fields(getattr(self, name))} & options.keys()
            if own:
                changed[name] = replace(
                    getattr(self, name), **{field: options[field] for field in own}
                )
        return replace(self, **changed)

    def plain(self) -> dict[str, Any]:
        """The request for the record: options by their names."""
        options = plain(self)
        for group in ("loading", "views", "server", "task", "share"):
            options |= plain(getattr(self, group))
            del options[group]
        return options
