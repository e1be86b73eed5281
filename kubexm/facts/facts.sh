# What is known about a machine, in one reply: `kx_facts`. Nothing here may fail, change
# anything or wait for a network; what is missing is left out. POSIX sh; runs under dash, bash,
# busybox ash and mksh. Names start with kx_; everything runs in a subshell of the session.
#
# A line is `key=value`, or a word that names a table and then a row of it; the last is end=yes.
# No timestamps; what varies by itself (free space) is in a table of its own. Programs are few: a builtin reads a
# small file in a fraction of the time that starting one takes.
# shellcheck shell=sh

kx_facts() {
  {
    kx_fact_system
    kx_fact_user
    kx_fact_machine
    kx_fact_tools
    kx_fact_security
    kx_fact_services
    kx_fact_programs | kx_fact_tables && echo end=yes
  } 2>/dev/null
  return 0
}

# kx_put KEY VALUE: not a value with a backslash, which some shells' echo would interpret.
kx_put() {
  case $2 in
  *\\*) ;;
  *) echo "$1=$2" ;;
  esac
}

# kx_first FILE...: set kx_value to the first line of the first of them that has one. It sets
# kx_file, too.
kx_first() {
  for kx_file; do
    kx_value=
    IFS= read -r kx_value <"$kx_file"
    [ -z "$kx_value" ] || return 0
  done
  return 1
}

# kx_put_first KEY FILE...
kx_put_first() {
  kx_key=$1
  shift
  kx_first "$@" && kx_put "$kx_key" "$kx_value"
}

kx_fact_system() {
  [ -d /proc/self ] || echo proc=none
  kx_host=
  kx_first /proc/sys/kernel/hostname && kx_host=$kx_value && kx_put hostname "$kx_host"
  kx_put_first kernel /proc/sys/kernel/osrelease
  kx_put_first boot_id /proc/sys/kernel/random/boot_id
  kx_put_first machine_id /etc/machine-id /var/lib/dbus/machine-id
  kx_put_first product_uuid /sys/class/dmi/id/product_uuid
  kx_put_first memory /proc/meminfo
  kx_put_first cpus /sys/devices/system/cpu/online
  # On others the kernel's name for the architecture is not the one that uname says.
  kx_arch=
  kx_first /proc/sys/kernel/arch
  case $kx_value in
  x86_64 | aarch64) kx_arch=$kx_value && kx_put arch "$kx_arch" ;;
  esac
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo cgroup=2
  elif [ -f /sys/fs/cgroup/unified/cgroup.controllers ]; then
    echo cgroup=hybrid
  elif [ -d /sys/fs/cgroup/memory ] || [ -d /sys/fs/cgroup/cpu ]; then
    echo cgroup=1
  fi
}

# The files come first because id may ask a directory service for all groups.
kx_fact_user() {
  kx_uid='' kx_gid=''
  while read -r kx_key _ kx_effective _; do
    case $kx_key in
    Uid:) kx_uid=$kx_effective ;;
    Gid:) kx_gid=$kx_effective && break ;;
    esac
  done </proc/self/status
  : "${kx_uid:=$(id -u)}" "${kx_gid:=$(id -g)}"
  kx_put uid "$kx_uid"
  kx_name "$kx_uid" /etc/passwd || kx_value=$(id -un)
  kx_put user "${kx_value:-$kx_uid}"
  kx_name "$kx_gid" /etc/group || kx_value=$(id -gn)
  kx_put group "${kx_value:-$kx_gid}"
}

# kx_name NUMBER FILE: set kx_value to what passwd(5) or group(5) calls the number.
kx_name() {
  while IFS=: read -r kx_value _ kx_number _; do
    [ "$kx_number" != "$1" ] || return 0
  done <"$2"
  return 1
}

# Which of the three kinds. A container says so in one of these places (compare
# systemd-detect-virt(1)), or its process 2 is not the kernel's.
kx_fact_machine() {
  kx_container=
  # Only root sees process 1's root. -ef compares device and inode in all four shells.
  if [ -d /proc/1/root/ ]; then
    # shellcheck disable=SC3013
    if [ / -ef /proc/1/root/ ]; then echo root=same; else echo root=other; fi
  fi
  kx_first /proc/1/environ
  case $kx_value in
  *container=*)
    kx_container=$(tr '\0' '\n' </proc/1/environ | sed -n 's/^container=//p')
    ;;
  esac
  if kx_first /run/systemd/container /run/host/container-manager; then
    kx_container=$kx_value
  elif [ -n "$kx_container" ]; then
    :
  elif [ -e /run/.containerenv ]; then
    kx_container=podman
  elif [ -e /.dockerenv ]; then
    kx_container=docker
  elif kx_first /proc/1/comm && ! { kx_first /proc/2/comm && [ "$kx_value" = kthreadd ]; }; then
    kx_container=container-other
  fi
  [ -z "$kx_container" ] || kx_put container "$kx_container"

  kx_first /proc/1/comm
  if [ -d /run/systemd/system ]; then
    echo init=systemd
  elif [ -d /run/openrc ]; then
    echo init=openrc
  elif [ "$kx_value" = init ] && [ -e /etc/inittab ]; then
    echo init=sysvinit
  else
    echo init=none
  fi
}

