"""Real Debian hosts on this machine, to test against: systemd, sshd, sudo, apt, an address each.

In comes a number of hosts; out go `LabHost` values that answer ssh and have a second way in which
uses neither ssh nor kubexm. Start at `tests.lab.laboratory.Laboratory`.

This package imports nothing of kubexm: what it says about a host is independent evidence.
"""
