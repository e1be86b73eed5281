"""Becomes the qemu of one virtual machine: `python -m tests.lab.vm_supervisor DIRECTORY`."""

import os
import sys
from pathlib import Path

from tests.lab.command import MissingError, find
from tests.lab.process import ProcessIdentity
from tests.lab.vm import VirtualMachine


def become(machine: VirtualMachine) -> None:
    """Join the machine's control group, leave this process's id, and be qemu from then on.

    Raises:
        MissingError: This machine has no qemu.
        OSError: The machine was taken down meanwhile.
    """
    machine.group.join()
    identity = ProcessIdentity.of(os.getpid())
    if identity is not None:
        identity.write(machine.boot_record)
    command = machine.boot_command()
    program = find(command[0])
    if program is None:
        message = f"{command[0]}: not on this machine"
        raise MissingError(message)
    os.execv(program, command)  # noqa: S606 - the arguments are a list, and no shell reads them


if __name__ == "__main__":
    become(VirtualMachine.read(Path(sys.argv[1])))
