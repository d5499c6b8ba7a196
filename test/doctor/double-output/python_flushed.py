# SPDX-License-Identifier: MIT
# After certbot/certbot#477: print() is flushed before the fork, and the same is printed again by both.
# finds: nothing
import os
import sys

sys.stdout = open(1, "w", closefd=False)
print("a line")
sys.stdout.flush()
child = os.fork()
print("a line")
sys.stdout.flush()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
