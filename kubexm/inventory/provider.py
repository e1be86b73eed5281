"""Where `!secret` gets its values: the environment, a file, a program, the desktop's keyring.

Each is a plugin of `kubexm.secrets`: a function from what stands behind the colon, and the
directory that relative paths start from, to the `Secret`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from kubexm.errors import UsageError, tail
from kubexm.secret import Secret

Provider: TypeAlias = Callable[[str, Path], Secret]
"""What an entry point of `kubexm.secrets` names; it raises `UsageError` where there is none."""

_LONGEST_S = 60
_LARGEST_BYTES = 1 << 20


def environment(name: str, base: Path) -> Secret:
    """`env:NAME`: a variable of the environment.

    Raises:
        UsageError: It is not set, or empty.
    """
    del base
    found = os.environ.get(name)
    if not found:
        message = f"the environment has no {name!r}"
        raise UsageError(message, hint=f"export {name}")
    return Secret(found)


def file(path: str, base: Path) -> Secret:
    """`file:PATH`: the content of a file without the newline at its end.

    Raises:
        UsageError: It cannot be read, is empty or is not UTF-8.
    """
    where = base / Path(path).expanduser()
    try:
        with where.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        message = f"{where} cannot be read: {error.strerror}"
        raise UsageError(message) from error
    return _text(content, str(where))


def command(line: str, base: Path) -> Secret:
    """`cmd:PROGRAM ARGUMENTS`: what a program prints, without the newline at its end.

    It is run without a shell and without a standard input, in the inventory's directory, and has
    a minute.

    Raises:
        UsageError: It failed, or printed nothing.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        message = f"the command line is not complete: {error}"
        raise UsageError(message) from None
    if not words:
        message = "there is no command"
        raise UsageError(message)
    return run(words, base)


def run(words: Sequence[str], directory: Path) -> Secret:
    """What a program prints, without the newline at its end.

    Raises:
        UsageError: It failed, or printed nothing.
    """
    program = words[0]
    try:
        done = subprocess.run(
            words,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"{program} did not answer within {_LONGEST_S} s"
        raise UsageError(message) from None
    except OSError as error:
        message = f"{program} cannot be run: {error.strerror}"
        raise UsageError(message) from None
    if done.returncode:
        said = tail(done.stderr.decode(errors="replace"), lines=1)
        message = f"{program} exited with {done.returncode}{said and ': '}{said}"
        raise UsageError(message)
    return _text(done.stdout, program)


def desktop(name: str, base: Path) -> Secret:
    """`keyring:SERVICE/USER`: an entry of the keyring that the Python package `keyring` finds.

    Raises:
        UsageError: The package is not installed, or its keyring has no such entry.
    """
    del base
    service, slash, user = name.rpartition("/")
    if not slash or not service or not user:
        message = "a keyring's entry is written SERVICE/USER"
        raise UsageError(message)
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        message = "the Python package 'keyring' is not installed"
        raise UsageError(message, hint="install it: pip install keyring") from None
    try:
        found = keyring.get_password(service, user)
    except KeyringError as error:
        message = f"the keyring does not answer: {error}"
        raise UsageError(message) from error
    if not found:
        message = f"the keyring has no entry for {user!r} of {service!r}"
        raise UsageError(message, hint=f"make it: keyring set {shlex.join([service, user])}")
    return Secret(found)


def _text(content: bytes, source: str) -> Secret:
    if len(content) > _LARGEST_BYTES:
        message = f"{source} has more than 1 MiB"
        raise UsageError(message)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        message = f"{source} is not UTF-8"
        raise UsageError(message) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        message = f"{source} holds nothing"
        raise UsageError(message)
    return Secret(text)
