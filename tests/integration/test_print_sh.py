"""`kx_print` of prelude.sh says exactly what it is given, also where the shell has no `printf`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.shell import quote
from kubexm.shell.session import PRELUDE
from tests.integration.shells import NAMES, make_shell

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

EVERY_BYTE = bytes(range(1, 256)).decode("utf-8", "surrogateescape")
TEXTS = ("", "\n", "x\n\n", "-n", "%s\\n", "$HOME `id`", "kx_end\n", EVERY_BYTE)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_printed_as_it_is(name: str, tmp_path: Path) -> None:
    shell = make_shell(name, tmp_path)
    for text in TEXTS:
        answer = shell.run(f"kx_print {quote(text)}")
        assert answer.stdout == text.encode("utf-8", "surrogateescape")


def test_a_shell_without_a_printf_of_its_own_prints_it_too(tmp_path: Path) -> None:
    """As posh is: what stands in its place must not show the text in `ps`, so it is no program."""
    shell = make_shell("bash", tmp_path)
    path = tmp_path / "prelude"
    path.write_text(f"enable -n printf\n{PRELUDE.text}")
    for text in TEXTS:
        answer = shell.run(f". {path}; kx_print {quote(text)}")
        assert answer.stdout == text.encode("utf-8", "surrogateescape")
