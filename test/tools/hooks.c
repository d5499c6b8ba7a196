/* SPDX-License-Identifier: MIT */
/* A program with hooks of libatfork, which says what it sees: the same, watched or not. */
#include <atfork.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[4096];
static size_t length;

#define LETTER(text) ((void *)(uintptr_t)(text))
#define SAY(...) length += (size_t)snprintf(said + length, sizeof said - length, __VA_ARGS__)

/* ---- Callbacks: data is the hook's letter ---- */

static void prepare(void *data) {
  SAY(" prepare %s", (const char *)data);
}

static void parent(void *data) {
  SAY(" parent %s", (const char *)data);
}

static void child(void *data) {
  SAY(" child %s", (const char *)data);
}

static void slow(void *data) {
  usleep(20000); /* this is what is measured, and at least that */
  child(data);
}

static void destroy(void *data) {
  SAY(" destroy %s", (const char *)data);
}

static int refused;

static int try_prepare(void *data) {
  SAY(" try %s", (const char *)data);
  return refused++ == 0;
}

static void await(void *data) {
  SAY(" wait %s", (const char *)data);
}

static void clear_errno(void *data) {
  (void)data;
  errno = EXDEV;
}

static atfork_id itself;

static void take_back(void *data) {
  SAY(" back %d", atfork_unregister(itself));
  child(data);
}

/* ---- What is said ---- */

static int show(const struct atfork_info *info, void *arg) {
  const struct atfork_hook *hook = &info->hook;
  (void)arg;
  SAY(" [%s %d%s%s%s%s%s%s]", hook->name, hook->priority, hook->prepare == prepare ? " prepare" : "",
      hook->parent == parent ? " parent" : "", hook->child == child || hook->child == slow ? " child" : "",
      hook->try_prepare == try_prepare ? " try" : "", hook->wait == await ? " wait" : "",
      hook->destroy == destroy ? " destroy" : "");
  return hook->priority == 100;
}

static void flush(const char *what) {
  char line[5000];
  int size = snprintf(line, sizeof line, "%s:%s\n", what, said);
  if (write(1, line, (size_t)size) != size) _exit(1);
  length = 0;
  said[0] = '\0';
}

static void fork_and_flush(const char *what) {
  pid_t pid = fork();
  if (pid == 0) {
    flush(what);
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, NULL, 0) != pid) _exit(1);
  flush(what);
}

static void test_order(void) {
  atfork_id a = atfork_register(&(struct atfork_hook){.name = "first",
                                                      .priority = -5,
                                                      .prepare = prepare,
                                                      .parent = parent,
                                                      .child = slow,
                                                      .data = LETTER("a"),
                                                      .destroy = destroy});
  atfork_id b = atfork_register_after_fork(child, LETTER("b"));
  fork_and_flush("order");
  SAY(" %d", atfork_foreach(show, NULL));
  flush("foreach");
  SAY(" %d", atfork_unregister(a));
  SAY(" %d", atfork_unregister(a));
  SAY(" %d", errno == ENOENT);
  SAY(" %d", atfork_unregister(b));
  fork_and_flush("unregistered");
}

static void test_refusal(void) {
  atfork_id id = atfork_register(&(struct atfork_hook){.name = "try",
                                                       .priority = 100,
                                                       .try_prepare = try_prepare,
                                                       .wait = await,
                                                       .parent = parent,
                                                       .child = child,
                                                       .data = LETTER("t")});
  SAY(" %d", atfork_foreach(show, NULL));
  fork_and_flush("refusal");
  atfork_unregister(id);
  flush("refusal over");
}

static void test_errors(void) {
  const struct atfork_hook none = {.data = NULL};
  const struct atfork_hook both = {.prepare = prepare, .try_prepare = try_prepare};
  const struct atfork_hook far = {.child = child, .priority = 40000};
  const struct atfork_hook *wrong[] = {NULL, &none, &both, &far};
  for (int i = 0; i < 4; i++) {
    errno = 0;
    SAY(" %d", (int)(atfork_register(wrong[i]) == 0 && errno == EINVAL));
  }
  SAY(" %d", (int)(atfork_register_after_fork(NULL, NULL) == 0 && errno == EINVAL));
  SAY(" %d", (int)(atfork_foreach(NULL, NULL) == -1 && errno == EINVAL));
  flush("errors");
}

static void test_itself(void) {
  itself = atfork_register(
      &(struct atfork_hook){.child = take_back, .parent = take_back, .data = LETTER("i"), .destroy = destroy});
  fork_and_flush("itself");
}

static void test_mutex(void) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  atfork_id id = atfork_register_mutex(&mutex, 7);
  fork_and_flush("mutex");
  SAY(" %d %d", (int)(id != 0), pthread_mutex_trylock(&mutex));
  atfork_unregister(id);
  flush("mutex over");
}

static void test_poll(void) {
  atfork_id id = atfork_register_after_fork(child, LETTER("p"));
  pid_t pid = _Fork();
  if (pid == 0) {
    SAY(" %d", atfork_poll());
    flush("poll");
    _exit(0);
  }
  if (waitpid(pid, NULL, 0) != pid) _exit(1);
  atfork_unregister(id);
}

static void test_many(void) {
  enum { MANY = 1000 };
  static atfork_id ids[MANY];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) ids[i] = atfork_register_after_fork(clear_errno, NULL);
    for (int i = 0; i < MANY; i++) atfork_unregister(ids[i]);
  }
  SAY(" %d", atfork_foreach(show, NULL));
  flush("many");
}

int main(void) {
  test_order();
  test_refusal();
  test_errors();
  test_itself();
  test_mutex();
  test_poll();
  test_many();
  return 0;
}
