# SPDX-License-Identifier: MIT
# After benoitc/gunicorn#3384: workers accept from the arbiter's socket, and tell it of themselves by a pipe.
# finds: nothing
import os
import socket

listener = socket.create_server(("127.0.0.1", 0))
heard, told = os.pipe()


def serve():
    client, _ = listener.accept()
    client.sendall(b"hello")
    client.close()
    os.write(told, b".")
    os._exit(0)


workers = []
for _ in range(2):
    worker = os.fork()
    if worker == 0:
        serve()
    workers.append(worker)
for worker in workers:
    with socket.create_connection(listener.getsockname()) as connection:
        connection.recv(5)
    os.read(heard, 1)
for worker in workers:
    os.waitpid(worker, 0)
