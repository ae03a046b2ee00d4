# What is tried in the booted container; `docker/try-packages` reads this file.

FIRST=/var/lib/oriel/first.key
AGENT=/etc/camera-agent/agent.toml

all() {
    mapfile -t NOW < <(cd "$ROOT" && printf '/%s\n' packages/now/*.deb)
    mapfile -t THEN < <(cd "$ROOT" && printf '/%s\n' packages/later/*.deb)
    step "what is there before" remember before
    step "install" install_both
    step "the gateway runs" gateway_runs
    step "TLS at port 443, and a new certificate" gateway_tls
    step "the agent is enrolled" agent_enrolled
    step "each source under the unit's confinement" sources
    step "what else the guide says" guide_lines
    step "killed" killed
    step "hung" hung
    step "units" units
    step "a device that enrols itself" enrols_itself
    step "back up and restore" restored
    step "upgrade, and the way back" upgrade
    step "remove" remove
    step "install again, and purge" purge
    step "what is there afterwards" compare
}

# Writes down each file, its owner and its mode, and who is known; logs and what belongs to dpkg, apt and the running system are left out.
remember() {
    local into=$WORK/$1
    (cd "$ROOT" && find . -xdev \
        \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path './tmp/*' -o -path './var/tmp/*' -o -path ./packages \
        -o -path './var/log/*' -o -path './var/lib/dpkg/*' -o -path './var/lib/apt/*' -o -path './var/cache/*' \) -prune \
        -o -printf '%M %U:%G %p %l\n') | sort > "$into.files"
    find "$ROOT/var/lib/dpkg/info" -name 'oriel.*' -o -name 'camera-agent.*' >> "$into.files"
    local list
    for list in passwd group shadow gshadow; do
        sed "s/^/$list: /" "$ROOT/etc/$list"
    done > "$into.people"
    echo "$(wc -l < "$into.files") files, $(wc -l < "$into.people") lines about people and groups"
}

# Says only what dpkg does, and everything when it fails.
apt() {
    inside apt-get --yes --quiet "$@" > "$WORK/apt" 2>&1 || { cat "$WORK/apt"; return 1; }
    grep -E '^(Setting up|Creating|Created|Removed|Removing|Purging|Unpacking .* over|W:|E:|dpkg:)' "$WORK/apt"
}

install_both() {
    apt install "${NOW[@]}"
    inside dpkg --audit
    equal "$(inside systemctl is-enabled oriel camera-agent | tr '\n' ' ')" "enabled enabled "
}

gateway_runs() {
    active oriel
    wait_until "readyz" inside curl -fsS http://127.0.0.1:8080/readyz
    echo "readyz: $(inside curl -fsS http://127.0.0.1:8080/readyz)"
    equal "$(inside stat -c '%A %U:%G' /var/lib/oriel $FIRST | tr '\n' ' ')" "drwx------ oriel:oriel -rw------- oriel:oriel "
    equal "$(inside curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $(inside cat $FIRST)" http://127.0.0.1:8080/v1/cameras)" 200
    equal "keys in the journal: $(inside journalctl --no-pager | grep -c oak_)" "keys in the journal: 0"
    # Without a certificate there is nothing to read again.
    ! inside systemctl reload oriel 2> /dev/null || fail "a reload without a certificate succeeded"
    active oriel
    # Not enrolled, so it was not started, and that is no failure.
    equal "$(property camera-agent ActiveState) $(property camera-agent ConditionResult)" "inactive no"
}

# As docs/guide/install.md says.
gateway_tls() {
    certificate one
    inside sed -i -e 's|^listen = .*|listen = "0.0.0.0:443"|' \
        -e 's|^#tls_cert|tls_cert|; s|^#tls_key|tls_key|; s|^#public_url = .*|public_url = "https://gateway.example"|' /etc/oriel/oriel.toml
    inside oriel check-config --config /etc/oriel/oriel.toml > "$WORK/holds"
    grep -E '^(listen|tls_|data|public_url)' "$WORK/holds"
    inside systemctl restart oriel
    wait_until "readyz at port 443" inside curl -fsS --cacert /etc/oriel/cert.pem https://gateway.example/readyz
    local pid
    pid=$(property oriel MainPID)
    certificate two
    inside systemctl reload oriel
    wait_until "the new certificate" inside curl -fsS --cacert /etc/oriel/cert.pem https://gateway.example/readyz
    equal "$(property oriel MainPID) $(property oriel NRestarts)" "$pid 0"
}

certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
        -addext 'basicConstraints=critical,CA:FALSE' -addext 'subjectAltName=DNS:gateway.example' -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2> /dev/null
    cp "$WORK/key.pem" "$WORK/cert.pem" "$ROOT/root/"
    inside install -m 640 -g oriel /root/cert.pem /root/key.pem /etc/oriel/
    rm "$ROOT/root/key.pem" "$ROOT/root/cert.pem"
}

oriel() {
    inside env ORIEL_URL=https://gateway.example ORIEL_KEY_FILE=$FIRST ORIEL_CA=/etc/oriel/cert.pem oriel "$@"
}

agent_enrolled() {
    local code
    code=$(oriel enroll --camera porch --new-cameras '*' --json | grep -o 'oen_[A-Za-z0-9_-]*' | sort -u)
    inside cp /etc/oriel/cert.pem /etc/camera-agent/ca.pem
    inside runuser -u camera-agent -- camera-agent enroll --config $AGENT --state /var/lib/camera-agent \
        --gateway https://gateway.example --ca /etc/camera-agent/ca.pem --code "$code"
    inside systemctl start camera-agent
    active camera-agent
    wait_until "the agent at the gateway" connected
    wait_until "an event of the simulated camera" has_events porch
    equal "$(inside stat -c '%A %U:%G' /etc/camera-agent $AGENT /var/lib/camera-agent | tr '\n' ' ')" \
        "drwxrws--- root:camera-agent -rw-r--r-- camera-agent:camera-agent drwx------ camera-agent:camera-agent "
}

connected() { inside camera-agent status --config $AGENT; }
has_events() { oriel events "$1" --from -1h | grep "${2:-.}"; }
events() { oriel events porch --from -1d --source store --limit 100000 --json | grep -o '"id":"[^"]*"' | sort; }

# A log that the group adm may read, syslog at port 514, and a folder whose files are removed, with the guide's drop-in.
sources() {
    inside install -m 640 -g adm /dev/null /var/log/tried.log
    inside install -d -m 2770 -o games -g camera-agent /srv/yard
    cat >> "$ROOT$AGENT" << 'TOML'

[[camera]]
id = "log"
source = { type = "tail", path = "/var/log/tried.log" }

[[camera]]
id = "switches"
source = { type = "syslog", listen = "127.0.0.1:514" }

[[camera]]
id = "yard"
source = { type = "folder", path = "/srv/yard", remove = true }
TOML
    inside runuser -u camera-agent -- camera-agent check-config --config $AGENT
    inside systemctl restart camera-agent
    wait_until "the agent at the gateway" connected
    wait_until "the log's camera" online log
    inside sh -c 'echo "a line of a log" >> /var/log/tried.log'
    wait_until "the line" has_events log "a line of a log"
    inside logger --server 127.0.0.1 --port 514 --tcp "a message by syslog"
    wait_until "the message" has_events switches "a message by syslog"
    put one.jpg
    wait_until "the picture" has_picture yard
    inside test -e /srv/yard/one.jpg || fail "the unit lets a folder be written to that no drop-in names"
    drop_in camera-agent yard $'[Service]\nReadWritePaths=-/srv/yard'
    inside systemctl restart camera-agent
    put two.jpg
    wait_until "the picture taken out of the folder" inside sh -c '! test -e /srv/yard/two.jpg'
    inside ls /srv/yard
}

# Puts a picture into the folder as a camera's upload would: one of the simulated camera's.
put() {
    inside sh -euc 'install -m 660 -o games -g camera-agent "$(find /var/lib/camera-agent/images/porch -name "*.jpg" -print -quit)" "/srv/$1"
        mv "/srv/$1" /srv/yard/' sh "$1"
}
online() { oriel cameras show "$1" | grep online; }
has_picture() { oriel images list "$1" --from -1d | grep preview; }

drop_in() {
    mkdir -p "$ROOT/etc/systemd/system/$1.service.d"
    printf '%s\n' "$3" > "$ROOT/etc/systemd/system/$1.service.d/$2.conf"
    inside systemctl daemon-reload
}

# Another key while the gateway runs, a log below /home, and more in the journal.
guide_lines() {
    inside runuser -u oriel -- oriel keys add --name me --role admin --all --data /var/lib/oriel --out /var/lib/oriel/me.key
    equal "$(FIRST=/var/lib/oriel/me.key oriel keys list --json | grep -o '"name":"[^"]*"' | sort | tr '\n' ' ')" '"name":"first" "name":"me" '
    inside install -D -m 644 /dev/null /home/tried/app.log
    printf '[[camera]]\nid = "app"\nsource = { type = "tail", path = "/home/tried/app.log" }\n' >> "$ROOT$AGENT"
    drop_in camera-agent home $'[Service]\nProtectHome=read-only\nEnvironment=CAMERA_AGENT_LOG=debug CAMERA_AGENT_LOG_FORMAT=json'
    inside systemctl restart camera-agent
    wait_until "the log's camera" online app
    inside sh -c 'echo "a line at home" >> /home/tried/app.log'
    wait_until "the line" has_events app "a line at home"
    inside journalctl --unit camera-agent --output cat | grep '"level":"INFO"' | tail -n 1
    rm "$ROOT/etc/systemd/system/camera-agent.service.d/home.conf"
    inside systemctl daemon-reload
    inside systemctl restart camera-agent
    wait_until "the agent at the gateway" connected
    inside journalctl --unit camera-agent --since today --grep 'WARN|ERROR' --output cat
}

# Each service is killed, and is back by itself with everything that it had.
killed() {
    local unit pid before after
    before=$(events)
    for unit in oriel camera-agent; do
        pid=$(property $unit MainPID)
        inside sh -c "kill -KILL $pid"
        wait_until "$unit to be started again" restarted $unit "$pid"
        echo "$unit: NRestarts=$(property $unit NRestarts), MainPID $pid is now $(property $unit MainPID)"
    done
    wait_until "the agent at the gateway" connected
    wait_until "an event after that" more_events "$before"
    after=$(events)
    equal "$(uniq -d <<< "$after")" ""
    kept "$before" "$after"
}

restarted() { [ "$(property "$1" MainPID)" != "$2" ] && inside systemctl is-active "$1"; }
more_events() { [ "$(events | wc -l)" -gt "$(wc -l <<< "$1")" ]; }
kept() {
    equal "$(comm -23 <(echo "$1") <(echo "$2"))" ""
    echo "events of porch: $(wc -l <<< "$1") before, all of them among $(wc -l <<< "$2") afterwards, none twice"
}

# Where the watchdog waits for 2 s, a program that runs is left alone for 10 s, and one that is stopped is started again.
hung() {
    local unit pid
    for unit in oriel camera-agent; do
        drop_in $unit tried $'[Service]\nWatchdogSec=2\nTimeoutStopSec=3'
        inside systemctl restart $unit
    done
    sleep 10
    for unit in oriel camera-agent; do
        equal "$unit $(property $unit NRestarts)" "$unit 0"
        pid=$(property $unit MainPID)
        inside sh -c "kill -STOP $pid"
        wait_until "$unit to be started again" restarted $unit "$pid"
        inside journalctl --no-pager --unit $unit | grep -E 'Watchdog timeout|result .watchdog' | tail -n 2
        rm "$ROOT/etc/systemd/system/$unit.service.d/tried.conf"
    done
    inside systemctl daemon-reload
    inside systemctl restart oriel camera-agent
    wait_until "the agent at the gateway" connected
}

units() {
    local unit
    for unit in oriel camera-agent; do
        equal "$(inside systemd-analyze verify --man=no /usr/lib/systemd/system/$unit.service 2>&1)" ""
        inside systemd-analyze security --no-pager --threshold="$EXPOSED" $unit.service | tail -n 1
    done
}

# As from an image: a configuration and a code lie there before the agent first starts.
enrols_itself() {
    inside systemctl stop camera-agent
    inside mv /var/lib/camera-agent /var/lib/camera-agent-before
    inside mv $AGENT /root/agent.toml
    inside systemd-tmpfiles --create camera-agent.conf
    oriel enroll --camera shed --out /etc/camera-agent/code
    inside chmod 640 /etc/camera-agent/code
    sed -e 's|^code_file = .*|&\nca = "ca.pem"|' -e '/^\[\[camera/,$d' "$ROOT/usr/share/doc/camera-agent/examples/agent.toml" > "$ROOT$AGENT"
    printf '[[camera]]\nid = "shed"\nsource = { type = "simulator" }\n' >> "$ROOT$AGENT"
    inside systemctl start camera-agent
    wait_until "the agent at the gateway" connected
    inside runuser -u camera-agent -- camera-agent check-config --config /usr/share/doc/camera-agent/examples/agent.toml
    inside systemctl stop camera-agent
    inside rm -r /var/lib/camera-agent /etc/camera-agent/code
    inside mv /var/lib/camera-agent-before /var/lib/camera-agent
    inside mv /root/agent.toml $AGENT
    inside systemctl start camera-agent
    wait_until "the agent at the gateway" connected
}

# The backup of a running gateway takes the place of its folder; what came after it is sent again.
restored() {
    local before
    inside install -d -m 700 /backup
    inside oriel backup --data /var/lib/oriel --out /backup/oriel.db
    before=$(events)
    inside systemctl stop oriel
    inside mv /var/lib/oriel /var/lib/oriel-before
    inside install -d -m 700 -o oriel -g oriel /var/lib/oriel
    inside install -m 600 -o oriel -g oriel /backup/oriel.db /var/lib/oriel/oriel.db
    inside systemctl start oriel
    # No first key is made for a folder that has keys.
    ! inside test -e $FIRST || fail "there is another first key"
    inside cp -a /var/lib/oriel-before/first.key $FIRST
    wait_until "the agent at the gateway" connected
    wait_until "an event after that" more_events "$before"
    kept "$before" "$(events)"
    inside rm -r /backup /var/lib/oriel-before
}

upgrade() {
    local before pids=() unit
    before=$(events)
    for unit in oriel camera-agent; do pids+=("$(property $unit MainPID)"); done
    apt install "${THEN[@]}"
    equal "$(inside dpkg-query -W -f '${Version} ' oriel camera-agent)" "$LATER $LATER "
    restarted oriel "${pids[0]}" > "$WORK/tried" || fail "oriel was not restarted"
    restarted camera-agent "${pids[1]}" > "$WORK/tried" || fail "camera-agent was not restarted"
    wait_until "the agent at the gateway" connected
    oriel keys list > "$WORK/tried"
    wait_until "an event after that" more_events "$before"
    kept "$before" "$(events)"
    # A configuration that was changed stays as it is.
    inside grep '^listen' /etc/oriel/oriel.toml
    # Who has switched a service off finds it so.
    inside systemctl disable --quiet --now camera-agent
    apt install --allow-downgrades "${NOW[@]}"
    active oriel
    equal "$(property camera-agent ActiveState)" inactive
    inside systemctl enable --quiet --now camera-agent
    wait_until "the agent at the gateway" connected
}

remove() {
    apt remove oriel camera-agent
    equal "$(inside systemctl is-active oriel camera-agent | tr '\n' ' ')" "inactive inactive "
    inside test -s /var/lib/oriel/oriel.db || fail "the database is gone"
    inside test -d /var/lib/camera-agent/tokens || fail "the token is gone"
    [ -z "$(inside find /proc -maxdepth 1 -user oriel -o -maxdepth 1 -user camera-agent)" ] || fail "something still runs"
}

purge() {
    apt install "${THEN[@]}"
    wait_until "the agent at the gateway" connected
    echo "after remove and install the agent is connected as before"
    # A disk that is mounted at the data folder is emptied, and nothing else is in the way.
    inside mount --bind /var/lib/oriel /var/lib/oriel
    apt purge oriel
    inside umount /var/lib/oriel
    inside rmdir /var/lib/oriel
    apt install "${THEN[@]}"
    apt purge oriel camera-agent
    local user
    for user in oriel camera-agent; do
        ! inside getent passwd $user || fail "a user is left"
    done
}

# What this trial itself has made is taken away first.
compare() {
    rm -rf "$ROOT/srv/yard" "$ROOT/home/tried" "$ROOT/etc/systemd/system/oriel.service.d" "$ROOT/etc/systemd/system/camera-agent.service.d"
    remember after
    diff "$WORK/before.people" "$WORK/after.people"
    diff "$WORK/before.files" "$WORK/after.files"
    echo "the same users, groups and files"
}

active() {
    wait_until "$1 to be active" inside systemctl is-active "$1"
    equal "$1 $(property "$1" NRestarts)" "$1 0"
    inside systemctl show --property=ActiveState,SubState,NRestarts,User "$1" | tr '\n' ' '
    echo
}

property() { inside systemctl show --value --property="$2" "$1"; }

equal() {
    [ "$1" = "$2" ] || { echo "it is     $1" >&2; echo "should be $2" >&2; return 1; }
}
