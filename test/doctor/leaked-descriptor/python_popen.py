# SPDX-License-Identifier: MIT
# After dotnet/corefx#16180: Python opens all with O_CLOEXEC, and hands down what pass_fds names.
# finds: nothing
import os
import socket
import subprocess

listener = socket.create_server(("127.0.0.1", 0))
heard, told = os.pipe()
process = subprocess.Popen(["/bin/sh", "-c", f"echo ready >&{told}"], pass_fds=[told], stdout=subprocess.PIPE)
process.communicate()
os.read(heard, 6)
