"""kubexm brings fleets of machines to a declared state."""

__version__ = "0.1.0"
