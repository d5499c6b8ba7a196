/* SPDX-License-Identifier: MIT */
/* After confluentinc/librdkafka#393: a client's thread sends what is in its queue, and in the child nobody does. */
/* finds: note lost-thread */
#include "../program.h"

static int queue[2];

static void *sender(void *unused) {
  char message;
  while (read(queue[0], &message, 1) == 1 && message != 'q') continue;
  return unused;
}

int main(void) {
  pthread_t thread;
  must(pipe2(queue, O_CLOEXEC) == 0);
  must(pthread_create(&thread, NULL, sender, NULL) == 0);
  must(pthread_setname_np(thread, "sender") == 0);
  fork_once(go_on);
  must(write(queue[1], "q", 1) == 1);
  pthread_join(thread, NULL);
  return 0;
}
