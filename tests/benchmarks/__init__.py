"""How fast kubexm is beside others: the same jobs, on the same hosts, measured as whole processes.

`stage` has the hosts: addresses of one laboratory host, in whose network namespace the tools run.
`job` says what is to be done there, `tool` how each tool is told to, `measure` runs a command and
takes its figures, `record` makes the floors' scripts, `table` prints. `bench` goes through it all.
"""
