# Functions about the kernel: its modules, its parameters, its swap. They need the file library.
# kx_root stands before every path: unset on a host, a directory in tests.
# shellcheck shell=sh

# kx_each_conf NAME FUNCTION ARGUMENT...: call the function, with each file for a last argument, for
# what ends in .conf in the directories of this name, those of the highest rank first.
kx_each_conf() {
  kx_name=$1
  shift
  for kx_where in /etc /run /usr/local/lib /usr/lib /lib; do
    [ ! -L "${kx_root-}$kx_where" ] || continue
    for kx_file in "${kx_root-}$kx_where/$kx_name/"*.conf; do
      "$@" "$kx_file"
    done
  done
}

# kx_modules_state PATTERN MODULE...: what is known about the modules. PATTERN is an extended
# regular expression with one group that matches their names and nothing else.
kx_modules_state() {
  kx_pattern=$1
  shift
  kx_tree=${kx_root-}/lib/modules/$(uname -r)
  if [ ! -e "${kx_root-}/proc/modules" ]; then
    echo 'kernel fixed'
  elif [ ! -d "$kx_tree" ]; then
    echo 'kernel orphaned'
  else
    echo 'kernel modular'
  fi
  {
    kx_modules_find loaded "^$kx_pattern .*" "${kx_root-}/proc/modules"
    kx_modules_find builtin "^.*/$kx_pattern\\.ko.*" "$kx_tree/modules.builtin"
    kx_modules_find exists "^[^:]*/$kx_pattern\\.ko[^:/]*:.*" "$kx_tree/modules.dep"
    for kx_module; do
      if [ -d "${kx_root-}/sys/module/$kx_module" ] || kx_module_shows "$kx_module"; then
        echo "present $kx_module"
      fi
    done
  } | sort -u
  kx_each_conf modprobe.d kx_modules_lines "$kx_pattern"
}

# kx_modules_lines PATTERN FILE: "conf FILE", then what keeps a module from being loaded, see
# modprobe.d(5), as "NUMBER:TEXT".
kx_modules_lines() {
  [ -e "$2" ] || return 0
  echo "conf ${2#"${kx_root-}"}"
  [ ! -f "$2" ] || grep -nE "^[[:space:]]*(blacklist|install)[[:space:]]+$1([[:space:]]|\$)" "$2"
  return 0
}

# kx_modules_find WORD PATTERN FILE: "WORD MODULE" for each line that matches.
kx_modules_find() {
  [ ! -r "$3" ] || sed -nE "s#$2#$1 \\1#p" "$3"
}

# kx_module_shows MODULE: something is there that only this module brings. The kernel does not
# list a module without parameters that was built into it.
kx_module_shows() {
  case $1 in
  br_netfilter) [ -d "${kx_root-}/proc/sys/net/bridge" ] ;;
  nf_conntrack) [ -e "${kx_root-}/proc/sys/net/netfilter/nf_conntrack_max" ] ;;
  ip_vs) [ -e "${kx_root-}/proc/net/ip_vs" ] ;;
  ip_tables) [ -e "${kx_root-}/proc/net/ip_tables_names" ] ;;
  ip6_tables) [ -e "${kx_root-}/proc/net/ip6_tables_names" ] ;;
  *) grep -qs "[[:space:]]$1\$" "${kx_root-}/proc/filesystems" ;;
  esac
}

# kx_modules_load MODULE...: all that can be loaded, and false when one cannot.
kx_modules_load() {
  kx_failed=0
  for kx_module; do
    modprobe "$kx_module" || kx_failed=1
  done
  return "$kx_failed"
}

# kx_sysctl_state KIND PATH...: the parameters at these paths below /proc/sys, each of which may
# be a pattern: "absent PATH", "fixed PATH" (in a container: cannot be set there), and for each
# line of a value "value PATH:LINE". Not by `read`: it takes single bytes in some shells, and
# the kernel answers a second read(2) with the end of the file.
kx_sysctl_state() (
  kx_kind=$1
  shift
  cd "${kx_root-}/proc/sys" || exit 1
  # shellcheck disable=SC2048 # patterns
  for kx_path in $*; do
    if [ ! -f "$kx_path" ]; then
      echo "absent $kx_path"
    elif [ "$kx_kind" = container ] && ! (: >>"$kx_path") 2>/dev/null; then
      echo "fixed $kx_path"
    fi
  done
  # shellcheck disable=SC2048,SC2086 # patterns
  grep -s '' /dev/null $* | sed 's/^/value /'
)

# kx_sysctl_files: every file of parameters that is read at boot: "conf PATH", then its lines
# that are neither empty nor comments, as "NUMBER:TEXT".
kx_sysctl_files() {
  kx_each_conf sysctl.d kx_sysctl_lines
  kx_sysctl_lines "${kx_root-}/etc/sysctl.conf"
  # ufw sets its own when it starts
  if grep -qs '^[[:space:]]*ENABLED=[Yy]' "${kx_root-}/etc/ufw/ufw.conf"; then
    kx_sysctl_lines "${kx_root-}/etc/ufw/sysctl.conf"
  fi
}

