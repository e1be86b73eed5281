"""A batch as bytes, and a reply stream as replies."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubexm.errors import DeadlineError, SessionLostError
from kubexm.shell import (
    BatchReply,
    Guarded,
    GuardedReply,
    Library,
    Reply,
    Script,
    Verdict,
    expectation,
)
from kubexm.shell.frame import Decoder, Stream, deadline_of, encode, libraries_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOKEN = "f0123456789abcde0123456789abcde0"
LIBRARY = Library("greet", "greet() {\n  echo hello\n}\n")
NO_CAP = 1 << 40

# Bytes among which parts of the token are frequent.
OUTPUT = st.lists(
    st.binary(max_size=40)
    | st.integers(1, len(TOKEN) - 1).map(lambda size: TOKEN.encode()[:size])
    | st.sampled_from([b"\n", b"\0", b" b 0\n", b" e 0 0\n", b"#", b""]),
    max_size=6,
).map(b"".join)
STATUS = st.integers(0, 255)


def line(words: str) -> bytes:
    return f"{TOKEN} {words}\n".encode()


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Pieces of the given sizes, repeated until all is used up."""
    pieces, sizes = [], list(sizes)
    while data:
        for size in sizes:
            pieces.append(data[:size])
            data = data[size:]
    return pieces


def decoded(
    frames: Sequence[Script | Guarded],
    stdout: Iterable[bytes],
    stderr: Iterable[bytes],
    *,
    cap_bytes: int = NO_CAP,
) -> Decoder:
    decoder = Decoder(frames, TOKEN, cap_bytes=cap_bytes)
    for piece in stdout:
        decoder.feed(piece, b"")
    for piece in stderr:
        decoder.feed(b"", piece)
    return decoder


# What goes out


def test_a_small_batch_as_bytes() -> None:
    frames: list[Script | Guarded] = [
        LIBRARY.call("greet", "it's", payload=b"\0x").within(1.2),
        Script("echo 'open"),
        Guarded(
            probe=Script("cat f"),
            expected="=it's\n0",
            change=Script("cat >f", payload=b"\xff\n"),
            unmet=True,
        ),
        Guarded(probe=Script("true"), expected="1e" * 32, change=Script("cat", payload=b"")),
    ]
    program, payloads = encode(frames, TOKEN, deadline_s=600, libraries=[LIBRARY])
    size, _, text = program.decode("utf-8", "surrogateescape").partition("\n")
    assert int(size) == len(text)
    assert text == (
        "greet() {\n  echo hello\n}\n\n"
        "kx_batch\n"
        "kx_arm 2 10\n"
        "kx_run 0 'greet '\\''it'\\''\\'\\'''\\''s'\\''' 2\n"
        "kx_arm 600 10\n"
        "kx_run 1 'echo '\\''open' -\n"
        "kx_guard 2 '=it'\\''s\n0' 'cat f' 'cat >f' '=\udcff\n' 1\n"
        f"kx_guard 3 {'1e' * 32} true cat '=' 0\n"
        "kx_flush\n"
        "kx_arm 0\n"
        f"#{TOKEN}"
    )
    assert payloads == (b"\0x", f"{TOKEN}\n".encode())


def test_the_size_counts_bytes() -> None:
    program, _ = encode([Script("echo é€\udcff")], TOKEN, deadline_s=0)
    size, _, text = program.partition(b"\n")
    assert int(size) == len(text)
    assert "é€".encode() + b"\xff" in text


def test_the_clock_starts_anew_where_a_script_has_its_own() -> None:
    def shape(*own: float, deadline_s: float) -> str:
        """The seconds of each `kx_arm`, and a star for each script and the last words."""
        program, _ = encode([Script(":", deadline_s=s) for s in own], TOKEN, deadline_s=deadline_s)
        calls = [line.split() for line in program.decode().splitlines()[2:-1]]
        return " ".join(words[1] if words[0] == "kx_arm" else "*" for words in calls)

    assert shape(0, 0, 0, deadline_s=9) == "9 * * * * 0"
    assert shape(0, 5, 0, 0, deadline_s=9) == "9 * 5 * 9 * * * 0"
    assert shape(9, 0, 9, 9, deadline_s=9) == "9 * 9 * 9 * 9 * * 0"
    assert shape(0, 2, 0, deadline_s=0) == "0 * 2 * 0 * * 0"
    assert shape(0.1, deadline_s=0) == "1 * * 0"


