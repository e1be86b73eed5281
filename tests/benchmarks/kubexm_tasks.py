"""The forty operations, as a user of kubexm writes them; copied into a project by the benchmark."""

from collections.abc import Iterable
from typing import assert_never

from kubexm.plan import Plan, Step, StepContext
from kubexm.runner import Operation, Source
from kubexm.runner.operations import (
    Directory,
    FileContent,
    LineInFile,
    PackagesInstalled,
    Service,
    SymbolicLink,
    UserAccount,
)
from kubexm.tasks import Fleet, fleet_task, ns
from tests.benchmarks import job


def wanted(context: StepContext) -> Iterable[Operation]:
    """What one host is to have."""
    name = context.host.name
    for item in job.items(f"{job.BASE}/{name}"):
        yield operation(item, name)


def operation(item: job.Item, name: str) -> Operation:  # noqa: PLR0911 - one a kind
    """One item as an operation."""
    match item:
        case job.Folder():
            return Directory(path=item.path)
        case job.Text():
            return FileContent(path=item.path, content=item.content)
        case job.Rendered():
            return FileContent.rendered(
                item.path, template=item.template, variables={"host_name": name}, name="bench"
            )
        case job.Line():
            return LineInFile(path=item.path, line=item.line)
        case job.Link():
            return SymbolicLink(path=item.path, target=item.target)
        case job.Account():
            return UserAccount(name=item.name)
        case job.Packages():
            return PackagesInstalled(names=frozenset(item.names))
        case job.Unit():
            return Service(name=item.name)
    assert_never(item)


@fleet_task
def forty(fleet: Fleet) -> None:
    """Forty mixed operations."""
    fleet.run(Plan(name="forty", steps=(Step(name="forty", body=wanted),)))


@fleet_task
def spread(fleet: Fleet) -> None:
    """One large file to every host."""
    source = Source.read("payload")
    fleet.each(lambda host: host.put(source, job.payload(host.name)))


ns.add_task(spread)
ns.add_task(forty)
