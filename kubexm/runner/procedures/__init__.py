"""The procedures that kubexm ships: what is done rather than declared.

In: plain arguments. Out: frozen values that `Host.perform` and the steps of a plan carry out.
"""

from kubexm.runner.procedures.command import RunCommand
from kubexm.runner.procedures.port import WaitForPort
from kubexm.runner.procedures.reboot import Reboot
from kubexm.runner.procedures.service import RestartService
from kubexm.runner.procedures.transfer import Get, Put

__all__ = ["Get", "Put", "Reboot", "RestartService", "RunCommand", "WaitForPort"]
