"""Where a pool's settings are written: a YAML file that may change, and the environment.

max_total: 200
idle_timeout_s: 120
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from kubexm.connector.pool.settings import PoolSettings, SettingError
from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "KUBEXM_POOL_"
FILE = "KUBEXM_POOL_FILE"

Stamp: TypeAlias = tuple[int, int, int, int]


class PoolSource:
    """The settings as they stand in a file, under those of the environment.

    Args:
        path: The file; None for none.
        environment: Name of a setting to its text; they go before the file.
    """

    def __init__(
        self, path: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self._environment = dict(environment or {})

    def __repr__(self) -> str:
        return f"<PoolSource {self.path or 'without a file'}>"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """From KUBEXM_POOL_FILE and KUBEXM_POOL_MAX_TOTAL and the like."""
        path = environ.get(FILE, "")
        settings = {
            name.removeprefix(PREFIX).lower(): text
            for name, text in environ.items()
            if name.startswith(PREFIX) and name != FILE
        }
        return cls(Path(path).expanduser() if path else None, settings)

    def stamp(self) -> Stamp | None:
        """What tells one version of the file from the next; None when there is no file."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> PoolSettings:
        """The settings.

        Raises:
            UsageError: The file cannot be read or is no YAML, a name is unknown, or a value
                makes no sense; the message says where.
        """
        settings = PoolSettings()
        if self.path is not None:
            settings = _read(self.path, settings)
        for name, text in self._environment.items():
            variable = PREFIX + name.upper()
            try:
                settings = settings.updated({name: _number(text)})
            except SettingError as error:
                message = f"{variable} {error.problem}"
                raise UsageError(message, hint=error.hint) from error
        return settings


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read(path: Path, settings: PoolSettings) -> PoolSettings:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        root = YAML().load(path.read_text("utf-8"))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise UsageError(message, hint=f"{FILE} names it") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        message = f"{path}{place}: not valid YAML: {error.problem}"
        raise UsageError(message, hint="write lines like 'max_total: 200'") from error
    except (YAMLError, UnicodeDecodeError) as error:
        message = f"{path}: not valid YAML"
        raise UsageError(message, hint="save it as UTF-8 text") from error
    if root is None:
        return settings
    if not isinstance(root, CommentedMap):
        message = f"{path}:1: expected settings and their values"
        raise UsageError(message, hint="write lines like 'max_total: 200'")
    try:
        # all at once: two that fit together may not fit with the defaults one by one
        return settings.updated({str(name): value for name, value in root.items()})
    except SettingError as error:
        place = ""
        if error.setting in root:
            line, column = root.lc.key(error.setting)
            place = f":{line + 1}:{column + 1}"
        message = f"{path}{place}: {error}"
        raise UsageError(message, hint=error.hint) from error
