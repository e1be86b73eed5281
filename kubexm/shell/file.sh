# Functions about files: what is at a path, keeping originals, atomic replacement, removal.
# Paths are absolute. KUBEXM_STATE moves the originals elsewhere (see kx_store).
# shellcheck shell=sh
# The session sets it before it loads this file.
: "${kx_mark:?}"

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
# A file system that hangs must not hang the loop but a process of the batch, so that kx_survey is
# one. Finding a line with ${x#*LINE} takes dash time quadratic in what is before it.
kx_look() {
  kx_stats=
  kx_sums=
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
      *) kx_sums="$kx_sums ${kx_line#*  }) kx_sum=${kx_line%% *} ;;" ;;
      esac
    done
    unset IFS
    set +f
  fi
  eval "kx_stat_at() { case \$1 in $kx_stats *) return 1 ;; esac; }"
  eval "kx_sum_at() { case \$1 in $kx_sums *) return 1 ;; esac; }"
}
kx_look

# kx_survey PATH...: lines "PATH absent", "PATH TYPE MODE UID GID SIZE OWNER:GROUP" (TYPE as the
# number of st_mode, in hexadecimal) and "DIGEST  PATH"; none where it takes more to tell.
kx_survey() {
  kx_files=
  kx_others=
  for kx_path; do
    if [ -L "$kx_path" ] || [ -d "$kx_path" ]; then
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
}

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

# kx_seen_state PATH LIMIT [DIGEST]: sets kx_answer to what kx_file_state prints, when kx_look saw
# enough; kx_content_state prints the same, since there is no link.
kx_seen_state() {
  kx_known "$1" || return 1
  case $kx_state in
  link*) return 1 ;;
  file*) [ "$kx_size" -gt "$2" ] || [ "$kx_sum" = "${3-}" ] || return 1 ;;
  esac
  # shellcheck disable=SC2034 # the loop's
  kx_answer="$kx_state
"
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

# kx_own PATH OWNER GROUP: names or numbers, empty for unchanged. Nothing is done when it is so
# already, because chown(2) takes file capabilities and setuid bits away. Links were followed
# before; one that somebody has put there since must not lead us anywhere.
kx_own() {
  [ -n "$2$3" ] || return 0
  kx_owner=$2
  kx_group=$3
  case $(stat -c '/%U/%u/' -- "$1") in *"/$2/"*) kx_owner= ;; esac
  case $(stat -c '/%G/%g/' -- "$1") in *"/$3/"*) kx_group= ;; esac
  [ -z "$kx_owner$kx_group" ] || chown -h -- "$kx_owner${kx_group:+:$kx_group}" "$1"
}

# kx_mode_of PATH MODE: GNU chmod leaves a directory's setgid bit unless MODE has five digits.
kx_mode_of() { chmod -- "00$2" "$1"; }

# kx_label PATH: the SELinux label that the policy wants for something new.
kx_label() {
  if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null 2>&1; then
    restorecon -- "$1" || :
  fi
}

# kx_attributes PATH MODE OWNER GROUP: mode and owner of what is there, links followed.
kx_attributes() {
  kx_real "$1" && kx_keep "$kx_target" || return 1
  kx_own "$kx_target" "$3" "$4" && kx_mode_of "$kx_target" "$2"
}

