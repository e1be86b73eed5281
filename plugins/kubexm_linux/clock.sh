# Functions about the clock.
# shellcheck shell=sh

# kx_zone_state NAME: zone=yes|no, localtime=TARGET, and timezone=NAME where that file exists.
kx_zone_state() {
  if [ -f "/usr/share/zoneinfo/$1" ]; then echo zone=yes; else echo zone=no; fi
  if [ -L /etc/localtime ]; then
    echo "localtime=$(readlink /etc/localtime)"
  elif [ -e /etc/localtime ]; then
    echo 'localtime=a file'
  else
    echo localtime=
  fi
  [ ! -f /etc/timezone ] || {
    kx_zone=
    read -r kx_zone </etc/timezone || :
    echo "timezone=$kx_zone"
  }
}

# kx_zone_set NAME: the link, and Debian's file where there is one.
kx_zone_set() {
  kx_keep /etc/localtime || return 1
  kx_link /etc/localtime "/usr/share/zoneinfo/$1" || return 1
  [ ! -f /etc/timezone ] || printf '%s\n' "$1" | kx_replace_from_pipe /etc/timezone 644 '' '' ''
}
