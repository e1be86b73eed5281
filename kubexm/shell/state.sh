# Functions about what is at a path. Paths are absolute.
# shellcheck shell=sh

# kx_file_state PATH LIMIT [DIGEST]: one line "TYPE MODE UID GID SIZE DIGEST OWNER:GROUP" (MODE
# octal, DIGEST - for what is not a regular file; names last, they may hold blanks), then for a
# symbolic link its target, for a regular file of at most LIMIT bytes its content, unless it is
# that of DIGEST, which the caller knows. Symbolic links are not followed. "absent" for nothing,
# with "GID GROUP" where a setgid directory hands its group down.
kx_file_state() {
  if [ -L "$1" ]; then
    if kx_known "$1"; then printf '%s\n' "$kx_state"; else stat -c 'link %a %u %g %s - %U:%G' -- "$1"; fi &&
      readlink -- "$1"
  elif [ -f "$1" ]; then
    kx_known "$1" || {
      kx_sum_of "$1" && kx_line=$(stat -c '%a %u %g %s %U:%G' -- "$1") || return 1
      kx_regular
    }
    printf '%s\n' "$kx_state"
    if [ "$kx_size" -le "$2" ] && [ "$kx_sum" != "${3-}" ]; then cat -- "$1"; fi
  elif [ -d "$1" ]; then
    stat -c 'directory %a %u %g 0 - %U:%G' -- "$1"
  elif [ -e "$1" ]; then
    stat -c 'special %a %u %g 0 - %U:%G' -- "$1"
  else
    kx_visible "$1" || return 1
    if [ -g "${kx_above:-/}" ]; then stat -c 'absent %g %G' -- "${kx_above:-/}"; else echo absent; fi
  fi
}

