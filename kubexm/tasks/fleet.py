"""What a task holds: the selected hosts, and the verbs that run things on them."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kubexm.connector.pool import Pool
    from kubexm.engine import Bus, Listener, RunReport
    from kubexm.inventory import Host, Inventory, VaultKey
    from kubexm.plan import Amount, Plan
    from kubexm.runner import Host as OpenHost
    from kubexm.runner import Operation
    from kubexm.runtime import Runtime, WorkDirectory
    from kubexm.secret import Secret
    from kubexm.tasks.flags import Flags
    from kubexm.tasks.record import Records
    from kubexm.ui import Look

_SEVERITY = (0, 3, 4, 2, 130)
"""Exit codes (DESIGN §10) of several runs in one task: the last of these that came says most."""

_NOTHING: Mapping[str, object] = MappingProxyType({})
DEFAULT_INVENTORY = "inventories/default.yaml"


class Fleet:
    """The hosts that the flags select, and the way to do things to them.

    A context manager: everything that its runs opened is closed at the end.

    Args:
        flags: The task's.
        name: What runs are called that have no name of their own.
        repeatable: The task has no arguments besides its flags.
    """

    def __init__(self, flags: Flags, *, name: str = "task", repeatable: bool = True) -> None:
        self.flags = flags
        self.name = name
        self.exit_code = 0
        self._inventory: Inventory | None = None
        self._runtime: Runtime | None = None
        self._steps: set[str] = set()
        self._repeatable = repeatable
        self._records: Records | None = None
        self._stack = ExitStack()
        self._audience: tuple[Listener, ...] | None = None
        self._arguments: dict[str, object] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._runtime is not None:
            self._runtime.abort()
        self._stack.close()

    @property
    def inventory(self) -> Inventory:
        """The inventory, with the flags' variables and access settings applied.

        Raises:
            InventoryError: It has faults, each with file, line and column.
        """
        if self._inventory is None:
            self._inventory = _accessible(self.flags, self._arguments)
        return self._inventory

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The selected hosts, in inventory order.

        Raises:
            UsageError: `--limit` selects nothing.
        """
        return self.inventory.select(self.flags.limit)

    @property
    def runtime(self) -> Runtime:
        """The run's state; made when first asked for."""
        if self._runtime is None:
            self._runtime = _runtime(self.flags, self.inventory, self.hosts)
        return self._runtime

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the inventory is, as the flags or the environment have it."""
        return self.flags.inventory or (DEFAULT_INVENTORY,)

    @property
    def work_directory(self) -> WorkDirectory:
        """Where the inventory's runs keep what outlives them."""
        from kubexm.runtime import WorkDirectory

        return WorkDirectory.of(self.sources[0], self.flags.work_dir)

    @property
    def look(self) -> Look:
        """How text for people is to look, as the flags and the terminal have it."""
        return _look(self.flags)

    def define(self, variables: Mapping[str, object]) -> None:
        """Set variables on every host: over the inventory, below `--extra-var`.

        So an argument of a task becomes a variable: call this before the first look at a host.

        Raises:
            UsageError: The inventory has been read already.
        """
        if self._inventory is not None:
            message = "variables are defined before the first look at the inventory's hosts"
            raise UsageError(message)
        self._arguments.update(variables)

    def run(self, plan: Plan) -> RunReport:
        """Walk a plan over the hosts, show it, and remember its exit code.

        Under `--undo` what takes the plan back is walked, under `--plan` it is only shown.

        Raises:
            PlanError: The plan cannot be walked.
        """
        only, skip = _names(self.flags.only), _names(self.flags.skip)
        for placed in plan.placed():
            self._steps |= placed.words
        return self._walk(plan.narrowed(only=only, skip=skip))

    def apply(self, step: str, *operations: Operation) -> RunReport:
        """Bring every host to the state that the operations describe, as one step.

        A step that `--only` or `--skip` leaves out does nothing, and its report is empty.
        """
        from kubexm.plan import Plan, Step

        only, skip = _names(self.flags.only), _names(self.flags.skip)
        self._steps.add(step)
        if step in skip or (only and step not in only):
            return self._nothing()
        return self._walk(Plan(name=self.name, steps=(Step(name=step, body=operations),)))

    def each(self, function: Callable[[OpenHost], object], *, at_once: bool = False) -> RunReport:
        """Call a function with every open host, side by side; what it does is shown.

        Args:
            function: Plain imperative Python; a `HostError` that it raises fails its host.
            at_once: Ctrl-C drops the hosts at work instead of letting them finish.

        Raises:
            UsageError: `--plan`, `--undo` or `--resume` was given: what a function does is known to
                nobody.
        """
        from kubexm.engine import each

        if self.flags.plan or self.flags.undo or self.flags.resume:
            message = "--plan, --undo and --resume need a plan; this task calls a function"
            raise UsageError(message, hint="write the task with fleet.run(Plan(...))")
        runtime = self.runtime
        with self._bus() as bus:
            return self._done(each(self.name, function, runtime, bus, at_once=at_once))

    def check_names(self) -> None:
        """Say so when `--only` or `--skip` named a step that the whole task did not have.

        Raises:
            PlanError: It did.
        """
        from kubexm.errors import PlanError

        for name in (*_names(self.flags.only), *_names(self.flags.skip)):
            if name not in self._steps:
                message = f"the task {self.name} has no step {name!r}"
                known = ", ".join(sorted(self._steps)) or "none"
                raise PlanError(message, hint=f"its steps: {known}")

    def inquire(self, work: Callable[[Runtime, Bus], RunReport]) -> RunReport:
        """Let one of the engine's inquiries look at the hosts, and show what it finds."""
        runtime = self.runtime
        with self._bus() as bus:
            return self._done(work(runtime, bus))

    def _nothing(self) -> RunReport:
        from kubexm.engine import RunReport

        return RunReport(run="", hosts=())

    def _walk(self, plan: Plan) -> RunReport:
        from kubexm.engine import walk
        from kubexm.engine.fleet import new_run_id

        if self.flags.undo:
            plan = plan.undone()
        if self.flags.plan:
            from kubexm.plan import dot, tree
            from kubexm.ui import say

            say(sys.stdout, dot(plan) if self.flags.plan == "dot" else tree(plan))
            return self._nothing()
        runtime, run = self.runtime, new_run_id()
        with self.records.of(run, plan.name) as entrusted:
            if entrusted is None:
                return self._nothing()
            with self._bus() as bus:
                report = walk(
                    plan,
                    runtime,
                    bus,
                    run=run,
                    recorder=entrusted.recorder,
                    past=entrusted.past,
                )
        return self._done(report)

    @property
    def records(self) -> Records:
        """The journal's side of the task; opened when first asked for."""
        if self._records is None:
            from kubexm.tasks.record import Records, typed

            self._records = Records(
                self.flags,
                typed(self.name),
                self.work_directory,
                ", ".join(self.sources),
                repeatable=self._repeatable,
            )
            self._stack.callback(self._records.close)
        return self._records

    def _done(self, report: RunReport) -> RunReport:
        code = report.exit_code(detailed=self.flags.detailed_exitcode)
        self.exit_code = max(self.exit_code, int(code), key=_SEVERITY.index)
        if report.interrupted:
            # a task's next run must not start
            raise KeyboardInterrupt
        return report

    @contextmanager
    def _bus(self) -> Iterator[Bus]:
        """Where a run's events go: to what shows them, which is put away at the end."""
        from kubexm.engine import Bus

        audience = self._hearing()
        with ExitStack() as stack:
            shown = _listener(self.flags)
            if isinstance(shown, AbstractContextManager):
                stack.enter_context(shown)
            yield stack.enter_context(Bus([shown, *audience]))

    def _pools(self) -> Iterable[Pool]:
        return self.runtime.pools.values()

    def _hearing(self) -> tuple[Listener, ...]:
        """Who hears all runs of the task, besides what shows them."""
        if self._audience is None:
            from kubexm.tasks.audience import audience

            self._audience = audience(self.flags, self.work_directory, self._pools)
            for heard in self._audience:
                if isinstance(heard, AbstractContextManager):
                    self._stack.enter_context(heard)
        return self._audience


