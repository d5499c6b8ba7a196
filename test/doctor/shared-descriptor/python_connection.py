# SPDX-License-Identifier: MIT
# After psf/requests#1906: a session has an open connection, and is used in the parent and in the child.
# finds: shared-descriptor
import os
import socket

listener = socket.create_server(("127.0.0.1", 0))


def serve():
    client, _ = listener.accept()
    with client:
        while question := client.recv(1):
            client.sendall(question)


server = os.fork()
if server == 0:
    serve()
    os._exit(0)
connection = socket.create_connection(listener.getsockname())


def ask():
    connection.sendall(b"q")
    connection.recv(1)


ask()
child = os.fork()
if child == 0:
    ask()
    os._exit(0)
os.waitpid(child, 0)
ask()
connection.close()
os.waitpid(server, 0)
