# Functions about units of systemd: what they are, and changes that are seen through.
# shellcheck shell=sh

# kx_unit_state UNIT: lines "PROPERTY=VALUE" of systemctl show; aliases are resolved (Id). What
# pulls the unit in is reduced to whether a target does: which others do depends on what is
# loaded by chance. For a unit that systemd does not know, "OnDisk=yes" says that a file of it is
# there nevertheless: older versions remember what was not found.
kx_unit_state() {
  kx_shown=$(systemctl --no-pager show -p Id -p LoadState -p LoadError -p ActiveState \
    -p UnitFileState -p NeedDaemonReload -p Type -p RemainAfterExit -p WantedBy -p RequiredBy \
    -p UpheldBy -- "$1") || return
  printf '%s\n' "$kx_shown" | awk '
    /^(WantedBy|RequiredBy|UpheldBy)=/ { if (/\.target( |$)/) pulled = "yes"; next }
    { print }
    END { print "PulledIn=" pulled }'
  case $kx_shown in
  *LoadState=not-found*)
    [ -z "$(systemctl --no-pager --no-legend list-unit-files -- "$1")" ] || echo OnDisk=yes
    ;;
  esac
}

# kx_unit_offline UNIT: the same in an image, from its files alone.
kx_unit_offline() {
  kx_unit=$1
  kx_pulled=
  for kx_place in /etc/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system \
    /lib/systemd/system; do
    kx_link=$(readlink -- "$kx_place/$1") || continue
    [ "$kx_link" = /dev/null ] || kx_unit=${kx_link##*/}
    break
  done
  for kx_place in /etc /usr/local/lib /usr/lib /lib; do
    for kx_link in "$kx_place"/systemd/system/*.target.wants/"$kx_unit" \
      "$kx_place"/systemd/system/*.target.requires/"$kx_unit"; do
      [ ! -L "$kx_link" ] || kx_pulled=yes
    done
  done
  printf '%s\n' "Id=$kx_unit" "PulledIn=$kx_pulled" \
    "UnitFileState=$(systemctl --root=/ is-enabled -- "$kx_unit" 2>/dev/null)"
}

# kx_unit_value UNIT PROPERTY
kx_unit_value() {
  systemctl --no-pager show -p "$2" -- "$1" | sed 's/^[^=]*=//'
}

# kx_unit_change UNIT STEP...: the steps in order: reload, enable, disable, stop, start.
kx_unit_change() {
  kx_unit=$1
  shift
  for kx_step; do
    case $kx_step in
    reload) systemctl daemon-reload ;;
    start | restart) kx_unit_start "$kx_unit" "$kx_step" ;;
    *) systemctl --no-ask-password "$kx_step" -- "$kx_unit" ;;
    esac || return
  done
}

# kx_unit_offline_change UNIT enable|disable: in an image; links, nothing else.
kx_unit_offline_change() {
  systemctl --root=/ "$2" -- "$1"
}

# kx_unit_behind UNIT FILE...: "Behind=yes" when it runs and one of the files is younger than the
# beginning of its start, after which it may have read them. To the microsecond where systemd
# says so (248 and later), else to the second.
kx_unit_behind() {
  kx_since=$(systemctl --no-pager --timestamp=us+utc show -p InactiveExitTimestamp --value \
    -- "$1" 2>/dev/null) || kx_since=$(
    export TZ=UTC0
    kx_unit_value "$1" InactiveExitTimestamp
  )
  [ -n "$kx_since" ] && systemctl --quiet is-active -- "$1" || return 0
  kx_since=$(date -d "$kx_since" +%s.%N) || return 1
  shift
  for kx_file; do
    [ -e "$kx_file" ] || continue
    kx_at=$(stat -L -c %.Y -- "$kx_file") || return 1
    if awk -v at="$kx_at" -v since="$kx_since" 'BEGIN { exit !(at > since) }'; then
      echo Behind=yes
      return 0
    fi
  done
}

# kx_unit_start UNIT [restart]: start it and see that it stays up. For most types systemd
# itself waits until the service says that it is ready; a simple one counts as started when it
# was forked. What failed too often is not refused for that: somebody may have mended it since.
kx_unit_start() {
  kx_began=$(date +%s)
  systemctl reset-failed -- "$1" 2>/dev/null
  systemctl --no-ask-password "${2:-start}" -- "$1" || {
    kx_status=$?
    kx_unit_tell "$1"
    return "$kx_status"
  }
  kx_restarts=$(kx_unit_value "$1" NRestarts)
  case $(kx_unit_value "$1" Type) in
  simple | exec | idle) sleep 1 ;;
  esac
  case $(kx_unit_value "$1" ActiveState) in
  active | reloading | refreshing)
    [ "$(kx_unit_value "$1" NRestarts)" != "$kx_restarts" ] || return 0
    ;;
  esac
  kx_unit_tell "$1"
  return 1
}

# kx_unit_tell UNIT: on stderr what its journal says since kx_began, then what became of it.
kx_unit_tell() {
  {
    journalctl --sync
    kx_said=$(journalctl -q --no-pager -o short -n 20 --since "@$kx_began" -u "$1")
    [ -z "$kx_said" ] || printf '%s\n' "$kx_said"
    case $kx_said in
    *' skipped because '* | *' skipped, unmet '* | *' being skipped'*)
      echo "kubexm: $1 was not started: a condition in its unit file is not met on this host"
      ;;
    *)
      echo "kubexm: $1 did not stay up: $(kx_unit_value "$1" ActiveState) \
($(kx_unit_value "$1" SubState)), result $(kx_unit_value "$1" Result), exit status \
$(kx_unit_value "$1" ExecMainStatus)"
      ;;
    esac
  } >&2 2>/dev/null
}
