"""The README's real output: the demo's summary table, and the mean score of good, mediocre and harmful replies.

    python benchmarks/demo.py [--write]

Runs `kardia score examples/conversations.jsonl --rubric emotional-support` and prints what it printed. `--write`
puts it into README.md between its markers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tables import write_table

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the output into README.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        command = [sys.executable, "-m", "kardia", "score", "examples/conversations.jsonl"]
        # a ledger of its own: what earlier runs stored would be told in the output
        command += ["--rubric", "emotional-support", "-o", str(out), "--ledger", str(Path(folder) / "ledger.sqlite3")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        cards = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    table = "\n".join(line.rstrip() for line in done.stderr.strip("\n").splitlines()).rstrip()
    means: dict[str, float] = {}
    for quality in ("good", "mediocre", "harmful"):
        scores = [card["score"] for card in cards if card["metadata"]["quality"] == quality]
        means[quality] = sum(scores) / len(scores)
    shown = ", ".join(f"{mean:.2f} ({quality})" for quality, mean in means.items())
    text = (
        f"```text\n{table}\n```\n\n"
        "The examples hold eight situations, each with a good, a mediocre and a harmful reply.\n"
        f"Their mean scores: {shown}."
    )
    print(text)
    if options.write:
        write_table(ROOT / "README.md", "demo", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
