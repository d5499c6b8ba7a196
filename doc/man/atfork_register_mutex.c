/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int done;
static long a, b; /* equal, unless the lock is held */

static void *work(void *unused) {
  while (!done) {
    pthread_mutex_lock(&lock);
    a++;
    b++;
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

int main(void) {
  pthread_t thread;
  if (atfork_register_mutex(&lock, 0) == 0) return 1;
  if (pthread_create(&thread, NULL, work, NULL) != 0) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    pthread_mutex_lock(&lock); /* does not wait for ever */
    puts(a == b ? "equal" : "not equal");
    pthread_mutex_unlock(&lock);
    return 0;
  }
  done = 1;
  pthread_join(thread, NULL);
  return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

/* prints:
equal
*/
