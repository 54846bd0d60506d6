# Every command a developer types; CI runs the same ones (.ci/run).
# A recipe sets up what it needs: on a bare machine Rust, gcc, git and a Python
# with pip are enough.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @{{ just_executable() }} --list --unsorted

# Check formatting, lints, docs and tidiness; a warning is an error
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy -p naq-services --no-default-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
    cargo test --workspace --test tidy

# Run every test, those on real servers of every supported version and the doctests included
test: servers && doctests
    #!/usr/bin/env bash
    set -euo pipefail
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --no-fail-fast -E 'not binary(faults)'
        # They wait more than they work.
        cargo nextest run -p naq-tests --test faults --no-fail-fast --test-threads $((3 * $(nproc)))
    else
        cargo test --workspace --no-fail-fast --lib --bins --tests
    fi

# Run the tests that need no server
test-fast: && doctests
    cargo test --workspace --exclude naq-tests --lib --bins --tests
    cargo test --workspace --test tidy
    cargo test --workspace --test conformance memory

# Run the examples of the API docs
doctests:
    cargo test --workspace --doc

# Put the nats-server binaries that the tests need into .cache
servers:
    @python3 scripts/nats-server.py --all >/dev/null

# Run the demo; without --server in this process alone
demo *arguments:
    cargo run --release -p naq-cli -- demo {{ arguments }}

# Start a nats-server with JetStream on 127.0.0.1:4222 to play with; its store is .cache/playground
server version="2.15.1":
    binary=$(python3 scripts/nats-server.py --version {{ version }}) && exec "$binary" --addr 127.0.0.1 --port 4222 --jetstream --store_dir .cache/playground

# Build the API docs into target/doc
docs:
    cargo doc --workspace --no-deps --all-features

# Make the packages that would be published
package:
    cargo package --workspace --exclude naq-bench --exclude naq-tests --no-verify --allow-dirty --quiet

# Measure naq beside raw clients, such as `just bench ingest`; `just bench --help` tells what there is
bench *arguments: servers
    cargo run --release -p naq-bench -- {{ arguments }}

# Play the fault scenarios at full length, three times each; `--rounds N`, `--seed S` and a test's name change that
test-faults *arguments: servers
    #!/usr/bin/env bash
    set -euo pipefail
    rounds=3 seed=$RANDOM filter=()
    set -- {{ arguments }}
    while (($#)); do
        case $1 in
            --rounds) rounds=$2; shift 2 ;;
            --seed) seed=$2; shift 2 ;;
            *) filter+=("$1"); shift ;;
        esac
    done
    echo "just test-faults --rounds $rounds --seed $seed ${filter[*]}"
    export NAQ_FAULT_LENGTH=full NAQ_FAULT_ROUNDS=$rounds NAQ_FAULT_SEED=$seed
    cargo test -p naq-tests --test harness ledger
    # Each in a process of its own: whose the memory is can't be told otherwise.
    play() {
        if said=$(cargo test --quiet -p naq-tests --test faults -- --exact "$1" 2>&1); then
            echo "ok      $1, ${SECONDS} s"
        else
            echo "FAILED  $1, ${SECONDS} s" && echo "$said" && return 1
        fi
    }
    export -f play
    scenarios=$(cargo test --quiet -p naq-tests --test faults -- --list --format terse "${filter[@]}" | sed -n 's/: test$//p')
    [[ -n $scenarios ]] || { echo "no scenario is called that"; exit 1; }
    # They wait more than they work.
    echo "$scenarios" | xargs -P $((2 * $(nproc))) -I{} bash -c 'play {}'
    echo "all passed after ${SECONDS} s"
