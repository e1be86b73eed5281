"""The flags that every fleet task takes, from one decorator."""

from __future__ import annotations

import atexit
import copy
import dataclasses
import functools
import gc
import inspect
import sys
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self

from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.tasks import Task

from kubexm.errors import InitializationError, KubexmError, UsageError
from kubexm.tasks import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from invoke.context import Context

P = ParamSpec("P")

_NOTHING: Mapping[str, str] = MappingProxyType({})

OUTPUTS = ("rich", "plain", "json")
UNREACHABLE = ("ignore", "fail")
PLANS = ("tree", "dot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The values of a fleet task's flags, as the command line or else the environment has them.

    Args:
        inventory: Sources, of which the later has the say; none for inventories/default.yaml.
        limit: Which hosts; `None` for all. Empty is an error: an unset variable is not "all".
        check: Predict, change nothing.
        diff: Show what changes, as unified diffs.
        forks: Hosts at work at once.
        only: Comma-separated steps to walk: their names, those of plans they are in, or tags.
        skip: The same of steps to leave out.
        max_fail: So many hosts, or such a share ("10%"), may fail before the run is called off.
        unreachable: "ignore" goes on without hosts that cannot be opened; "fail" begins nothing
            on any host unless all can.
        undo: Walk what takes the steps back, in reverse.
        plan: Show the plan instead of walking it: "tree" or "dot"; empty walks it.
        extra_var: "name=value", "@file" or JSON, above everything in the inventory.
        merge_vars: Merge mappings that several levels set, instead of letting the last one count.
        output: rich (on a terminal that can do it; elsewhere the same as plain), plain or json.
        timeout: Seconds for each trip to a host.
        deadline: Seconds for a whole run; 0 for none.
        executor: Who carries the hosts: an executor plugin's name.
        verbose: 1 also shows what did not change, every host, and what commands print while
            they print it; 2 also what changes printed.
        detailed_exitcode: Exit with 3 when a check found changes.
        user: The login user on every host.
        private_key: Path of a private key.
        ask_pass: Ask for the login password.
        become: Become root for everything.
        ask_become_pass: Ask for the password of sudo.
        resume: The id of a run to go on with; `LAST` for the task's last one, empty for none.
        accept_changes: Go on although plan or inventory have changed since.
        work_dir: Where journals and the files of runs are; empty for $KUBEXM_WORK_DIR, else
            .kubexm.
        listener: "NAME" or "NAME=TARGET": further listeners, by plugin.
        log_file: Where structured logs go; empty for $KUBEXM_LOG, else nowhere.
        log_level: From which level on; empty for $KUBEXM_LOG_LEVEL, else info.
        metrics_file: Where Prometheus text goes; empty for $KUBEXM_METRICS_FILE, else nowhere.
        profile: List the slowest steps and hosts at the end.
        ask_vault_pass: Ask for the password of Ansible Vault, where the inventory needs it.
        vault_password_file: A file with that password, or a program that prints it.
        vault_id: "label@source": several such passwords; the source is a file or "prompt".
    """

    inventory: tuple[str, ...] = ()
    limit: str | None = None
    check: bool = False
    diff: bool = False
    forks: int = 50
    extra_var: tuple[str, ...] = ()
    merge_vars: bool = False
    only: str = ""
    skip: str = ""
    max_fail: str = ""
    unreachable: str = "ignore"
    undo: bool = False
    plan: str = ""
    output: str = "rich"
    timeout: int = 900
    deadline: int = 0
    executor: str = "threads"
    verbose: int = 0
    detailed_exitcode: bool = False
    user: str = ""
    private_key: str = ""
    ask_pass: bool = False
    become: bool = False
    ask_become_pass: bool = False
    resume: str = ""
    accept_changes: bool = False
    work_dir: str = ""
    listener: tuple[str, ...] = ()
    log_file: str = ""
    log_level: str = ""
    metrics_file: str = ""
    profile: bool = False
    ask_vault_pass: bool = False
    vault_password_file: str = ""
    vault_id: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            message = f"--output is one of {', '.join(OUTPUTS)}, not {self.output!r}"
            raise UsageError(message)
        if self.unreachable not in UNREACHABLE:
            message = f"--unreachable is one of {', '.join(UNREACHABLE)}, not {self.unreachable!r}"
            raise UsageError(message)
        if self.plan not in ("", *PLANS):
            message = f"--plan is one of {', '.join(PLANS)}, not {self.plan!r}"
            raise UsageError(message)


HELP = {
    "inventory": "file, directory, program or 'host,host,'; may be repeated (default "
    "$KUBEXM_INVENTORY, else inventories/default.yaml)",
    "limit": "which hosts: names, groups, globs, ~regex, label=value, @file; !term, &term narrow",
    "check": "predict, change nothing",
    "diff": "show each change as a unified diff",
    "forks": "hosts at work at once",
    "only": "comma-separated steps to walk, by name, plan or tag",
    "skip": "comma-separated steps to leave out, by name, plan or tag",
    "max_fail": "hosts that may fail (5, 10%) before the run is called off",
    "unreachable": "hosts that cannot be opened: ignore (go on without) or fail (begin nothing)",
    "undo": "take the steps back, in reverse",
    "plan": "show the plan as a tree (or --plan=dot), and do nothing",
    "extra_var": "name=value, @file or JSON, above everything in the inventory; may be repeated",
    "merge_vars": "merge mappings that several levels set, instead of the last one only",
    "output": "rich, plain or json (JSON lines, schema kubexm.event/1)",
    "timeout": "seconds for each trip to a host",
    "deadline": "seconds for the whole run, after which nothing more is begun",
    "executor": "who carries the hosts: threads, processes, or a plugin's name",
    "verbose": "also what did not change, and output as it comes; -vv: also of changes",
    "detailed_exitcode": "exit with 3 when a check found changes",
    "user": "login user on every host",
    "private_key": "path of the private key to log in with",
    "ask_pass": "ask for the login password",
    "become": "become root for everything, not only where it is needed",
    "ask_become_pass": "ask for the password of sudo",
    "resume": "go on with the task's last run, or with the run of this id",
    "accept_changes": "with --resume: although plan or inventory have changed since",
    "work_dir": "for journals and files of runs (default $KUBEXM_WORK_DIR, else .kubexm)",
    "listener": "json, plain, junit, host-logs or otlp, with =FILE where wanted; may be repeated",
    "log_file": "structured logs, JSON lines; - is stderr (default $KUBEXM_LOG)",
    "log_level": "debug, info, warning or error (default $KUBEXM_LOG_LEVEL, else info)",
    "metrics_file": "Prometheus text about runs (default $KUBEXM_METRICS_FILE)",
    "profile": "list the slowest steps and hosts at the end, on stderr",
    "ask_vault_pass": "ask for the password of Ansible Vault, where the inventory needs it",
    "vault_password_file": "file with the password of Ansible Vault, or program that prints it",
    "vault_id": "label@source of a vault password, the source a file or 'prompt'; may be repeated",
}
LAST = "last"
"""What `--resume` means without an id."""

_REPEATED = tuple(field.name for field in dataclasses.fields(Flags) if field.default == ())
_OBJECTS = 50_000
_SHORT = {"inventory": "i", "limit": "l", "forks": "f", "extra_var": "e", "verbose": "v"}


class _WholeNumber(int):
    """An `int` that invoke reads without a traceback when it is none."""

    def __new__(cls, text: str) -> Self:
        """Read it.

        Raises:
            ParseError: It is not a whole number.
        """
        try:
            return super().__new__(cls, text)
        except ValueError as error:
            message = f"{text!r} is not a whole number"
            raise ParseError(message) from error


class _Argument(Argument):
    """A flag that is copied at a fraction of the price.

    Invoke's parser makes a deep copy of every flag of every task before it reads a word, which
    is hundreds. Values are replaced and never altered, so that copies can share them.
    """

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return copy.copy(self)


class _FleetTask(Task[Any]):
    """An invoke task whose short flags are those of `_SHORT` and no others."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """The flags, as `_Argument`s."""
        return [
            _Argument(
                names=given.names,
                kind=given.kind,
                default=given.default,
                help=given.help,
                positional=given.positional,
                optional=given.optional,
                incrementable=given.incrementable,
                attr_name=given.attr_name,
            )
            for given in super().get_arguments(ignore_unknown_help)
        ]

    def arg_opts(
        self,
        name: str,
        default: Any,  # noqa: ANN401 - as invoke has it
        taken_names: set[str],
    ) -> dict[str, Any]:
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in _SHORT:
            options["names"] = (*options["names"], _SHORT[name])
        if options.get("kind") is int and not options.get("incrementable"):
            options["kind"] = _WholeNumber
        return options


def fleet_task(body: Callable[Concatenate[Any, P], None]) -> Task[Callable[..., None]]:
    """An invoke task that runs on a fleet and takes every flag of `Flags`.

    The decorated function gets a `Fleet` and then its own arguments, which become flags as in
    any invoke task; one whose default is a tuple may be given several times. When it returns,
    the process exits with the code that the fleet's runs came to (DESIGN §10); a `KubexmError`
    is shown with its hint, without a traceback.

    Args:
        body: Its name, docstring and arguments are the task's.

    Raises:
        TypeError: An argument of its own has the name of a flag.
    """
    return _task(body, HELP)


def local_task(
    *flags: str,
    help: Mapping[str, str] = _NOTHING,  # noqa: A002 - as invoke has it
) -> Callable[[Callable[Concatenate[Any, P], None]], Task[Callable[..., None]]]:
    """As `fleet_task`, for a task that connects to nothing and prints one text or one JSON value.

    Args:
        flags: The names of the flags that mean something to it; `output` always does.
        help: What is said about arguments of its own.
    """
    texts = {name: HELP[name] for name in flags} | {"output": "rich, plain or json"}
    return lambda body: _task(body, texts, help)


def _task(
    body: Callable[Concatenate[Any, P], None],
    flags: Mapping[str, str],
    texts: Mapping[str, str] = _NOTHING,
) -> Task[Callable[..., None]]:
    """An invoke task with these flags, and what is said about each and about its own arguments."""
    own = list(inspect.signature(body).parameters.values())[1:]
    defaults = {name: getattr(Flags(), name) for name in flags} | _said(flags)
    taken = {parameter.name for parameter in own} & flags.keys()
    if taken:
        message = f"{body.__name__} takes {', '.join(sorted(taken))}, which every fleet task has"
        raise TypeError(message)

    plain = {parameter.name: parameter.default for parameter in own}

    @functools.wraps(body)
    def run(context: Context, **given: Any) -> None:  # noqa: ANN401 - invoke's border
        del context
        code = _guarded(body, {name: given.pop(name) for name in flags}, given, plain)
        if code:
            raise Exit(code=code)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        *(_flag(parameter) for parameter in own),
        *(
            inspect.Parameter(name, keyword, default=[] if name in _REPEATED else default)
            for name, default in defaults.items()
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    positional = [parameter.name for parameter in own if parameter.default is parameter.empty]
    return _FleetTask(
        run,
        help={**flags, **texts},
        iterable=[
            *(name for name in _REPEATED if name in flags),
            *(one.name for one in own if isinstance(one.default, tuple)),
        ],
        incrementable=[name for name in ("verbose",) if name in flags],
        optional=[name for name in ("plan", "resume") if name in flags],
        positional=positional,
        auto_shortflags=False,
    )


def _said(names: Iterable[str]) -> dict[str, object]:
    """What the environment says of flags; what is wrong with it is told when a task runs."""
    try:
        said = environment.defaults(Flags())
    except UsageError:
        return {}
    return {name: said[name] for name in names if name in said}


def _flag(parameter: inspect.Parameter) -> inspect.Parameter:
    """A task's own argument as invoke is to see it; it makes lists of flags that come again."""
    default = [] if isinstance(parameter.default, tuple) else parameter.default
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=default)


