"""The console script: one line for every error the project raises on purpose, a traceback for every bug."""

from __future__ import annotations

import os
import sys
import threading

from gotr1_eval import check_neighbours
from gotr1_eval.core.errors import GotR1Error
from gotr1_eval.core.secrets import guard_streams


def main() -> None:
    """Run the command line and exit with its code."""
    guard_streams()
    try:
        check_neighbours()
        from gotr1_eval.cli.app import run

        code = run(sys.argv[1:])
    except GotR1Error as error:
        print(f"gotr1-eval: {error}", file=sys.stderr)  # noqa: T201
        code = error.exit_code
    except KeyboardInterrupt:
        print("gotr1-eval: interrupted; the same command goes on where it stopped", file=sys.stderr)  # noqa: T201
        code = 130
        if threading.active_count() > 1:
            # Python would wait for the threads that wait for servers.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error, but Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.errno is None or error.strerror is None:
            raise  # a library's own words, from a place that should have understood them
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"gotr1-eval: {place}{error.strerror}; see to the disk or the folder, and start again", file=sys.stderr)  # noqa: T201
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
