# SPDX-License-Identifier: MIT
# After E3SM-Project/e3sm_diags#1040: a pool of multiprocessing's, whose threads begin after its processes.
# finds: nothing
import multiprocessing

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(sum(pool.map(abs, range(-10, 10))))
        pool.close()
        pool.join()
