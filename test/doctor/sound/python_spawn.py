# SPDX-License-Identifier: MIT
# After E3SM-Project/e3sm_diags#1040: with the start method `spawn` each worker is a program of its own.
# finds: nothing
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=print, args=("worker",))
    process.start()
    process.join()
