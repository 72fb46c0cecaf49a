# The words of the house. `just` lists them.

[private]
default:
    @just --list

# All that must hold before a change is merged.
check: fmt clippy test deny

# Formatting; `cargo fmt` mends it.
fmt:
    cargo fmt --check

# Lints, on tests and benchmarks too.
clippy:
    cargo clippy --all-targets -- -D warnings

# Unit tests, integration tests and the examples in the documentation.
test:
    cargo test

# Licences, duplicate versions, sources and known vulnerabilities of the dependencies.
deny:
    cargo deny check

# A two-second scenario from end to end; its run folder is thrown away.
smoke:
    #!/usr/bin/env bash
    set -euo pipefail
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    cargo run --release -- run scenarios/quickstart.toml --duration 2s --repeats 1 --out "$out"

# A million webhooks through a hundred kills of the subscriber; nothing may be lost. Takes ten minutes.
kills:
    #!/usr/bin/env bash
    set -euo pipefail
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    cargo run --release -- run scenarios/kills.toml --out "$out" --expect "webhook: loss = 0"

# What a run keeps, read by pandas, Polars, DuckDB, HdrHistogram and others.
open-data:
    tests/open-data/install target/open-data
    POLLPUSH_PYTHON="$PWD/target/open-data/bin/python" \
    POLLPUSH_CFFCONVERT="$PWD/target/open-data/cff/bin/cffconvert" \
        cargo test --test it open_data

# The runs of the reference record, anew: six minutes on a machine that has nothing else to do.
reference:
    cargo build --release
    target/release/pollpush run quickstart --repeats 6 --out results/reference
    target/release/pollpush run mechanisms --repeats 6 --out results/reference
    target/release/pollpush run order-flow --repeats 6 --out results/reference
    target/release/pollpush run known-delay --out results/reference

# Tables and charts of the reference record as this program makes them; its evidence stays as it is.
reference-report:
    for run in results/reference/*/; do cargo run --release -- report "$run" > /dev/null || exit 1; done
    cargo run --release -- report results/reference > /dev/null

# How fast the parts and the whole are; wrk and oha join in if they are installed.
bench:
    cargo bench --bench parts --bench throughput --bench analysis

# Malformed scenarios, every one of them given to the program as it is used: time and memory.
malformed:
    cargo build --release
    POLLPUSH_TEST_PROGRAM="$PWD/target/release/pollpush" \
        cargo test --test it malformed::a_measured_program -- --nocapture

# Damages every byte of a run folder, one after the other.
damage:
    POLLPUSH_TEST_EVERY_BYTE=1 cargo test --release --test it damaged:: -- --nocapture

# Kills processes of short runs at so many random moments (`417..418`: that one); records must be kept, and nothing else left.
crashes kills="1000":
    POLLPUSH_TEST_KILLS={{ kills }} cargo test --test it crashes:: -- --nocapture

# Lets every call that writes below a run folder fail, in five ways.
disks:
    POLLPUSH_TEST_EVERY_WRITE=1 cargo test --test it disks:: -- --nocapture

# Lets libFuzzer look at every target for so many seconds, or at one; fuzz/README.md says what it needs.
fuzz seconds="60" target="*":
    #!/usr/bin/env bash
    set -euo pipefail
    # Coverage for libFuzzer is no stable part of the compiler yet.
    export RUSTC_BOOTSTRAP=1
    for source in fuzz/fuzz_targets/{{ target }}.rs; do
        name=$(basename "$source" .rs)
        # What it finds is kept apart from what is kept in the repository.
        found="fuzz/target/corpus/$name"
        mkdir -p "$found"
        seeds=("fuzz/corpus/$name")
        [[ "$name" != scenario ]] || seeds+=(scenarios)
        options=(-max_total_time={{ seconds }} -rss_limit_mb=2048 -timeout=20 -print_final_stats=1)
        words="fuzz/dictionaries/$name.dict"
        [[ ! -e "$words" ]] || options+=("-dict=$words")
        cargo fuzz run --sanitizer none "$name" "$found" "${seeds[@]}" -- "${options[@]}"
    done
