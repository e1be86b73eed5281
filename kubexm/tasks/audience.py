"""Who hears of a task's runs besides the terminal: the listeners that flags ask for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubexm.connector.pool import Pool
    from kubexm.engine import Listener
    from kubexm.runtime import WorkDirectory
    from kubexm.tasks.flags import Flags


def audience(
    flags: Flags, directory: WorkDirectory, pools: Callable[[], Iterable[Pool]]
) -> tuple[Listener, ...]:
    """The listeners, in the order in which they hear each event.

    Args:
        flags: What was asked for.
        directory: Where they may keep files.
        pools: The connections that are kept, for `--metrics-file`.

    Raises:
        UsageError: There is none of a name, or a file cannot be written.
        PluginError: One does not load.
    """
    return tuple(_audience(flags, directory, pools))


def _audience(
    flags: Flags, directory: WorkDirectory, pools: Callable[[], Iterable[Pool]]
) -> Iterator[Listener]:
    log_file = flags.log_file or os.environ.get("KUBEXM_LOG", "")
    if log_file:
        from kubexm.ui.file.log import Log, LogLevel

        level = flags.log_level or os.environ.get("KUBEXM_LOG_LEVEL", "") or LogLevel.INFO
        yield Log(log_file, level)
    metrics_file = flags.metrics_file or os.environ.get("KUBEXM_METRICS_FILE", "")
    if metrics_file:
        from kubexm.connector.pool.prometheus import text
        from kubexm.ui.file.metrics import Metrics

        yield Metrics(metrics_file, lambda: text(pools()))
    if flags.listener:
        from kubexm.engine import listener

        for asked in flags.listener:
            yield listener(asked, directory)
    if flags.profile:
        from kubexm.ui.profile import Profile

        yield Profile(sys.stderr)
