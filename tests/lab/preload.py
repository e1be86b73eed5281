"""What a process that walks a plan over ssh imports."""

import fabric  # noqa: F401 - imported once, for all processes that are forked
import rich  # noqa: F401 - the same

import tests.lab.site  # noqa: F401 - the same