def _look(flags: Flags) -> Look:
    from kubexm.ui import Look

    is_seen = sys.stdout.isatty()
    return Look(
        diff=flags.diff,
        verbose=flags.verbose,
        colour=is_seen and "NO_COLOR" not in os.environ,
        columns=shutil.get_terminal_size().columns if is_seen else None,
    )


def _listener(flags: Flags) -> Listener:
    """What shows a run, as the flags and the terminal have it."""
    from kubexm.ui import JsonLines, Live, Plain

    if flags.output == "json":
        return JsonLines(sys.stdout, verbose=flags.verbose)
    look = _look(flags)
    can_follow = (
        sys.stdout.isatty()
        and os.environ.get("TERM", "dumb") != "dumb"
        and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    )
    if flags.output == "rich" and can_follow:
        return Live(sys.stdout, sys.stderr, look)
    return Plain(sys.stdout, sys.stderr, look)


def inventory_of(flags: Flags, arguments: Mapping[str, object] = _NOTHING) -> Inventory:
    """The inventory that the flags name, with their variables; no access flags are applied.

    Args:
        flags: The task's.
        arguments: Of the task itself, as variables.

    Raises:
        InventoryError: It has faults, each with file, line and column.
    """
    from kubexm.inventory import load

    return load(
        *(flags.inventory or (DEFAULT_INVENTORY,)),
        extra_words=flags.extra_var,
        arguments=arguments,
        vault_keys=_vault_keys(flags),
        merge=flags.merge_vars,
    )


