# What a machine that has just booted is still busy with: a word for the first that is found, and
# nothing when it is ready. Any user may ask.
# shellcheck shell=sh

# kx_busy: cloud-init until it has written its result, then whoever writes with a package lock.
kx_busy() {
  # made by its generator or its first stage; /run is empty after every boot (boot stages, "status")
  if [ -e /run/cloud-init/enabled ] || [ -e /run/cloud-init/status.json ]; then
    [ -e /run/cloud-init/result.json ] || {
      echo 'cloud-init'
      return 0
    }
  fi
  # by inode: only root may ask for the lock itself, and overlay file systems falsify the device
  for kx_lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
    /var/cache/apt/archives/lock; do
    kx_inode=$(stat -c %i "$kx_lock" 2>/dev/null) || continue
    if grep -q "WRITE [0-9]* [0-9a-f]*:[0-9a-f]*:$kx_inode " /proc/locks 2>/dev/null; then
      echo 'a package manager'
      return 0
    fi
  done
}
