"""POSIX sh text as a value. Nothing else in kubexm builds command strings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubexm.shell.content import Content

_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-]+", re.ASCII)
_RESERVED = re.compile(
    "case|do|done|elif|else|esac|fi|for|function|if|in|select|then|time|until|while", re.ASCII
)
_FOR_READERS = re.compile(r"^[ \t]*#.*\n|^[ \t]+|^\n", re.MULTILINE)
_UNSENDABLE = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")


def is_plain(text: str) -> bool:
    """Whether nothing in it means something to a shell, so that it is one word without quotes."""
    return _PLAIN.fullmatch(text) is not None


def quote(text: str) -> str:
    """One shell word that means exactly `text`.

    Plain words stay as they are, unless a shell would take them for more than a name. A word
    is never left unquoted because of what a locale calls a letter.

    Raises:
        ValueError: The text holds a NUL, which no shell word can, or half a surrogate pair.
    """
    if _PLAIN.fullmatch(text):
        if not _RESERVED.fullmatch(text):
            return text
    elif _UNSENDABLE.search(text):
        message = "a shell word cannot hold a NUL or half a surrogate pair"
        raise ValueError(message)
    # not '"'"', which costs bash time quadratic in the number of quotes
    return "'" + text.replace("'", r"'\''") + "'"


def quote_for_login(text: str) -> str:
    """One word of a command line whose reader may be any login shell, csh and fish included.

    Those two agree with sh on quotes, but not on backslashes in them, so none is added. What
    `text` itself holds of backslashes, exclamation marks and newlines stays theirs to misread.

    Raises:
        ValueError: See `quote`.
    """
    return text if quote(text) == text else "'" + text.replace("'", "'\"'\"'") + "'"


@dataclass(frozen=True, slots=True)
class Library:
    """Shell functions that scripts call; a session sends each library at most once.

    Args:
        name: Unique among libraries, by custom the module that ships it.
        text: Function definitions only, in POSIX sh. It is evaluated in the session's own
            shell, so it must not print, exit or change the directory.
        needs: Whose functions it calls; they are sent before it.
    """

    name: str
    text: str = field(repr=False)
    needs: tuple[Library, ...] = field(default=(), repr=False)

    @classmethod
    def load(cls, package: str, name: str, *needs: Library) -> Library:
        """The library NAME.sh of a package, without what only its readers need.

        Comments have lines of their own, and no string depends on how its lines are indented.
        """
        text = files(package).joinpath(f"{name}.sh").read_text("utf-8")
        return cls(name, _FOR_READERS.sub("", text), needs)

    def call(
        self,
        function: str,
        *arguments: str,
        payload: bytes | None = None,
        content: Content | None = None,
        in_variable: bool = False,
    ) -> Script:
        """A script that calls one of the library's functions with quoted arguments.

        Args:
            function: The function's name.
            arguments: Its arguments; each is quoted here.
            payload: Bytes for the function's stdin.
            content: The same, read while it is sent.
            in_variable: See `Script`.
        """
        return Script(
            " ".join((function, *map(quote, arguments))),
            libraries=(self,),
            payload=payload,
            content=content,
            in_variable=in_variable,
        )


@dataclass(frozen=True, slots=True)
class Script:
    """POSIX sh text with what it needs to run.

    `$$`, EXIT traps and background jobs that keep the pipes have no place in a script of
    ours: it runs in a subshell of a shared session.

    Args:
        text: The program. It runs with stdin from `payload`, else from /dev/null.
        payload: Bytes for stdin. Content goes here, never into `text`: arguments show in
            `ps`, and here-documents land in /tmp under bash.
        libraries: Whose functions `text` calls.
        secret: Neither the text, the payload nor the reply may be shown.
        deadline_s: Seconds after which the machine ends it; 0 leaves it to the batch.
        stays: It runs in the session's own shell, so that what it opens stays open. It must
            not exit, and has no payload.
        content: Instead of a payload: bytes that are read while they are sent.
        tied: It is ended as soon as nobody listens to it any more, a second or two after the
            link is gone. A change is not: half of one is worse than all of it.
        looks: Pairs of a library's function and a plain word (see `is_plain`). Of plain scripts
            that follow each other in a batch, without deadlines of their own, each such function
            is called once, before the first of them, with the words of all: what it sees is the
            state at that time. The scripts find it in variables, where they would start a
            process each.
        answer: A library's function, which may tell the answer without a process; see `kx_run`
            in prelude.sh. Then `text` is one call of another one, which does not exit, and there
            is neither a payload nor `stays`.
        in_variable: It looks for its payload in the variable `kx_input` first, which saves a pipe:
            that is set for a payload that is short, and then nothing is on stdin.
        lasting: Of a probe: what it answers stays true until a change alters what its operation
            touches, so that it need not be read again behind others. That is for readings that
            take long, of operations whose scopes leave nothing out; a path may lead anywhere.
    """

    text: str
    payload: bytes | None = None
    libraries: tuple[Library, ...] = ()
    secret: bool = False
    deadline_s: float = 0
    stays: bool = False
    content: Content | None = None
    tied: bool = False
    looks: tuple[tuple[str, str], ...] = ()
    answer: str = ""
    in_variable: bool = False
    lasting: bool = False

    def __post_init__(self) -> None:
        if self.payload is not None and self.content is not None:
            message = "a script has a payload or a content, not both"
            raise ValueError(message)
        if self.answer and not (self.payload is None and self.content is None and not self.stays):
            message = "a script whose answer may be known has no payload, and does not stay"
            raise ValueError(message)
        if _UNSENDABLE.search(self.text):
            message = "a script cannot hold a NUL or half a surrogate pair; send bytes as payload"
            raise ValueError(message)

    def __repr__(self) -> str:
        if self.secret:
            return "Script(***)"
        stdin = self.stdin
        size = "" if stdin is None else f", payload={len(stdin)} bytes"
        return f"Script({self.text!r}{size})"

    @property
    def stdin(self) -> bytes | Content | None:
        """What it reads, whichever of the two it is; `None` for /dev/null."""
        return self.payload if self.content is None else self.content

    @classmethod
    def command(cls, *arguments: str) -> Script:
        """One simple command, every word quoted."""
        return cls(" ".join(map(quote, arguments)))

    def then(self, other: Script) -> Script:
        """This script and, when it succeeded, the other. At most one of them has a payload.

        Raises:
            ValueError: Both have a payload.
        """
        if self.stdin is not None and other.stdin is not None:
            message = "two scripts with a payload each cannot be joined"
            raise ValueError(message)
        return Script(
            f"{self.text}\nkx_status=$?; [ $kx_status = 0 ] || exit $kx_status\n{other.text}",
            payload=self.payload if other.payload is None else other.payload,
            libraries=tuple(dict.fromkeys((*self.libraries, *other.libraries))),
            secret=self.secret or other.secret,
            deadline_s=max(self.deadline_s, other.deadline_s),
            content=self.content if other.content is None else other.content,
            tied=self.tied or other.tied,
            looks=self.looks + other.looks,
            in_variable=(other if self.stdin is None else self).in_variable,
        )

    def hidden(self) -> Script:
        """The same script, marked secret."""
        return replace(self, secret=True)

    def staying(self) -> Script:
        """The same script in the session's own shell."""
        return replace(self, stays=True)

    def within(self, deadline_s: float) -> Script:
        """The same script with a deadline of its own, in seconds."""
        return replace(self, deadline_s=deadline_s)
