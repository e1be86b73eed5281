"""Every mistake is told with its line and column and what to do about it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import InventoryError
from kubexm.inventory import DEFINITIONS, InventoryErrors, load
from tests.unit.inventory.write import loaded, written

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A text, and what is said about it; the place comes first, as `line:column: `."""

    name: str
    text: str
    message: str
    hint: str = ""


def variable(name: str, value: str, message: str, hint: str = "") -> Broken:
    """A variable with a bad value; the place is that of the value."""
    return Broken(
        name=f"{name} {value}",
        text=f"all:\n  vars:\n    {name}: {value}\n  hosts:\n    a:\n",
        message=f"3:{7 + len(name)}: {name} {message}",
        hint=hint,
    )


ONE_HOST = "write one: 'all: {hosts: {web1: {kubexm_host: 192.0.2.1}}}'"
NO_COLON = "quote a value that holds ': ', indent alike, and end the key above with ':'"
QUOTED = "quote a value that holds punctuation, and indent keys of one mapping alike"
BRACKET = "close it, separate its items with ', ', and quote a value that begins with a bracket"
A_GROUP = "a group has hosts, children and vars"
A_PORT = "must be a whole number from 1 to 65535, not"
A_TIME = "must be a time such as 15, 15s or 2m, more than 0 and at most 1h, not"
AN_ADDRESS = "must be a host name or an IP address, not"
POLICIES = "strict, accept-new, pinned or insecure"
MISREAD = "which has a meaning in --limit or in file names"
AN_OPTION = "would be misread as an option or a directory"
RANGES = "write a range as [1:10], [01:10], [a:f] or [0:10:2]"

