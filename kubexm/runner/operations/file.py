"""Files and directories as they should be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.runner.operation import Operation, Scope
from kubexm.runner.template import render
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MODE = 0o7777


_NOT_REMOVED = re.compile(
    r"/(bin|boot|dev|etc|home|lib(32|64|x32)?|lost\+found|media|mnt|opt|proc|root|run|sbin|selinux)"
    r"|/(srv|sys|tmp)|/usr(/(bin|lib(32|64|x32|exec)?|local|sbin|share))?"
    r"|/var(/(cache|lib|log|mail|run|spool|tmp))?"
)


def check_path(path: str) -> None:
    """Refuse what cannot be the path of a file on every host.

    Raises:
        ValueError: It is not absolute, ends in a slash, holds a NUL or a newline, or has an
            empty, "." or ".." part, so that two spellings would mean one file.
    """
    parts = path.split("/")
    if parts[0] or len(parts) < len("/x") or "\0" in path or "\n" in path:
        message = f"not an absolute path of a file: {path!r}"
        raise ValueError(message)
    if any(part in ("", ".", "..") for part in parts[1:]):
        message = f"not the plain path of a file: {path!r}"
        raise ValueError(message)


def check_mode(mode: int) -> None:
    """Refuse what is not a file mode.

    Raises:
        ValueError: It is not within 0o0 to 0o7777.
    """
    if isinstance(mode, bool) or not 0 <= mode <= MAX_MODE:
        message = f"not a file mode: {mode!r}"
        raise ValueError(message)


def check_block_name(name: str) -> None:
    """Refuse what cannot be the end of a marker line.

    Raises:
        ValueError: It is empty, holds a newline, or starts or ends with a blank.
    """
    if not name or "\n" in name or name != name.strip():
        message = f"not the name of a block: {name!r}"
        raise ValueError(message)


def file_scope(path: str) -> Scope:
    """What reading or writing a file concerns; a unit's files concern the units too."""
    names = {f"file:{path}"}
    if "/systemd/" in path or path.startswith("/etc/init.d/"):
        names.add("unit:*")
    if "sysctl" in path:
        names.add("sysctl:*")
    return frozenset(names)


