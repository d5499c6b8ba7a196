/* SPDX-License-Identifier: MIT */
/* Output that waits in buffers other than the C library's. */
#ifndef ATFORK_WATCH_BUFFERS_H
#define ATFORK_WATCH_BUFFERS_H

#include "watch.h"

extern _Atomic unsigned buffers_waiting; /* how many buffers had bytes at a fork that have not been written since */

void buffers_before_fork(uint64_t fork);
void buffers_were_written(int fd, const void *bytes, size_t size);

static inline void buffers_written(int fd, const void *bytes, size_t size) {
  if (!LIKELY(atomic_load_explicit(&buffers_waiting, memory_order_relaxed) == 0)) buffers_were_written(fd, bytes, size);
}

#endif
