# Functions about packages on Debian: what is installed, what is on offer, apt-get transactions.
# shellcheck shell=sh

# kx_apt_state NAMES [SECONDS]: NAMES are separated by blanks. One line for dpkg and for each
# package of those names, or that provides one of them, in dpkg-query's order:
# "PACKAGE ARCHITECTURE FLAG STATUS VERSION PROVIDES", separated by tabs; then one line
# "missing NAMES" with those that nothing installed bears or provides. With SECONDS and a missing
# name, the index follows. Not `dpkg-query NAMES`: that knows nothing of what is provided.
kx_apt_state() {
  kx_state=$(kx_apt_list |
    kx_names=$1 awk -F '\t' '
      function note(name) { if ($4 == "installed") have[name] = 1 }
      BEGIN {
        count = split(ENVIRON["kx_names"], names, " ")
        for (i = 1; i <= count; i++) { base = names[i]; sub(/:.*/, "", base); want[base] = 1 }
      }
      {
        shown = $1 == "dpkg" || $1 in want
        note($1); note($1 ":" $2)
        if ($2 == "all" && $4 == "installed") everywhere[$1] = 1
        n = split($6, provided, /, */)
        for (i = 1; i <= n; i++) {
          sub(/ .*/, "", provided[i])
          if (provided[i] in want) { shown = 1; note(provided[i]) }
        }
        if (shown) print
      }
      END {
        line = "missing"
        for (i = 1; i <= count; i++) {
          base = names[i]; sub(/:.*/, "", base)
          if (!(names[i] in have || base in everywhere)) line = line " " names[i]
        }
        print line
      }') || return 1
  printf '%s\n' "$kx_state"
  kx_missing=${kx_state##*"
missing"}
  [ -z "$kx_missing" ] || [ -z "${2-}" ] || kx_apt_index "$2" "$kx_missing"
}

# kx_apt_list: a line for each package that dpkg knows.
kx_apt_list() {
  if [ -n "$kx_apt_seen" ]; then
    printf '%s\n' "$kx_apt_seen"
  else
    dpkg-query -W -f \
      '${Package}\t${Architecture}\t${db:Status-Eflag}\t${db:Status-Status}\t${Version}\t${Provides}\n'
  fi
}

# kx_apt_look WORDS: remember that list for the readings of a batch; without any, forget it.
# shellcheck disable=SC2120 # the loop calls it, see kx_see
kx_apt_look() {
  kx_apt_seen=
  [ "$#" = 0 ] || kx_apt_seen=$(kx_apt_list)
}
kx_apt_seen=

# kx_apt_index SECONDS NAMES: "index old", or "index fresh" and from apt-cache for each name that
# the index knows a line "NAME:" and a line "  Candidate: VERSION". Without the option apt-cache
# would write its cache.
kx_apt_index() {
  kx_apt_fresh "$1" || {
    echo 'index old'
    return 0
  }
  echo 'index fresh'
  # shellcheck disable=SC2086 # NAMES is a list
  apt-cache -o Dir::Cache::pkgcache= policy -- $2 | sed -n -e '/^[^ ]/p' -e '/^  Candidate: /p'
}

# kx_apt_fresh SECONDS: the index is no older than that, and than the list of sources.
kx_apt_fresh() {
  [ -n "$(find /var/lib/apt/lists -maxdepth 0 -newermt "-$1 seconds" 2>/dev/null)" ] || return 1
  [ -z "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer /var/lib/apt/lists 2>/dev/null)" ]
}

# kx_apt_do WHAT COMMAND: run a command that asks nothing. Its output waits in files without a
# name until it has ended: a link that is lost in the middle would end apt and dpkg by SIGPIPE,
# and a pipe of our own would be kept open by whatever a maintainer's script starts. WHAT begins
# the message about a failure.
kx_apt_do() {
  kx_what=$1
  shift
  kx_folder=$(mktemp -d /run/kubexm-apt.XXXXXX) || return 1
  : >"$kx_folder/out"
  : >"$kx_folder/err"
  # shellcheck disable=SC2094 # each of the two files is written before it is read
  {
    rm -rf -- "$kx_folder"
    env DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true \
      APT_LISTCHANGES_FRONTEND=none APT_LISTBUGS_FRONTEND=none UCF_FORCE_CONFFOLD=1 \
      NEEDRESTART_MODE=l "$@" >&3 2>&4 3>&- 4>&- 5<&- 6<&-
    kx_status=$?
    cat <&5
    kx_said=$(cat <&6)
    [ -z "$kx_said" ] || printf '%s\n' "$kx_said" >&2
  } 3>"$kx_folder/out" 4>"$kx_folder/err" 5<"$kx_folder/out" 6<"$kx_folder/err"
  [ "$kx_status" = 0 ] || kx_apt_explain >&2
  return "$kx_status"
}

# kx_apt_explain: what the failure comes to and what to do about it, from what was said.
kx_apt_explain() {
  case $kx_said in
  *'No space left on device'* | *'enough free space'*)
    kx_why='the disk is full: make room on it'
    ;;
  *'Unable to locate package '*)
    kx_why="no package source of this host offers $(kx_apt_named 's/^E: Unable to locate package //p'): \
check the name, or add the source that has it"
    ;;
  *'has no installation candidate'*)
    kx_why="nothing can be installed by the name of \
$(kx_apt_named "s/^E: Package '\\(.*\\)' has no installation candidate/\\1/p"): \
name a package that provides it, or add the source that has it"
    ;;
  *'Failed to fetch '*)
    kx_why='a package source did not answer as it should: check its address, the network, the proxy'
    # packages that a source has replaced meanwhile: let the next run refresh the index
    touch -d @0 /var/lib/apt/lists
    ;;
  *'rror processing package '* | *'rror processing archive '*)
    kx_why="$(kx_apt_named 's/^.*rror processing \(package\|archive\) \([^ ]*\).*/\2/p'): \
its installation fails on this host; the next run tries again"
    ;;
  *'Could not get lock '* | *'Unable to acquire the dpkg '* | *'lock was locked by'*)
    kx_why='another program is at work with packages: let it finish'
    ! kx_apt_holder || kx_why="the package lock is held by $kx_holder: let it finish"
    ;;
  *) kx_why='see above' ;;
  esac
  echo "kubexm: $kx_what: $kx_why"
}