# kx_store: the directory of originals; sets kx_originals. Root's is for the whole machine.
kx_store() {
  if [ -n "${KUBEXM_STATE-}" ]; then
    kx_originals=$KUBEXM_STATE/originals
  elif kx_is_root; then
    kx_originals=/var/lib/kubexm/originals
  else
    kx_originals=${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/kubexm/originals
  fi
  [ -d "$kx_originals" ] || (umask 077 && mkdir -p -- "$kx_originals")
}

# kx_is_root: whether the effective user is root; as `id -u` says it, but without a process.
kx_is_root() {
  while read -r kx_key _ kx_euid _; do
    [ "$kx_key" != Uid: ] || break
  done </proc/self/status
  [ "$kx_euid" = 0 ]
}

# kx_short NAME: sets kx_brief to its first 180 bytes, which leave room for what is put around it.
kx_short() {
  kx_brief=$1
  [ "${#kx_brief}" -le 180 ] || kx_brief=$(printf %.180s "$1")
}

# kx_keep PATH: before the first edit of a file, keep it. One directory a file, named by the
# digest of its path: `path`, and `original` (of a directory an empty one, for its mode and
# owner) or `absent`. Once there it is never touched again. Sets kx_kept to a new entry.
kx_keep() {
  kx_kept=
  kx_store && kx_entry=$(printf %s "$1" | kx_digest) && [ -n "$kx_entry" ] || return 1
  kx_entry=$kx_originals/$kx_entry
  [ ! -d "$kx_entry" ] || return 0
  kx_sweep "$kx_entry.new-"
  kx_draft=$(umask 077 && mktemp -d "$kx_entry.new-${kx_mark}XXXXXX") &&
    (umask 077 && printf '%s\n' "$1" >"$kx_draft/path") && kx_copy "$1" "$kx_draft" &&
    mv -- "$kx_draft" "$kx_entry" && kx_kept=$kx_entry
  # mv has put it into an entry that came in the meantime; that one counts
  if [ -d "$kx_entry/${kx_draft##*/}" ]; then
    rm -rf -- "${kx_entry:?}/${kx_draft##*/}"
    kx_kept=
  fi
  [ ! -d "$kx_entry" ] || return 0
  [ -z "$kx_draft" ] || rm -rf -- "$kx_draft"
  echo "kubexm: the original of $1 could not be kept, so it was left alone" >&2
  return 1
}

# kx_copy PATH ENTRY
kx_copy() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    mkdir -- "$2/original" && chown -- "$(stat -c %u:%g -- "$1")" "$2/original" &&
      kx_mode_of "$2/original" "$(stat -c %a -- "$1")"
  elif [ -e "$1" ] || [ -L "$1" ]; then
    cp -a -- "$1" "$2/original"
  else
    : >"$2/absent"
  fi
}

# kx_forget: take back what kx_keep just did, when nothing came of the edit.
kx_forget() { [ -z "$kx_kept" ] || rm -rf -- "$kx_kept"; }

# kx_parents PATH: make what is missing of the directories above PATH, 0755, and remember that
# they were absent.
kx_parents() {
  [ -n "${1%/*}" ] && [ ! -d "${1%/*}" ] || return 0
  kx_parents "${1%/*}" && kx_mkdir "${1%/*}"
}

# kx_is_ours PATH: the working directory is the one that we just made at PATH, not another one
# that somebody has put in its place. Then nobody else can reach into it, or move it elsewhere.
# Its owner is compared with that of a new file, because some file systems (NFS) rename root.
kx_is_ours() {
  kx_found=$(cd -P -- "${1%/*}/" && pwd -P)
  if [ "$(readlink -f .)" = "${kx_found%/}/${1##*/}" ] && (set -C && umask 077 && : >./.kubexm) &&
    kx_owners=$(stat -c %u . ./.kubexm) && [ "${kx_owners%%"
"*}" = "${kx_owners##*"
"}" ]; then
    rm -f ./.kubexm
  else
    echo "kubexm: $1 has been replaced by something else" >&2
    return 1
  fi
}

kx_mkdir() {
  kx_keep "$1" || return 1
  mkdir -- "$1" || {
    kx_forget
    return 1
  }
  kx_label "$1"
}

# kx_directory PATH MODE OWNER GROUP: a directory with its parents; one that is there already,
# perhaps by a symbolic link, gets the mode and the owner.
kx_directory() {
  kx_real "$1" || return 1
  if [ -d "$kx_target" ]; then
    kx_attributes "$@"
  else
    kx_parents "$kx_target" && (umask 077 && kx_mkdir "$kx_target") && (
      cd -P -- "$kx_target" && kx_is_ours "$kx_target" && kx_own . "$3" "$4" && kx_mode_of . "$2"
    )
  fi
}

