# Functions about users and groups. Changes are those of shadow's useradd, usermod, groupadd and
# groupmod, whose arguments the handler chooses.
# shellcheck shell=sh

# kx_entry DATABASE NAME: the entry of passwd(5) or group(5), nothing when there is none. getent
# exits with 2 for that; without getent the file itself is read.
kx_entry() {
  if command -v getent >/dev/null 2>&1; then
    getent "$1" "$2" || [ "$?" = 2 ]
  else
    grep "^$2:" "/etc/$1" || [ "$?" = 1 ]
  fi
}

# kx_group_state NAME: its number, nothing when there is none.
kx_group_state() {
  kx_line=$(kx_entry group "$1") || return 1
  printf '%s' "$kx_line" | cut -d : -f 3
}

# kx_account_state NAME: the entry of passwd without the password, and a line with the names of all
# groups, the primary one first; nothing when there is no such user.
kx_account_state() {
  kx_line=$(kx_entry passwd "$1") || return 1
  [ -n "$kx_line" ] || return 0
  kx_rest=${kx_line#*:}
  printf '%s\n' "${kx_line%%:*}:${kx_rest#*:}"
  id -Gn -- "$1"
}
