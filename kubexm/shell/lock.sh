# The host lock: one kubexm at a time changes a machine.
# It is a flock(2) on a descriptor of the session's own shell, so it needs no heartbeat and ends
# with the session, however that ends. Scripts run with the descriptor closed (kx_do), so that no
# daemon of theirs keeps it.
# shellcheck shell=sh

# kx_lock OWNER HOLDER SECONDS: take the lock, in the session's own shell. OWNER is one word,
# HOLDER says in one line who holds it. While somebody else has it, wait SECONDS. Another session
# of OWNER is no one else: the inventory may have two names for one machine. 75 with the holder's
# words when it stays taken; 69 when there can be no lock, and why.
kx_lock() {
  if [ -n "${KUBEXM_STATE-}" ]; then
    kx_place=$KUBEXM_STATE
  elif [ "$(id -u)" = 0 ]; then
    kx_place=/run/kubexm
  else
    kx_place=${XDG_RUNTIME_DIR:-${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}}/kubexm
  fi
  command -v flock >/dev/null 2>&1 || {
    echo 'flock is not installed' >&2
    return 69
  }
  # tried first: a redirection of exec that fails ends some shells
  (umask 077 && mkdir -p -- "$kx_place" && : >>"$kx_place/lock") || return 69
  exec 9>>"$kx_place/lock"
  kx_tries=0
  until flock -n 9 9>&9; do
    kx_owner=
    read -r kx_owner kx_holder <"$kx_place/lock"
    if [ "$kx_owner" = "$1" ] || [ "$kx_tries" -ge $((5 * $3)) ]; then
      exec 9>&-
      [ "$kx_owner" != "$1" ] || return 0
      printf '%s\n' "$kx_holder"
      return 75
    fi
    kx_tries=$((kx_tries + 1))
    sleep 0.2
  done
  printf '%s\n' "$1 $2" >"$kx_place/lock" || return 69
}
