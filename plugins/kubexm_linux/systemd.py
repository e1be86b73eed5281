"""Services under systemd: live by systemctl, in an image by the links that enable them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from kubexm.errors import HostError, UnmetError, tail
from kubexm.facts import Init
from kubexm.runner import Change, fields_diff
from kubexm.runner.operations import Service
from kubexm.shell import Library, Reply, Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.facts import Facts

SYSTEMD = Library.load("kubexm_linux", "systemd")
"""Functions about units."""

_ENABLED_ELSEWHERE = frozenset({"static", "indirect", "generated", "transient"})
"""No [Install] section of its own, or none that counts: whether a target pulls it in does."""


class Running(StrEnum):
    """Whether a unit is active."""

    YES = "yes"
    NO = "no"
    CHANGING = "starting or stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """One unit.

    Args:
        unit: Its own name, when it was asked for by an alias.
        exists: There is a file of it.
        enabled: A target starts it at every boot. "enabled-runtime" and "linked" are not that.
        running: Now. In an image nothing runs.
        outdated: systemd has read another definition than the files have now.
        masked: It cannot be started.
        file_state: systemd's own word (systemctl(1), is-enabled): "static", "generated" ... It
            follows from the rest, so it does not count when states are compared.
        ends: A oneshot service that does not stay active once it is through.
        behind: It runs, and a file that it reads at its start was changed since.
    """

    unit: str
    exists: bool = True
    enabled: bool = False
    running: Running = Running.NO
    outdated: bool = False
    masked: bool = False
    file_state: str = field(default="", compare=False)
    ends: bool = False
    behind: bool = False


_RUNNING = {
    "active": Running.YES,
    "reloading": Running.YES,
    "refreshing": Running.YES,
    "inactive": Running.NO,
    "failed": Running.NO,
}
"""ActiveState; whatever else there is passes."""


class SystemdServices:
    """`Service` under systemd; sockets, timers and other units work the same way.

    A unit that does not exist is neither enabled nor running, so it satisfies who wants that. A
    unit without an [Install] section counts as enabled when a target pulls it in.
    """

    operation = Service

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        return facts.init is Init.SYSTEMD or _is_image(facts)

    def probe(self, op: Service, facts: Facts) -> Script:
        """See `Handler.probe`."""
        if not facts.machine.is_booted:
            return SYSTEMD.call("kx_unit_offline", op.unit)
        state = SYSTEMD.call("kx_unit_state", op.unit)
        if not op.restarted_after:
            return replace(state, lasting=True)
        return state.then(SYSTEMD.call("kx_unit_behind", op.unit, *op.restarted_after))

    def read(self, op: Service, reply: Reply, facts: Facts) -> UnitState:
        """See `Handler.read`.

        Raises:
            UnmetError: There is no such unit, and it should be enabled or running.
            HostError: systemd does not answer, or cannot load the unit.
        """
        shown = dict(line.partition("=")[::2] for line in reply.text.splitlines())
        if reply.exit_status != 0 or "Id" not in shown:
            said = tail(reply.stderr.decode("utf-8", "replace")) or reply.exit_status
            message = f"cannot read the state of {op.unit}: {said}"
            raise HostError(message)
        state = _live(shown) if facts.machine.is_booted else _offline(shown)
        if not state.exists and (op.enabled or op.running):
            message = f"{op.unit}: there is no such unit"
            hint = "install the package that brings it, or check the name"
            raise UnmetError(message, assumed=UnitState(unit=op.unit), hint=hint)
        return state

    def change(self, op: Service, state: UnitState, facts: Facts) -> Change[UnitState] | None:
        """See `Handler.change`.

        Raises:
            HostError: The unit is masked, cannot be enabled, or does not stay active.
        """
        live = facts.machine.is_booted
        enabled = state.enabled if op.enabled is None else op.enabled
        running = state.running
        if live and op.running is not None:
            running = Running.YES if op.running else Running.NO
        after = replace(state, enabled=enabled, running=running, outdated=False, behind=False)
        if state == after:
            return None
        _refuse(state, after)
        steps = ["reload"] if state.outdated else []
        if after.enabled != state.enabled:
            steps.append("enable" if after.enabled else "disable")
        if after.running != state.running:
            steps.append("start" if after.running is Running.YES else "stop")
        elif state.behind:
            steps.append("restart")
        return Change(
            before=state,
            after=after,
            script=SYSTEMD.call(
                "kx_unit_change" if live else "kx_unit_offline_change", state.unit, *steps
            ),
            diff=fields_diff(state.unit, state, after),
        )

    def notes(self, op: Service, state: UnitState, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        if not state.exists:
            return (f"{op.label()}: there is no such unit on this machine",)
        if op.running and not facts.machine.is_booted:
            return (f"{op.label()}: not started, because an image is not running",)
        return ()


def _is_image(facts: Facts) -> bool:
    return not facts.machine.is_booted and facts.systemd_offline is not False


def _live(shown: Mapping[str, str]) -> UnitState:
    """What `kx_unit_state` printed.

    Raises:
        HostError: The unit's files do not make sense to systemd.
    """
    unit, load = shown["Id"], shown["LoadState"]
    outdated = "OnDisk" in shown or shown["NeedDaemonReload"] == "yes"
    if load in ("error", "bad-setting") and not outdated:
        said = shown["LoadError"].partition(" ")[2].strip('"') or load
        message = f"{unit}: systemd cannot load it: {said}"
        raise HostError(message, hint=f"see `systemd-analyze verify {unit}` on the host")
    return replace(
        _offline(shown),
        exists=load != "not-found" or "OnDisk" in shown,
        running=_RUNNING.get(shown["ActiveState"], Running.CHANGING),
        behind=shown.get("Behind") == "yes",
        outdated=outdated,
        ends=shown.get("Type") == "oneshot" and shown.get("RemainAfterExit") == "no",
    )


def _offline(shown: Mapping[str, str]) -> UnitState:
    """What `kx_unit_offline` printed."""
    word = shown["UnitFileState"]
    pulled = word in _ENABLED_ELSEWHERE and shown["PulledIn"] == "yes"
    return UnitState(
        unit=shown["Id"],
        exists=word not in ("", "not-found"),
        enabled=word == "enabled" or pulled,
        masked=word.startswith("masked"),
        file_state=word,
    )


def _refuse(state: UnitState, after: UnitState) -> None:
    """Say what systemctl would not do, or would do without effect."""
    unit = state.unit
    starts = after.running is Running.YES and state.running is not Running.YES
    if state.masked and (starts or (after.enabled and not state.enabled)):
        message = f"{unit} is masked"
        raise HostError(message, hint=f"`systemctl unmask {unit}` if it should run")
    if state.file_state == "static" and after.enabled and not state.enabled:
        message = f"{unit} has no [Install] section, so it cannot be enabled"
        raise HostError(
            message,
            hint="enable what starts it (its socket, timer or target), or ask only to run it",
        )
    if state.file_state == "static" and state.enabled and not after.enabled:
        message = (
            f"{unit} has no [Install] section, and a target pulls it in: it cannot be disabled"
        )
        raise HostError(message, hint=f"`systemctl mask {unit}` keeps it from starting")
    if state.ends and starts:
        message = f"{unit} runs once and does not stay active, so it cannot be kept running"
        raise HostError(message, hint="enable it or its timer, and leave open whether it runs")
