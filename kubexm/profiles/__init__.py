"""What machines for a purpose consist of: settings in, plans out, no I/O."""

from kubexm.profiles.node import prepare
from kubexm.profiles.settings import NodeSettings, ProxyMode, TimeSync

__all__ = ["NodeSettings", "ProxyMode", "TimeSync", "prepare"]
