"""Words and scripts as values."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubexm.shell import Library, Script, quote, quote_for_login

SHELLS = ("dash", "bash", "busybox sh", "mksh")

# What a shell could make more of than a word, and bytes that are no UTF-8.
SPICE = "'\"\\$`!~*?[]{}()<>|&;#=%^ \t\n\r\x01\x7f\x81\x88\udc81\udcff-é€\U0001f600\u2028aZ0"
WORDS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.text(SPICE),
    min_size=1,
    max_size=20,
)


def evaluated(shell: str, words: list[str]) -> list[str]:
    """What a shell makes of the quoted words."""
    program, *options = shell.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    script = "printf '%s\\0' " + " ".join(map(quote, words))
    answer = subprocess.run(
        [path, *options, "-c", os.fsencode(script)],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        check=True,
    )
    assert answer.stderr == b""
    return [os.fsdecode(word) for word in answer.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None)
@given(words=WORDS)
def test_a_quoted_word_means_itself_in_every_shell(shell: str, words: list[str]) -> None:
    assert evaluated(shell, words) == words


@pytest.mark.parametrize("shell", SHELLS)
def test_words_that_tempt_a_shell_mean_themselves(shell: str) -> None:
    words = ["", "-n", "--", "-e", "~", "~root", "a=b", "$x", "*", "{a,b}", "!!", "#", "\n", "'"]
    words += ["'\"'\"'", "\\", "\\'", "''", "%d", "$(date)", "`date`", "&&", "a\rb", " ", "if", "["]
    words += ["\udcff\udcfe", "é", "x" * 50_000, "'" * 5_000]
    assert evaluated(shell, words) == words


@pytest.mark.parametrize("shell", ["sh", "bash", "fish", "tcsh"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_word_for_login_shells_means_itself_through_several_of_them(
    shell: str, depth: int
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    word = 'it\'s "one" $word `of` *? {a,b} ~ # ; & | > é'
    line = f"printf %s {quote_for_login(word)}"
    for _ in range(1, depth):
        line = f"{shell} -c {quote_for_login(line)}"
    found = subprocess.run([shell, "-c", line], capture_output=True, check=True)
    assert found.stdout.decode() == word


def test_plain_words_stay_readable() -> None:
    for word in ("a", "/etc/hosts", "0644", "user@host:22", "a,b", "x.y-z_1", "+1%", "-n"):
        assert quote(word) == word
    assert quote("it's") == r"'it'\''s'"
    assert quote("") == "''"
    assert quote("é") == "'é'"


@pytest.mark.parametrize("word", ["if", "then", "while", "time", "function", "in", "done"])
def test_a_command_with_the_name_of_a_keyword_is_a_command(word: str) -> None:
    assert Script.command(word, "x").text == f"'{word}' x"


def test_what_cannot_be_sent_is_refused_where_it_is_written() -> None:
    for text in ("a\0b", "\ud800", "\udc00", "\udfff"):
        with pytest.raises(ValueError, match="a NUL or half a surrogate pair"):
            quote(text)
        with pytest.raises(ValueError, match="a NUL or half a surrogate pair"):
            Script(text)


def test_a_command_quotes_every_word() -> None:
    assert Script.command("rm", "-f", "a b", "$x").text == "rm -f 'a b' '$x'"


def test_a_secret_script_shows_nothing() -> None:
    script = Script("echo hunter2", payload=b"hunter3").hidden()
    assert repr(script) == str(script) == "Script(***)"
    assert "hunter" not in f"{script} {script!r} {[script]}"
    assert repr(Script("echo x", payload=b"hunter3")) == "Script('echo x', payload=7 bytes)"


def test_a_library_shows_its_name_only() -> None:
    assert repr(Library("file", "kx_secret() { :; }")) == "Library(name='file')"


def test_then_joins_two_scripts() -> None:
    one, two = Library("one", ""), Library("two", "")
    first = one.call("f", "a b", payload=b"p").within(3)
    joined = first.then(Script("g", libraries=(two, one), secret=True, deadline_s=2))
    assert (joined.text.splitlines()[0], joined.text.splitlines()[-1]) == ("f 'a b'", "g")
    assert (joined.payload, joined.libraries) == (b"p", (one, two))
    assert (joined.secret, joined.deadline_s) == (True, 3)


def test_two_payloads_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="two scripts with a payload each"):
        Script("cat", payload=b"").then(Script("cat", payload=b"x"))


@pytest.mark.parametrize(
    ("package", "name"),
    [
        *(("kubexm.shell", name) for name in ("prelude", "lock", "file", "transfer")),
        ("kubexm.facts", "facts"),
        ("kubexm_linux", "kernel"),
        ("kubexm_debian", "apt"),
    ],
)
def test_a_library_is_sent_without_what_only_its_readers_need(package: str, name: str) -> None:
    lines = Library.load(package, name).text.splitlines()
    assert lines
    assert [line for line in lines if not line or line[0] in "# \t"] == []


def test_a_script_whose_answer_may_be_known_reads_no_payload() -> None:
    for more in ({"payload": b"x"}, {"stays": True}):
        with pytest.raises(ValueError, match="no payload"):
            Script("f", answer="g", **more)
