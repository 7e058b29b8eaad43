#!/bin/sh
# Install what tests want from Debian, where it is missing and this is root on Debian: system_packages.sh chromium postgresql
# What cannot be installed is named; the tests that want it then skip with the reason (and fail where CI=true).
set -u

present() {
    case $1 in
        chromium)
            command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
            ;;
        sshd) [ -x /usr/sbin/sshd ] && command -v ssh-keyscan >/dev/null ;;
        postgresql) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ;;
    esac
}

packages=
for wanted in "$@"; do
    present "$wanted" && continue
    case $wanted in
        chromium) packages="$packages chromium fonts-noto-cjk" ;;
        sshd) packages="$packages openssh-server openssh-client" ;;
        postgresql) packages="$packages postgresql" ;;
    esac
done
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "For all tests, install as root: apt-get install$packages"
    exit 0
fi
echo "Installing$packages with apt-get …"
log=$(mktemp)
# shellcheck disable=SC2086
if apt-get -q update >"$log" 2>&1 &&
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $packages >>"$log" 2>&1; then
    rm -f "$log"
else
    tail -n 5 "$log"
    echo "Not installed:$packages (log: $log)"
fi