SYNTAX = [
    Broken(
        name="tab",
        text="all:\n\thosts:\n",
        message="2:1: a tab cannot indent YAML",
        hint="indent with spaces",
    ),
    Broken(
        name="tab after spaces",
        text="all:\n  hosts:\n  \ta:\n",
        message="3:3: a tab cannot indent YAML",
        hint="indent with spaces",
    ),
    Broken(
        name="unclosed double quote",
        text='all:\n  vars:\n    x: "abc\n  hosts:\n    a:\n',
        message="3:8: a quote that is opened here is never closed",
        hint="close it",
    ),
    Broken(
        name="unclosed single quote",
        text="all:\n  vars:\n    x: 'abc\n---\n",
        message="3:8: a quote that is opened here is never closed",
        hint="close it",
    ),
    Broken(
        name="text after a quote",
        text='all:\n  vars:\n    x: "a" b\n',
        message="3:12: text after the end of a value",
        hint="quote the value as a whole",
    ),
    Broken(
        name="indented less than its neighbour",
        text="all:\n  hosts:\n    a:\n   b:\n",
        message="4:4: the indentation matches no line above",
        hint="indent keys of one mapping alike",
    ),
    Broken(
        name="indented more than its neighbour",
        text="all:\n  hosts:\n    a:\n      x: 1\n        y: 2\n",
        message="5:10: this ':' cannot be here",
        hint=NO_COLON,
    ),
    Broken(
        name="key without colon above others",
        text="all:\n  hosts\n  vars:\n",
        message="3:7: this ':' cannot be here",
        hint=NO_COLON,
    ),
    Broken(
        name="key without colon at the end",
        text="all:\n  hosts:\n    a:\n    b\n",
        message="4:5: a key without ':'",
        hint="end it with ':'",
    ),
    Broken(
        name="two colons",
        text="all:\n  vars:\n    x: a: b\n",
        message="3:9: this ':' cannot be here",
        hint=NO_COLON,
    ),
    Broken(
        name="no space after the colon",
        text="all:\n  vars:\n    x:1\n    y: 2\n",
        message="4:6: this ':' cannot be here",
        hint=NO_COLON,
    ),
    Broken(
        name="reserved character",
        text="all:\n  vars:\n    x: @a\n",
        message="3:8: an unquoted value cannot begin with this character",
        hint="quote the value",
    ),
    Broken(
        name="unclosed brace",
        text="all:\n  vars:\n    x: {a: 1\n  hosts:\n    a:\n",
        message="3:8: a bracket that is opened here is not closed",
        hint=BRACKET,
    ),
    Broken(
        name="unclosed bracket",
        text="all:\n  vars:\n    x: [a, b\n  hosts:\n    a:\n",
        message="3:8: a bracket that is opened here is not closed",
        hint=BRACKET,
    ),
    Broken(
        name="unclosed bracket at the end",
        text="all:\n  vars:\n    x: [\n",
        message="4:1: a value is missing here, or a bracket above is not closed",
        hint="close the bracket, and quote a value that begins with one",
    ),
    Broken(
        name="list in a line",
        text="all:\n  vars:\n    x: - a\n",
        message="3:8: this '- ' cannot be here",
        hint="begin a list on a line of its own, and quote a value that begins with '- '",
    ),
    Broken(
        name="list and mapping",
        text="all:\n  hosts:\n    - a\n    b:\n",
        message="4:5: a list and a mapping are mixed",
        hint="write keys ('name:') without '- '",
    ),
    Broken(
        name="unknown escape",
        text='all:\n  vars:\n    x: "C:\\Data"\n',
        message="3:12: an unknown escape in double quotes",
        hint="use single quotes, or write a backslash as '\\\\'",
    ),
    Broken(
        name="block scalar",
        text="all:\n  vars:\n    x: |secret\n",
        message="3:9: not valid YAML: expected chomping or indentation indicators",
        hint=QUOTED,
    ),
    Broken(
        name="template without quotes",
        text="all:\n  vars:\n    x: {{ y }}\n  hosts:\n    a:\n",
        message="3:9: a list or mapping cannot be a key",
        hint="quote a value that begins with '{' or '['",
    ),
    Broken(
        name="anchor that is not there",
        text="all:\n  vars:\n    x: *abc\n  hosts:\n    a:\n",
        message="3:8: this refers to an anchor (&name) that is not above it",
        hint="quote a value that begins with '*'",
    ),
    Broken(
        name="anchor in itself",
        text="all: &x\n  hosts:\n    a: *x\n",
        message="3:8: this refers to an anchor (&name) that is not above it",
        hint="quote a value that begins with '*'",
    ),
    Broken(
        name="merge of text",
        text="all:\n  hosts:\n    a: {<<: text}\n",
        message="3:13: '<<' merges mappings, and this is none",
        hint="name an anchored mapping: '<<: *name'",
    ),
    Broken(
        name="unknown tag",
        text="all:\n  vars:\n    x: !python/none y\n  hosts:\n    a:\n",
        message="3:8: this value has a tag that means nothing here",
        hint="quote a value that begins with '!'",
    ),
    Broken(
        name="control character",
        text="all:\n  vars:\n    x: a\x07\n",
        message="3:9: YAML does not allow this character",
        hint="write it as an escape in double quotes, or save the file as UTF-8",
    ),
    Broken(
        name="two documents",
        text="all:\n  hosts:\n    a:\n---\n",
        message="4:1: a second document begins here",
        hint="remove the '---'",
    ),
    Broken(
        name="too deep",
        text=f"x: {'[' * 70}{']' * 70}\n",
        message="1:68: nested more than 64 deep",
    ),
    Broken(
        name="key twice",
        text="all:\n  hosts:\n    a:\n    b:\n    a:\n",
        message="5:5: the key 'a' is here twice: first on line 3",
        hint="remove one of the two",
    ),
    Broken(
        name="variable twice",
        text="all:\n  hosts:\n    a:\n      kubexm_port: 1\n      kubexm_port: 2\n",
        message="5:7: the key 'kubexm_port' is here twice: first on line 4",
        hint="remove one of the two",
    ),
    Broken(
        name="two CRLF lines",
        text="all:\r\n\thosts:\r\n",
        message="2:1: a tab cannot indent YAML",
        hint="indent with spaces",
    ),
]