def _owner_scope(owner: str, group: str) -> Scope:
    """Whose number an owner's name and a group's stand for."""
    user = {f"user:{owner}", "file:/etc/passwd"} if owner else set()
    return frozenset(user | ({f"group:{group}", "file:/etc/group"} if group else set()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent(Operation):
    """A regular file with this content, mode and owner.

    A symbolic link to a file is followed and stays. Missing parent directories are made, 0755.
    The content is replaced atomically, and the original is kept once (see docs/originals).

    Args:
        path: Absolute.
        content: Text, bytes, or a `Secret` that is never shown.
        mode: As for chmod(2).
        owner: A user's name; empty leaves it (root for a new file).
        group: A group's name; empty leaves it.
        validate: A shell script that gets the new file's path as "$1" and must succeed before
            the file is put in place, for example 'visudo -cf "$1"'.
    """

    path: str
    content: str | bytes | Secret
    mode: int = 0o644
    owner: str = ""
    group: str = ""
    validate: str = ""

    def __post_init__(self) -> None:
        check_path(self.path)
        check_mode(self.mode)

    @classmethod
    def rendered(
        cls,
        path: str,
        *,
        template: str,
        variables: Mapping[str, object],
        name: str = "",
        mode: int = 0o644,
        owner: str = "",
        group: str = "",
        validate: str = "",
    ) -> FileContent:
        """From a Jinja2 template, rendered here and now with strict undefined.

        Args:
            path: Of the file on the host.
            template: The template's text.
            variables: What it may name.
            name: What errors call the template; the path when empty.
            mode: As for chmod(2).
            owner: See the class.
            group: See the class.
            validate: See the class.

        Raises:
            UsageError: A name is undefined or the syntax is wrong; it says name and line.
        """
        content = render(template, variables, name=name or path)
        return cls(
            path=path, content=content, mode=mode, owner=owner, group=group, validate=validate
        )

    @property
    def data(self) -> bytes:
        """The content as bytes; text is UTF-8."""
        match self.content:
            case bytes():
                return self.content
            case Secret():
                return self.content.reveal().encode()
            case str():
                return self.content.encode()

    def label(self) -> str:
        """See `Operation.label`."""
        return f"file {self.path}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return file_scope(self.path) | _owner_scope(self.owner, self.group)

    def alters(self) -> Scope:
        """See `Operation.alters`."""
        return file_scope(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory(Operation):
    """A directory with this mode and owner; missing parents are made, 0755.

    Args:
        path: Absolute.
        mode: As for chmod(2).
        owner: A user's name; empty leaves it (root for a new directory).
        group: A group's name; empty leaves it.
    """

    path: str
    mode: int = 0o755
    owner: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        check_path(self.path)
        check_mode(self.mode)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"directory {self.path}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return frozenset({f"file:{self.path}"}) | _owner_scope(self.owner, self.group)

    def alters(self) -> Scope:
        """See `Operation.alters`: what is made below it may get its group from it."""
        return frozenset({f"file:{self.path}", f"file:{self.path}/*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolicLink(Operation):
    """A symbolic link with this target; missing parent directories are made, 0755.

    A link that points elsewhere is replaced at once; anything else in its place is an error.

    Args:
        path: Absolute; of the link.
        target: What the link holds; it need not exist.
    """

    path: str
    target: str

    def __post_init__(self) -> None:
        check_path(self.path)
        if not self.target or "\n" in self.target or "\0" in self.target:
            message = f"not the target of a symbolic link: {self.target!r}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"link {self.path}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return file_scope(self.path)

    def alters(self) -> Scope:
        """See `Operation.alters`: it may lead to another directory."""
        return self.touches() | {f"file:{self.path}/*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAbsent(Operation):
    """Nothing at this path: a file, a link, or a directory with all that is in it.

    Args:
        path: Absolute; not one of the directories that every system has.
    """

    path: str

    def __post_init__(self) -> None:
        check_path(self.path)
        if _NOT_REMOVED.fullmatch(self.path):
            message = f"refusing to remove a directory of the system: {self.path!r}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"absent {self.path}"

    def touches(self) -> Scope:
        """See `Operation.touches`: while something is below it, it is there."""
        return file_scope(self.path) | {f"file:{self.path}/*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineInFile(Operation):
    """A file that has this line exactly once in the place of every line that matches.

    With `pattern`, the first line that it matches becomes `line` and further matches go away;
    when none matches, `line` is added at the end. Without, `line` is added unless it is there.
    A file that does not exist is made.

    Args:
        path: Absolute.
        line: Without a newline.
        pattern: A Python regular expression, searched in each line; empty for none. It matches
            `line` too: otherwise every run would add it once more.
        mode: Of a file that has to be made; an existing one keeps its own.
    """

    path: str
    line: str
    pattern: str = ""
    mode: int = 0o644

    def __post_init__(self) -> None:
        check_path(self.path)
        check_mode(self.mode)
        if "\n" in self.line or self.line.endswith("\r"):
            message = "a line cannot hold a newline; use BlockInFile"
            raise ValueError(message)
        try:
            matches = re.search(self.pattern, self.line) is not None
        except re.error as error:
            message = f"not a regular expression: {self.pattern!r}: {error}"
            raise ValueError(message) from error
        if not matches:
            message = f"the pattern {self.pattern!r} does not match its own line {self.line!r}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"line in {self.path}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return file_scope(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockInFile(Operation):
    """A file that has this block once, between two marker lines that name it.

    Args:
        path: Absolute.
        name: Of the block; the markers are "# BEGIN kubexm NAME" and "# END kubexm NAME".
        block: Lines, none of them a marker; a missing final newline is added. Empty: no such
            block.
        mode: Of a file that has to be made; an existing one keeps its own.
        comment: What starts a comment line in this file.
    """

    path: str
    name: str
    block: str
    mode: int = 0o644
    comment: str = "#"

    def __post_init__(self) -> None:
        check_path(self.path)
        check_mode(self.mode)
        check_block_name(self.name)
        if not self.comment or "\n" in self.comment:
            message = f"not what starts a comment: {self.comment!r}"
            raise ValueError(message)
        markers = tuple(f"{self.comment} {word} kubexm " for word in ("BEGIN", "END"))
        for line in self.block.split("\n"):
            if line.startswith(markers):
                message = f"the block {self.name!r} holds a marker: {line!r}"
                raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"block {self.name} in {self.path}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return file_scope(self.path)
