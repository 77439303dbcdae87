"""The ``sordino`` program, as ``python -m sordino`` or by its own name."""

import signal
import sys

from sordino._sordino import run


def main() -> int:
    # The program ends on Ctrl-C as programs do, and not when Python next looks.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run(["sordino", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