STRUCTURE = [
    Broken(
        name="list of hosts",
        text="- a\n- b\n",
        message="1:1: an inventory must be a mapping of groups, not a list",
        hint="begin with 'all:'",
    ),
    Broken(
        name="text",
        text="web1\n",
        message="1:1: an inventory must be a mapping of groups, not 'web1'",
        hint="begin with 'all:'",
    ),
    Broken(
        name="hosts without a group",
        text="hosts:\n  a:\n",
        message="1:1: 'hosts' belongs in a group",
        hint="put it below 'all:'",
    ),
    Broken(
        name="host for hosts",
        text="all:\n  host:\n    a:\n",
        message="2:3: unknown key 'host' in group 'all'",
        hint="did you mean 'hosts'?",
    ),
    Broken(
        name="childs for children",
        text="web:\n  hosts:\n    a:\n  childs:\n    b:\n",
        message="4:3: unknown key 'childs' in group 'web'",
        hint="did you mean 'children'?",
    ),
    Broken(
        name="variables for vars",
        text="all:\n  Vars:\n    x: 1\n",
        message="2:3: unknown key 'Vars' in group 'all'",
        hint="did you mean 'vars'?",
    ),
    Broken(
        name="host directly in a group",
        text="web:\n  node1:\n    kubexm_port: 1\n",
        message="2:3: unknown key 'node1' in group 'web'",
        hint=f"{A_GROUP}; put names of hosts below hosts, of groups below children, "
        "and variables below vars",
    ),
    Broken(
        name="group with a value",
        text="all:\n  hosts:\n    a:\nplugin: aws_ec2\n",
        message="4:9: group 'plugin' must be a mapping, not 'aws_ec2'",
        hint=A_GROUP,
    ),
    Broken(
        name="hosts as a list",
        text="all:\n  hosts:\n    - a\n    - b\n",
        message="3:5: hosts of group 'all' must be a mapping, not a list",
        hint="write each host's name as a key: 'web1:'",
    ),
    Broken(
        name="children as text",
        text="all:\n  hosts:\n    a:\n  children: web\n",
        message="4:13: children of group 'all' must be a mapping, not 'web'",
        hint="write each group's name as a key: 'web:'",
    ),
    Broken(
        name="vars as a list",
        text="all:\n  vars: [x]\n  hosts:\n    a:\n",
        message="2:9: vars of group 'all' must be a mapping, not a list",
        hint="write each variable as 'name: value'",
    ),
    Broken(
        name="host with an address as its value",
        text="all:\n  hosts:\n    a: 192.0.2.1\n",
        message="3:8: host 'a' must be a mapping of variables or nothing, not '192.0.2.1'",
        hint="write 'name: value' on a line of its own",
    ),
    Broken(
        name="variable without a name",
        text="all:\n  vars:\n    1: x\n  hosts:\n    a:\n",
        message="3:5: the name of a variable must be a string, not 1",
        hint="quote it",
    ),
    Broken(
        name="number as a host's name",
        text="all:\n  hosts:\n    17:\n",
        message="3:5: the name of a host must be a string, not 17",
        hint="quote it",
    ),
    Broken(
        name="no as a host's name",
        text="all:\n  hosts:\n    no:\n",
        message="3:5: the name of a host must be a string, not false",
        hint="quote it",
    ),
    Broken(
        name="empty host name",
        text='all:\n  hosts:\n    "":\n',
        message="3:5: the host name '' is empty",
        hint="choose another name",
    ),
    Broken(
        name="space in a host name",
        text="all:\n  hosts:\n    a b:\n",
        message="3:5: the host name 'a b' holds a space or a control character",
        hint="choose another name",
    ),
    Broken(
        name="invisible character in a host name",
        text='all:\n  hosts:\n    "a\\u200bb":\n',
        message="3:5: the host name 'a\\u200bb' holds a space or a control character",
        hint="choose another name",
    ),
    Broken(
        name="directory as a host name",
        text="all:\n  hosts:\n    ../a:\n",
        message=f"3:5: the host name '../a' holds '/', {MISREAD}",
        hint="choose another name",
    ),
    Broken(
        name="option as a host name",
        text="all:\n  hosts:\n    -oProxyCommand=x:\n",
        message=f"3:5: the host name '-oProxyCommand=x' {AN_OPTION}",
        hint="choose another name",
    ),
    Broken(
        name="long host name",
        text=f"all:\n  hosts:\n    {'a' * 254}:\n",
        message=f"3:5: the host name '{'a' * 254}' is longer than 253 characters",
        hint="choose another name",
    ),
    Broken(
        name="taken host name",
        text="all:\n  hosts:\n    control-node:\n",
        message="3:5: 'control-node' cannot be the name of a host",
        hint="choose another; it has a meaning of its own",
    ),
    Broken(
        name="taken group name",
        text="all:\n  children:\n    control-node:\n  hosts:\n    a:\n",
        message="3:5: 'control-node' cannot be the name of a group",
        hint="choose another; it has a meaning of its own",
    ),
    Broken(
        name="glob as a group name",
        text="web*:\n  hosts:\n    a:\n",
        message=f"1:1: the group name 'web*' holds '*', {MISREAD}",
        hint="choose another name",
    ),
    Broken(
        name="range that is empty",
        text="all:\n  hosts:\n    n[3:1]:\n",
        message="3:5: the host name 'n[3:1]' has a range that is empty",
        hint=RANGES,
    ),
    Broken(
        name="range of too many",
        text="all:\n  hosts:\n    n[1:1000]x[1:1000]:\n",
        message="3:5: the host name 'n[1:1000]x[1:1000]' stands for more than 10000 hosts",
        hint=RANGES,
    ),
    Broken(
        name="range from a digit to a letter",
        text="all:\n  hosts:\n    n[1:b]:\n",
        message="3:5: the host name 'n[1:b]' has a range from a digit to a letter",
        hint=RANGES,
    ),
    Broken(
        name="long range",
        text="all:\n  hosts:\n    n[1:99999]:\n",
        message="3:5: the host name 'n[1:99999]' stands for more than 10000 hosts",
        hint=RANGES,
    ),
    Broken(
        name="range whose ends differ in length",
        text="all:\n  hosts:\n    n[01:100]:\n",
        message="3:5: the host name 'n[01:100]' has a range whose ends differ in length",
        hint=RANGES,
    ),
    Broken(
        name="many ranges",
        text=f"all:\n  hosts:\n    ? n{'[1:1]' * 60}\n",
        message=f"3:7: the host name 'n{'[1:1]' * 60}' is longer than 253 characters",
        hint=RANGES,
    ),
    Broken(
        name="ungrouped with children",
        text="ungrouped:\n  children:\n    web:\nall:\n  hosts:\n    a:\n",
        message="2:3: group 'ungrouped' cannot have children",
        hint="it is the hosts that are in no group",
    ),
    Broken(
        name="ungrouped in a group",
        text="web:\n  children:\n    ungrouped:\nall:\n  hosts:\n    a:\n",
        message="3:5: group 'ungrouped' cannot be in group 'web'",
        hint="it is the hosts that are in no group",
    ),
    Broken(
        name="cycle of three",
        text="a:\n  children:\n    b:\nb:\n  children:\n    c:\nc:\n  children:\n    a:\n",
        message="9:5: group 'a' is in itself: a → b → c → a",
        hint="take 'a' out of the children of 'c'",
    ),
    Broken(
        name="cycle of one",
        text="web:\n  children:\n    web:\n  hosts:\n    a:\n",
        message="3:5: group 'web' is in itself: web → web",
        hint="take 'web' out of the children of 'web'",
    ),
    Broken(
        name="cycle through all",
        text="web:\n  children:\n    all:\n  hosts:\n    a:\n",
        message="3:5: group 'all' is in itself: all → web → all",
        hint="take 'all' out of the children of 'web'",
    ),
]