def _collect_seldom() -> None:
    """Look for garbage less often than Python does by default.

    A task makes many objects that stay until it ends: modules, then what it knows of the hosts.
    Looking through them after every 700 new ones costs a tenth of a short run and finds nothing;
    doing so once more when the process ends takes a fifth of a second.
    """
    atexit.register(gc.freeze)
    young, *older = gc.get_threshold()
    if 0 < young < _OBJECTS:  # 0 is off: somebody else has a policy
        gc.set_threshold(_OBJECTS, *older)


def _guarded(
    body: Callable[..., None],
    flags: dict[str, Any],
    given: dict[str, Any],
    plain: dict[str, Any],
) -> int:
    """Run a task's body; turn what it raises into words and an exit code.

    Args:
        body: The task's function.
        flags: The values of its flags.
        given: Its own arguments.
        plain: The defaults of its own arguments.
    """
    _collect_seldom()
    from kubexm.engine.fleet import status_of
    from kubexm.engine.report import ExitCode, HostStatus
    from kubexm.tasks.fleet import Fleet
    from kubexm.ui import explain

    for name, default in plain.items():
        if isinstance(default, tuple):
            given[name] = tuple(given[name] or ())
    for name, default in (("plan", PLANS[0]), ("resume", LAST)):
        if flags.get(name) is True:
            flags[name] = default
    try:
        for slip in environment.slips(HELP):
            print(f"warning: {slip}", file=sys.stderr)
        said = environment.defaults(Flags())
        for name in flags.keys() & set(_REPEATED):
            flags[name] = tuple(flags[name] or ()) or said.get(name, ())
        with Fleet(Flags(**flags), name=body.__name__, repeatable=given == plain) as fleet:
            body(fleet, **given)
            fleet.check_names()
            return fleet.exit_code
    except UsageError as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return ExitCode.USAGE
    except InitializationError as error:
        # each host's own error has been shown
        print(f"error: could not be opened: {', '.join(error.errors)}", file=sys.stderr)
        print(f"  hint: {error.hint} (--unreachable fail)", file=sys.stderr)
        statuses = {status_of((), one) for one in error.errors.values()}
        return ExitCode.FAILED if HostStatus.FAILED in statuses else ExitCode.UNREACHABLE
    except KubexmError as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