kx_sysctl_lines() {
  [ -e "$1" ] || return 0
  echo "conf ${1#"${kx_root-}"}"
  [ ! -f "$1" ] || grep -n '^[[:space:]]*[^#;[:space:]]' "$1" || :
}

# kx_sysctl_set PATH VALUE...: set the parameters that differ. Twice over, because some set
# others: net/ipv4/ip_forward resets those of every interface.
kx_sysctl_set() {
  kx_sysctl_pass "$@" && kx_sysctl_pass "$@"
}

kx_sysctl_pass() {
  kx_failed=0
  while [ "$#" -gt 1 ]; do
    kx_now=$(tr -s '[:space:]' ' ' <"${kx_root-}/proc/sys/$1")
    if [ "${kx_now% }" != "$2" ]; then
      printf '%s\n' "$2" >"${kx_root-}/proc/sys/$1" || {
        echo "kubexm: the kernel does not take $2 for $1" >&2
        kx_failed=1
      }
    fi
    shift 2
  done
  return "$kx_failed"
}

# kx_swap_active: "active NAME" for each swap device and file in use, as /proc/swaps writes it.
kx_swap_active() {
  [ ! -r "${kx_root-}/proc/swaps" ] ||
    sed -n '2,$s/^\([^[:space:]]*\).*/active \1/p' "${kx_root-}/proc/swaps" | sort
}

# kx_swap_units: "unit NAME STATE" for swap.target, every swap unit, and the services that are
# known to set up swap. STATE is systemd's, or fstab for what follows from an entry there.
kx_swap_units() {
  systemctl ${kx_root:+"--root=$kx_root"} list-unit-files --plain --no-legend --no-pager \
    swap.target '*.swap' zramswap.service zram-config.service zram-swap.service \
    dphys-swapfile.service systemd-swap.service swapspace.service |
    while read -r kx_unit kx_state _; do
      kx_file=${kx_root-}/run/systemd/generator/$kx_unit
      if [ "$kx_state" = generated ] && grep -qs '^SourcePath=/etc/fstab' "$kx_file"; then
        kx_state=fstab
      fi
      printf 'unit %s %s\n' "$kx_unit" "$kx_state"
    done | sort
}

# kx_swap_zram: "zram PATH" for each file that gives zram-generator a device, "mount PATH" when
# one of them is not for swap. Of the main files the first that is there counts.
kx_swap_zram() {
  kx_main=
  for kx_where in /run /etc /usr/local/lib /usr/lib; do
    kx_file=${kx_root-}$kx_where/systemd/zram-generator.conf
    if [ -z "$kx_main" ] && [ -e "$kx_file" ]; then
      kx_main=$kx_file
      kx_swap_zram_file "$kx_file"
    fi
    for kx_file in "$kx_file.d/"*.conf; do
      kx_swap_zram_file "$kx_file"
    done
  done
}

kx_swap_zram_file() {
  grep -qs '^[[:space:]]*\[' "$1" || return 0
  echo "zram ${1#"${kx_root-}"}"
  if grep -qsE '^[[:space:]]*mount-point[[:space:]]*=' "$1"; then
    echo "mount ${1#"${kx_root-}"}"
  fi
}

# kx_sized_state PATH LIMIT: as kx_content_state, after a line with the number of its bytes.
kx_sized_state() {
  kx_size=$(kx_content_state "${kx_root-}$1" "$2" | wc -c) || return 1
  echo "$((kx_size))"
  kx_content_state "${kx_root-}$1" "$2"
}

# kx_write PATH TEXT: a short file with this text.
kx_write() {
  printf %s "$2" | kx_replace_from_pipe "${kx_root-}$1" 644 root root ''
}

# kx_mask UNIT...: as `systemctl mask`, which refuses where /etc holds the unit itself.
kx_mask() {
  for kx_unit; do
    kx_link=${kx_root-}/etc/systemd/system/$kx_unit
    kx_keep "$kx_link" && mkdir -p "${kx_link%/*}" && ln -sfn /dev/null "$kx_link" || return 1
  done
}

# kx_swap_reload: let systemd see what was changed. Once fstab names no swap, the generator for
# GPT partitions takes over (systemd-gpt-auto-generator(8)): mask what it brings, too.
kx_swap_reload() {
  systemctl daemon-reload && kx_swap_units | {
    kx_masked=
    while read -r kx_word kx_unit kx_state; do
      [ "$kx_word $kx_state" = 'unit generated' ] || continue
      kx_mask "$kx_unit" || exit 1
      kx_masked=1
    done
    [ -z "$kx_masked" ] || systemctl daemon-reload
  }
}

kx_swapoff() {
  swapoff -a && return 0
  echo 'kubexm: swap is still in use; after a reboot it will not be' >&2
  return 1
}
