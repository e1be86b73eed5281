"""The journal's file: private, whole, and honest about what it cannot do."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from kubexm.engine.journal.database import Database
from kubexm.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "INSERT INTO text VALUES (?, ?)"


def test_the_file_and_what_sqlite_keeps_beside_it_are_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Database(tmp_path / "j") as database:
            database.write([(TEXT, ("a", "b"))])
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {"j": 0o600, "j-wal": 0o600, "j-shm": 0o600}


def test_what_is_written_is_there_for_a_second_reader_at_once(tmp_path: Path) -> None:
    with Database(tmp_path / "j") as writer, Database(tmp_path / "j") as reader:
        writer.write([(TEXT, ("a", "b"))])
        assert [tuple(row) for row in reader.read("SELECT * FROM text")] == [("a", "b")]


def test_a_second_process_reads_while_the_first_is_in_the_middle_of_writing(
    tmp_path: Path,
) -> None:
    with Database(tmp_path / "j") as writer:
        with writer.transaction() as connection:
            connection.execute(TEXT, ("a", "b"))
            code = (
                "import sys; from pathlib import Path\n"
                "from kubexm.engine.journal.database import Database\n"
                "print(len(Database(Path(sys.argv[1])).read('SELECT * FROM run')))"
            )
            done = subprocess.run(
                [sys.executable, "-c", code, str(tmp_path / "j")],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_many_threads_share_commits_and_lose_nothing(tmp_path: Path) -> None:
    with Database(tmp_path / "j") as database:

        def work(number: int) -> None:
            for item in range(20):
                database.write([(TEXT, (f"{number}-{item}", "x"))])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert database.read("SELECT count(*) FROM text")[0][0] == 320
        assert database.faults() == ()


def test_statements_are_carried_out_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    with Database(tmp_path / "j") as database:
        with pytest.raises(JournalError, match="UNIQUE"):
            database.write([(TEXT, ("a", "b")), (TEXT, ("a", "c"))])
        assert database.read("SELECT * FROM text") == []
        database.write([(TEXT, ("a", "b"))])


def test_a_full_disk_is_a_clear_error_and_leaves_the_file_sound(tmp_path: Path) -> None:
    with Database(tmp_path / "j") as database:
        database.read("PRAGMA max_page_count = 40")
        with pytest.raises(JournalError, match="disk is full") as caught:
            database.write([(TEXT, (str(number), "x" * 4000)) for number in range(100)])
        assert "--work-dir" in caught.value.hint
        assert database.read("SELECT * FROM text") == []
        database.write([(TEXT, ("a", "b"))])
        assert database.faults() == ()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j") as connection:
        connection.execute("CREATE TABLE t(a)")
    connection.close()
    with pytest.raises(JournalError, match="not a journal of kubexm"):
        Database(tmp_path / "j")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("a diary, " * 100)
    with pytest.raises(JournalError, match="not a database"):
        Database(tmp_path / "j")


def test_a_journal_of_a_later_kubexm_is_refused(tmp_path: Path) -> None:
    with Database(tmp_path / "j") as database:
        database.read("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="version 99"):
        Database(tmp_path / "j")


def test_a_directory_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file or directory"):
        Database(tmp_path / "no" / "j")


def test_text_that_is_not_utf_8_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    with Database(tmp_path / "j") as database:
        database.write([(TEXT, ("a", "b\udcff"))])
        assert database.read("SELECT body FROM text")[0][0] == "b?"


WRITER = f"""
import sys, threading
from pathlib import Path
from kubexm.engine.journal.database import Database

database = Database(Path(sys.argv[1]))
lock = threading.Lock()


def work(number):
    for item in range(100_000):
        database.write([({TEXT!r}, (f"{{number}}-{{item}}", "x"))])
        with lock:
            sys.stdout.write(f"{{number}}-{{item}}\\n")
            sys.stdout.flush()


for number in range(4):
    threading.Thread(target=work, args=(number,)).start()
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "j")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(200)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    acknowledged = {line.rstrip() for line in told if line.endswith("\n")}
    with Database(tmp_path / "j") as database:
        assert database.faults() == ()
        kept = {row[0] for row in database.read("SELECT digest FROM text")}
    assert acknowledged <= kept
    assert len(kept - acknowledged) <= 4
