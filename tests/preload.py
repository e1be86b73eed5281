"""What processes of `tests.fork` have imported before they begin."""

import fabric  # noqa: F401 - a process that is forked has what this one has
import invoke.main  # noqa: F401 - the same
import rich  # noqa: F401 - the same

import kubexm.connector.local
import kubexm.connector.ssh
import kubexm.engine.journal
import kubexm.profiles
import kubexm.tasks.record
import kubexm.tasks.runs
import kubexm.ui.history  # noqa: F401 - the same
