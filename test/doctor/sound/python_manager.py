# SPDX-License-Identifier: MIT
# After E3SM-Project/e3sm_diags#1040: workers share a list that a process of multiprocessing's keeps.
# finds: nothing
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        shared = manager.list()
        workers = [context.Process(target=shared.append, args=(i,)) for i in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(sorted(shared))
