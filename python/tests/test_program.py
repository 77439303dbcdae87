"""The program that comes with the package."""

import json
import subprocess
import sys


def sordino(*arguments):
    return subprocess.run([sys.executable, "-m", "sordino", *arguments], capture_output=True, text=True)


def test_it_runs_and_says_what_is_wrong(tmp_path):
    assert sordino("--version").stdout.startswith("sordino ")
    made = sordino("synth", "--tracks", "2", "--seconds", "1", "--out", str(tmp_path / "music"), "--json")
    assert made.returncode == 0 and json.loads(made.stdout)["tracks"] == 2, made
    wrong = sordino("inspect", str(tmp_path / "nothing"))
    assert wrong.returncode == 1 and "there is no model in" in wrong.stderr
    assert sordino("inspectt").returncode == 2
