"""Jinja2 templates in variables: evaluated when somebody reads the variable, as Ansible does.

A value that is one expression (`"{{ ports }}"`) comes to what the expression is, a list or a
number too; with text around it, it comes to text. What a secret went into is a secret.

Jinja2 is imported when the first template is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubexm.inventory.node import Verbatim
from kubexm.inventory.sealed import Sealed
from kubexm.secret import Secret

if TYPE_CHECKING:
    from jinja2 import Environment, Template

MISSING = object()
"""What a lookup answers for a name that nobody has set."""

_RESULT = "result"


def has_template(value: object) -> bool:
    """Whether a value holds a template, at any depth."""
    match value:
        case Verbatim():
            return False
        case str():
            return "{{" in value or "{%" in value
        case Mapping():
            return any(has_template(item) for item in value.values())
        case tuple():
            return any(has_template(item) for item in value)
        case _:
            return False


class TemplateFaultError(Exception):
    """A template that cannot be evaluated, and why; it quotes no value that is secret."""


class Evaluation:
    """One template at work: what it may name, and whether a secret went into it."""

    def __init__(self, lookup: Callable[[str, Evaluation], object], engine: Engine) -> None:
        self.lookup = lookup
        self.engine = engine
        self.is_secret = False

    def exposed(self, value: object) -> object:  # noqa: PLR0911 - one for each kind
        """A value as a template sees it: secrets as text, mappings as lazy views."""
        match value:
            case Secret():
                self.is_secret = True
                return value.reveal()
            case Sealed():
                return self.exposed(value.open())
            case Verbatim():
                return str(value)
            case str():
                return self.engine.value(value, self) if has_template(value) else value
            case Mapping():
                return View(value, self)
            case list() | tuple():
                return [self.exposed(item) for item in value]
            case _:
                return value


class View(Mapping[str, object]):
    """A mapping inside a template; each value is evaluated when the template asks for it."""

    def __init__(self, raw: Mapping[Any, object], evaluation: Evaluation) -> None:
        self._raw = raw
        self._evaluation = evaluation

    def __getitem__(self, key: str) -> object:
        return self._evaluation.exposed(self._raw[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        # a template may print the whole of a mapping
        return repr(dict(self))


class Engine:
    """Jinja2's environment, and the templates that it has compiled. Threads share it."""

    def __init__(self) -> None:
        self._made: Environment | None = None
        self._compiled: dict[str, tuple[Template, bool]] = {}

    def value(self, text: str, evaluation: Evaluation) -> object:
        """What a template comes to, as another template sees it.

        Raises:
            TemplateFaultError: It cannot be evaluated.
        """
        from jinja2 import TemplateError

        reason = ""
        try:
            return self._evaluate(text, evaluation)
        except TemplateError as error:
            reason = (error.message or type(error).__name__).replace(_VIEW, "a mapping")
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
        if evaluation.is_secret:
            # the words of an error may quote what went into it
            reason = "it fails, and a secret goes into it"
        # outside of the handlers, so that no cause is attached that would quote it
        raise TemplateFaultError(reason)

    def _evaluate(self, text: str, evaluation: Evaluation) -> object:
        from jinja2 import Undefined

        template, is_expression = self._template(text)
        context = template.new_context({_EVALUATION: evaluation})
        rendered = "".join(template.root_render_func(context))
        if not is_expression:
            return rendered
        found = context.vars[_RESULT]
        if isinstance(found, Undefined):
            str(found)  # it says its name and raises
        return found

    def _template(self, text: str) -> tuple[Template, bool]:
        if text not in self._compiled:
            from jinja2 import nodes

            environment = self._environment
            parsed = environment.parse(text)
            match parsed.body:
                case [nodes.Output(nodes=[expression])] if not isinstance(
                    expression, nodes.TemplateData
                ):
                    assign = nodes.Assign(nodes.Name(_RESULT, "store"), expression, lineno=1)
                    source = nodes.Template([assign], lineno=1)
                    self._compiled[text] = (environment.from_string(source), True)
                case _:
                    self._compiled[text] = (environment.from_string(text), False)
        return self._compiled[text]

    @property
    def _environment(self) -> Environment:
        if self._made is None:
            from kubexm.inventory.environment import made

            self._made = made(_EVALUATION)
        return self._made


_EVALUATION = "_kubexm_evaluation"
_VIEW = f"{View.__module__}.{View.__name__} object"


def plain(value: object) -> object:
    """What a template came to as immutable data, without views."""
    match value:
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case str() | bytes():
            return value
        case Sequence() | set() | frozenset() | range():
            return [plain(item) for item in value]
        case Iterator():
            return [plain(item) for item in value]
        case _:
            return value
