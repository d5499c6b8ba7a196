/* SPDX-License-Identifier: MIT */
/* After gabime/spdlog#2920: what a C++ stream has not flushed comes out of both processes. */
/* finds: double-output */
/* links: stdc++ */
#include "cpp_stream.h"

int main(void) {
  char path[] = "/tmp/atfork-doctor-XXXXXX";
  int made = mkostemp(path, O_CLOEXEC);
  must(made != -1);
  struct stream log;
  stream_open(&log, path);
  stream_write(&log, "before the fork\n");
  pid_t child = fork();
  if (child == 0) {
    stream_write(&log, "child\n");
    stream_close(&log);
    _exit(0);
  }
  wait_for(child);
  stream_close(&log);
  unlink(path);
  return 0;
}
