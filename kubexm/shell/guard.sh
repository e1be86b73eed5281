# Changes under guard: the reading on which a change was decided is taken again just before it. They
# need the prelude, and are sent with the first batch that has one.
# shellcheck shell=sh
# The prelude's.
: "${kx_token:?}" "${kx_mode:?}"

# kx_guard NUMBER EXPECTED PROBE CHANGE INPUT UNMET: one operation of trip 2.
# EXPECTED is the reading on which the decision rests and its status, after a =; of a long one the
# digest of both. CHANGE may be empty. UNMET is 1 when that reading said that a prerequisite is
# missing: still so means that this is the end.
kx_guard() {
  kx_begin "$1"
  kx_flush
  if [ "$kx_mode" = apply ]; then
    kx_seen=$(kx_sight "$2" "$3")
    kx_check "$1"
    [ "$kx_seen" = "$2" ] || kx_mode=stale
  fi
  case $5 in
  - | [=:]*) ;;
  *)
    if [ "$kx_mode" != apply ] || [ "$6" = 1 ] || [ -z "$4" ]; then
      kx_payload "$5" >/dev/null || exit 9
    fi
    ;;
  esac
  case $kx_mode in
  stop) kx_say s skipped ;;
  stale)
    kx_say s stale
    kx_flush
    (kx_do "$3") </dev/null
    ;;
  *)
    if [ "$6" = 1 ]; then
      kx_mode=stop
      kx_say s unmet
    elif [ -z "$4" ]; then
      kx_say s same
    else
      kx_say s change
      kx_eval "$4" "$5"
      kx_status=$?
      kx_check "$1"
      kx_say s after "$kx_status"
      kx_flush
      if [ "$kx_status" = 0 ]; then
        (kx_do "$3") </dev/null
      else
        kx_mode=stop
        (exit 0)
      fi
    fi
    ;;
  esac
  kx_end "$1" "$?"
}

# kx_sight EXPECTED PROBE: read again, and say it as EXPECTED does.
kx_sight() {
  case $1 in
  =*)
    kx_print "="
    (kx_do "$2") </dev/null 2>/dev/null
    echo "$?"
    ;;
  *)
    {
      (kx_do "$2") </dev/null 2>/dev/null
      echo "$?"
    } | kx_digest
    ;;
  esac
}

# Where we cannot be told by USR2, because whoever started sshd ignored or blocked it, kx_deaf is set.
kx_deaf=
kill -s USR2 "$$"
[ "$kx_mode" = stale ] || kx_deaf=1
kx_mode=apply

# kx_swap NUMBER EXPECTED PROBE CHANGE INPUT ANSWER: the same in one process, for a CHANGE that has
# nothing on stdin, and whose reading afterwards is that of a frame to come. PROBE calls a library's
# function, which does not exit, and ANSWER may tell the reading without a process, see kx_run. That
# the reading is another one comes as a signal, because CHANGE may end with any status.
kx_swap() {
  [ "$kx_mode$kx_deaf" = apply ] || {
    kx_guard "$1" "$2" "$3" "$4" "$5" 0
    return
  }
  kx_begin "$1"
  kx_flush
  (kx_try "$2" "$3" "$4" "$5" "$6") </dev/null
  kx_status=$?
  kx_check "$1"
  if [ "$kx_mode" = apply ]; then
    kx_say s after "$kx_status"
    [ "$kx_status" = 0 ] || kx_mode=stop
    kx_status=0
  fi
  kx_end "$1" "$kx_status"
}

# kx_try EXPECTED PROBE CHANGE INPUT ANSWER: what kx_swap does in a process of its own, which may ask
# the file systems, see kx_nothing.
kx_try() {
  # shellcheck disable=SC2034 # for kx_nothing
  kx_asks=1
  # shellcheck disable=SC2154 # ANSWER sets it
  case $1 in
  =*)
    if eval "$5 ${2#* }"; then
      kx_seen="=${kx_answer}0"
    else
      kx_seen="=$(
        kx_do "$2" 2>/dev/null
        echo "$?"
      )"
    fi
    ;;
  *) kx_seen=$(kx_sight "$1" "$2") ;;
  esac
  if [ "$kx_seen" = "$1" ]; then
    kx_say s change
    kx_flush
    kx_held "$4"
    kx_do "$3"
  else
    kill -s USR2 "$$"
    kx_say s stale
    kx_flush
    kx_do "$2"
  fi
}
