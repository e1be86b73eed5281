"""Jinja2 templates, rendered on the control node with strict undefined."""

from __future__ import annotations

import functools
import threading
import traceback
from typing import TYPE_CHECKING

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2


def render(template: str, variables: Mapping[str, object], *, name: str = "template") -> str:
    """The template's text with its variables filled in.

    A single trailing newline is kept; blocks trim the newline behind them, as in Ansible.

    Args:
        template: Jinja2 text.
        variables: What it may name; an undefined name is an error.
        name: What errors call the template, usually its file.

    Raises:
        UsageError: The syntax is wrong or a name is undefined; it says template and line.
    """
    import jinja2

    try:
        with _compiling:
            compiled = _compiled(template)
        return compiled.render(**variables)
    except jinja2.TemplateSyntaxError as error:
        message = f"{name}:{error.lineno}: {error.message}"
        raise UsageError(message, hint="correct the template") from error
    except jinja2.UndefinedError as error:
        message = f"{name}:{_line(error)}: {error}"
        raise UsageError(message, hint="define the variable, or correct the name") from error
    except Exception as error:
        message = f"{name}:{_line(error)}: {type(error).__name__}: {error}"
        raise UsageError(message, hint="correct the template, or what it is given") from error


_compiling = threading.Lock()
"""Held while a template is compiled, which is done once for all hosts that render it."""


@functools.lru_cache(maxsize=256)
def _compiled(template: str) -> jinja2.Template:
    return _environment().from_string(template)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )


def _line(error: BaseException) -> int:
    """The template's line: that of the innermost frame that Jinja2 rewrote to `<template>`."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == "<template>" and frame.lineno is not None
    ]
    return lines[-1] if lines else 0
