"""Rows that may be added and never changed: the database refuses, not only the code."""

import pgtrigger


def append_only() -> list[pgtrigger.Trigger]:
    """Triggers that refuse UPDATE, DELETE and TRUNCATE.

    `pgtrigger.Protect` works row by row and so cannot see TRUNCATE, which needs a statement trigger of its own.
    `pgtrigger.ignore` lifts them in one transaction; only the reviewed erase path may do that.
    """
    return [
        pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        pgtrigger.Trigger(
            name="no_truncate",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            func="RAISE EXCEPTION 'pgtrigger: Cannot truncate append-only table %', TG_TABLE_NAME;",
        ),
    ]
