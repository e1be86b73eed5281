"""ssh_config files as paramiko understands them, with what it lacks.

paramiko knows no Include, and expands the tokens of ProxyCommand before anybody can say which
port and user were meant; so files are joined here and those tokens stay as they are.
"""

from __future__ import annotations

import io
import re
import shlex
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paramiko import SSHConfig

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_DEEPEST = 16
_KEYWORD = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*)")


def read_ssh_config(home: Path, system: Path = SYSTEM_CONFIG) -> SSHConfig:
    """The user's configuration, then the machine's; a file that is missing is empty.

    Raises:
        OSError: One cannot be read.
        Exception: Whatever paramiko's parser stumbles on.
    """
    from paramiko import SSHConfig

    config = SSHConfig()
    config.TOKENS_BY_CONFIG_KEY = {
        key: tokens for key, tokens in config.TOKENS_BY_CONFIG_KEY.items() if key != "proxycommand"
    }
    user = home / ".ssh" / "config"
    for path in (user, system):
        if path.is_file():
            config.parse(io.StringIO("\n".join(joined(path, path.parent))))
    return config


def joined(path: Path, base: Path, depth: int = 0) -> Iterator[str]:
    """The lines of a file, those of the files that it includes in their place.

    After an included file the block goes on that its Include stood in. A Host line within it
    opens a block of its own, also where OpenSSH would let the block around it decide too.

    Args:
        path: The file.
        base: Where names without a directory are looked for: ~/.ssh, or /etc/ssh.
        depth: How many files this one was included through.
    """
    block = "Host *"
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        match = _KEYWORD.fullmatch(line)
        keyword = match[1].lower() if match else ""
        if keyword in {"host", "match"}:
            block = line
        if match is None or keyword != "include":
            yield line
            continue
        if depth < _DEEPEST:
            for included in _included(match[2], base):
                yield from joined(included, base, depth + 1)
        yield block


def _included(patterns: str, base: Path) -> Iterator[Path]:
    for pattern in shlex.split(patterns):
        for name in sorted(glob(str(base / Path(pattern).expanduser()))):  # noqa: PTH207 - Path.glob takes no absolute pattern
            if Path(name).is_file():
                yield Path(name)
