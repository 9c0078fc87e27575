"""Becomes the given command, tied to the life of the process that started it.

Run as a script, before anything else of the job exists: `python -I -S leash.py PARENT SIGNAL COMMAND...`. The kernel
sends SIGNAL to the command as soon as its parent is gone, however the parent died, so that a job never outlives
its supervisor. A hook between fork and exec could do the same but is unsafe in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, number: int, command: list[str]) -> None:
    """Set the tie, undo blocked signals, and become `command`; does not return."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number) != 0:
        sys.exit(f"The job cannot be tied to its supervisor: {os.strerror(ctypes.get_errno())}.")
    if os.getppid() != parent:
        sys.exit("The job's supervisor was gone before the job began.")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}.")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
