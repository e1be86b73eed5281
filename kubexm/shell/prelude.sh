# Functions that every session holds: frames, deadlines, guarded apply, digests, atomic writes.
# POSIX sh; runs under dash, bash, busybox ash and mksh. Names start with kx_; no `local`,
# because scripts run in subshells and the loop's own variables are few and listed here:
#   kx_token  what marks our lines on both streams          kx_mark  "<session>." for environments
#   kx_mode   apply, stale or stop: the state of a batch    kx_count of batches so far
#   kx_dog    pid of the running watchdog                   kx_late  set when it has fired
#   kx_out, kx_err  what is to be said on each stream        kx_answer  see kx_run
# shellcheck shell=sh
# The session sets these two before it loads this file.
: "${kx_token:?}" "${kx_mark:?}"

kx_mode=apply
kx_count=0
kx_dog=
kx_late=
kx_out=
kx_err=
kx_answer=
unset kx_input
trap 'kx_late=1' USR1
trap 'kx_mode=stale' USR2
# However the loop ends, its watchdog goes with it. Subshells start without these traps.
trap 'exit 9' HUP INT PIPE TERM
trap 'kx_arm 0' EXIT

# kx_batch: a batch begins. The mark tells its processes from those of earlier batches, whose
# daemons may live on; the program's text is forgotten, because it may hold secrets.
kx_batch() {
  # shellcheck disable=SC2034 # the loop's
  kx_program=
  # shellcheck disable=SC2034 # for guard.sh
  kx_mode=apply
  kx_out=
  kx_err=
  kx_count=$((kx_count + 1))
  export KUBEXM_MARK="$kx_mark$kx_count."
}

# kx_say WORDS: a marker line on both streams, with the next kx_flush.
kx_say() {
  kx_out="$kx_out$kx_token $*
"
  kx_err="$kx_err$kx_token $*
"
}

# kx_print TEXT: exactly that, by nothing that shows it in `ps`: it may be the token or a secret.
case $(command -v printf) in
printf) kx_print() { printf %s "$1"; } ;;
*)
  case $(command -v print) in
  print) kx_print() { print -rn -- "$1"; } ;; # mksh
  *)
    # the length is told in bytes, and a here-document ends with a newline that is not ours
    kx_print() {
      (
        LC_ALL=C
        [ "${#1}" = 0 ] || dd bs="${#1}" count=1 iflag=fullblock 2>/dev/null <<kx_end
$1
kx_end
      )
    }
    ;;
  esac
  ;;
esac

# kx_flush: say what is to be said, in one write a stream, because each wakes two machines. It
# comes before whatever takes time. A failed write means that nobody is listening: stop here.
kx_flush() {
  [ -z "$kx_out" ] || kx_print "$kx_out" || exit 9
  [ -z "$kx_err" ] || kx_print "$kx_err" >&2 || exit 9
  kx_out=
  kx_err=
}

# kx_begin NUMBER: open a frame.
kx_begin() {
  kx_say b "$1"
  kx_check "$1"
}

# kx_check NUMBER: after a deadline the session ends, because what the batch would do next rests
# on a change of unknown effect.
kx_check() {
  [ -n "$kx_late" ] || return 0
  wait "$kx_dog" 2>/dev/null
  kx_dog=
  kx_say e "$1" late
  kx_flush
  exit 9
}

# kx_end NUMBER STATUS: close a frame.
kx_end() {
  kx_check "$1"
  kx_say e "$1" "$2"
}

# kx_stay NUMBER SCRIPT: a plain frame in the session's own shell; what it opens stays open.
kx_stay() {
  kx_begin "$1"
  kx_flush
  eval "$2"
  kx_end "$1" "$?"
}

# kx_see FUNCTION WORDS: call what looks at many things for the frames that follow, see
# Script.looks. It sets variables. Without WORDS it forgets, which takes no time.
kx_see() {
  [ "$#" = 1 ] || kx_flush
  "$@" </dev/null >/dev/null 2>&1 9>&-
}

# kx_do SCRIPT: evaluate it, in a subshell, without arguments, without the token, which would
# turn the output of `set` into marker lines, and without the host lock (lock.sh).
kx_do() {
  kx_text=$1
  exec 9>&-
  unset kx_token
  set --
  eval "$kx_text"
}