# kx_regular: sets kx_state and kx_size from kx_line, which is "MODE UID GID SIZE OWNER:GROUP", and
# kx_sum.
kx_regular() {
  kx_size=${kx_line#* * * }
  kx_size=${kx_size%% *}
  kx_names=${kx_line#* * * * }
  kx_state="file ${kx_line%" $kx_names"} $kx_sum $kx_names"
}

# kx_look PATH...: remember what is at these, for kx_known. One process tells the state of all, one
# the digests of all files: a batch that reads many paths has most of its answers from here. PATHs
# hold nothing that means something to a shell. Without any, what was seen is forgotten.
# Targets of links are known where no target holds a newline.
# A file system that hangs must not hang the loop but a process of the batch, so that kx_survey is
# one. Finding a line with ${x#*LINE} takes dash time quadratic in what is before it.
kx_look() {
  kx_stats=
  kx_sums=
  kx_links=
  kx_at=0
  if [ "$#" -gt 0 ]; then
    kx_lines=$(kx_survey "$@")
    set -f
    IFS='
'
    for kx_line in $kx_lines; do
      case $kx_line in
      /*)
        kx_at=$((kx_at + 1))
        eval "kx_state_$kx_at=\${kx_line#* }"
        kx_stats="$kx_stats ${kx_line%% *}) kx_at=$kx_at ;;"
        ;;
      ">"*)
        kx_at=$((kx_at + 1))
        kx_line=${kx_line#>}
        eval "kx_state_$kx_at=\${kx_line#* }"
        kx_links="$kx_links ${kx_line%% *}) kx_at=$kx_at ;;"
        ;;
      *) kx_sums="$kx_sums ${kx_line#*  }) kx_sum=${kx_line%% *} ;;" ;;
      esac
    done
    unset IFS
    set +f
  fi
  eval "kx_stat_at() { case \$1 in $kx_stats *) return 1 ;; esac; }"
  eval "kx_sum_at() { case \$1 in $kx_sums *) return 1 ;; esac; }"
  eval "kx_link_at() { case \$1 in $kx_links *) return 1 ;; esac; }"
}
kx_look

# kx_survey PATH...: lines "PATH absent", "PATH TYPE MODE UID GID SIZE OWNER:GROUP" (TYPE as the
# number of st_mode, in hexadecimal), "DIGEST  PATH" and ">PATH TARGET"; none where it takes more to
# tell.
kx_survey() {
  kx_files=
  kx_others=
  kx_links=
  for kx_path; do
    if [ -L "$kx_path" ]; then
      kx_others="$kx_others $kx_path"
      kx_links="$kx_links $kx_path"
    elif [ -d "$kx_path" ]; then
      kx_others="$kx_others $kx_path"
    elif [ -f "$kx_path" ]; then
      kx_files="$kx_files $kx_path"
    elif [ ! -e "$kx_path" ] && kx_visible "$kx_path" && [ ! -g "${kx_above:-/}" ]; then
      printf '%s\n' "$kx_path absent"
    fi
  done
  if [ -n "$kx_files$kx_others" ]; then
    # shellcheck disable=SC2086 # several words, on purpose
    stat -c '%n %f %a %u %g %s %U:%G' -- $kx_files $kx_others
  fi
  if [ -n "$kx_files" ] && command -v sha256sum >/dev/null; then
    # shellcheck disable=SC2086
    sha256sum -- $kx_files
  fi
  [ -z "$kx_links" ] || kx_targets
}

# kx_targets: the part of kx_survey about kx_links, of which old busybox reads only one.
kx_targets() {
  # shellcheck disable=SC2086
  kx_lines=$(readlink -- $kx_links 2>/dev/null) || return 0
  set -f
  IFS='
'
  # shellcheck disable=SC2086
  set -- $kx_lines
  unset IFS
  # shellcheck disable=SC2086
  kx_count_of $kx_links
  [ "$kx_found" = "$#" ] || return 0
  for kx_path in $kx_links; do
    printf '%s\n' ">$kx_path $1"
    shift
  done
}

kx_count_of() { kx_found=$#; }

# kx_known PATH: sets kx_state to the first line of kx_file_state, and of a regular file kx_size
# and kx_sum, when kx_look saw enough. It asks no file system.
kx_known() {
  kx_stat_at "$1" || return 1
  eval "kx_line=\$kx_state_$kx_at"
  kx_type=${kx_line%% *}
  kx_line=${kx_line#* }
  kx_names=${kx_line#* * * * }
  kx_owners=${kx_line%" $kx_names"}
  case $kx_type in
  absent) kx_state=absent ;;
  8???) kx_sum_at "$1" && kx_regular ;;
  4???) kx_state="directory ${kx_owners% *} 0 - $kx_names" ;;
  a???) kx_state="link $kx_owners - $kx_names" ;;
  *) return 1 ;;
  esac
}

# kx_nothing PATH: whether nothing is there, as a process may see that runs for one script, because
# it asks the file system. Sets kx_state.
kx_nothing() {
  [ -n "${kx_asks-}" ] && [ ! -e "$1" ] && [ ! -L "$1" ] && kx_visible "$1" &&
    [ ! -g "${kx_above:-/}" ] && kx_state=absent
}

# kx_seen_state PATH LIMIT [DIGEST]: sets kx_answer to what kx_file_state prints, when kx_look saw
# enough, or when there is nothing; kx_content_state prints the same, since there is no link.
kx_seen_state() {
  kx_known "$1" || kx_nothing "$1" || return 1
  case $kx_state in
  link*) return 1 ;;
  file*) [ "$kx_size" -gt "$2" ] || [ "$kx_sum" = "${3-}" ] || return 1 ;;
  esac
  # shellcheck disable=SC2034 # the loop's
  kx_answer="$kx_state
"
}

# kx_seen_link PATH LIMIT [DIGEST]: the same for what does not follow links.
kx_seen_link() {
  kx_known "$1" || kx_nothing "$1" || return 1
  case $kx_state in
  link*)
    kx_link_at "$1" || return 1
    eval "kx_target=\$kx_state_$kx_at"
    # shellcheck disable=SC2034 # the loop's
    kx_answer="$kx_state
$kx_target
"
    ;;
  *) kx_seen_state "$@" ;;
  esac
}

# kx_sum_of PATH: sets kx_sum to the digest of a file, for which one process is started where
# kx_digest would start three.
kx_sum_of() {
  if command -v sha256sum >/dev/null 2>&1; then
    kx_sum=$(sha256sum <"$1") || return 1
  else
    kx_sum=$(kx_digest <"$1") && [ -n "$kx_sum" ] || return 1
  fi
  kx_sum=${kx_sum%% *}
}

# kx_visible PATH: false when a directory above PATH may not be searched, so that nobody can say
# whether there is something at PATH. Sets kx_above to the nearest one that exists.
kx_visible() {
  kx_above=${1%/*}
  until [ -z "$kx_above" ] || [ -e "$kx_above" ]; do kx_above=${kx_above%/*}; done
  [ ! -d "${kx_above:-/}" ] || [ -x "${kx_above:-/}" ] || {
    echo "kubexm: $kx_above may not be searched: Permission denied" >&2
    return 1
  }
}

# kx_real PATH: where a write to PATH lands, symbolic links followed; sets kx_target. Old busybox
# and GNU readlink -f differ about a missing target, so that is settled here.
kx_real() {
  kx_target=$1
  [ -L "$1" ] || return 0
  if [ -e "$1" ] && kx_target=$(readlink -f -- "$1"); then return 0; fi
  echo "kubexm: $1 is a symbolic link that leads nowhere" >&2
  return 1
}

# kx_content_state PATH LIMIT [DIGEST]: the state of the file that a write to PATH would replace, so
# symbolic links are followed; "dangling" for a link that leads nowhere.
kx_content_state() {
  kx_real "$1" 2>/dev/null || {
    echo dangling
    return 0
  }
  kx_file_state "$kx_target" "$2" "${3-}"
}