def test_a_guarded_operation_has_the_longer_deadline_of_its_two_scripts() -> None:
    slow, quick = Script("a", deadline_s=9), Script("b", deadline_s=2)
    assert deadline_of(Guarded(probe=quick, expected="", change=slow)) == 9
    assert deadline_of(Guarded(probe=quick, expected="", change=None)) == 2
    assert deadline_of(Script("c")) == 0


def test_libraries_are_listed_once_in_order_of_first_use() -> None:
    a, b, c = (Library(name, "") for name in "abc")
    guarded = Guarded(
        probe=Script("", libraries=(b,)), expected="", change=Script("", libraries=(c, a))
    )
    assert libraries_of([Script("", libraries=(b, a)), guarded]) == (b, a, c)


# What comes back


@settings(deadline=None)
@given(
    outputs=st.lists(st.tuples(OUTPUT, OUTPUT, STATUS), max_size=5),
    noise=OUTPUT,
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=5),
)
def test_chunks_of_any_size_give_the_same_replies(
    outputs: list[tuple[bytes, bytes, int]], noise: bytes, sizes: list[int]
) -> None:
    """Noise is what daemons say between frames; only a newline of it may touch a marker."""
    streams = [b"", b""]
    for number, (*said, status) in enumerate(outputs):
        for which, data in enumerate(said):
            streams[which] += noise + line(f"b {number}") + data + line(f"e {number} {status}")
    expected = tuple(
        Reply(exit_status=status, stdout=stdout, stderr=stderr)
        for stdout, stderr, status in outputs
    )
    whole = decoded([Script("")] * len(outputs), [streams[0] + noise], [streams[1]])
    assert whole.replies == expected
    assert whole.complete
    pieces = (cut(stream, sizes) for stream in streams)
    assert decoded([Script("")] * len(outputs), *pieces).replies == expected


def test_a_marker_may_be_split_anywhere() -> None:
    frame = Guarded(probe=Script(""), expected="", change=Script("x"))
    said = b"late" + line("b 0") + b"un" + line("s change") + b"12" + line("s after 0") + b"34\n"
    said += line("e 0 7")
    expected = GuardedReply(
        verdict=Verdict.CHANGED,
        change=Reply(exit_status=0, stdout=b"12", stderr=b"12"),
        reading=Reply(exit_status=7, stdout=b"34\n", stderr=b"34\n"),
    )
    for at in range(len(said) + 1):
        pieces = [said[:at], said[at:]]
        assert decoded([frame], pieces, pieces).replies == (expected,)
    assert decoded([frame], cut(said, [1]), cut(said, [2])).replies == (expected,)


@pytest.mark.parametrize(
    ("words", "verdict", "change", "reading"),
    [
        (["s same", "e 0 0"], Verdict.SAME, None, None),
        (["s skipped", "e 0 0"], Verdict.SKIPPED, None, None),
        (["s unmet", "e 0 0"], Verdict.UNMET, None, None),
        (["s stale", "e 0 3"], Verdict.STALE, None, 3),
        (["s change", "s after 0", "e 0 4"], Verdict.CHANGED, 0, 4),
        (["s change", "s after 5", "e 0 0"], Verdict.FAILED, 5, None),
    ],
)
def test_every_verdict_is_read(
    words: list[str], verdict: Verdict, change: int | None, reading: int | None
) -> None:
    secret = Script("x").hidden()
    frame = Guarded(probe=Script("p"), expected="", change=secret)
    said = line("b 0") + b"".join(map(line, words))
    (reply,) = decoded([frame], [said], [said]).replies
    assert isinstance(reply, GuardedReply)
    assert reply.verdict is verdict
    assert (reply.change and reply.change.exit_status) == change
    assert (reply.reading and reply.reading.exit_status) == reading
    assert all(part is None or part.secret for part in (reply.change, reply.reading))


def test_a_reply_needs_both_streams() -> None:
    said = line("b 0") + line("e 0 0")
    decoder = Decoder([Script("")], TOKEN, cap_bytes=NO_CAP)
    decoder.feed(said, said[:-1])
    assert not decoder.complete
    decoder.feed(b"", said[-1:])
    assert decoder.complete


def test_a_late_frame_is_no_reply() -> None:
    said = line("b 0") + line("e 0 0") + line("b 1") + b"half" + line("e 1 late")
    decoder = decoded([Script(""), Script(""), Script("")], [said], [said])
    assert decoder.late
    assert not decoder.complete
    assert decoder.replies == (Reply(exit_status=0),)


