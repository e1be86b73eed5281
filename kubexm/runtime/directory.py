"""Where runs keep what outlives them: one directory for each inventory, its owner's alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from kubexm.errors import UsageError

DEFAULT = ".kubexm"
_UNSAFE = re.compile(r"[^\w.@+-]+")
_SANDBOX = "sandbox"
_FORMATS = frozenset({".yaml", ".yml", ".ini", ".json", ".py", ".sh"})
"""Endings that say nothing: hosts may be named instead of a file, and have dots too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDirectory:
    """An inventory's directory; nothing is made until it is asked for.

    Args:
        path: Of the directory itself.
    """

    path: Path

    @classmethod
    def of(cls, inventory: str, base: str = "") -> WorkDirectory:
        """The directory of an inventory: `.kubexm/default` for inventories/default.yaml.

        Args:
            inventory: The path of the inventory as it was given.
            base: What `--work-dir` says; else $KUBEXM_WORK_DIR, else `.kubexm`.
        """
        chosen = base or os.environ.get("KUBEXM_WORK_DIR", "") or DEFAULT
        return cls(path=Path(chosen).expanduser().absolute() / _name(inventory))

    @property
    def journal(self) -> Path:
        """The file of the journal."""
        return self.path / "journal.sqlite3"

    def run(self, run: str) -> Path:
        """The directory of one run."""
        return self.path / "runs" / run

    def make(self, *parts: str) -> Path:
        """The directory, or one below it, made with mode 0700 where it is not there.

        Raises:
            UsageError: It cannot be made.
        """
        made = self.path.joinpath(*parts)
        missing = [path for path in (made, *made.parents) if not path.is_dir()]
        try:
            for path in reversed(missing):
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            message = f"the work directory {made} cannot be made: {error.strerror}"
            raise UsageError(message, hint="choose another with --work-dir") from error
        return made


def _name(inventory: str) -> str:
    """A name for what a path leads to, readable and without slashes: "default", "prod-hosts"."""
    path = Path(os.path.relpath(inventory)) if inventory else Path("none")
    if ".." in path.parts:
        path = Path(inventory).absolute()
    if path.suffix.lower() in _FORMATS:
        path = path.with_suffix("")
    parts = [part for part in path.parts if part not in ("/", "inventories")]
    name = _UNSAFE.sub("-", "-".join(parts)).strip(".-") or "none"
    # .kubexm/sandbox is where sandboxes are
    return f"{name}-inventory" if name == _SANDBOX else name