VARIABLES = [
    Broken(
        name="slip in ours",
        text="all:\n  vars:\n    kubexm_become_pasword: x\n  hosts:\n    a:\n",
        message="3:5: unknown variable 'kubexm_become_pasword'",
        hint="did you mean kubexm_become_password?",
    ),
    Broken(
        name="other word for ours",
        text="all:\n  hosts:\n    a:\n      kubexm_address: 192.0.2.1\n",
        message="4:7: unknown variable 'kubexm_address'",
        hint="did you mean kubexm_host?",
    ),
    Broken(
        name="none of ours",
        text="all:\n  hosts:\n    a:\n      kubexm_zzz: 1\n",
        message="4:7: unknown variable 'kubexm_zzz'",
        hint="kubexm_ is reserved for: " + ", ".join(each.name for each in DEFINITIONS),
    ),
    Broken(
        name="slip in Ansible's",
        text="all:\n  vars:\n    ansible_usr: x\n  hosts:\n    a:\n",
        message="3:5: unknown variable 'ansible_usr'",
        hint="did you mean ansible_user?",
    ),
    Broken(
        name="another slip in Ansible's",
        text="all:\n  vars:\n    ansible_becom: true\n  hosts:\n    a:\n",
        message="3:5: unknown variable 'ansible_becom'",
        hint="did you mean ansible_become?",
    ),
    Broken(
        name="no value",
        text="all:\n  vars:\n    ansible_user:\n  hosts:\n    a:\n",
        message="3:5: ansible_user has no value",
        hint="give one, or remove the line",
    ),
    Broken(
        name="priority",
        text="all:\n  hosts:\n    a:\nweb:\n  vars:\n    ansible_group_priority: high\n",
        message="6:5: ansible_group_priority must be a whole number",
    ),
    variable("kubexm_host", "10.5", f"{AN_ADDRESS} 10.5", "quote it"),
    variable("kubexm_host", '""', "is empty", "give a value, or remove the line"),
    variable("kubexm_host", "-x", "begins with '-' and would be misread as an option"),
    variable("kubexm_host", "a b", "holds a space or a control character"),
    variable("kubexm_host", "'[::1]'", "is in brackets", "write an IPv6 address without them"),
    variable(
        "ansible_host",
        "192.0.2.1:22",
        f"{AN_ADDRESS} '192.0.2.1:22'",
        "set the port with kubexm_port",
    ),
    variable(
        "ansible_ssh_host", "root@a", f"{AN_ADDRESS} 'root@a'", "set the user with kubexm_user"
    ),
    Broken(
        name="template with an undefined name",
        text="all:\n  vars:\n    address: 192.0.2.1\n    ansible_host: '{{ adress }}'\n"
        "  hosts:\n    a:\n",
        message="4:5: ansible_host of host a: 'adress' is undefined",
        hint="did you mean 'address'?",
    ),
    variable("kubexm_internal_address", "[a]", f"{AN_ADDRESS} a list"),
    variable("kubexm_port", "0", f"{A_PORT} 0"),
    variable("kubexm_port", "70000", f"{A_PORT} 70000"),
    variable("kubexm_port", "true", f"{A_PORT} true"),
    variable("ansible_port", "abc", f"{A_PORT} 'abc'"),
    variable("ansible_port", "22.0", f"{A_PORT} 22.0"),
    variable("kubexm_user", "1000", "must be a user's name, not 1000", "quote it"),
    variable("kubexm_connect_timeout", "-3", f"{A_TIME} -3"),
    variable("kubexm_connect_timeout", "0s", f"{A_TIME} '0s'"),
    variable("kubexm_connect_timeout", "2h", f"{A_TIME} '2h'"),
    variable("ansible_timeout", "soon", f"{A_TIME} 'soon'"),
    variable("ansible_timeout", ".nan", f"{A_TIME} .nan"),
    variable("kubexm_become", "maybe", "must be auto, true or false, not 'maybe'"),
    variable("kubexm_become", "1", "must be auto, true or false, not 1"),
    variable("ansible_become_method", "pbrun", "must be sudo, su or doas, not 'pbrun'"),
    variable(
        "kubexm_become_method",
        "none",
        "must be sudo, su or doas, not 'none'",
        "to become nobody else: kubexm_become: false",
    ),
    variable(
        "ansible_become_user",
        '"o\'x"',
        "holds a quote, '!' or a backslash, which a login shell would misread",
    ),
    variable("kubexm_mode", "vm", "must be live or image, not 'vm'"),
    variable("kubexm_host_key_policy", "ask", f"must be {POLICIES}, not 'ask'"),
    variable(
        "kubexm_connection",
        "a b",
        "must be ssh, local, openssh, podman or the name of another connector plugin, not 'a b'",
    ),
    variable("kubexm_family", "7", "must be the name of an OS family, not 7", "quote it"),
    variable("kubexm_labels", "[a]", "must be a mapping of strings to strings, not a list"),
    variable("kubexm_private_key_file", '"a\\nb"', "holds a control character"),
    variable(
        "ansible_ssh_private_key_file",
        '"-----BEGIN OPENSSH PRIVATE KEY-----"',
        "holds a key instead of its path",
        "save the key in a file",
    ),
    variable(
        "kubexm_known_hosts",
        "~nobody-of-that-name/x",
        "names a home directory that is not known",
    ),
    Broken(
        name="label that is no string",
        text="all:\n  hosts:\n    a:\n      kubexm_labels:\n        rack: 12\n",
        message="5:15: kubexm_labels has 12 for 'rack', which must be a string",
        hint="quote it",
    ),
    Broken(
        name="label whose name is no string",
        text="all:\n  hosts:\n    a:\n      kubexm_labels:\n        12: rack\n",
        message="5:9: kubexm_labels has a key that is not a string: 12",
        hint="quote it",
    ),
    Broken(
        name="option that is no string",
        text="all:\n  hosts:\n    a:\n      kubexm_connection_options: {tls: true}\n",
        message="4:40: kubexm_connection_options has true for 'tls', which must be a string",
        hint="quote it",
    ),
    variable("kubexm_password", "12345", "must be a string", "quote it"),
    variable("ansible_become_pass", "[hunter2]", "must be a string", "quote it"),
    variable("ansible_ssh_pass", '""', "is empty", "give a value, or remove the line"),
    Broken(
        name="template for a password",
        text="all:\n  vars:\n    ansible_become_password: '{{ vault }}'\n  hosts:\n    a:\n",
        message="3:5: ansible_become_password of host a: its template cannot be evaluated",
    ),
]