def _accessible(flags: Flags, arguments: Mapping[str, object]) -> Inventory:
    """The inventory with the flags for access applied; passwords are asked for now."""
    from kubexm.inventory import AccessOverrides, BecomeMode, override

    inventory = inventory_of(flags, arguments)
    for warning in inventory.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    access = AccessOverrides(
        user=flags.user or None,
        private_key=flags.private_key or None,
        password=_ask("login password: ", "--ask-pass") if flags.ask_pass else None,
        become=BecomeMode.TRUE if flags.become else None,
        become_password=(
            _ask("sudo password: ", "--ask-become-pass") if flags.ask_become_pass else None
        ),
    )
    return override(inventory, access)


def _runtime(flags: Flags, inventory: Inventory, hosts: tuple[Host, ...]) -> Runtime:
    """Everything that can be wrong before a host is touched has been found when this returns."""
    from kubexm.connector.pool import PoolSource
    from kubexm.inventory.check import raise_faults
    from kubexm.runtime import Runtime, Settings, Unreachable

    settings = Settings(
        check=flags.check,
        forks=flags.forks,
        timeout_s=flags.timeout,
        deadline_s=flags.deadline,
        max_fail=_amount(flags.max_fail),
        unreachable=Unreachable(flags.unreachable),
        executor=flags.executor,
        pool=PoolSource.of(os.environ),
    )
    raise_faults(hosts)
    return Runtime(inventory, hosts, settings)


def _vault_keys(flags: Flags) -> tuple[VaultKey, ...]:
    """The passwords of Ansible Vault, each read or asked for when something needs it."""
    from kubexm.inventory import VaultKey, vault_key
    from kubexm.secret import Secret

    words = [*flags.vault_id, *filter(None, (flags.vault_password_file,))]
    words += ["prompt"] if flags.ask_vault_pass else []
    keys = [vault_key(word, lambda prompt: _ask(prompt, "--ask-vault-pass")) for word in words]
    if password := os.environ.get("KUBEXM_VAULT_PASSWORD", ""):
        keys.append(VaultKey("default", Secret(password)))
    return tuple(keys)


def _amount(given: str) -> Amount | None:
    from kubexm.plan import checked

    if not given:
        return None
    return checked(int(given) if given.isdecimal() else given, "--max-fail", least=0)


def _ask(prompt: str, flag: str) -> Secret:
    from kubexm.secret import Secret

    if not sys.stdin.isatty():
        message = f"{flag} needs a terminal to ask on"
        raise UsageError(message, hint="set the password in the inventory, or run in a terminal")
    return Secret(getpass.getpass(prompt))


def _names(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())
