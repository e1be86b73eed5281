# Functions that put files on a host and take them from it; they need those of file.sh.
# shellcheck shell=sh
# The session sets it before it loads this file.
: "${kx_mark:?}"

# Content comes on stdin and is checked against its SHA-256 before it is put in place. Small files
# are written to a new private directory beside their destination. A large one comes in parts, over
# several scripts, into .NAME.kubexm-put, which outlives a lost link: the next try goes on where it
# ended. The next write to the same place takes away what nobody went on with.

# kx_stat PATH FOLLOW: "TYPE|MODE|SIZE|MTIME|UID|GID|OWNER|GROUP", or "absent". FOLLOW is 1 to
# look at what a symbolic link leads to, else empty.
kx_stat() {
  if [ -e "$1" ] || { [ -L "$1" ] && [ -z "$2" ]; }; then
    stat ${2:+-L} -c '%F|%a|%s|%Y|%u|%g|%U|%G' -- "$1"
  else
    kx_visible "$1" && echo absent
  fi
}

# kx_place PATH: sets kx_target to where a write to PATH lands, without a symbolic link in it.
kx_place() {
  kx_real "$1" || return 1
  kx_above=${kx_target%/*}
  until [ -d "${kx_above:-/}" ]; do kx_above=${kx_above%/*}; done
  kx_rest=${kx_target#"$kx_above"}
  kx_target=$(cd -P -- "${kx_above:-/}" && pwd -P) || return 1
  kx_target=${kx_target%/}$kx_rest
}

# kx_put_state PATH SUM: of a path where a file shall be, its state (see kx_file_state), the number
# of bytes that an earlier try has left of the content with this digest, and where it lands.
kx_put_state() {
  kx_place "$1" && kx_tree_state "$kx_target" "$2" && printf '%s\n' "$kx_target"
}

# kx_tree_state PATH SUM: the first two of these; symbolic links are not followed.
kx_tree_state() {
  kx_file_state "$1" -1 || return 1
  [ -n "$2" ] || return 0
  kx_short "${1##*/}"
  # shellcheck disable=SC2154 # kx_short sets it
  kx_part=${1%/*}/.$kx_brief.kubexm-put/$2
  if [ -f "$kx_part" ] && [ ! -L "$kx_part" ]; then stat -c %s -- "$kx_part"; else echo 0; fi
}

# kx_put_root PATH: whether the directory at PATH is there ("directory" or "absent"), and where.
kx_put_root() {
  kx_place "$1" || return 1
  if [ -d "$kx_target" ]; then
    kx_rest=directory
    kx_target=$(cd -P -- "$kx_target/" && pwd -P) || return 1
  elif [ -e "$kx_target" ]; then
    echo "kubexm: $1 is there and is not a directory" >&2
    return 1
  else
    kx_visible "$kx_target" || return 1
    kx_rest=absent
  fi
  printf '%s\n' "$kx_rest" "$kx_target"
}

# kx_put_in DIRECTORY: make a new private directory in it and go there; sets kx_dir. There must be
# no symbolic link in DIRECTORY: it was looked up before, and somebody may have put one in since.
# What a killed put left behind is removed.
kx_put_in() {
  cd -P -- "$1/" || return 1
  kx_dir=$(pwd -P)
  kx_dir=${kx_dir%/}
  if [ "$kx_dir" != "${1%/}" ]; then
    echo "kubexm: $1 is, or lies below, a symbolic link" >&2
    return 1
  fi
  kx_sweep "$kx_dir/.kubexm-"
  kx_stage=$(umask 077 && mktemp -d "$kx_dir/.kubexm-${kx_mark}XXXXXX") || return 1
  kx_sums=
  if ! { cd -P -- "$kx_stage" && kx_is_ours "$kx_stage"; }; then kx_put_out 1; fi
}

# kx_put_out STATUS: leave and remove that directory.
kx_put_out() {
  cd / && rm -rf -- "$kx_stage"
  return "$1"
}

# kx_take FILE SIZE SUM: so many bytes of stdin, to a file here that gets the number FILE.
kx_take() {
  kx_left=$(($2 % 65536))
  (umask 077 && : >"./$1") || return 1
  if [ "$2" -ge 65536 ]; then
    dd bs=65536 count="$(($2 / 65536))" iflag=fullblock conv=fsync status=none >>"./$1" || return 1
  fi
  if [ "$kx_left" != 0 ]; then
    dd bs="$kx_left" count=1 iflag=fullblock conv=fsync status=none >>"./$1" || return 1
  fi
  kx_sums="$kx_sums $3/$1"
}

# kx_taken: whether everything that was taken is what was sent. 65 when it is not.
kx_taken() {
  for kx_new in $kx_sums; do
    kx_same "./${kx_new#*/}" "${kx_new%%/*}" || return
  done
}

# kx_same FILE SUM
kx_same() {
  kx_large_sum_of "$1" || return 1
  # shellcheck disable=SC2154 # kx_sum_of sets it
  [ "$kx_sum" = "$2" ] || {
    echo "kubexm: the content that arrived is not the content that was to be sent" >&2
    return 65
  }
}

# kx_large_sum_of FILE: as kx_sum_of; openssl, where it is there and works, takes an eighth of the
# time of the sha256sum of coreutils 9, because it uses what the processor has for it.
kx_large_sum_of() {
  kx_sum=
  if [ "$(stat -c %s -- "$1")" -gt 16777216 ] && command -v openssl >/dev/null 2>&1; then
    kx_sum=$(openssl dgst -sha256 -r <"$1" 2>/dev/null)
    kx_sum=${kx_sum%% *}
  fi
  [ "${#kx_sum}" = 64 ] || kx_sum_of "$1"
}

# kx_settle FILE NAME MODE OWNER GROUP: put what was taken as FILE in place, as NAME. What it
# replaces keeps its owner, ACL, extended attributes and label, as in kx_replace.
kx_settle() {
  kx_new=./$1
  kx_base=$2
  kx_target=$kx_dir/$2
  # shellcheck disable=SC2034 # for kx_rename
  kx_goal=../$2
  kx_fresh=1
  # shellcheck disable=SC2034 # for kx_forget
  kx_kept=
  if [ -d "$kx_target" ] && [ ! -L "$kx_target" ]; then
    echo "kubexm: $kx_target is a directory" >&2
    return 1
  elif [ -f "$kx_target" ] && [ ! -L "$kx_target" ]; then
    kx_fresh=
    # a large original would take as much room again
    [ "$(stat -c %s -- "$kx_target")" -gt 16777216 ] || kx_keep "$kx_target" || return 1
    kx_inherit || return 1
    kx_ids=$(stat -c %u/%g -- "$kx_target")
    set -- "$1" "$2" "$3" "${4:-${kx_ids%/*}}" "${5:-${kx_ids#*/}}"
  fi
  kx_short "$2"
  kx_old=$kx_dir/.$kx_brief.kubexm
  kx_sweep "$kx_old-"
  if [ -d "$kx_old-put" ] && [ "$kx_stage" != "$kx_old-put" ]; then rm -rf -- "$kx_old-put"; fi
  if ! { kx_own "$kx_new" "$4" "$5" && kx_mode_of "$kx_new" "$3"; }; then
    kx_forget
    return 1
  elif kx_rename; then
    [ -z "$kx_fresh" ] || kx_label "$kx_target"
  elif [ -z "$(kx_mounts "$kx_target")" ] || ! kx_in_place; then
    # shellcheck disable=SC2154 # kx_rename sets it
    printf '%s\n' "$kx_said" >&2
    kx_forget
    return 1
  fi
}

