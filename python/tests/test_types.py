"""The package under mypy --strict, its stubs against the module, and the examples that documents show."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sordino
import sordino._estimator

ROOT = Path(__file__).parents[2]


def checked(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_strict(tmp_path):
    pytest.importorskip("mypy")
    checked("mypy", "--config-file", "pyproject.toml", "--cache-dir", str(tmp_path))


def test_stubs_are_those_of_the_module(tmp_path):
    pytest.importorskip("mypy")
    # What pickle and the interpreter add is no part of it.
    allowed = tmp_path / "allowed"
    allowed.write_text("sordino._sordino.__all__\n")
    checked("mypy.stubtest", "sordino._sordino", "--allowlist", str(allowed), "--ignore-unused-allowlist")


def test_examples_of_docstrings_run():
    assert doctest.testmod(sordino._estimator).failed == 0


def test_examples_of_the_readme_run(capsys):
    text = (ROOT / "crates/python/README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 6
    names = {}
    # The others hear a clip, ask a server or want a network of somebody's own, and want a cluster: `test_sound.py`, `test_remote.py`, `test_network.py` and `test_ray.py` have them.
    for block in blocks[:2]:
        exec(compile(block, "README.md", "exec"), names)
    accuracy = float(capsys.readouterr().out.splitlines()[0])
    assert accuracy > 0.9
