from __future__ import annotations

import pytest

from kubexm.errors import HostError
from kubexm.shell import Reply
from kubexm_linux.state import Kind, PathState, read_state, state_diff

DIGEST = "ab" * 32


def said(line: str, content: bytes = b"", status: int = 0, stderr: bytes = b"") -> Reply:
    return Reply(exit_status=status, stdout=line.encode() + b"\n" + content, stderr=stderr)


def test_names_may_hold_blanks() -> None:
    """As winbind's do: "domain users"."""
    state = read_state("/f", said("directory 2755 1001 1002 0 - jo doe:domain users"))
    assert (state.owner, state.group, state.mode) == ("jo doe", "domain users", 0o2755)


@pytest.mark.parametrize(
    ("owner", "group", "expected"),
    [
        ("", "", ("bob", "1002")),
        ("bob", "staff", ("bob", "1002")),
        ("1001", "", ("1001", "1002")),
        ("1", "2", ("1001", "1002")),
    ],
)
def test_number_is_answered_by_a_number(owner: str, group: str, expected: tuple[str, str]) -> None:
    reply = said("directory 755 1001 1002 0 - bob:UNKNOWN")
    state = read_state("/d", reply, owner=owner, group=group)
    assert (state.owner, state.group) == expected


def test_absent_path_may_have_a_group_to_inherit() -> None:
    assert read_state("/f", said("absent")) == PathState(kind=Kind.ABSENT)
    assert read_state("/f", said("absent 4 adm")).group == "adm"
    assert read_state("/f", said("absent 4 UNKNOWN")).group == "4"
    assert read_state("/f", said("absent 4 adm"), group="9").group == "4"


def test_content_is_there_when_it_fits() -> None:
    line = f"file 600 0 0 3 {DIGEST} root:root"
    assert read_state("/f", said(line, b"a\nb")).content == b"a\nb"
    assert read_state("/f", said(line), limit=2).content is None
    assert read_state("/f", said(line), limit=-1).content is None
    assert read_state("/f", said(f"file 600 0 0 0 {DIGEST} root:root")).content == b""


def test_failing_probe_is_an_error() -> None:
    with pytest.raises(HostError, match=r"cannot read /f: cat: Permission denied"):
        read_state("/f", said("", status=1, stderr=b"cat: Permission denied\n"))


@pytest.mark.parametrize("line", ["", "nonsense 1 2", "file: no"])
def test_answer_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(HostError, match=r"/f: its state makes no sense"):
        read_state("/f", said(line))


def test_diff_shows_what_differs_and_nothing_else() -> None:
    old = PathState(kind=Kind.FILE, mode=0o600, owner="a", group="g", digest="1", content=b"x\n")
    new = PathState(kind=Kind.FILE, mode=0o644, owner="a", group="h", digest="2", content=b"y\n")
    assert state_diff("/f", old, new) == (
        "--- /f\n+++ /f\n@@ -1 +1 @@\n-x\n+y\n-mode: 0600\n+mode: 0644\n-group: g\n+group: h\n"
    )
    assert state_diff("/f", old, old) == ""
