"""A command that refuses an option given as nothing:
`--split ""` would read as if it had been left out.
"""

from typing import Any

from typer.core import TyperCommand

from embedlab.errors import UserError


class Command(TyperCommand):
    """typer's command, which looks at the words as they were typed first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        typed, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in given:
            values = typed.get(parameter.name)
            if parameter.param_type_name == "option" and "" in (
                values if isinstance(values, list) else [values]
            ):
                raise UserError(
                    f"{parameter.opts[0]} is empty.", "Give it a value or leave it out."
                )
        return super().parse_args(ctx, args)