kx_fact_tools() {
  kx_tools=
  for kx_tool in apk apt-get dnf pacman yum zypper \
    adduser chronyc conntrack curl ebtables ethtool getent hostnamectl ip iptables modprobe mount \
    nft nsenter rc-service rc-update socat swapoff sysctl systemctl tar tc timedatectl useradd \
    visudo; do
    command -v "$kx_tool" >/dev/null && kx_tools="$kx_tools $kx_tool"
  done
  echo "tools=${kx_tools# }"
}

# kx_has TOOL: it is one of the tools that were found.
kx_has() {
  case " $kx_tools " in
  *" $1 "*) return 0 ;;
  esac
  return 1
}

# The kernel makes /sys/fs/selinux when SELinux is on; in a container the file may be hidden.
kx_fact_security() {
  if [ -e /sys/fs/selinux/enforce ]; then
    kx_put_first selinux /sys/fs/selinux/enforce
  elif [ -d /sys/fs ] && ! [ -d /sys/fs/selinux ]; then
    echo selinux=off
  fi
  if [ -d /sys/module/apparmor ]; then
    kx_put_first apparmor /sys/module/apparmor/parameters/enabled
  elif [ -d /sys/module ]; then
    echo apparmor=N
  fi
}

# Which of a few services run (systemd keeps a link for each unit that is active, OpenRC one for
# each that was started), and which would after a boot.
kx_fact_services() {
  kx_active='' kx_enabled=''
  for kx_service in firewalld nftables iptables ip6tables netfilter-persistent \
    systemd-timesyncd chronyd chrony ntpd ntp ntpsec openntpd; do
    if [ -h "/run/systemd/units/invocation:$kx_service.service" ] ||
      [ -e "/run/openrc/started/$kx_service" ]; then
      kx_active="$kx_active $kx_service"
    fi
    for kx_file in "/etc/systemd/system/"*".wants/$kx_service.service" \
      "/etc/runlevels/"*"/$kx_service"; do
      [ ! -h "$kx_file" ] || kx_enabled="$kx_enabled $kx_service"
    done
  done
  if [ -d /run/systemd/units ] || [ -d /run/openrc/started ]; then
    echo "active=${kx_active# }"
  fi
  echo "enabled=${kx_enabled# }"
  while IFS= read -r kx_value; do
    case $kx_value in
    ENABLED=[Yy][Ee][Ss]*) echo ufw=yes ;;
    esac
  done </etc/ufw/ufw.conf
  case " $kx_active " in
  *" systemd-timesyncd "*)
    if [ -e /run/systemd/timesync/synchronized ]; then
      echo time_synchronised=yes
    elif [ -d /run/systemd/timesync ]; then
      echo time_synchronised=no
    fi
    ;;
  esac
}

# What only programs can tell, each after a line `kx: NAME`; kx_fact_tables picks from it.
kx_fact_programs() {
  [ -n "$kx_arch" ] || { echo 'kx: arch' && uname -m; }
  kx_fact_virtualisation
  case " $kx_active " in
  *" systemd-timesyncd "*) ;;
  *" chronyd "* | *" chrony "*) kx_has chronyc && echo 'kx: chrony' && chronyc -c tracking ;;
  *" ntp"* | *" openntpd "*)
    if kx_has timedatectl; then
      echo 'kx: timedatectl'
      timedatectl show -p NTPSynchronized --value
    elif command -v adjtimex >/dev/null; then
      echo 'kx: adjtimex'
      adjtimex
    fi
    ;;
  esac
  if kx_has ip; then
    echo 'kx: ip'
    ip address show
  else
    for kx_interface in /sys/class/net/*; do
      [ -d "$kx_interface" ] || continue
      kx_first "$kx_interface/mtu" && echo "kx: if ${kx_interface##*/} $kx_value"
      kx_first "$kx_interface/address" && echo "kx: mac ${kx_interface##*/} $kx_value"
    done
  fi
  set --
  for kx_file in / /var /var/lib /etc; do
    [ ! -d "$kx_file" ] || set -- "$@" "$kx_file"
  done
  echo "kx: df $*"
  df -P -k "$@"
  for kx_file in /etc/os-release /usr/lib/os-release; do
    [ -f "$kx_file" ] && [ -r "$kx_file" ] || continue
    echo 'kx: os'
    dd bs=65536 count=1 <"$kx_file"
    break
  done
}

kx_fact_virtualisation() {
  case $kx_container in
  '' | container-other)
    if command -v systemd-detect-virt >/dev/null; then
      echo 'kx: virtualisation'
      systemd-detect-virt
      return
    fi
    ;;
  *) return ;;
  esac
  kx_first /sys/hypervisor/type && echo "kx: hypervisor $kx_value"
  kx_first /sys/class/dmi/id/sys_vendor && echo "kx: firmware $kx_value"
  kx_first /sys/class/dmi/id/product_name && echo "kx: firmware $kx_value"
  while read -r kx_key kx_value; do
    [ "$kx_key" = flags ] || continue
    case " $kx_value " in
    *' hypervisor '*) echo 'kx: hypervisor unknown' ;;
    *) echo 'kx: hypervisor none' ;;
    esac
    break
  done </proc/cpuinfo
}