# kx_remove PATH: whatever is there; a directory with all that is in it, unless something is
# mounted at or below it. Files and links are kept first.
kx_remove() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    kx_target=$(readlink -f -- "$1") || return 1
    case $kx_target in
    /*/*) ;;
    *)
      echo "kubexm: $1 is the top-level directory $kx_target and is not removed" >&2
      return 1
      ;;
    esac
    kx_point=$(kx_mounts "$kx_target")
    if [ -n "$kx_point" ]; then
      echo "kubexm: $1 is not removed: something is mounted at $kx_point" >&2
      return 1
    fi
    rm -rf -- "$1"
  else
    kx_kept=
    if [ -f "$1" ] || [ -L "$1" ]; then kx_keep "$1" || return 1; fi
    rm -f -- "$1" || {
      kx_forget
      return 1
    }
  fi
}

# kx_mounts PATH: the first mount point at or below PATH, in the writing of proc(5).
kx_mounts() {
  kx_written=$(printf %s "$1" | sed 's/\\/\\134/g; s/ /\\040/g')
  cut -d ' ' -f 5 /proc/self/mountinfo 2>/dev/null | while IFS= read -r kx_point; do
    case $kx_point in
    "$kx_written" | "$kx_written"/*)
      printf '%s\n' "$kx_point"
      break
      ;;
    esac
  done
}

# kx_replace PATH MODE OWNER GROUP VALIDATE: stdin becomes the file's content at once or not
# at all. MODE octal; OWNER and GROUP may be empty (unchanged, or the writer's); an existing
# file keeps its ACL, extended attributes and SELinux label, but no file capabilities: those
# were given to other content. VALIDATE is a script that gets the new file as $1 and must
# succeed; empty for none.
kx_replace() {
  kx_real "$1" || return 1
  if [ -e "$kx_target" ] && [ ! -f "$kx_target" ]; then
    echo "kubexm: $1 is not a regular file" >&2
    return 1
  fi
  kx_parents "$kx_target" || return 1
  kx_base=${kx_target##*/}
  kx_short "$kx_base"
  kx_stage=${kx_target%/*}/.$kx_brief.kubexm
  kx_sweep "$kx_stage-"
  kx_sweep "${kx_target%/*}/.kubexm-"
  # what is left of a put in parts belongs to content that is not wanted any more
  [ ! -d "$kx_stage-put" ] || rm -rf -- "$kx_stage-put"
  kx_stage=$(umask 077 && mktemp -d "$kx_stage-${kx_mark}XXXXXX") || return 1
  (cd -P -- "$kx_stage" && kx_is_ours "$kx_stage" && kx_fill "$@" && kx_install)
  kx_status=$?
  rm -rf -- "$kx_stage"
  return "$kx_status"
}

# kx_replace_from_pipe: as kx_replace, for content that is not the payload of the script.
kx_replace_from_pipe() {
  kx_bytes=-
  kx_replace "$@"
}

# kx_sweep STEM: remove what sessions that were killed left at STEM<their mark>XXXXXX. The host
# lock keeps other operators away, but one run may know one machine by two names.
kx_sweep() {
  for kx_left in "$1"*.??????; do
    kx_writer=${kx_left#"$1"}
    case ${kx_writer%.*} in "" | *[!0-9a-z]*) continue ;; esac
    [ -d "$kx_left" ] || continue
    [ "${kx_writer%.*}." = "$kx_mark" ] ||
      ! grep -q -s -e "KUBEXM_MARK=${kx_writer%.*}[.]" /proc/[0-9]*/environ || continue
    rm -rf -- "$kx_left"
  done
}

