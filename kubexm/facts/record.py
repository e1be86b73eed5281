"""The reply of `kx_facts` as values and tables, before anything is made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"([a-z][a-z0-9_]*)([= ])(.*)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """What the script said.

    Args:
        values: From lines `key=value`; the first one of a key counts.
        tables: From lines `table row`, in order.
    """

    values: dict[str, str]
    tables: dict[str, list[str]]

    @classmethod
    def of(cls, text: str) -> Record:
        """Sort the lines; those that make no sense, or have no end, are left out."""
        record = cls({}, {})
        for line in text.split("\n")[:-1]:
            found = _LINE.fullmatch(line)
            if found is None:
                continue
            key, kind, rest = found.groups()
            if kind == "=":
                record.values.setdefault(key, rest)
            else:
                record.tables.setdefault(key, []).append(rest)
        return record

    def value(self, key: str) -> str:
        """One value; "" when it was not told."""
        return self.values.get(key, "").strip()

    def number(self, key: str) -> int | None:
        """One value as a whole number."""
        return number(self.value(key))

    def flag(self, key: str) -> bool | None:
        """One value as yes or no, in any of the kernel's spellings."""
        return {"yes": True, "Y": True, "1": True, "no": False, "N": False, "0": False}.get(
            self.value(key)
        )

    def words(self, key: str) -> frozenset[str] | None:
        """One value as words; `None` when it was not told."""
        return frozenset(self.values[key].split()) if key in self.values else None

    def rows(self, table: str, columns: int) -> list[list[str]]:
        """The rows of a table that have at least so many columns."""
        rows = (row.split() for row in self.tables.get(table, ()))
        return [row for row in rows if len(row) >= columns]

    def was_read(self, table: str) -> bool:
        """Whether the file behind a table could be read as a whole, so that no rows means none."""
        return table in self.tables.get("read", ()) and self.value("end") == "yes"


def number(text: str) -> int | None:
    """A whole number in decimal digits; `None` for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None