BROKEN = [*SYNTAX, *STRUCTURE, *VARIABLES]


@pytest.mark.parametrize("broken", BROKEN, ids=[each.name for each in BROKEN])
def test_mistake_is_told_with_its_place_and_a_way_out(tmp_path: Path, broken: Broken) -> None:
    path = tmp_path / "inv.yaml"
    path.write_bytes(broken.text.encode())
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert (str(caught.value), caught.value.hint) == (f"{path}:{broken.message}", broken.hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing yet\n", "is empty"),
        ("---\n", "has no hosts"),
        ("all:\n  children:\n    web:\n", "has no hosts"),
    ],
)
def test_inventory_without_hosts_is_a_mistake(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/inv.yaml: {message}"
    assert caught.value.hint == ONE_HOST


def test_missing_file_is_told_with_the_ways_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        load(tmp_path / "hosts.yaml")
    assert str(caught.value) == f"{tmp_path}/hosts.yaml: there is no such file"
    assert caught.value.hint == "name one with --inventory, or set KUBEXM_INVENTORY"


def test_directory_without_an_inventory_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    with pytest.raises(InventoryError, match="has no inventory in it") as caught:
        load(tmp_path)
    assert caught.value.hint == "name a file, or put one into this directory"


def test_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read: Not a directory"):
        load(written(tmp_path, "all:") / "inv.yaml")


def test_file_that_is_not_utf8_is_told_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "inv.yaml"
    path.write_bytes("all:\n  vars:\n    x: grün\n".encode("latin-1"))
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:3:10: is not UTF-8"


def test_program_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, "#!/bin/sh\necho '{}'\n")
    assert (
        str(caught.value) == f"{tmp_path}/inv.yaml:1: this is a program, not an inventory in YAML"
    )


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        all:
          vars:
            kubexm_port: abc
            kubexm_usr: x
          host:
            a:
        web:
          hosts:
            a b:
            c:
              kubexm_mode: vm
              kubexm_mode: live
          children:
            web:
        """,
    )
    out = "take 'web' out of the children of 'web'"
    with pytest.raises(InventoryErrors) as caught:
        load(path)
    assert str(caught.value) == textwrap.dedent(
        f"""\
        7 problems in the inventory:
        {path}:3:18: kubexm_port must be a whole number from 1 to 65535, not 'abc'
        {path}:4:5: unknown variable 'kubexm_usr' (did you mean kubexm_user?)
        {path}:5:3: unknown key 'host' in group 'all' (did you mean 'hosts'?)
        {path}:9:5: the host name 'a b' holds a space or a control character (choose another name)
        {path}:11:20: kubexm_mode must be live or image, not 'vm'
        {path}:12:7: the key 'kubexm_mode' is here twice: first on line 11 (remove one of the two)
        {path}:14:5: group 'web' is in itself: web → web ({out})"""
    )
    first = caught.value.problems[0]
    assert (first.path, first.line, first.column, first.key) == (str(path), 3, 18, "kubexm_port")


def test_many_mistakes_are_shortened_but_all_are_there(tmp_path: Path) -> None:
    hosts = "".join(f"    n{number}: {{kubexm_port: 0}}\n" for number in range(80))
    with pytest.raises(InventoryErrors) as caught:
        loaded(tmp_path, f"all:\n  hosts:\n{hosts}")
    assert len(caught.value.problems) == 80
    assert str(caught.value).splitlines()[0] == "80 problems in the inventory:"
    assert str(caught.value).splitlines()[-1] == "… and 30 more"


def test_mistake_in_an_anchored_mapping_counts_once(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(
            tmp_path,
            """
            all:
              hosts:
                a: &common
                  kubexm_port: 0
                b: *common
                c:
                  <<: *common
            """,
        )
    assert str(caught.value).startswith(f"{tmp_path}/inv.yaml:4:20: kubexm_port must be")


def test_mistake_in_an_extra_variable_names_it(tmp_path: Path) -> None:
    with pytest.raises(InventoryErrors) as caught:
        loaded(tmp_path, "all: {hosts: {a: }}", {"kubexm_port": "x", "kubexm_usr": "y"})
    assert [(str(each), each.hint) for each in caught.value.problems] == [
        ("extra variables: kubexm_port must be a whole number from 1 to 65535, not 'x'", ""),
        ("extra variables: unknown variable 'kubexm_usr'", "did you mean kubexm_user?"),
    ]
