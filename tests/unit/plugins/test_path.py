"""What the operations on paths refuse to be made of."""

from __future__ import annotations

import pytest

from kubexm.runner.operations import Directory, FileContent, PathAbsent


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "etc/f",
        "/etc/",
        "/etc//f",
        "//etc/f",
        "/etc/./f",
        "/etc/../f",
        "/..",
        "/a\nb",
        "/\0",
    ],
)
def test_path_is_absolute_and_has_one_spelling(path: str) -> None:
    for make in (PathAbsent, Directory):
        with pytest.raises(ValueError, match="path"):
            make(path=path)
    with pytest.raises(ValueError, match="path"):
        FileContent(path=path, content="")


@pytest.mark.parametrize(
    "path", ["/f", "/etc/f", "/etc/..f", "/etc/.f", "/a b/-c", "/etc/f..", "/é"]
)
def test_other_paths_are_paths(path: str) -> None:
    assert PathAbsent(path=path).path == Directory(path=path).path == path


SYSTEM = (
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "libx32", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "usr/bin", "usr/lib64", "usr/libexec", "usr/local", "var",
    "var/lib", "var/log", "var/tmp",
)  # fmt: skip


@pytest.mark.parametrize("name", SYSTEM)
def test_directories_of_the_system_are_not_removed(name: str) -> None:
    with pytest.raises(ValueError, match="refusing to remove"):
        PathAbsent(path=f"/{name}")
    assert PathAbsent(path=f"/{name}/kubexm").path == f"/{name}/kubexm"
    assert PathAbsent(path=f"/{name}x").path == f"/{name}x"


@pytest.mark.parametrize("mode", [-1, 0o10000, True])
def test_mode_is_a_mode(mode: int) -> None:
    with pytest.raises(ValueError, match="not a file mode"):
        Directory(path="/d", mode=mode)