# kx_apt_named SED: what was matched in what was said, each once, separated by commas.
kx_apt_named() {
  printf '%s\n' "$kx_said" | sed -n "$1" | sort -u | paste -s -d , - | sed 's/,/, /g'
}

# kx_apt_get SUBCOMMAND...: apt-get without questions; a changed configuration file stays, an
# unchanged one is replaced.
kx_apt_get() {
  kx_doing=$1
  shift
  kx_apt_do "$kx_doing" apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout="$kx_wait" \
    -o Acquire::Retries=3 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# kx_apt_holder: somebody holds one of the locks; sets kx_holder to who it is. Locks of fcntl(2)
# are listed in /proc/locks, by numbers that overlay file systems falsify, so that the holder is
# known by its open files.
kx_apt_holder() {
  # shellcheck disable=SC2013 # one number a line
  for kx_pid in $(awk '$2 == "POSIX" && $4 == "WRITE" { print $5 }' /proc/locks | sort -nu); do
    # shellcheck disable=SC2012 # the names are numbers; where they point to is what counts
    case $(ls -l "/proc/$kx_pid/fd" 2>/dev/null) in
    *'-> /var/lib/dpkg/lock'* | *'-> /var/lib/apt/lists/lock'* | *'-> /var/cache/apt/archives/lock'*)
      kx_holder="process $kx_pid ($(tr '\0' ' ' <"/proc/$kx_pid/cmdline" | cut -c -120 | sed 's/ *$//'))"
      return 0
      ;;
    esac
  done
  return 1
}

# kx_apt_wait SECONDS: until nobody holds a lock; what is left of them is in kx_wait.
kx_apt_wait() {
  kx_wait=$1
  while kx_apt_holder; do
    if [ "$kx_wait" -le 0 ]; then
      echo "kubexm: the package lock is still held by $kx_holder after $1 s: let it finish, \
or end it; nothing was changed" >&2
      return 75
    fi
    [ "$kx_wait" != "$1" ] || echo "kubexm: waiting for $kx_holder, which holds the package lock" >&2
    sleep 1
    kx_wait=$((kx_wait - 1))
  done
}

