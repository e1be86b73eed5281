from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from kubexm.errors import PluginError, UnsupportedError, UsageError
from kubexm.facts import Facts, OperatingSystem
from kubexm.runner import Catalogue, Family, Operation, OperationPlugin
from tests.unit.runner.keyed import Key, KeyHandler, PickyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Operation):
    """An operation that no family handles."""


def on(identifier: str, *like: str, hostname: str = "") -> Facts:
    return Facts(os=OperatingSystem(id=identifier, id_like=like), hostname=hostname)


def family(name: str, *handlers: KeyHandler, extends: str = "", scores: int = 0) -> Family:
    """One that scores 100 for its ID, 50 for ID_LIKE, else `scores`."""

    def match(facts: Facts) -> int:
        if facts.os.id == name:
            return 100
        return 50 if name in facts.os.id_like else scores

    return Family(name=name, match=match, handlers=handlers, extends=extends)


LINUX = family("linux", scores=1)
DEBIAN = family("debian", extends="linux")
UBUNTU = family("ubuntu", extends="debian")
REDHAT = family("redhat", extends="linux")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (on("debian"), "debian"),
        (on("ubuntu", "debian"), "ubuntu"),
        (on("linuxmint", "debian"), "debian"),
        (on("rocky", "redhat"), "redhat"),
        (on("gentoo"), "linux"),
        (on(""), "linux"),
    ],
)
def test_the_family_with_the_highest_score_wins_in_any_order(facts: Facts, expected: str) -> None:
    for families in itertools.permutations((LINUX, DEBIAN, UBUNTU, REDHAT)):
        assert Catalogue(families).family(facts).name == expected


def test_of_two_with_equal_scores_the_one_that_extends_the_other_wins() -> None:
    mint = on("linuxmint", "ubuntu", "debian")
    for families in itertools.permutations((LINUX, DEBIAN, UBUNTU)):
        assert Catalogue(families).family(mint).name == "ubuntu"


def test_two_strangers_with_equal_scores_are_an_error_that_names_both() -> None:
    with pytest.raises(UsageError, match="debian and redhat fit equally well") as caught:
        Catalogue([LINUX, REDHAT, DEBIAN]).family(on("mix", "debian", "redhat"))
    assert "kubexm_family" in caught.value.hint


def test_an_override_counts_for_more_than_any_score() -> None:
    assert Catalogue([LINUX, DEBIAN]).family(on("debian"), override="linux") is LINUX


def test_an_override_that_is_not_installed_lists_those_that_are() -> None:
    with pytest.raises(UsageError, match="no OS family named 'suse'") as caught:
        Catalogue([LINUX, DEBIAN]).family(on("debian"), override="suse")
    assert caught.value.hint == "installed: debian, linux"


def test_a_machine_that_no_family_fits_is_told_what_to_install() -> None:
    facts = Facts(os=OperatingSystem(id="plan9", pretty_name="Plan 9"))
    with pytest.raises(PluginError, match=r"for Plan 9 \(ID=plan9\); installed: debian") as caught:
        Catalogue([family("debian")]).family(facts)
    assert "a family for plan9" in caught.value.hint
    assert (caught.value.group, caught.value.name) == ("kubexm.families", "plan9")


def test_no_family_at_all_is_told_too() -> None:
    with pytest.raises(PluginError, match="installed: none"):
        Catalogue([]).family(on(""))


@pytest.mark.parametrize(
    ("families", "reason"),
    [
        ([family("debian", extends="linux")], "'debian' extends 'linux', which is not installed"),
        ([family("a", extends="b"), family("b", extends="a")], "which extends it in turn"),
        ([family("a", extends="a")], "'a' extends 'a', which extends it in turn"),
    ],
)
def test_a_family_that_extends_what_it_cannot_is_told_at_once(
    families: list[Family], reason: str
) -> None:
    with pytest.raises(PluginError, match=reason):
        Catalogue(families)


