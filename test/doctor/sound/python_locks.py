# SPDX-License-Identifier: MIT
# After vmware-archive/runtimes#94: locks and a number of multiprocessing's are for all processes.
# finds: nothing
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    lock, value = context.Lock(), context.Value("i", 0)

    def work():
        with value.get_lock(), lock:
            value.value += 1

    workers = [context.Process(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(value.value)
