"""What the statements share, and the two places where the databases differ."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Subquery,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB

from ... import EntryState
from ..schema import UtcTime, orders

__all__ = ["ACCOUNT", "IN_ACCOUNT", "NOW", "S", "c", "insert_or_ignore", "json_rows"]

S = EntryState
c = orders.c
ACCOUNT: ColumnElement[str] = bindparam("p_account")
IN_ACCOUNT = c.account == ACCOUNT
NOW = bindparam("p_now", type_=UtcTime)


def insert_or_ignore(table: Table, *, is_sqlite: bool) -> Any:
    """Return an INSERT that ignores a row whose key exists; with RETURNING, it returns no row."""
    insert = sqlite.insert if is_sqlite else postgresql.insert
    return insert(table).on_conflict_do_nothing()


def json_rows(columns: Mapping[str, Any], *, is_sqlite: bool) -> Subquery:
    """Return a JSON array of objects (`p_rows`) as a table with these columns."""
    if is_sqlite:
        each = func.json_each(bindparam("p_rows")).table_valued("value", name="each_row")
        values: list[ColumnElement[Any]] = [
            cast(func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
            for name, kind in columns.items()
        ]
        return select(*values).subquery("json_rows")
    array = cast(bindparam("p_rows", type_=Text), JSONB)
    records = func.jsonb_to_recordset(array).table_valued(
        *(column(name, kind) for name, kind in columns.items())
    )
    derived = records.render_derived(name="records", with_types=True)
    return select(*derived.c).subquery("json_rows")
