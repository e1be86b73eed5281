"""Trees of files: written from a table, and deleted."""

from collections.abc import Mapping
from pathlib import Path

from tests.lab.command import run


def write_tree(root: Path, files: Mapping[str, tuple[int, str]]) -> None:
    """Write files and the directories that they need; directories are 0755 whatever the umask.

    Args:
        root: An existing directory.
        files: Path below `root` to mode and content; a leading slash means nothing.
    """
    for path, (mode, text) in files.items():
        target = root / path.lstrip("/")
        for parent in reversed(target.relative_to(root).parents[:-1]):
            directory = root / parent
            if not directory.is_dir():
                directory.mkdir()
                directory.chmod(0o755)
        target.touch(mode=0o600)
        target.write_text(text, "utf-8")
        target.chmod(mode)


def discard(path: Path) -> None:
    """Delete a tree, also one with immutable files in it, but nothing that is mounted in it.

    Raises:
        CommandError: Something in it cannot be deleted.
    """
    if not path.exists():
        return
    delete = ("rm", "-rf", "--one-file-system", path)
    if run(*delete, check=False, timeout_s=300.0).returncode != 0:
        run("chattr", "-R", "-f", "-i", "-a", path, check=False, timeout_s=300.0)
        run(*delete, timeout_s=300.0)