# kx_fill: the arguments of kx_replace; makes kx_new what kx_target should be. The working
# directory is one of our own, beside kx_target: whoever owns the directory that both are in
# cannot exchange the new file before it is done. Validation sees the file's own name.
kx_fill() {
  kx_new=./$kx_base
  (umask 077 && : >"$kx_new") || return 1
  kx_fresh=1
  if [ -e "$kx_target" ]; then
    kx_fresh=
    kx_inherit || return 1
  fi
  dd of="$kx_new" bs=65536 conv=fsync status=none || return 1
  case ${kx_bytes:--} in
  - | "$(stat -c %s -- "$kx_new")") ;;
  *)
    echo "kubexm: the new content of $1 broke off; it was not installed" >&2
    return 1
    ;;
  esac
  if [ -n "$5" ]; then
    (
      set -- "$kx_stage/$kx_base" "$5"
      cd /
      eval "$2"
    ) </dev/null || {
      echo "kubexm: the new content of $1 did not pass its validation; it was not installed" >&2
      return 1
    }
  fi
  if [ -n "$kx_fresh" ]; then
    kx_own "$kx_new" "$3" "$4" || return 1
  else
    kx_own "$kx_new" "${3:-$(stat -c %u -- "$kx_target")}" "${4:-$(stat -c %g -- "$kx_target")}" ||
      return 1
  fi
  kx_mode_of "$kx_new" "$2"
}

# kx_inherit: ACL, extended attributes and label of kx_target for kx_new, which is still empty.
# busybox cp copies none of them, so there the tools of acl and attr do it, if they are installed.
kx_inherit() {
  cp --attributes-only --preserve=mode,xattr -- "$kx_target" "$kx_new" 2>/dev/null || {
    if command -v setfacl >/dev/null 2>&1; then
      getfacl -p -- "$kx_target" 2>/dev/null | setfacl --set-file=- -- "$kx_new" 2>/dev/null
    fi
    if command -v setfattr >/dev/null 2>&1; then
      {
        printf '# file: %s\n' "$kx_new"
        getfattr -d -m - --absolute-names -- "$kx_target" 2>/dev/null | sed 1d
      } | setfattr --restore=- 2>/dev/null
    fi
  }
  if [ -e /sys/fs/selinux/enforce ] && command -v chcon >/dev/null 2>&1; then
    chcon --reference="$kx_target" -- "$kx_new" 2>/dev/null || :
  fi
  chmod 600 "$kx_new"
}

# kx_install: put kx_new in the place of kx_target. A file that is itself a mount point, as
# /etc/hosts in a container, cannot be renamed over and is written in place.
kx_install() {
  kx_keep "$kx_target" || return 1
  if kx_said=$(kx_rename 2>&1); then
    [ -z "$kx_fresh" ] || kx_label "$kx_target"
  elif [ -n "$(kx_mounts "$kx_target")" ] && kx_in_place; then
    return 0
  else
    printf '%s\n' "$kx_said" >&2
    kx_forget
    return 1
  fi
}

# kx_rename: old busybox does not know -T, which keeps mv from moving into a directory.
kx_rename() {
  kx_said=$(mv -fT -- "$kx_new" "../$kx_base" 2>&1) && return 0
  case $kx_said in
  *"invalid option"* | *"unrecognized option"*) [ ! -d "../$kx_base" ] && mv -f -- "$kx_new" .. ;;
  *)
    printf '%s\n' "$kx_said"
    return 1
    ;;
  esac
}

kx_in_place() {
  cat -- "$kx_new" >"$kx_target" &&
    kx_own "$kx_target" "$(stat -c %u -- "$kx_new")" "$(stat -c %g -- "$kx_new")" &&
    kx_mode_of "$kx_target" "$(stat -c %a -- "$kx_new")"
}

# kx_link PATH TARGET: a symbolic link in the place of whatever but a directory is there, at once.
kx_link() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    echo "kubexm: $1 is a directory" >&2
    return 1
  fi
  kx_parents "$1" || return 1
  kx_new=${1%/*}/.kubexm-link
  rm -f -- "$kx_new" && ln -s -- "$2" "$kx_new" || return 1
  # -T, because a link to a directory would be entered
  mv -fT -- "$kx_new" "$1" || {
    rm -f -- "$kx_new"
    return 1
  }
}
