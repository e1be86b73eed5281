"""Listeners that write files: for machines to read, and for later.

Each is an entry point of `kubexm.listeners` or a flag of every fleet task; none is loaded unless
it is asked for. New files have mode 0600, the metrics 0644.
"""
