"""Text in CSV files: a spreadsheet takes a cell that begins like a formula for one, and runs it."""

import pyarrow as pa
import pyarrow.compute as pc

_BEGINNINGS = "=+-@\t\r\n"


def defused(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would read a formula
    (OWASP, CSV injection).
    """
    return f"'{text}" if text.startswith(tuple(_BEGINNINGS)) else text


def defused_table(table: pa.Table) -> pa.Table:
    """The table with every text so; numbers stay numbers."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = table.column(place)
            formula = pc.match_substring_regex(
                column, rf"^[{_BEGINNINGS.replace('-', chr(92) + '-')}]"
            )
            marked = pc.binary_join_element_wise(
                pa.scalar("'", field.type), column, pa.scalar("", field.type)
            )
            table = table.set_column(place, field, pc.if_else(formula, marked, column))
    return table
