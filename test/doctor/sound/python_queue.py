# SPDX-License-Identifier: MIT
# After confluentinc/confluent-kafka-python#172: a queue between processes, whose feeding thread is the child's own.
# finds: nothing
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=answers.put, args=("answer",))
    process.start()
    print(answers.get())
    process.join()
