# Whether a command is needed.
# shellcheck shell=sh

# kx_needed CREATES UNLESS ONLY_IF: "needed" or "done"; each may be empty. A condition that the
# shell cannot read is an error: it would pass for one that does not hold.
kx_needed() {
  kx_readable "$2" && kx_readable "$3" || return 1
  if [ -n "$1" ] && { [ -e "$1" ] || [ -L "$1" ]; }; then
    echo "done"
  elif [ -n "$2" ] && kx_holds "$2"; then
    echo "done"
  elif [ -n "$3" ] && ! kx_holds "$3"; then
    echo "done"
  else
    echo needed
  fi
}

kx_readable() {
  (eval "kx_condition() {
    :
    $1
  }") </dev/null
}

kx_holds() {
  (
    kx_condition=$1
    set --
    eval "$kx_condition"
  ) </dev/null >/dev/null 2>&1
}
