#!/usr/bin/env bash
# Asks a demo everything that its own API description allows, and much that it does not, and looks for answers that it does
# not describe. Takes `schemathesis` from the PATH, else installs what requirements.txt names. `EXAMPLES` sets how many
# questions each operation gets (default 100), `SEED` repeats a run.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
oriel=${ORIEL:-$target/debug/oriel}
work=$(mktemp -d)

if ! command -v schemathesis > /dev/null; then
    if ! cmp -s gateway/tests/requirements.txt "$target/venv/installed"; then
        python3 -m venv --clear "$target/venv"
        "$target/venv/bin/pip" install --quiet --disable-pip-version-check -r gateway/tests/requirements.txt
        cp gateway/tests/requirements.txt "$target/venv/installed"
    fi
    PATH="$(realpath "$target")/venv/bin:$PATH"
fi
[ -x "$oriel" ] || cargo build --quiet

"$oriel" demo --json --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --data "$work/data" > "$work/demo" 2> "$work/log" &
demo=$!
finish() {
    kill "$demo" 2> /dev/null || true
    wait "$demo" 2> /dev/null || true
    rm -rf "$work"
}
trap finish EXIT

for _ in $(seq 300); do
    [ -s "$work/demo" ] && break
    kill -0 "$demo" || { cat "$work/log"; exit 1; }
    sleep 0.1
done
field() { python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())[sys.argv[2]])' "$work/demo" "$1"; }
url=$(field url)
key=$(field key)

# Cameras that are offline, slow or unable are described answers; 500 is none.
cat > "$work/schemathesis.toml" << 'TOML'
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 502, 503, 504]
TOML

# Streams, also of pictures, have no end and a camera socket is no request: they have tests of their own, and so has who may do what.
ask() ( # in a folder of its own, because it leaves a cache behind
    cd "$work"
    schemathesis --config-file "$work/schemathesis.toml" run "$url/openapi.json" \
        --header "Authorization: Bearer $key" \
        --exclude-path /v1/stream --exclude-path /v1/agent/connect --exclude-path "/v1/cameras/{id}/live" \
        --phases examples,coverage,fuzzing \
        --checks all --exclude-checks ignored_auth,object_level_authorization,positive_data_acceptance \
        --workers 2 --continue-on-failure --request-timeout 15 --max-examples "${EXAMPLES:-100}" ${SEED:+--seed "$SEED"} \
        --generation-database none --no-color "$@"
)

# What takes away cameras, agents and keys comes last: it may take away the key of this run.
ask --exclude-method DELETE
ask --include-method DELETE
