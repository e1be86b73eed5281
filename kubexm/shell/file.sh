# Functions that change files: keeping originals, atomic replacement, removal. They need those of
# state.sh. Paths are absolute. KUBEXM_STATE moves the originals elsewhere (see kx_store).
# shellcheck shell=sh
# The session sets it before it loads this file.
: "${kx_mark:?}"

# kx_safe DIRECTORY [NEW FORM]: nobody but root and us can change what is in it, or put something
# else in its place. No part of its path is a link, belongs to anybody else, or is one where others
# may write, unless they cannot touch what is not theirs (above it: the sticky bit). What is in such
# a directory needs no protection from exchange. NEW is a file there that has just been made, and
# FORM its type and mode in hexadecimal: others mean that the directory has a default ACL, which
# hands out more than the umask.
kx_safe() {
  kx_file=${2-}
  kx_form=${3-}
  set -- "$1"
  while [ -n "$1" ]; do set -- "${1%/*}" "$@"; done
  shift
  kx_parts=$(stat -c '%u/%f' -- / "$@" ${kx_file:+"$kx_file"}) || return 1
  if [ -n "$kx_file" ]; then
    [ "${kx_parts##*"
"}" = "$kx_euid/$kx_form" ] || return 1
    kx_parts=${kx_parts%"
"*}
  fi
  for kx_part in $kx_parts; do
    case $kx_part in
    0/4* | "$kx_euid/4"*) kx_bits=$((0x${kx_part#*/})) ;;
    *) return 1 ;;
    esac
    # 18 is 022, 512 the sticky bit: mksh takes no octal
    kx_shared=$((kx_bits & 18))
    [ "$kx_shared" = 0 ] || [ "$((kx_bits & 512))" != 0 ] || return 1
  done
  [ "$kx_shared" = 0 ]
}

# kx_own PATH OWNER GROUP: names or numbers, empty for unchanged. Nothing is done when it is so
# already, because chown(2) takes file capabilities and setuid bits away. Links were followed
# before; one that somebody has put there since must not lead us anywhere.
kx_own() {
  [ -n "$2$3" ] || return 0
  kx_line=$(stat -c '/%U/%u//%G/%g/' -- "$1") || return 1
  kx_owner=$2
  kx_group=$3
  case ${kx_line%%//*}/ in *"/$2/"*) kx_owner= ;; esac
  case /${kx_line#*//} in *"/$3/"*) kx_group= ;; esac
  [ -z "$kx_owner$kx_group" ] || chown -h -- "$kx_owner${kx_group:+:$kx_group}" "$1"
}

# kx_dress PATH MODE OWNER GROUP: owner and mode of something new.
kx_dress() {
  if [ -n "$3$4" ]; then chown -h -- "$3${4:+:$4}" "$1" || return 1; fi
  kx_mode_of "$1" "$2"
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

# kx_identity: who we are, once, and with which umask files are made. Sets kx_euid, as `id -u` says it,
# and kx_umask, without a process where the kernel tells it (Linux 4.7).
kx_identity() {
  kx_umask=
  while read -r kx_key kx_word kx_euid _; do
    case $kx_key in
    Umask:) kx_umask=$kx_word ;;
    Uid:) break ;;
    esac
  done </proc/self/status
  [ -n "$kx_umask" ] || kx_umask=$(umask)
}
kx_identity

# kx_is_root: whether the effective user is root.
kx_is_root() { [ "$kx_euid" = 0 ]; }

# kx_short NAME: sets kx_brief to its first 180 bytes, which leave room for what is put around it.
kx_short() {
  kx_brief=$1
  [ "${#kx_brief}" -le 180 ] || kx_brief=$(printf %.180s "$1")
}

# kx_keep PATH: before the first edit of a file, keep it. The name of the entry is the path, see
# kx_entry_for: a directory with `path`, and `original` (of a directory an empty one, for its mode
# and owner); of what was absent a file, with the path in it. Once there it is never touched again.
# Sets kx_kept to a new entry.
kx_keep() {
  kx_kept=
  kx_draft=
  kx_store && kx_entry_for "$1" || return 1
  kx_entry=$kx_originals/$kx_name
  kx_absent=$kx_originals/absent$kx_name
  if [ -d "$kx_entry" ] || [ -f "$kx_absent" ]; then
    return 0
  elif [ -e "$1" ] || [ -L "$1" ]; then
    kx_sweep "$kx_originals/new$kx_name-"
    kx_draft=$(mktemp -d "$kx_originals/new$kx_name-${kx_mark}XXXXXX") &&
      kx_print "$1
" >"$kx_draft/path" && kx_copy "$1" "$kx_draft" &&
      mv -- "$kx_draft" "$kx_entry" && kx_kept=$kx_entry
    # mv has put it into an entry that came in the meantime; that one counts
    if [ -d "$kx_entry/${kx_draft##*/}" ]; then
      rm -rf -- "${kx_entry:?}/${kx_draft##*/}"
      kx_kept=
    fi
    [ ! -d "$kx_entry" ] || return 0
  else
    kx_draft=$kx_absent
    kx_print "$1
" >"$kx_absent" && kx_kept=$kx_absent && return 0
  fi
  [ -z "$kx_draft" ] || rm -rf -- "$kx_draft"
  echo "kubexm: the original of $1 could not be kept, so it was left alone" >&2
  return 1
}

# kx_entry_for PATH: sets kx_name to PATH as one file name, its slashes and percent signs written
# as in a URL; to its digest when that would be too long. Starts no process for the first.
kx_entry_for() {
  kx_rest=$1
  kx_name=
  while :; do
    case $kx_rest in
    *[/%]*) ;;
    *) break ;;
    esac
    kx_word=${kx_rest%%[/%]*}
    kx_rest=${kx_rest#"$kx_word"}
    case $kx_rest in
    /*) kx_name=$kx_name$kx_word%2F ;;
    *) kx_name=$kx_name$kx_word%25 ;;
    esac
    kx_rest=${kx_rest#?}
  done
  kx_name=$kx_name$kx_rest
  [ "${#kx_name}" -gt 180 ] || return 0
  kx_name=$(printf %s "$1" | kx_digest) && [ -n "$kx_name" ]
}

# kx_copy PATH ENTRY
kx_copy() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    mkdir -- "$2/original" && chown -- "$(stat -c %u:%g -- "$1")" "$2/original" &&
      kx_mode_of "$2/original" "$(stat -c %a -- "$1")"
  else
    cp -a -- "$1" "$2/original"
  fi
}

# kx_forget: take back what kx_keep just did, when nothing came of the edit.
kx_forget() { [ -z "$kx_kept" ] || rm -rf -- "$kx_kept"; }

# kx_parents PATH: make what is missing of the directories above PATH, 0755, and remember that
# they were absent.
kx_parents() {
  [ -n "${1%/*}" ] && [ ! -d "${1%/*}" ] || return 0
  kx_parents "${1%/*}" && kx_mkdir "${1%/*}" 022
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

# kx_mkdir PATH UMASK. Not `mkdir -m`: that of busybox follows links to set the mode.
kx_mkdir() {
  kx_keep "$1" || return 1
  (umask "$2" && mkdir -- "$1") || {
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
    kx_parents "$kx_target" || return 1
    kx_dressed=1
    case $2/$3/$4 in
    755//) kx_mask=022 kx_form=41ed ;;
    750//) kx_mask=027 kx_form=41e8 ;;
    700//) kx_mask=077 kx_form=41c0 ;;
    *) kx_mask=077 kx_form=41c0 kx_dressed= ;;
    esac
    kx_mkdir "$kx_target" "$kx_mask" || return 1
    if kx_safe "${kx_target%/*}" "$kx_target" "$kx_form"; then
      [ -n "$kx_dressed" ] || kx_dress "$kx_target" "$2" "$3" "$4"
    else
      (cd -P -- "$kx_target" && kx_is_ours "$kx_target" && kx_own . "$3" "$4" && kx_mode_of . "$2")
    fi
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
  kx_above=${kx_target%/*}
  kx_short "$kx_base"
  kx_stage=$kx_above/.$kx_brief.kubexm
  kx_sweep "$kx_stage-"
  kx_sweep "$kx_above/.kubexm-"
  # what is left of a put in parts belongs to content that is not wanted any more
  [ ! -d "$kx_stage-put" ] || rm -rf -- "$kx_stage-put"
  kx_new=$kx_stage-${kx_mark}direct
  kx_dressed=1
  case $2/$3/$4 in
  644//) kx_mask=022 kx_form=81a4 ;;
  640//) kx_mask=027 kx_form=81a0 ;;
  600//) kx_mask=077 kx_form=8180 ;;
  *) kx_mask=077 kx_form=8180 kx_dressed= ;;
  esac
  if [ ! -e "$kx_target" ] && [ -z "$5" ] && kx_begun "$kx_new" "$kx_mask" &&
    kx_safe "$kx_above" "$kx_new" "$kx_form"; then
    kx_stage=$kx_new
    kx_goal=$kx_target
    kx_fill "$@" && kx_install
  else
    kx_dressed=
    [ ! -e "$kx_new" ] || rm -f -- "$kx_new"
    kx_stage=$(umask 077 && mktemp -d "$kx_stage-${kx_mark}XXXXXX") || return 1
    if kx_safe "$kx_above"; then
      kx_new=$kx_stage/$kx_base
      kx_goal=$kx_target
      kx_fill "$@" && kx_install
    else
      kx_new=./$kx_base
      kx_goal=../$kx_base
      (cd -P -- "$kx_stage" && kx_is_ours "$kx_stage" && kx_fill "$@" && kx_install)
    fi
  fi
  kx_status=$?
  [ ! -e "$kx_stage" ] || rm -rf -- "$kx_stage"
  return "$kx_status"
}

# kx_begun FILE UMASK: make it, empty, unless something is there. It follows no link. Afterwards the
# umask is that of the session again.
kx_begun() {
  umask "$2"
  set -C
  true 2>/dev/null >"$1"
  kx_status=$?
  set +C
  umask "$kx_umask"
  return "$kx_status"
}

# kx_replace_from_pipe: as kx_replace, for content that is not the payload of the script.
kx_replace_from_pipe() {
  kx_bytes=-
  unset kx_input
  kx_replace "$@"
}

# kx_sweep STEM: remove what sessions that were killed left at STEM<their mark>XXXXXX. The host
# lock keeps other operators away, but one run may know one machine by two names.
kx_sweep() {
  for kx_left in "$1"*.??????; do
    kx_writer=${kx_left#"$1"}
    case ${kx_writer%.*} in "" | *[!0-9a-z]*) continue ;; esac
    [ -e "$kx_left" ] || [ -L "$kx_left" ] || continue
    [ "${kx_writer%.*}." = "$kx_mark" ] ||
      ! grep -q -s -e "KUBEXM_MARK=${kx_writer%.*}[.]" /proc/[0-9]*/environ || continue
    rm -rf -- "$kx_left"
  done
}

# kx_fill: the arguments of kx_replace; makes kx_new what kx_target should be. Something new in a
# directory that is safe (see kx_safe) is made beside kx_target; everything else in a private
# directory there, which others cannot look into while it still has the old mode. Where others may
# write, that is the working directory, so that nobody can exchange the new file before it is done.
# Validation sees the file's own name.
kx_fill() {
  kx_fresh=1
  if [ -e "$kx_target" ]; then
    kx_fresh=
    (umask 077 && : >"$kx_new") && kx_inherit || return 1
  fi
  if [ -n "${kx_input+set}" ] && kx_print "$kx_input" 2>/dev/null >"$kx_new"; then
    dd of="$kx_new" count=0 conv=notrunc,fsync status=none || return 1
  elif [ -n "${kx_input+set}" ]; then
    # for what dd has to say about it
    kx_print "$kx_input" 2>/dev/null | dd of="$kx_new" bs=65536 conv=fsync status=none || return 1
  else
    (umask 077 && dd of="$kx_new" bs=65536 conv=fsync status=none) || return 1
    case ${kx_bytes:--} in
    - | "$(stat -c %s -- "$kx_new")") ;;
    *)
      echo "kubexm: the new content of $1 broke off; it was not installed" >&2
      return 1
      ;;
    esac
  fi
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
  if [ -z "$kx_fresh" ]; then
    kx_ids=$(stat -c %u/%g -- "$kx_target") || return 1
    set -- "$1" "$2" "${3:-${kx_ids%/*}}" "${4:-${kx_ids#*/}}"
  fi
  [ -n "$kx_dressed" ] || kx_dress "$kx_new" "$2" "$3" "$4"
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
  if kx_rename; then
    [ -z "$kx_fresh" ] || kx_label "$kx_target"
  elif [ -n "$(kx_mounts "$kx_target")" ] && kx_in_place; then
    return 0
  else
    printf '%s\n' "$kx_said" >&2
    kx_forget
    return 1
  fi
}

# kx_rename: kx_new becomes kx_goal; when it cannot, kx_said tells why. Old busybox does not know
# -T, which keeps mv from moving into a directory.
kx_rename() {
  mv -fT -- "$kx_new" "$kx_goal" 2>/dev/null && return 0
  kx_said=$(mv -fT -- "$kx_new" "$kx_goal" 2>&1) && return 0
  case $kx_said in
  *"invalid option"* | *"unrecognized option"*)
    kx_said="$kx_goal is a directory"
    [ ! -d "$kx_goal" ] && kx_said=$(mv -f -- "$kx_new" "$kx_goal" 2>&1)
    ;;
  *) return 1 ;;
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
  kx_keep "$1" || return 1
  if [ ! -e "$1" ] && [ ! -L "$1" ] && ln -sT -- "$2" "$1" 2>/dev/null; then return 0; fi
  kx_new=${1%/*}/.kubexm-link
  # -T, because a link to a directory would be entered
  if rm -f -- "$kx_new" && ln -s -- "$2" "$kx_new" && mv -fT -- "$kx_new" "$1"; then return 0; fi
  kx_forget
  rm -f -- "$kx_new"
  return 1
}
