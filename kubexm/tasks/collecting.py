"""Garbage is collected seldom: it is imported before what takes long to import.

A command makes many objects that stay until it ends: modules, then what it knows of the hosts. To
look through them after every 700 new ones costs a tenth of a short run, and finds nothing.
"""

import gc

_OBJECTS = 50_000

_young, *_older = gc.get_threshold()
if 0 < _young < _OBJECTS:  # 0 is off: somebody else has a policy
    gc.set_threshold(_OBJECTS, *_older)
