"""`./inv bench`: kubexm beside others, as a Markdown table."""

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tests.lab.command import LabError


@task(
    help={
        "job": "ping, facts, command, first, converged or file; several with commas",
        "hosts": "numbers of hosts, with commas",
        "delay": "one-way delay in ms, with commas; 0 for no relay between",
        "runs": "counted runs of each tool; one more comes first",
        "tools": "some of the tools, with commas; all by default",
        "wire": "also count bytes and turns on the wire",
    }
)
def bench(  # noqa: PLR0917 - each is a flag
    _context: Context,
    job: str = "converged",
    hosts: str = "20",
    delay: str = "0",
    runs: int = 3,
    tools: str = "",
    wire: bool = False,
) -> None:
    """Measure kubexm beside other tools, on addresses of one laboratory host."""
    from tests.benchmarks import table
    from tests.benchmarks.bench import Case, compare
    from tests.benchmarks.job import Job
    from tests.benchmarks.stage import Stage
    from tests.benchmarks.tool import TOOLS

    names = {tool.name: tool for tool in TOOLS}
    wanted = [name.strip() for name in tools.split(",") if name.strip()] or list(names)
    try:
        chosen = [names[name] for name in wanted]
        cases = [
            Case(job=Job(one), hosts=int(many), delay_ms=float(late) or None, runs=runs)
            for one in job.split(",")
            for many in hosts.split(",")
            for late in delay.split(",")
        ]
    except (KeyError, ValueError) as error:
        message = f"bench: {error}; tools: {', '.join(names)}; jobs: {', '.join(Job)}"
        raise Exit(message, code=1) from error
    try:
        with Stage.built() as stage:
            print(f"{table.machine()}\n", flush=True)
            for case in cases:
                print(table.section(case, compare(stage, case, chosen, wire=wire)), flush=True)
    except LabError as error:
        raise Exit(str(error), code=1) from error
