#!/usr/bin/env bash
# Builds the Debian package, unpacks it, starts the server that is in it, and asks it whether it lives.
# Needs cargo-deb, dpkg-deb and curl: bash deploy/try_package.sh [options of cargo deb]
#
# With INSTALL=yes, as root, it also installs the package, has systemd read its units, starts the unit's command on a socket that is handed
# over, and purges the package. That needs no running systemd, only its tools: apt-get install systemd.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-deb >/dev/null || { echo "skipped: no cargo-deb (cargo install cargo-deb)"; exit 0; }
package=$(cargo deb --locked -p sordino-cli "$@" | tail -1)
work=$(mktemp -d)
trap 'kill "${server:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT
dpkg-deb --info "$package"
dpkg-deb --extract "$package" "$work/root"
for file in usr/bin/sordino lib/systemd/system/sordino.service lib/systemd/system/sordino.socket etc/default/sordino; do
  [ -e "$work/root/$file" ] || [ -e "$work/root/usr/$file" ] || { echo "the package lacks $file"; exit 1; }
done

# Starts a command as a server at the address, and asks it.
asked() { # ADDRESS COMMAND..
  address=$1
  shift
  "$@" &
  server=$!
  for _ in $(seq 50); do
    curl --fail --silent "http://$address/readyz" && break
    sleep 0.2
  done
  curl --fail --silent "http://$address/v1/models" >/dev/null
}
stopped() {
  kill -TERM "$server"
  wait "$server"
  unset server
}

asked 127.0.0.1:7699 "$work/root/usr/bin/sordino" serve models/composed --listen 127.0.0.1:7699 --store "$work/store"
stopped
echo "the package works"

if [ "${INSTALL:-no}" != yes ]; then
  echo "not installed: INSTALL=yes, as root, tries that too"
  exit 0
fi
apt-get install -y --no-install-recommends "$(realpath "$package")"
trap 'kill "${server:-0}" 2>/dev/null || true; dpkg --purge sordino; rm -rf "$work"' EXIT
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify sordino.service sordino.socket
else
  echo "skipped: no systemd-analyze to read the units (apt-get install systemd)"
fi
# The command of the unit, with its files, as systemd would start it.
(. /etc/default/sordino && [ -z "$SORDINO_MODELS" ])
sed -i "s|^SORDINO_MODELS=.*|SORDINO_MODELS=$PWD/models/composed|" /etc/default/sordino
units=$(dirname "$(dpkg --listfiles sordino | grep sordino.service)")
command=$(sed -n 's|^ExecStart=||p' "$units/sordino.service" | sed "s|/var/lib/sordino|$work/state|")
# shellcheck source=/dev/null
start=$(set -a && . /etc/default/sordino && eval echo "$command")
if command -v systemd-socket-activate >/dev/null; then
  # shellcheck disable=SC2086
  asked 127.0.0.1:7698 systemd-socket-activate --listen=127.0.0.1:7698 $start
else
  echo "skipped: no systemd-socket-activate to hand a socket over (apt-get install systemd)"
  # shellcheck disable=SC2086
  asked 127.0.0.1:7664 $start
fi
stopped
dpkg --purge sordino
trap 'rm -rf "$work"' EXIT
for left in /usr/bin/sordino /etc/default/sordino "$units/sordino.service"; do
  [ ! -e "$left" ] || { echo "$left is left behind"; exit 1; }
done
echo "installed, started and purged"
