#!/usr/bin/env bash
# Builds the Debian package, unpacks it, starts the server that is in it, and asks it whether it lives.
# Needs cargo-deb, dpkg-deb and curl: bash deploy/try_package.sh
set -euo pipefail
cd "$(dirname "$0")/.."

package=$(cargo deb --locked -p sordino-cli "$@" | tail -1)
work=$(mktemp -d)
trap 'kill "${server:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT
dpkg-deb --info "$package"
dpkg-deb --extract "$package" "$work/root"
for file in usr/bin/sordino lib/systemd/system/sordino.service lib/systemd/system/sordino.socket etc/default/sordino; do
  [ -e "$work/root/$file" ] || [ -e "$work/root/usr/$file" ] || { echo "the package lacks $file"; exit 1; }
done
if command -v systemd-analyze >/dev/null; then
  units=$(dirname "$(find "$work/root" -name sordino.service)")
  sed -i "s|/usr/bin/sordino|$work/root/usr/bin/sordino|; s|^EnvironmentFile=|EnvironmentFile=-|" "$units/sordino.service"
  systemd-analyze verify "$units/sordino.service" "$units/sordino.socket"
fi
"$work/root/usr/bin/sordino" serve models/composed --listen 127.0.0.1:7699 --store "$work/store" &
server=$!
for _ in $(seq 50); do
  curl --fail --silent http://127.0.0.1:7699/readyz && break
  sleep 0.2
done
curl --fail --silent http://127.0.0.1:7699/v1/models >/dev/null
kill -TERM "$server"
wait "$server"
echo "the package works"
