from __future__ import annotations

import pytest

from kubexm.errors import UsageError
from kubexm.runner import render


def test_variables_are_filled_in_and_a_final_newline_is_kept() -> None:
    assert render("server {{ name }}\n", {"name": "ntp.test"}) == "server ntp.test\n"
    assert render("server {{ name }}", {"name": "ntp.test"}) == "server ntp.test"


def test_nothing_is_rendered_from_nothing() -> None:
    assert render("", {}) == ""


def test_a_block_takes_the_newline_behind_it() -> None:
    template = "{% for one in all %}\nserver {{ one }}\n{% endfor %}\nend\n"
    assert render(template, {"all": ["a", "b"]}) == "server a\nserver b\nend\n"


def test_nothing_is_escaped_as_html() -> None:
    assert render("{{ text }}", {"text": "<a & 'b'>"}) == "<a & 'b'>"


def test_an_undefined_name_is_told_with_template_and_line() -> None:
    with pytest.raises(UsageError) as caught:
        render("one\ntwo\n{{ nmae }}\n", {"name": "x"}, name="chrony.conf.j2")
    assert str(caught.value) == "chrony.conf.j2:3: 'nmae' is undefined"
    assert "define the variable" in caught.value.hint


def test_an_undefined_attribute_is_told_with_template_and_line() -> None:
    with pytest.raises(UsageError, match=r"^t:2: 'dict object' has no attribute 'port'$"):
        render("\n{{ server.port }}\n", {"server": {}}, name="t")


@pytest.mark.parametrize("use", ["{% if x %}y{% endif %}", "{{ x ~ 'y' }}", "{{ x == 1 }}"])
def test_an_undefined_name_has_no_truth_and_no_text(use: str) -> None:
    with pytest.raises(UsageError, match="'x' is undefined"):
        render(use, {})


def test_a_default_is_a_way_out_for_an_undefined_name() -> None:
    assert render("{{ x | default('y') }}", {}) == "y"


@pytest.mark.parametrize(
    ("template", "line"),
    [("{{ name", 1), ("one\n{% if x %}\ntwo\n", 3), ("\n\n{% nonsense %}", 3), ("{{ a b }}", 1)],
)
def test_wrong_syntax_is_told_with_template_and_line(template: str, line: int) -> None:
    with pytest.raises(UsageError, match=rf"^hosts\.j2:{line}: ") as caught:
        render(template, {}, name="hosts.j2")
    assert caught.value.hint == "correct the template"


def test_a_variable_may_have_any_name() -> None:
    assert render("{{ self_ }} {{ template }}", {"self_": "a", "template": "b"}) == "a b"


@pytest.mark.parametrize("text", ["one\n{{ 1 / 0 }}", "one\n{{ name + 1 }}", "one\n{{ none() }}"])
def test_what_a_template_does_wrong_is_told_with_its_name_and_line(text: str) -> None:
    with pytest.raises(UsageError, match="motd:2: "):
        render(text, {"name": "x"}, name="motd")
