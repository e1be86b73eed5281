"""A stand-in for `docker` and `kubectl`, where neither engine nor cluster can be had.

It reads the arguments as the real client does, refuses what that one would refuse, in its words,
and runs the command line on this machine. It is called by the client's name.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

CONTAINER = "web"
POD = "web-0"
NAMESPACE = "shop"


class Parser(argparse.ArgumentParser):
    """Ends as the real clients do."""

    def error(self, message: str) -> NoReturn:
        """Complain about a flag."""
        fail(f"unknown flag: {message}", 125)


def fail(message: str, status: int) -> NoReturn:
    """Say why not, on stderr, as both clients do."""
    sys.stderr.write(f"{message}\n")
    sys.exit(status)


def docker(arguments: list[str]) -> list[str]:
    """`docker exec [OPTIONS] CONTAINER COMMAND [ARG...]`: options end at the container."""
    parser = Parser(prog="docker exec", add_help=False, allow_abbrev=False)
    parser.add_argument("-i", "--interactive", action="store_true")
    parser.add_argument("-u", "--user")
    parser.add_argument("container")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    known = parser.parse_args(arguments)
    if known.container != CONTAINER:
        fail(f"Error response from daemon: No such container: {known.container}", 1)
    if known.user not in {None, "root"}:
        fail(f"unable to find user {known.user}: no matching entries in passwd file", 126)
    return stdin_for(known.command, is_interactive=known.interactive)


def kubectl(arguments: list[str]) -> list[str]:
    """`kubectl exec (POD | TYPE/NAME) [flags] -- COMMAND [args...]`."""
    before, after = split(arguments)
    parser = Parser(prog="kubectl exec", add_help=False, allow_abbrev=False)
    parser.add_argument("-i", "--stdin", action="store_true")
    parser.add_argument("-c", "--container", default="app")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--context")
    parser.add_argument("--kubeconfig")
    parser.add_argument("pod")
    known = parser.parse_args(before)
    if known.context == "elsewhere":
        fail('error: context "elsewhere" does not exist', 1)
    if known.namespace != NAMESPACE or known.pod != POD:
        fail(f'Error from server (NotFound): pods "{known.pod}" not found', 1)
    if known.container != "app":
        fail(f"Error from server (BadRequest): container {known.container} is not valid for pod", 1)
    return stdin_for(after, is_interactive=known.stdin)


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What is before and behind the first `--`."""
    if "--" not in arguments:
        fail("error: exec [POD] [COMMAND] is not supported anymore", 1)
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def stdin_for(command: list[str], *, is_interactive: bool) -> list[str]:
    """The command, which reads nothing unless that was asked for."""
    if not is_interactive:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
    return command


def main() -> None:
    """Become the command."""
    name, verb, *arguments = sys.argv
    program = Path(name).name
    if verb != "exec":
        fail(f"{program}: '{verb}' is not a {program} command", 1)
    command = {"docker": docker, "kubectl": kubectl}[program](arguments)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell but the one that was asked for
    except FileNotFoundError:
        fail(f'exec: "{command[0]}": executable file not found in $PATH', 127)


if __name__ == "__main__":
    main()