def test_the_cap_holds_for_each_part_and_is_flagged() -> None:
    said = line("b 0") + b"12345" + line("e 0 0") + line("b 1") + b"123456789" + line("e 1 0")
    for size in (1, 3, 1000):
        decoder = decoded([Script("")] * 2, cut(said, [size]), [said], cap_bytes=5)
        first, second = decoder.replies
        assert first == Reply(exit_status=0, stdout=b"12345", stderr=b"12345")
        assert second == Reply(exit_status=0, stdout=b"12345", stderr=b"12345", truncated=True)


def test_a_listener_hears_all_of_it_at_once_and_nothing_secret() -> None:
    heard: list[tuple[int, str, bytes]] = []
    decoder = Decoder(
        [Script("").hidden(), Script("")],
        TOKEN,
        cap_bytes=2,
        listener=lambda *what: heard.append(what),
    )
    decoder.feed(line("b 0") + b"secret" + line("e 0 0") + line("b 1") + b"50%\r", b"")
    assert heard == [(1, "stdout", b"50%\r")]
    decoder.feed(b"100%" + TOKEN[:5].encode(), line("b 0") + b"secret" + line("e 0 0"))
    assert heard[1:] == [(1, "stdout", b"100%")]
    decoder.feed(b"\n", line("b 1") + b"err")
    assert heard[2:] == [(1, "stdout", TOKEN[:5].encode() + b"\n"), (1, "stderr", b"err")]


@pytest.mark.parametrize(
    "block",
    [b"x" * 65_536, TOKEN[:-1].encode() * 2_114, b"f" * 65_536, b"\n" * 65_536],
    ids=["plain", "nearly tokens", "first letters", "newlines"],
)
def test_fifty_megabytes_are_read_in_linear_time(block: bytes) -> None:
    began = time.process_time()
    stream = Stream(TOKEN, cap_bytes=1 << 20)
    stream.feed(line("b 0"))
    for _ in range(800):
        stream.feed(block)
    stream.feed(line("e 0 0"))
    assert len(stream.frames) == 1
    assert time.process_time() - began < 3


def test_many_frames_in_one_chunk_are_read_in_linear_time() -> None:
    began = time.process_time()
    stream = Stream(TOKEN, cap_bytes=1 << 20)
    stream.feed(b"".join(line(f"b {n}") + b"x" * 100 + line(f"e {n} 0") for n in range(50_000)))
    assert len(stream.frames) == 50_000
    assert time.process_time() - began < 3


# Values


def test_an_expectation_covers_output_and_status() -> None:
    assert expectation(Reply(exit_status=3, stdout=b"x\xff\n")) == "=x\udcff\n3"


@pytest.mark.parametrize(
    "reading",
    [
        Reply(exit_status=3, stdout=b"x\0"),
        Reply(exit_status=3, stdout=b"x" * 513),
        Reply(exit_status=3, stdout=b"x", secret=True),
    ],
    ids=["binary", "long", "secret"],
)
def test_a_reading_that_is_no_short_text_is_compared_by_its_digest(reading: Reply) -> None:
    assert expectation(reading) == hashlib.sha256(reading.stdout + b"3\n").hexdigest()


def test_text_keeps_bytes_that_are_not_utf_8() -> None:
    assert Reply(exit_status=0, stdout=b"\xc3\xa9\xff").text == "é\udcff"


def test_a_secret_reply_shows_its_status_only() -> None:
    reply = Reply(exit_status=4, stdout=b"hunter2", stderr=b"hunter2", secret=True)
    assert repr(reply) == "Reply(exit_status=4, ***)"
    assert repr(Reply(exit_status=0, stdout=b"x")) == "Reply(exit_status=0, b'x', b'')"
    shown = repr(Reply(exit_status=0, truncated=True))
    assert shown == "Reply(exit_status=0, b'', b'', truncated)"


def test_the_replies_of_a_whole_batch_are_given_and_those_of_a_broken_one_are_not() -> None:
    replies = (Reply(exit_status=0),)
    assert BatchReply(replies=replies).whole() == replies
    for error in (SessionLostError("lost", completed=1), DeadlineError("late")):
        with pytest.raises(type(error)) as caught:
            BatchReply(replies=replies, ended_by=error).whole()
        assert caught.value is error
