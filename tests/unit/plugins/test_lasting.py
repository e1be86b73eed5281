"""Which readings are not taken again, and whose scopes therefore leave nothing out."""

from __future__ import annotations

import pytest

from kubexm.facts import Facts, Init, OperatingSystem, PackageManager
from kubexm.runner import Catalogue, Operation, overlaps
from kubexm.runner.operations import (
    Directory,
    FileContent,
    LineInFile,
    PackagesInstalled,
    PackagesRemoved,
    PathAbsent,
    Service,
    SymbolicLink,
    UserAccount,
    UserGroup,
)

HOST = Facts(
    os=OperatingSystem(id="debian", version_id="12"),
    init=Init.SYSTEMD,
    package_manager=PackageManager.APT,
    tools=frozenset({"useradd"}),
)
SOME = frozenset({"cron"})


def is_lasting(op: Operation) -> bool:
    catalogue = Catalogue.installed()
    return catalogue.handler(op, catalogue.family(HOST), HOST).probe(op, HOST).lasting


@pytest.mark.parametrize(
    "op",
    [
        PackagesInstalled(names=SOME),
        PackagesRemoved(names=SOME),
        Service(name="cron"),
        UserAccount(name="app"),
        UserGroup(name="app"),
    ],
    ids=lambda op: type(op).__name__,
)
def test_what_takes_long_to_read_lasts(op: Operation) -> None:
    assert is_lasting(op)


@pytest.mark.parametrize(
    "op",
    [
        FileContent(path="/a b", content=""),
        Directory(path="/a"),
        SymbolicLink(path="/a", target="/b"),
        LineInFile(path="/a", line="x"),
        PathAbsent(path="/a"),
        Service(name="cron", restarted_after=("/etc/crontab",)),
    ],
    ids=lambda op: type(op).__name__,
)
def test_what_is_at_a_path_does_not_last_because_a_path_may_lead_anywhere(op: Operation) -> None:
    assert not is_lasting(op)


@pytest.mark.parametrize(
    "change",
    [
        UserAccount(name="app"),
        UserGroup(name="app"),
        FileContent(path="/etc/passwd", content=""),
        LineInFile(path="/etc/group", line="x"),
        PackagesInstalled(names=SOME),
        PackagesRemoved(names=SOME),
        Service(name="other"),
    ],
    ids=lambda op: type(op).__name__,
)
def test_what_may_alter_an_account_is_known_to(change: Operation) -> None:
    op = UserAccount(name="app", group="app", groups=frozenset({"adm"}))
    assert overlaps(change.alters(), op.touches())


def test_a_file_rests_on_the_account_that_owns_it_and_does_not_alter_it() -> None:
    for kind in (
        FileContent(path="/a", content="", owner="app", group="adm"),
        Directory(path="/a", owner="app", group="adm"),
    ):
        for account in (UserAccount(name="app"), UserGroup(name="adm")):
            assert overlaps(account.alters(), kind.touches())
            assert not overlaps(kind.alters(), account.touches())
        assert not overlaps(UserGroup(name="other").alters() - {"file:/etc/group"}, kind.touches())


@pytest.mark.parametrize(("home", "below"), [("", "/home/app/.bashrc"), ("/srv/app", "/srv/app")])
def test_a_home_that_is_made_is_filled(home: str, below: str) -> None:
    bare = PathAbsent(path=below).touches()
    made = UserAccount(name="app", home=home, create_home=True)
    assert overlaps(made.alters(), bare)
    assert not overlaps(UserAccount(name="app", home=home).alters(), bare)
