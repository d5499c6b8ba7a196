# SPDX-License-Identifier: MIT
# After apache/airflow#60940: processes of concurrent.futures, and the threads that mind them.
# finds: nothing
import concurrent.futures
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        print(sum(pool.map(abs, range(-10, 10))))
