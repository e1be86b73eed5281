"""Fixtures that give tests a laboratory, or skip them with what this machine lacks."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lab import requirement
from tests.lab.command import MissingError
from tests.lab.host import LabHost
from tests.lab.laboratory import Laboratory
from tests.lab.vm_host import VirtualHost

HOSTS = 3


def require_laboratory() -> None:
    """Skip the test at hand when this machine cannot carry a laboratory."""
    if missing := requirement.obstacles():
        pytest.skip(f"the laboratory needs {', '.join(missing)}")
    try:
        requirement.provide()
    except MissingError as error:
        pytest.skip(str(error))


def require_virtual_machine() -> None:
    """Skip the test at hand when this machine cannot carry a virtual one."""
    if missing := requirement.virtual_obstacles():
        pytest.skip(f"a virtual machine needs {', '.join(missing)}")
    try:
        requirement.provide_virtual()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lab() -> Iterator[Laboratory]:
    """The laboratory with three hosts up; taken down at the end unless it was up before.

    KUBEXM_LAB_KEEP=1 leaves it up. Of several processes that run tests (pytest-xdist) each has its
    own: that of KUBEXM_LAB_NUMBER or one of the next. The hosts are as other tests left them: a
    test that changes one calls `LabHost.reset` first or afterwards (a second).
    """
    require_laboratory()
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = Laboratory.from_environment()
    laboratory = replace(first, number=first.number + int(process))
    was_up = bool(laboratory.hosts())
    laboratory.up(HOSTS)
    yield laboratory
    if not was_up and os.environ.get("KUBEXM_LAB_KEEP") != "1":
        laboratory.down()


@pytest.fixture(scope="session")
def lab_hosts(lab: Laboratory) -> tuple[LabHost, ...]:
    """Its hosts: lab1, lab2, lab3."""
    return lab.hosts()[:HOSTS]


@pytest.fixture(scope="session")
def vm() -> Iterator[VirtualHost]:
    """A virtual machine, off or as other tests left it: begin with `VirtualHost.reset`.

    It has a laboratory of its own, so that nobody's `lab.down` takes it away. With
    KUBEXM_LAB_KEEP=1 it is the one of KUBEXM_LAB_NUMBER, and stays.
    """
    require_virtual_machine()
    keep = os.environ.get("KUBEXM_LAB_KEEP") == "1"
    laboratory = Laboratory.from_environment() if keep else Laboratory.unused()
    try:
        yield VirtualHost.fresh(laboratory)
    finally:
        if not keep:
            laboratory.down()