# kx_put_mkdir MODE OWNER GROUP PATH: a directory of a tree; one that is there stays as it is.
kx_put_mkdir() {
  if [ -d "$4" ] && [ ! -L "$4" ]; then return 0; fi
  (umask 077 && mkdir -- "$4") || return 1
  kx_label "$4"
  (cd -P -- "$4/" && kx_is_ours "$4" && kx_own . "$2" "$3" && kx_mode_of . "$1")
}

# kx_put_attributes PATH MODE OWNER GROUP
kx_put_attributes() { [ ! -L "$1" ] && kx_own "$1" "$3" "$4" && kx_mode_of "$1" "$2"; }

# kx_part PATH: where the parts of a file are put together; PATH is where it goes, after links
# were followed. Sets kx_dir, kx_base and kx_stage.
kx_part() {
  kx_dir=${1%/*}
  kx_base=${1##*/}
  kx_short "$kx_base"
  kx_stage=$kx_dir/.$kx_brief.kubexm-put
}

# kx_part_new PATH SUM: go there, where nothing is yet but an empty file.
kx_part_new() {
  kx_part "$1"
  # a setgid directory hands its bit down
  rm -rf -- "$kx_stage" && (umask 077 && mkdir -- "$kx_stage") && kx_mode_of "$kx_stage" 700 &&
    cd -P -- "$kx_stage" && kx_is_ours "$kx_stage" && (umask 077 && : >"./$2")
}