# kx_apt_in STATUS: the packages whose status matches, separated by blanks.
kx_apt_in() {
  dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' |
    sed -n "s/^\\($1\\) //p" | paste -s -d ' ' -
}

# kx_apt_journal: dpkg was cut short; it keeps this journal until it ends well.
kx_apt_journal() {
  [ -n "$(ls /var/lib/dpkg/updates)" ]
}

# kx_apt_configure: what was unpacked is configured.
kx_apt_configure() {
  kx_apt_do 'configuring what is unpacked' dpkg --force-confdef --force-confold --configure -a
}

# kx_apt_repair: end what was cut short, before apt-get refuses to do anything else. It must not
# remove anything for a dependency that was not unpacked yet.
kx_apt_repair() {
  if kx_apt_journal || [ -n "$(kx_apt_in 'unpacked\|half-configured\|triggers-[a-z]*')" ]; then
    echo 'kubexm: an earlier transaction was cut short; it is ended first' >&2
    kx_apt_configure || case $kx_said in
    *'dependency problems'*)
      kx_apt_get 'ending an earlier transaction' --no-remove --fix-broken install
      ;;
    *) false ;;
    esac || return
  fi
  # apt-get says that it is done with a half-installed package and does nothing, unless told to
  # install it again
  kx_half=$(kx_apt_in half-installed)
  [ -n "$kx_half" ] || return 0
  # shellcheck disable=SC2086 # a list
  kx_apt_get 'installing again what was cut short' --reinstall install -- $kx_half
}

# kx_apt_install WAIT_S REFRESH RECOMMENDS QUIET NAMES...: REFRESH is yes or no; RECOMMENDS yes,
# no, or empty as the host is configured; QUIET is yes when no service may be started.
kx_apt_install() {
  kx_apt_wait "$1" || return
  kx_refresh=$2
  kx_recommends=$3
  [ "$4" != yes ] || kx_apt_hush || return
  shift 4
  kx_apt_refresh "$kx_refresh" && kx_apt_repair &&
    kx_apt_get 'installing' ${kx_recommends:+"-oAPT::Install-Recommends=$kx_recommends"} \
      --no-upgrade install -- "$@"
  kx_result=$?
  kx_apt_unhush
  return "$kx_result"
}

# kx_apt_refresh yes|no: read the sources anew. Without the error mode apt-get update succeeds
# when a source does not answer.
kx_apt_refresh() {
  [ "$1" = yes ] || return 0
  kx_apt_get 'refreshing the package index' -o APT::Update::Error-Mode=any update &&
    touch /var/lib/apt/lists
}

# kx_apt_remove WAIT_S NAMES...: configuration files stay. A repair that fails is no obstacle:
# what fails may be what is to go. apt-get cannot remove what is half-installed.
kx_apt_remove() {
  kx_apt_wait "$1" || return
  shift
  ! kx_apt_journal || kx_apt_configure || :
  kx_half=" $(kx_apt_in half-installed) "
  for kx_name; do
    case $kx_half in *" $kx_name "* | *" $kx_name:"*)
      kx_apt_do "removing $kx_name" dpkg --force-remove-reinstreq --remove "$kx_name" || return
      ;;
    esac
  done
  kx_apt_get 'removing' remove -- "$@"
}

# kx_apt_hush: maintainers' scripts start no service (invoke-rc.d(8)), unless the host has a
# policy of its own. A deadline must not leave it behind; if it does, the next run takes it over.
kx_apt_hush() {
  kx_policy=/usr/sbin/policy-rc.d
  if [ -e "$kx_policy" ] || [ -L "$kx_policy" ]; then
    if ! grep -q '^# kubexm' "$kx_policy"; then
      kx_policy=
      return 0
    fi
  fi
  trap 'kx_apt_unhush; exit 143' HUP PIPE TERM
  printf '#!/bin/sh\n# kubexm: for one installation\nexit 101\n' >"$kx_policy" && chmod 755 "$kx_policy"
}

kx_apt_unhush() {
  [ -z "${kx_policy-}" ] || rm -f -- "$kx_policy"
}
