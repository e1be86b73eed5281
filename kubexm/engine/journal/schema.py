"""The journal's tables."""

from __future__ import annotations

VERSION = 1
"""Kept in the file as `user_version`; a file of another version is refused, never guessed at."""

APPLICATION = 0x6B786A31
"""Kept in the file as `application_id` ("kxj1"): another program's database is refused."""

TABLES = (
    """
    CREATE TABLE run(
        run TEXT PRIMARY KEY,
        plan TEXT NOT NULL,
        digest TEXT NOT NULL,
        is_check INTEGER NOT NULL,
        task TEXT NOT NULL,
        flags TEXT NOT NULL,
        inventory TEXT NOT NULL,
        invocation TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        process TEXT NOT NULL,
        version TEXT NOT NULL,
        began TEXT NOT NULL,
        ended TEXT,
        duration_s REAL,
        exit_code INTEGER,
        interrupted INTEGER NOT NULL DEFAULT 0,
        changed INTEGER NOT NULL DEFAULT 0,
        resumes TEXT,
        resumed_by TEXT
    )
    """,
    """
    CREATE TABLE plan_step(
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        step TEXT NOT NULL,
        position INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY(run, step)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE host(
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        host TEXT NOT NULL,
        position INTEGER NOT NULL,
        digest TEXT NOT NULL,
        status TEXT,
        error TEXT,
        hint TEXT,
        duration_s REAL,
        trips INTEGER,
        PRIMARY KEY(run, host)
    ) WITHOUT ROWID
    """,
    # one row a step and host that is over; `carried` came from the run that this one resumes
    """
    CREATE TABLE step(
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        host TEXT NOT NULL,
        step TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        error TEXT,
        hint TEXT,
        operations INTEGER NOT NULL,
        duration_s REAL NOT NULL,
        time TEXT NOT NULL,
        carried INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY(run, host, step)
    ) WITHOUT ROWID
    """,
    # `state`: begun, done, failed or unknown; of operations begun, then gone with the step's row
    """
    CREATE TABLE intent(
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        host TEXT NOT NULL,
        step TEXT NOT NULL,
        item INTEGER NOT NULL,
        labels TEXT NOT NULL,
        is_procedure INTEGER NOT NULL,
        state TEXT NOT NULL,
        time TEXT NOT NULL,
        PRIMARY KEY(run, host, step, item)
    ) WITHOUT ROWID
    """,
    # outcomes other than a plain "ok"; equal diffs of many hosts are kept once
    """
    CREATE TABLE outcome(
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        host TEXT NOT NULL,
        step TEXT NOT NULL,
        position INTEGER NOT NULL,
        operation TEXT NOT NULL,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        is_secret INTEGER NOT NULL,
        diff TEXT,
        rests_on TEXT NOT NULL,
        exit_status INTEGER,
        duration_s REAL NOT NULL,
        error TEXT,
        hint TEXT,
        PRIMARY KEY(run, host, step, position)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE text(digest TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE owed(
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        host TEXT NOT NULL,
        step TEXT NOT NULL,
        since TEXT NOT NULL,
        repaid TEXT,
        carried INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY(run, host, step)
    ) WITHOUT ROWID
    """,
    # a secret's value is never here: that there was one is
    """
    CREATE TABLE value(
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
        host TEXT NOT NULL,
        step TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT,
        is_secret INTEGER NOT NULL,
        UNIQUE(run, host, name)
    )
    """,
)