# kx_part_old PATH SUM OFFSET: go back there, where so many bytes have come. The directory is still
# where it was, and ours alone; or else it goes, and the next try begins anew.
kx_part_old() {
  kx_part "$1"
  # shellcheck disable=SC3067 # all four shells know -O: whose effective user owns it
  if cd -P -- "$kx_stage" && [ "$PWD" = "$kx_stage" ] && [ -O . ]; then
    case $(stat -c '%F %a %s' -- . "./$2" 2>/dev/null) in
    "directory 700 "*"
regular file "*" $3") return 0 ;;
    esac
  fi
  echo "kubexm: $kx_stage has been changed by something else; try again" >&2
  cd / && rm -rf -- "$kx_stage"
  return 1
}

# kx_put_part PATH SUM OFFSET: the session's stdin goes on from OFFSET. When it cannot, as on a full
# disk, nothing stays. What came before goes to the disk meanwhile.
kx_put_part() {
  kx_syncing=
  if [ "$3" = 0 ]; then kx_part_new "$1" "$2"; else kx_part_old "$@" && kx_sync "./$2"; fi || {
    # shellcheck disable=SC2154 # kx_eval sets it
    kx_pass "$kx_bytes" >/dev/null
    return 1
  }
  kx_receive "./$2" "$3"
  kx_came=$?
  if ! kx_synced || [ "$kx_came" != 0 ]; then kx_put_out 1; fi
}

# kx_receive FILE SIZE: all kx_bytes of the session's stdin go to its end; it has SIZE bytes. See
# kx_eval: what cannot be written is taken all the same.
kx_receive() {
  kx_size=$2
  kx_rest=$kx_bytes
  if true >>"$1"; then
    kx_pour "$1" 65536 "$((kx_rest / 65536))" && kx_pour "$1" "$kx_rest" "$((kx_rest != 0))" &&
      return
  fi
  kx_pass "$kx_rest" >/dev/null
  return 1
}

# kx_pour FILE SIZE COUNT: so many blocks of stdin; kx_rest is what is left there. A dd that fails
# has read the block that it could not write. Of one that was killed nobody knows: nothing more is
# taken then, and the session ends.
kx_pour() {
  [ "$3" != 0 ] || return 0
  dd bs="$2" count="$3" iflag=fullblock status=none >>"$1"
  case $? in
  0)
    kx_size=$((kx_size + $2 * $3))
    kx_rest=$((kx_rest - $2 * $3))
    return 0
    ;;
  1) kx_rest=$((kx_rest - (($(stat -c %s -- "$1") - kx_size) / $2 + 1) * $2)) ;;
  *) kx_rest=0 ;;
  esac
  return 1
}

# kx_sync FILE: begin to write it to the disk.
kx_sync() {
  dd of="$1" count=0 conv=notrunc,fsync status=none &
  kx_syncing=$!
}

# kx_synced: whether that came to a good end.
kx_synced() { [ -z "$kx_syncing" ] || wait "$kx_syncing"; }

# kx_put_whole PATH SUM SIZE MODE OWNER GROUP: all parts are there. 65 when they are not what was
# sent.
kx_put_whole() {
  kx_part_old "$1" "$2" "$3" || return 1
  kx_sync "./$2"
  kx_same "./$2" "$2"
  kx_came=$?
  if ! kx_synced; then kx_came=1; fi
  if [ "$kx_came" = 0 ]; then
    kx_settle "$2" "$kx_base" "$4" "$5" "$6"
    kx_came=$?
  fi
  kx_put_out "$kx_came"
}

# kx_get_part PATH SKIP COUNT: COUNT blocks of a MiB of a file, from block SKIP on.
kx_get_part() { dd if="$1" bs=1048576 skip="$2" count="$3" iflag=fullblock status=none; }

# kx_get_names PATH: everything below a directory on its file system, each name with a NUL behind.
kx_get_names() { cd -P -- "$1/" && find . -xdev -print0; }
