"""What every test keeps to: nothing of kubexm's own is left on the machine that runs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _originals_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the originals of files that tests edit on this machine in a temporary directory."""
    os.environ["KUBEXM_STATE"] = str(tmp_path_factory.mktemp("state"))
    yield
    del os.environ["KUBEXM_STATE"]