# kx_pass BYTES: exactly so many bytes of stdin; false when nobody took them. Not `head -c`: busybox
# reads ahead. Two dd calls keep memory bounded.
kx_pass() {
  if [ "$1" -ge 65536 ]; then
    dd bs=65536 count="$(($1 / 65536))" iflag=fullblock 2>/dev/null || return 1
  fi
  if [ "$(($1 % 65536))" != 0 ]; then
    dd bs="$(($1 % 65536))" count=1 iflag=fullblock 2>/dev/null || return 1
  fi
}

# kx_payload BYTES: so many bytes of the session's stdin; false when there were fewer or nobody took
# them.
kx_payload() { kx_pass "$1" && kx_whole; }

# kx_whole: the line behind a payload proves that all of it came, and was taken.
kx_whole() { IFS= read -r kx_line && [ "$kx_line" = "$kx_token" ]; }

# kx_abandon: nobody will send the rest of a payload. Its script must not take half for the
# whole, so it is ended before it sees the end of the pipe, which we hold.
kx_abandon() {
  kill -s KILL "$$"
  kx_reap STOP
  kx_reap KILL
  exit 9
}

# kx_eval SCRIPT INPUT: run a script in a subshell. INPUT is - for none, =TEXT for its stdin and the
# variable kx_input, :TEXT for the variable alone, or the number of bytes that stand behind the
# program; what the script leaves unread of those is swallowed, so that the next frame starts where it
# should. kx_bytes tells the script how much it is, because a pipe whose writer was killed ends like
# any other. With a + before the number the script reads the session's own stdin, which saves a pipe.
# It takes exactly so much, whatever comes of it: with what it leaves or takes beyond, the session
# ends.
kx_eval() {
  kx_bytes=$2
  kx_flush
  case $2 in
  -) (kx_do "$1") </dev/null ;;
  =*)
    kx_held "$2"
    kx_print "$kx_input" 2>/dev/null | kx_do "$1"
    kx_status=$?
    unset kx_input
    return "$kx_status"
    ;;
  :*)
    (
      kx_held "$2"
      kx_do "$1"
    ) </dev/null
    ;;
  +*)
    # shellcheck disable=SC2034 # the script's
    kx_bytes=${2#+}
    (kx_do "$1")
    kx_status=$?
    # of a deadline the caller tells
    [ -n "$kx_late" ] || kx_whole || [ -n "$kx_late" ] || exit 9
    return "$kx_status"
    ;;
  *)
    { kx_payload "$2" || kx_abandon; } | {
      (kx_do "$1")
      kx_status=$?
      cat >/dev/null
      exit "$kx_status"
    }
    ;;
  esac
}

# kx_held INPUT: what is in INPUT itself, for the script to find.
kx_held() {
  # shellcheck disable=SC2034 # the script's
  kx_bytes=-
  case $1 in [=:]*) kx_input=${1#?} ;; esac
}

# kx_run NUMBER SCRIPT INPUT [ANSWER]: a plain frame. ANSWER is a function that is called with
# SCRIPT's words but the first, in the loop's own shell; it starts no process and prints nothing.
# When it succeeds, kx_answer is what SCRIPT would have printed.
kx_run() {
  kx_begin "$1"
  if [ -n "${4-}" ] && eval "$4 ${2#* }"; then
    kx_out=$kx_out$kx_answer
    kx_end "$1" 0
  else
    kx_eval "$2" "$3"
    kx_end "$1" "$?"
  fi
}

# kx_arm SECONDS [GRACE [TIED]]: replace the watchdog; 0 disarms, but for TIED, where it is no
# limit. On time-out, and with TIED as soon as nobody listens to us, it tells the loop, sends
# TERM to everything that carries this batch's mark, waits up to GRACE seconds, sends KILL.
# The mark is read from environments, not from process groups: dpkg and daemons leave those.
kx_arm() {
  if [ -n "$kx_dog" ]; then
    # mksh sleeps over a signal that comes just before it waits, so it is sent again; the
    # subshell lets others run
    while kill "$kx_dog" 2>/dev/null && kx_alive "$kx_dog"; do (:); done
    # USR1 may cut the first one short; when both are over, it cannot come any more
    wait "$kx_dog" 2>/dev/null
    wait "$kx_dog" 2>/dev/null
    kx_dog=
  fi
  # what it watched over has ended in time
  kx_late=
  [ "$1${3-}" != 0 ] || return 0
  if [ -n "${3-}" ]; then
    kx_watch "$@" 8>&2 </dev/null >/dev/null 2>&1 9>&- &
  else
    kx_watch "$@" "" </dev/null >/dev/null 2>&1 9>&- &
  fi
  kx_dog=$!
}

