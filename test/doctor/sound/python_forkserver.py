# SPDX-License-Identifier: MIT
# After E3SM-Project/e3sm_diags#1040: workers come from a process without threads, which is made for that.
# finds: nothing
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=print, args=("x",))
    process.start()
    process.join()
