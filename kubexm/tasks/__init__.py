r"""The `inv` commands, and what a user's own tasks are made of.

A project's `tasks.py` is `from kubexm.tasks import ns` and, where she wants them, tasks of her
own with the same decorator and so the same flags:

    from kubexm.tasks import Fleet, fleet_task, ns

    @fleet_task
    def motd(fleet: Fleet, text: str = "hello") -> None:
        '''Write the message of the day.'''
        fleet.apply("motd", FileContent(path="/etc/motd", content=text + "\n"))

    ns.add_task(motd)

Importing this package loads invoke and nothing heavy; the rest is loaded by the task that runs.
"""

from kubexm.tasks.flags import fleet_task
from kubexm.tasks.fleet import Fleet
from kubexm.tasks.namespace import namespace

ns = namespace()

__all__ = ["Fleet", "fleet_task", "namespace", "ns"]
