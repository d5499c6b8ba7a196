# SPDX-License-Identifier: MIT
"""A pool of workers that draw from NumPy's random generator, as data loaders do.

streams.py plain METHOD     without libatfork: all workers draw the same numbers
streams.py atfork METHOD    with libatfork: three lines, marked 1 to 3 below

METHOD is fork, spawn or forkserver.
"""
import argparse
import multiprocessing
import sys

import numpy

WORKERS = 3

# Makes each run of the program the same.  A forked worker inherits this state; a spawned worker imports this file.
numpy.random.seed(42)

if "atfork" in sys.argv:
    import atfork  # 1

    @atfork.register_after_fork  # 2
    def seed_numpy():
        numpy.random.set_state(numpy.random.MT19937(atfork.seed(42, bits=128)).state)  # 3


def meet(barrier):
    """Has each worker do one job: no job ends before all have begun."""
    meet.barrier = barrier


def draw(_):
    meet.barrier.wait()
    lineage = sys.modules["atfork"].lineage() if "atfork" in sys.modules else "?"
    return lineage, numpy.random.randint(0, 65536, 3).tolist()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("plain", "atfork"))
    parser.add_argument("method", choices=("fork", "spawn", "forkserver"))
    context = multiprocessing.get_context(parser.parse_args().method)
    with context.Pool(WORKERS, meet, (context.Barrier(WORKERS),)) as pool:
        for lineage, numbers in sorted(pool.map(draw, range(WORKERS), chunksize=1)):
            print("  worker", lineage, "draws", *(f"{number:5}" for number in numbers))


if __name__ == "__main__":
    main()
