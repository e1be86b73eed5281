"""What every test keeps to: nothing of kubexm's own is left on the machine that runs it.

And which tests share a process when there are several (pytest-xdist): those of a file, because
they share fixtures; those of the laboratory in two, because each has hosts of its own.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LABORATORIES = 2
"""More would boot more hosts than a machine's usual inotify limit allows."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See above; the marks mean nothing in a single process."""
    groups: dict[Path, str] = {}
    laboratories = itertools.cycle(range(_LABORATORIES))
    for item in items:
        if item.path not in groups:
            is_lab = item.path.parent.name == "lab"
            groups[item.path] = f"lab-{next(laboratories)}" if is_lab else str(item.path)
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))


@pytest.fixture(scope="session", autouse=True)
def _originals_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the originals of files that tests edit on this machine in a temporary directory."""
    os.environ["KUBEXM_STATE"] = str(tmp_path_factory.mktemp("state"))
    yield
    del os.environ["KUBEXM_STATE"]
