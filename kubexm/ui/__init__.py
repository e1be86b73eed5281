"""What the operator sees: listeners that print. In: events. Out: text for people, or JSON lines.

`Live` is for terminals and ends with the text that `Plain` writes; rich is loaded by its first
drawing and by nothing else.
"""

from kubexm.ui.fault import explain
from kubexm.ui.jsonl import JsonLines
from kubexm.ui.live import Live
from kubexm.ui.look import Look
from kubexm.ui.plain import Plain
from kubexm.ui.stream import say
from kubexm.ui.table import table

__all__ = ["JsonLines", "Live", "Look", "Plain", "explain", "say", "table"]
