# What is tried where no container can be booted; `docker/try-packages` reads this file.

unbooted() {
    step "install without systemd running" unbooted_install
    step "units" unbooted_units
    step "the services' commands, run as their users" unbooted_services
    step "remove and purge" unbooted_purge
    cat << 'SAYS'

good as far as it goes. What was NOT seen, because nothing booted here: that systemd starts the services, watches them, starts them
again when they are killed, and confines them; that a code enrols the agent in its confinement; that an upgrade restarts them.
SAYS
}

in_root() {
    chroot "$ROOT" env -i --chdir=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

unbooted_install() {
    mount -t proc proc "$ROOT/proc"
    in_root sh -c 'dpkg --install /packages/now/*.deb'
    in_root getent passwd oriel camera-agent
    # What systemd does when it boots.
    in_root systemd-tmpfiles --create oriel.conf camera-agent.conf
    in_root ls -ld /var/lib/oriel /var/lib/camera-agent /etc/oriel /etc/camera-agent
}

unbooted_units() {
    local unit
    for unit in oriel camera-agent; do
        in_root systemd-analyze verify --man=no /usr/lib/systemd/system/$unit.service
        in_root systemd-analyze security --no-pager --offline=true --threshold="$EXPOSED" /usr/lib/systemd/system/$unit.service | tail -n 1
    done
}

# The network is one of its own, so that nothing meets what else runs here.
unbooted_services() {
    local line
    line=$(sed -n 's|^ExecStartPre=/bin/sh -c ||p' "$ROOT/usr/lib/systemd/system/oriel.service")
    in_root runuser -u oriel -- sh -c "eval \"sh -c $line\""
    [ "$(in_root stat -c '%A %U' /var/lib/oriel/first.key)" = "-rw------- oriel" ] || fail "first.key is open to others"
    unshare --net sh -euc 'ip link set lo up; exec chroot "$1" sh -euc "$2"' sh "$ROOT" '
        PATH=/usr/sbin:/usr/bin:/sbin:/bin
        setpriv --reuid=oriel --regid=oriel --init-groups oriel serve --config /etc/oriel/oriel.toml & serve=$!
        tries=0
        until curl -fsS http://127.0.0.1:8080/readyz 2> /dev/null; do
            tries=$((tries + 1)); [ $tries -lt 300 ] || exit 1; sleep 0.2
        done
        echo
        kill $serve; wait $serve'
}

unbooted_purge() {
    in_root dpkg --purge oriel camera-agent
    ! grep -E '^(oriel|camera-agent):' "$ROOT/etc/passwd" "$ROOT/etc/group" || fail "a user is left"
    ! ls -d "$ROOT"/var/lib/oriel "$ROOT"/var/lib/camera-agent "$ROOT"/etc/oriel "$ROOT"/etc/camera-agent 2> /dev/null ||
        fail "a folder is left"
    umount "$ROOT/proc"
}