def test_a_handler_is_looked_for_in_the_family_and_then_in_those_that_it_extends() -> None:
    own, inherited = KeyHandler(), KeyHandler()
    parent = family("linux", inherited, KeyHandler(PickyKey))
    child = family("debian", own, extends="linux")
    catalogue = Catalogue([parent, child])
    assert catalogue.handler(Key(name="n", key="k"), child, Facts()) is own
    assert catalogue.handler(Key(name="n", key="k"), parent, Facts()) is inherited
    found = catalogue.handler(PickyKey(name="n", key="k"), child, Facts())
    assert found is parent.handlers[1]


def test_of_a_family_s_handlers_the_first_that_supports_the_host_wins() -> None:
    first, second, third = (KeyHandler(hostnames=names) for names in (("a",), ("a", "b"), ()))
    one = family("linux", first, second, third)
    catalogue, op = Catalogue([one]), Key(name="n", key="k")
    found = [catalogue.handler(op, one, on("", hostname=name)) for name in "abc"]
    assert found == [first, second, third]


def test_a_handler_that_does_not_support_the_host_leaves_it_to_the_parent_s() -> None:
    inherited = KeyHandler()
    parent = family("linux", inherited)
    child = family("debian", KeyHandler(hostnames=("other",)), extends="linux")
    op = Key(name="n", key="k")
    assert Catalogue([parent, child]).handler(op, child, Facts()) is inherited


def test_a_handler_is_for_its_class_and_not_for_a_subclass() -> None:
    one = family("linux", KeyHandler())
    with pytest.raises(UnsupportedError):
        Catalogue([one]).handler(PickyKey(name="n", key="k"), one, Facts())


def test_an_added_handler_comes_before_the_family_s_own_and_after_a_child_s() -> None:
    added, own, childs = KeyHandler(), KeyHandler(), KeyHandler()
    parent = family("linux", own)
    child = family("debian", childs, extends="linux")
    catalogue = Catalogue(
        [parent, child], [OperationPlugin(operation=Key, handlers={"linux": (added,)})]
    )
    op = Key(name="n", key="k")
    assert catalogue.handler(op, parent, Facts()) is added
    assert catalogue.handler(op, child, Facts()) is childs


def test_an_added_operation_works_on_every_family_that_extends_the_one_it_is_for() -> None:
    added = KeyHandler(PickyKey)
    catalogue = Catalogue(
        [LINUX, DEBIAN], [OperationPlugin(operation=PickyKey, handlers={"linux": (added,)})]
    )
    assert catalogue.handler(PickyKey(name="n", key="k"), DEBIAN, Facts()) is added


def test_the_order_of_entry_points_does_not_matter() -> None:
    keys, picky, debians = KeyHandler(), KeyHandler(PickyKey), KeyHandler()
    additions = (
        OperationPlugin(operation=Key, handlers={"linux": (keys,)}),
        OperationPlugin(operation=PickyKey, handlers={"linux": (picky,)}),
        OperationPlugin(operation=Key, handlers={"debian": (debians,)}),
    )
    for order in itertools.permutations(additions):
        for families in itertools.permutations((LINUX, DEBIAN)):
            catalogue = Catalogue(families, order)
            assert catalogue.handler(Key(name="n", key="k"), LINUX, Facts()) is keys
            assert catalogue.handler(Key(name="n", key="k"), DEBIAN, Facts()) is debians
            assert catalogue.handler(PickyKey(name="n", key="k"), DEBIAN, Facts()) is picky


def test_an_operation_that_nobody_handles_is_named_with_the_family() -> None:
    catalogue = Catalogue([LINUX, DEBIAN])
    with pytest.raises(UnsupportedError, match="Other is not supported on this debian host") as e:
        catalogue.handler(Other(), DEBIAN, Facts())
    assert e.value.operation == "Other"


def test_a_catalogue_shows_its_families() -> None:
    assert repr(Catalogue([LINUX, DEBIAN])) == "<Catalogue of debian, linux>"
    assert repr(Catalogue([])) == "<Catalogue of no families>"


def test_installed_families_are_those_of_the_entry_points() -> None:
    installed = Catalogue.installed()
    assert installed.family(on("debian")).name == "debian"
    assert installed.family(on("ubuntu", "debian")).name == "debian"