# kx_watch SECONDS GRACE TIED: the watchdog, in a process of its own.
kx_watch() {
  kx_sleep=
  trap '[ -n "$kx_sleep" ] && kill -s KILL "$kx_sleep" && exit' TERM
  if [ -n "$3" ]; then
    trap '' PIPE
    # a local connector signals the whole group: that is no reason to leave the rest to itself
    trap '[ -n "$kx_sleep" ] && kill -s KILL "$kx_sleep" && echo "$kx_token k" >&8 && exit' TERM
    kx_listen "$1"
    exec 8>&-
  else
    sleep "$1" &
    kx_sleep=$!
    wait "$kx_sleep"
  fi
  trap '' TERM
  # a loop that was killed outright leaves its number to somebody else
  grep -q -e "KUBEXM_MARK=$kx_mark" "/proc/$$/environ" && kill -s USR1 "$$"
  # stopped first, so that no script sees its command end and goes on with the next one
  kx_reap STOP
  kx_reap TERM
  kx_reap CONT
  trap exit TERM
  # most end at once; a sleep that knows no fractions does not matter here
  sleep 0.1
  kx_left=$2
  while [ "$kx_left" -gt 0 ] && kx_reap 0; do
    sleep 1
    kx_left=$((kx_left - 1))
  done
  kx_left=5
  while [ "$kx_left" -gt 0 ] && kx_reap KILL; do
    sleep 1
    kx_left=$((kx_left - 1))
  done
}

# kx_listen SECONDS: return when they are over, 0 for never, when the loop has gone, or when
# nobody listens at descriptor 8. A word that closes no frame tells; the reader drops it.
kx_listen() {
  kx_left=$1
  while kill -0 "$$" && echo "$kx_token k" >&8; do
    sleep 1 8>&- &
    kx_sleep=$!
    wait "$kx_sleep"
    kx_left=$((kx_left - 1))
    [ "$kx_left" != 0 ] || return 0
  done
}

# kx_reap SIGNAL: signal every marked process but the loop and the caller; false when there was
# none. Forked subshells still show the environment that the loop was started with: mark 0.
kx_reap() {
  kx_any=1
  read -r kx_self </proc/self/stat
  kx_self=${kx_self%% *}
  # shellcheck disable=SC2013 # one word a line: the names of /proc hold no blanks
  for kx_found in $(grep -l -e "KUBEXM_MARK=$kx_mark${kx_count}[.]" \
    -e "KUBEXM_MARK=${kx_mark}0[.]" /proc/[0-9]*/environ 2>/dev/null); do
    kx_found=${kx_found#/proc/}
    kx_found=${kx_found%/environ}
    case $kx_found in "$$" | "$kx_self") continue ;; esac
    kx_alive "$kx_found" || continue
    kill -s "$1" "$kx_found" 2>/dev/null && kx_any=0
  done
  return "$kx_any"
}

# kx_alive PID: it exists and is not a zombie.
kx_alive() {
  kx_line=
  read -r kx_line 2>/dev/null <"/proc/$1/stat"
  case ${kx_line##*) } in
  "" | Z* | X*) return 1 ;;
  esac
}

# kx_digest: the SHA-256 of stdin in hexadecimal.
if command -v sha256sum >/dev/null 2>&1; then
  kx_digest() { kx_hash=$(sha256sum) && echo "${kx_hash%% *}"; }
elif command -v openssl >/dev/null 2>&1; then
  kx_digest() { openssl dgst -sha256 | sed 's/.*= *//'; }
else
  kx_digest() {
    echo 'kubexm: neither sha256sum nor openssl is installed' >&2
    return 127
  }
fi