# One awk for everything that has columns: stdin is what kx_fact_programs wrote.
kx_fact_tables() {
  set -- part=programs -
  # The names of tables: mounts, swaps, routes of IPv4 and IPv6, /etc/hosts.
  for kx_file in mounts:/proc/self/mounts swaps:/proc/swaps route4:/proc/net/route \
    route6:/proc/net/ipv6_route hosts:/etc/hosts; do
    [ ! -r "${kx_file#*:}" ] || set -- "$@" "part=${kx_file%%:*}" "${kx_file#*:}"
  done
  if ! kx_has ip; then
    set -- networks=1 "$@"
    for kx_file in local4:/proc/net/fib_trie local6:/proc/net/if_inet6; do
      [ ! -r "${kx_file#*:}" ] || set -- "$@" "part=${kx_file%%:*}" "${kx_file#*:}"
    done
  fi
  case $kx_host in
  *\\* | *.*) ;;
  *) set -- "host=$kx_host" "$@" ;;
  esac
  awk '
    BEGIN {
      n = split("autofs bdev bpf binfmt_misc cgroup cgroup2 configfs debugfs devpts devtmpfs " \
        "efivarfs fusectl fuse.lxcfs hugetlbfs mqueue nfsd nsfs overlay proc pstore ramfs rootfs " \
        "rpc_pipefs securityfs selinuxfs smackfs sysfs tmpfs tracefs", names, " ")
      for (i = 1; i <= n; i++) pseudo[names[i]] = 1
    }
    FNR == 1 && part != "programs" { print "read " part }
    part == "programs" {
      if ($1 == "kx:" && from != "os") {
        from = $2
        sub(/^kx: /, "")
        if (NF > 1) print
      } else if (from == "os") {
        print "os " $0
      } else if (from == "df") {
        if (match($0, / -?[0-9]+ +-?[0-9]+ +-?[0-9]+ +(-|[0-9]+%) /)) {
          split(substr($0, RSTART, RLENGTH), column, " ")
          print "free " column[3]
        }
      } else if (from == "ip") {
        if ($0 ~ /^[0-9]/) {
          name = $2
          sub(/:$/, "", name)
          sub(/@[^@]*$/, "", name)
          for (i = 3; i < NF; i++) if ($i == "mtu") print "if " name " " $(i + 1)
        } else if ($1 ~ /^link\// && $1 != "link/loopback" && $2 ~ /^[0-9a-f][0-9a-f]:/) {
          print "mac " name " " $2
        } else if ($1 == "inet" || $1 == "inet6") {
          row = ($1 == "inet" ? "if4 " : "if6 ") name " " $2
          if ($3 == "peer") row = row ($1 == "inet" ? "/32" : "/128")
          for (i = 3; i <= NF; i++) if ($i == "scope") break
          for (i++; i <= NF; i++) if ($i != "dynamic") row = row " " $i
          print row
        }
      } else if (from == "chrony") {
        n = split($0, column, ",")
        if (n > 10) print "time_synchronised=" (column[n] == "Normal" ? "yes" : "no")
      } else if (from == "timedatectl") {
        if ($1 == "yes" || $1 == "no") print "time_synchronised=" $1
      } else if (from == "adjtimex") {
        # STA_UNSYNC is 64
        if ($1 == "status:") print "time_synchronised=" (int($2 / 64) % 2 ? "no" : "yes")
      } else if (NF == 1) {
        print from "=" $1
      }
    }
    part == "mounts" && ($2 == "/" || !($3 in pseudo)) &&
    $2 !~ /^\/(run|var\/lib)\/(kubelet\/pods|containerd|containers|docker)\// {
      print "mount " $1 " " $2 " " $3 " " $4
    }
    part == "swaps" && FNR > 1 { print "swap " $1 " " $2 " " $3 }
    part == "route4" && $2 == "00000000" && $8 == "00000000" {
      print "route4 " $1 " " $3 " " $4 " " $7
    }
    part == "route4" && networks && FNR > 1 && $8 != "00000000" && $3 == "00000000" {
      print "net4 " $1 " " $2 " " $8
    }
    part == "route6" && $1 ~ /^0+$/ && $2 == "00" && $10 != "lo" {
      print "route6 " $10 " " $5 " " $9 " " $6
    }
    part == "hosts" && host != "" && !found {
      sub(/#.*/, "")
      mine = full = ""
      for (i = 2; i <= NF; i++) {
        if ($i == host) mine = 1
        if (full == "" && index($i, host ".") == 1) full = $i
      }
      if (mine && full != "") { print "fqdn=" full; found = 1 }
    }
    part == "local4" && $1 == "|--" { address = $2 }
    part == "local4" && $0 ~ /\/32 host LOCAL/ && !(address in seen) {
      seen[address] = 1
      print "local4 " address
    }
    part == "local6" { print "local6 " $6 " " $1 " " $3 " " $4 " " $5 }
  ' "$@"
}
