/* SPDX-License-Identifier: MIT */
/* A program that embeds Python: interpreters that come and go, each with a hook, and what is left between them. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sys/wait.h>
#include <unistd.h>

static const char script[] =
    "import os, atfork\n"
    "ran = []\n"
    "@atfork.register_after_fork\n"
    "def run(): ran.append(1)\n"
    "pid = os.fork()\n"
    "if pid == 0: os._exit(len(ran))\n"
    "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), len(atfork.hooks()), flush=True)\n";

int main(void) {
  for (int i = 0; i < 3; i++) {
    Py_Initialize();
    if (PyRun_SimpleString(script) != 0) return 1;
    if (Py_FinalizeEx() != 0) return 2;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) return 3;
  }
  return 0;
}
