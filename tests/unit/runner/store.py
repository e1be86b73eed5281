"""A machine that is nothing but keys with values, and the few commands that work on it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from kubexm.shell import Library, Reply

HOSTNAME = "hostname"
"""The key that is also a fact."""

KEYS = Library(
    "keys",
    """
keys_get() { # DIR KEY...: "KEY=VALUE", or "KEY" where there is none
  cd "$1" || return 8
  shift
  for keys_name; do
    if [ -e "$keys_name" ]; then echo "$keys_name=$(cat "$keys_name")"; else echo "$keys_name"; fi
  done
}
keys_set() { printf %s "$3" >"$1/$2"; }
keys_take() { cat >"$1/$2"; }
keys_log() { echo "$2" >>"$1/.log"; }
keys_flap() { echo >>"$1/.flaps"; wc -l <"$1/.flaps"; }
keys_die() { kill -s KILL "$$"; }
keys_say() { printf '%s\\n' "$1"; printf '%s\\n' "$2" >&2; }
""",
)


@dataclass
class Store:
    """The machine in memory: its keys, and the names of the operations that changed it."""

    keys: dict[str, str]
    log: list[str] = field(default_factory=list)
    flaps: int = 0


def answer(text: str, payload: bytes | None, store: Store) -> Reply:
    """Run a script of ours as sh would with `KEYS`."""
    stdout, stderr, status = "", "", 0
    for line in text.splitlines():
        status = 0
        match shlex.split(line):
            case ["kx_facts"]:
                stdout += f"hostname={store.keys.get(HOSTNAME, '')}\n"
            case ["keys_get", _, *names]:
                values = ((name, store.keys.get(name)) for name in names)
                stdout += "".join(f"{n}\n" if v is None else f"{n}={v}\n" for n, v in values)
            case ["keys_set", _, name, value]:
                store.keys[name] = value
            case ["keys_take", _, name]:
                store.keys[name] = (payload or b"").decode()
            case ["keys_log", _, name]:
                store.log.append(name)
            case ["keys_flap", _]:
                store.flaps += 1
                stdout += f"{store.flaps}\n"
            case ["keys_say", out, err]:
                stdout, stderr = f"{stdout}{out}\n", f"{stderr}{err}\n"
            case ["exit", number]:
                status = int(number)
                break
            case words:
                message = f"not a command of ours: {words}"
                raise AssertionError(message)
    return Reply(exit_status=status, stdout=stdout.encode(), stderr=stderr.encode())
