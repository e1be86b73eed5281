"""Every transcript holds, and a transcript that does not hold is told apart."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kubexm.runner import Catalogue
from kubexm.testing import Case, GoldenError, cases, check
from tests.tasks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = ROOT / "tests/golden"
SHELLS = (("dash", "-n"), ("bash", "--posix", "-n"), ("busybox", "sh", "-n"), ("mksh", "-n"))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.installed()


@pytest.mark.parametrize("case", cases(GOLDEN), ids=str)
def test_handler_answers_as_its_transcript_says(case: Case, catalogue: Catalogue) -> None:
    for script in check(case, catalogue):
        for name, *options in SHELLS:
            if shutil.which(name) is None:
                continue
            answer = subprocess.run(
                [name, *options], input=script.text, capture_output=True, text=True, check=False
            )
            assert (answer.returncode, answer.stderr) == (0, ""), name


LINE = """\
about: A line is added.
operation: LineInFile
fields: {path: /etc/f, line: new, mode: 0o600}
recorded_on: Debian 12
reply:
  stdout: |
    absent
"""
ANSWER = """\
probe: kx_content_state /etc/f 65536
state:
  kind: absent
  mode: '0000'
  owner: ''
  group: ''
  digest: ''
  content:
diff: |
  --- /dev/null
  +++ /etc/f
  @@ -0,0 +1 @@
  +new
  +type: file
  +mode: 0600
  +owner: root
  +group: root
change: kx_replace /etc/f 600
payload: |
  new
"""


def written(directory: Path, text: str) -> Case:
    path = directory / "case.yaml"
    path.write_text(text)
    return Case(path)


def test_transcript_that_holds_gives_the_scripts(tmp_path: Path, catalogue: Catalogue) -> None:
    probe, change = check(written(tmp_path, LINE + ANSWER), catalogue)
    assert (probe.text, change.payload) == ("kx_content_state /etc/f 65536", b"new\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("+mode: 0600", "+mode: 0644"),
        ("payload: |\n  new\n", ""),
        ("'0000'", "'0644'"),
        ("kx_replace", "kx_other"),
        ("  content:\n", ""),
    ],
)
def test_every_difference_is_an_error(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str
) -> None:
    assert old in ANSWER
    with pytest.raises(GoldenError, match=r"--- case\.yaml"):
        check(written(tmp_path, LINE + ANSWER.replace(old, new)), catalogue)


def test_answers_are_written_when_that_is_asked(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = written(tmp_path, LINE)
    with pytest.raises(GoldenError):
        check(case, catalogue)
    monkeypatch.setenv("KUBEXM_GOLDEN", "record")
    check(case, catalogue)
    assert case.path.read_text().endswith(ANSWER)
    monkeypatch.delenv("KUBEXM_GOLDEN")
    check(case, catalogue)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "not a mapping"),
        ("about: x\n", "lacks operation, recorded_on, reply"),
        (LINE.replace("LineInFile", "LineInFiles"), "no operation named"),
        (LINE.replace("LineInFile", "os:path"), "no operation named"),
        (LINE.replace("line:", "lime:"), "no field lime"),
    ],
)
def test_what_is_no_transcript_is_an_error(
    tmp_path: Path, catalogue: Catalogue, text: str, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        check(written(tmp_path, text), catalogue)


def test_no_transcripts_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no transcripts in"):
        cases(tmp_path)
