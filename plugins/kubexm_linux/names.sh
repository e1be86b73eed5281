# Functions about the machine's own name.
# shellcheck shell=sh

# kx_hostname_set NAME: the running host name, by whatever the machine has for it. In a
# container /proc/sys may be read-only while sethostname(2) is allowed.
kx_hostname_set() {
  [ "$(uname -n)" != "$1" ] || return 0
  kx_said=$({
    hostname "$1" || printf '%s\n' "$1" >/proc/sys/kernel/hostname ||
      hostnamectl --transient set-hostname "$1"
  } 2>&1)
  [ "$(uname -n)" != "$1" ] || return 0
  printf '%s\n' "$kx_said" "kubexm: the running host name could not be set" >&2
  return 1
}
