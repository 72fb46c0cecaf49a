"""Holds the files of a run against the tools that readers use.

    python check.py PROGRAM RUN OPEN-DATA.md

RUN is the folder of a run that may be cited, OPEN-DATA.md the page that documents its files.
Ends with 1 and a line for each thing that is not as documented.
"""

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import jsonschema
import pandas
import polars
import pyarrow.parquet
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from pybtex.database import parse_string

# It wants a jsonschema of its own, older than the one above, and so an environment of its own.
CFFCONVERT = os.environ.get("POLLPUSH_CFFCONVERT", "cffconvert")

PROGRAM, RUN, PAGE = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])

# A histogram keeps three significant digits.
DIGITS = 1e-3
GREATEST = 600_000_000_000

faults = []


def expect(holds, said):
    if not holds:
        faults.append(said)


def program(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{arguments}: {done.stderr}")
    return done.stdout


def nearest_rank(ordered, share):
    """The p-quantile as pollpush defines it: at least p·n values do not exceed it."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def documented():
    """The columns that the page describes: name and type, in order."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+)( or empty)? \|", PAGE.read_text(), re.MULTILINE)
    return [(name, kind, bool(empty)) for name, kind, empty in rows]


def ledgers(trials):
    """Every ledger opens in every tool, with the documented columns, and means the same."""
    columns = documented()
    names = [name for name, _, _ in columns]
    expect(len(columns) == 7, f"{PAGE} documents {len(columns)} columns")
    for trial in trials:
        path = RUN / trial["measured"]["ledger"]
        start, end = window(trial)

        schema = pyarrow.parquet.read_schema(path)
        kept = [(field.name, str(field.type), field.nullable) for field in schema]
        expect(kept == columns, f"{path.name}: columns are {kept}, documented are {columns}")
        notes = {key.decode() for key in schema.metadata or {}}
        expect(set(names) | {"unit"} <= notes, f"{path.name}: its metadata names only {notes}")

        frame = pandas.read_parquet(path)
        frame = frame[(frame.due >= start) & (frame.due < end)]
        by_pandas = (frame.usable - frame.due).dropna().median()

        late = polars.read_parquet(path).filter(
            (polars.col("due") >= start) & (polars.col("due") < end)
        )
        by_polars = late.select((polars.col("usable") - polars.col("due")).median()).item()

        by_duckdb = duckdb.sql(
            f"select median(usable - due) from '{path}' where due >= {start} and due < {end}"
        ).limit(1).fetchall()[0][0]
        same = {by_pandas, by_polars, by_duckdb}
        expect(len(same) == 1, f"{path.name}: the median latency is {same}")
        expect(
            len(frame) == trial["measured"]["events"]["emitted"],
            f"{path.name}: {len(frame)} rows in the window",
        )


def nanoseconds(text):
    units = {"h": 3600e9, "min": 60e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1}
    parts = re.findall(r"([\d.]+)\s*([a-zµ]+)", text)
    return round(sum(float(number) * units[unit] for number, unit in parts))


def window(trial):
    start = nanoseconds(trial["workload"]["warm_up"])
    return start, start + nanoseconds(trial["workload"]["window"])


def latencies(trial):
    """The latencies of a trial's window, in order, from its ledger."""
    start, end = window(trial)
    frame = pandas.read_parquet(RUN / trial["measured"]["ledger"])
    frame = frame[(frame.due >= start) & (frame.due < end)]
    return sorted(int(value) for value in (frame.usable - frame.due).dropna())


def histograms(trials):
    """Every histogram log opens in hdrhistogram for Python, with the percentiles of the ledger."""
    for trial in trials:
        path = RUN / trial["measured"]["histogram"]
        merged = HdrHistogram(1, GREATEST, 3)
        reader = HistogramLogReader(str(path), HdrHistogram(1, GREATEST, 3))
        while (interval := reader.get_next_interval_histogram()) is not None:
            if interval.get_tag() == "latency":
                merged.add(interval)
        exact = latencies(trial)
        expect(merged.get_total_count() == len(exact), f"{path.name}: {merged.get_total_count()}")
        for percentile in (0.5, 0.9, 0.99, 1.0):
            ours = nearest_rank(exact, percentile)
            # The package rounds the rank to the nearest whole number, where ours is rounded up.
            rounded = exact[max(math.floor(percentile * len(exact) + 0.5), 1) - 1]
            theirs = merged.get_value_at_percentile(percentile * 100)
            expect(
                min(abs(theirs / ours - 1), abs(theirs / rounded - 1)) <= DIGITS,
                f"{path.name}: p{percentile * 100:g} is {theirs}, the ledger gives {ours}",
            )


def summary(trials):
    """The summary is valid by its published schema, and its medians are those of the ledgers."""
    found = json.loads((RUN / "summary.json").read_text())
    schema = json.loads(program("schema", "summary"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for error in validator.iter_errors(found):
        faults.append(f"summary.json: {error.json_path}: {error.message}")
    broken = json.loads(json.dumps(found))
    broken["points"][0]["strategies"][0]["latency"]["p50"] = "fast"
    expect(not validator.is_valid(broken), "the schema takes a median that is no number")
    for number, point in enumerate(found["points"]):
        for strategy in point["strategies"]:
            own = [
                trial
                for trial in trials
                if trial["point"] == number and trial["strategy"]["name"] == strategy["name"]
            ]
            medians = [nearest_rank(latencies(trial), 0.5) for trial in own]
            ours, theirs = statistics.median(medians), strategy["latency"]["p50"]
            expect(
                abs(ours - theirs) < 1,
                f"summary.json: the median of {strategy['name']} is {theirs}, not {ours}",
            )


def citations():
    """Citations are read by tools that read such citations."""
    bibtex = parse_string(program("cite", str(RUN), "--style", "bibtex"), "bibtex")
    (entry,) = bibtex.entries.values()
    manifest = json.loads((RUN / "manifest.json").read_text())
    run_id = manifest["run_id"]
    expect(run_id in entry.fields["note"], "the BibTeX entry has no run id")
    expect(entry.fields["year"].isdigit(), f"the BibTeX year is {entry.fields['year']}")
    expect(str(entry.persons["author"][0]) != "", "the BibTeX entry has no author")

    text = program("cite", str(RUN), "--style", "cff", "--url", "https://example.org/a")
    for fault in cff_faults(text):
        faults.append(f"CFF: {fault}")
    expect(cff_faults(text.replace("title:", "tytle:")), "the CFF validator takes anything")

    (item,) = json.loads(program("cite", str(RUN), "--style", "csl-json"))
    expect(item["type"] == "dataset" and run_id in item["note"], f"CSL-JSON: {item}")


def cff_faults(text):
    """What the validator of the Citation File Format says against a text."""
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / "CITATION.cff").write_text(text)
        command = [CFFCONVERT, "--validate", "--infile", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stderr or done.stdout).strip().splitlines()
    return [] if done.returncode == 0 else [said[-1]]


def main():
    lines = (RUN / "trials.jsonl").read_text().splitlines()
    trials = [trial for trial in map(json.loads, lines) if trial["measured"] is not None]
    expect(trials, "nothing was measured")
    ledgers(trials)
    histograms(trials)
    summary(trials)
    citations()
    for fault in faults:
        print(fault)
    print(f"{len(trials)} trials, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
