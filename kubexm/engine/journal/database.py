"""The journal's file: SQLite in WAL mode, for its owner only, safe against a sudden end."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

from kubexm.engine.journal.schema import APPLICATION, TABLES, VERSION
from kubexm.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Value: TypeAlias = str | int | float | None
Statement: TypeAlias = tuple[str, tuple[Value, ...]]
"""SQL, and the values of its question marks."""

_PATIENCE_S = 30


@dataclass(slots=True)
class _Ticket:
    """What one thread wants written. The database's `_turn` guards its end."""

    statements: Sequence[Statement]
    durable: bool
    is_settled: bool = False
    error: BaseException | None = None


class Database:
    """One journal file.

    Threads that write at the same time share one commit, and with it one wait for the disk:
    each queues its statements, and whoever gets `_turn` commits all that is queued. `_turn`
    guards the connection, `_queue_lock` the queue.

    Args:
        path: The file; made when there is none, with mode 0600.

    Raises:
        JournalError: It cannot be made or opened, or is not a journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Ticket] = []
        self._is_durable = True
        try:
            # SQLite gives its -wal and -shm files the mode of the database
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._fault(error) from error
        try:
            # turning a new file into a WAL one fails at once where two processes do it together
            with _alone(path.parent):
                self._prepare()
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._fault(error) from error
            raise

    def __repr__(self) -> str:
        return f"<Database {self.path}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        with self._turn:
            self._connection.close()

    def write(self, statements: Sequence[Statement], *, durable: bool = True) -> None:
        """Carry out statements as a whole or not at all.

        Args:
            statements: In order.
            durable: Return when they are on the disk, and with them all that was written before;
                otherwise when they outlive the process, which costs a twentieth of the time.

        Raises:
            JournalError: They cannot be written; none was.
        """
        ticket = _Ticket(statements, durable)
        with self._queue_lock:
            self._queue.append(ticket)
        with self._turn:
            if not ticket.is_settled:
                with self._queue_lock:
                    batch, self._queue = self._queue, []
                self._commit(batch)
        if ticket.error is not None:
            raise self._fault(ticket.error) from ticket.error

    def read(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """The rows of a query.

        Raises:
            JournalError: The file cannot be read.
        """
        try:
            with self._turn:
                return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error, "read") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read and write with nobody in between, in this process or another.

        Raises:
            JournalError: See `write`.
        """
        with self._turn:
            try:
                self._sync(durable=True)
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    self._undo()
                    raise
            except sqlite3.Error as error:
                raise self._fault(error) from error

    def faults(self) -> tuple[str, ...]:
        """What SQLite finds wrong with the file (`PRAGMA integrity_check`); empty when sound."""
        found = [str(row[0]) for row in self.read("PRAGMA integrity_check")]
        found += [str(tuple(row)) for row in self.read("PRAGMA foreign_key_check")]
        return tuple(line for line in found if line != "ok")

    def shrink(self) -> None:
        """Give space that deleted runs took back to the file system."""
        with self._turn:
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _commit(self, batch: Sequence[_Ticket]) -> None:
        error: BaseException | None = None
        try:
            self._sync(durable=any(ticket.durable for ticket in batch))
            self._connection.execute("BEGIN IMMEDIATE")
            for ticket in batch:
                for sql, values in ticket.statements:
                    self._connection.execute(sql, [_storable(value) for value in values])
            self._connection.execute("COMMIT")
        except BaseException as problem:
            error = problem
            self._undo()
            if not isinstance(problem, sqlite3.Error):
                raise
        finally:
            for ticket in batch:
                ticket.is_settled, ticket.error = True, error

    def _sync(self, *, durable: bool) -> None:
        """What a commit waits for; the connection's setting is changed only where it must be."""
        if durable is not self._is_durable:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._is_durable = durable

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _prepare(self) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        (is_empty,) = connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()
        if is_empty:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        else:
            self._recognise()
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            message = f"{self.path}: the file system cannot keep a write-ahead log"
            raise JournalError(message, hint="choose a local directory with --work-dir")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if is_empty:
            self._found()

    def _recognise(self) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION:
            message = f"{self.path} is not a journal of kubexm"
            raise JournalError(message, hint="choose another directory with --work-dir")
        if version != VERSION:
            message = f"{self.path} is a journal of version {version}; this kubexm has {VERSION}"
            raise JournalError(
                message, hint="use the kubexm that wrote it, or another directory with --work-dir"
            )

    def _found(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for table in TABLES:
                self._connection.execute(table)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
            self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def _fault(self, error: BaseException, verb: str = "written") -> JournalError:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return JournalError(
            f"the journal {self.path} cannot be {verb}: {said}",
            hint="nothing is changed without it: free space, or choose a directory with --work-dir",
        )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _storable(value: Value) -> Value:
    """The value without what SQLite cannot keep: bytes of a text that were not UTF-8."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
