"""Packages on Debian: dpkg says what is there, apt-get brings and removes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.facts import PackageManager
from kubexm.runner import Change
from kubexm.runner.operations import PackagesInstalled, PackagesRemoved
from kubexm.shell import Library, Reply, Script
from kubexm_debian.dpkg import PackagesState, PackageState, Presence, packages_diff, read_state

if TYPE_CHECKING:
    from kubexm.facts import Facts

APT = Library.load("kubexm_debian", "apt")
"""Functions about packages."""


class AptInstalled:
    """`PackagesInstalled` by apt-get.

    A name that an installed package provides counts as installed: what depends on it is
    satisfied. A name without an architecture means the machine's own. The version of what is to
    be installed is shown when the index is used as it is; after a refresh it may be another.
    """

    operation = PackagesInstalled

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        return facts.package_manager in (PackageManager.APT, None)

    def probe(self, op: PackagesInstalled, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return _state(op.names, str(op.cache_valid_s))

    def read(self, op: PackagesInstalled, reply: Reply, facts: Facts) -> PackagesState:
        """See `Handler.read`."""
        del facts
        return read_state(op.names, reply)

    def change(
        self, op: PackagesInstalled, state: PackagesState, facts: Facts
    ) -> Change[PackagesState] | None:
        """See `Handler.change`; what is installed already is not upgraded."""
        wanted = [p for p in state.packages if p.presence is not Presence.INSTALLED]
        if not wanted:
            return None
        candidates = {} if state.needs_index else dict(state.candidates)
        after = PackagesState(packages=tuple(_installed(p, candidates) for p in state.packages))
        hushed = not (op.start_services and facts.machine.is_booted)
        script = APT.call(
            "kx_apt_install",
            _lock_wait(op.deadline_s),
            "yes" if state.needs_index else "no",
            "" if op.recommends is None else "yes" if op.recommends else "no",
            "yes" if hushed else "no",
            *(package.name for package in wanted),
        )
        return Change(
            before=state,
            after=after,
            script=script.within(op.deadline_s),
            diff=packages_diff(state, after),
        )


class AptRemoved:
    """`PackagesRemoved` by apt-get: what depends on them goes too, configuration files stay.

    Only packages of these names count, not others that provide them.
    """

    operation = PackagesRemoved

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        return facts.package_manager in (PackageManager.APT, None)

    def probe(self, op: PackagesRemoved, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return _state(op.names)

    def read(self, op: PackagesRemoved, reply: Reply, facts: Facts) -> PackagesState:
        """See `Handler.read`."""
        del facts
        state = read_state(op.names, reply)
        return replace(state, packages=tuple(map(_itself, state.packages)))

    def change(
        self, op: PackagesRemoved, state: PackagesState, facts: Facts
    ) -> Change[PackagesState] | None:
        """See `Handler.change`."""
        del facts
        unwanted = [p.name for p in state.packages if p.presence is not Presence.ABSENT]
        if not unwanted:
            return None
        after = PackagesState(
            packages=tuple(
                PackageState(name=p.name, presence=Presence.ABSENT) for p in state.packages
            )
        )
        script = APT.call("kx_apt_remove", _lock_wait(op.deadline_s), *unwanted)
        return Change(
            before=state,
            after=after,
            script=script.within(op.deadline_s),
            diff=packages_diff(state, after),
        )


def _state(names: frozenset[str], *more: str) -> Script:
    """What asks for the state of packages; dpkg lists all of its own once for a batch."""
    script = APT.call("kx_apt_state", " ".join(sorted(names)), *more)
    return replace(script, looks=(("kx_apt_look", "list"),), lasting=True)


def _installed(package: PackageState, candidates: dict[str, str]) -> PackageState:
    if package.presence is Presence.INSTALLED:
        return package
    version = candidates.get(package.name, "") if package.lacks_files else package.version
    return PackageState(name=package.name, presence=Presence.INSTALLED, version=version)


def _itself(package: PackageState) -> PackageState:
    """Whether the package itself is there: neither what provides it nor its configuration."""
    if package.provider or package.presence is Presence.CONFIG_FILES:
        return PackageState(name=package.name, presence=Presence.ABSENT)
    return package


def _lock_wait(deadline_s: int) -> str:
    """Half of the time is for waiting, so that a transaction that begins can also end."""
    return str(deadline_s // 2)
