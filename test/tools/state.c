/* SPDX-License-Identifier: MIT */
/* A program that shares state across a fork, or takes care not to: `state CASE [FUNCTION]`. */
#include <atfork.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#define must(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

static _Noreturn void broken(int line, const char *what) {
  fprintf(stderr, "state.c:%d: %s\n", line, what);
  _exit(99);
}

static char *self; /* path of this program */
static const char *which;

static bool is(const char *name) {
  return strcmp(which, name) == 0;
}

static void wait_for(pid_t child) {
  int status;
  must(waitpid(child, &status, 0) == child);
  must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Both do it: the child first. */
static void in_both(void (*function)(void)) {
  pid_t child = fork();
  if (child == 0) {
    function();
    _exit(0);
  }
  wait_for(child);
  function();
}

/* ---- Random numbers ---- */

static char own_state[64];
static struct random_data random_data;
static struct drand48_data drand48_data;
static unsigned seed;
static unsigned short seeds[3];

static void draw_reentrant(void) {
  int32_t number;
  long integer;
  double real;
  if (is("random_r")) random_r(&random_data, &number);
  if (is("drand48_r")) drand48_r(&drand48_data, &real);
  if (is("lrand48_r")) lrand48_r(&drand48_data, &integer);
  if (is("mrand48_r")) mrand48_r(&drand48_data, &integer);
  if (is("erand48_r")) erand48_r(seeds, &drand48_data, &real);
  if (is("nrand48_r")) nrand48_r(seeds, &drand48_data, &integer);
  if (is("jrand48_r")) jrand48_r(seeds, &drand48_data, &integer);
}

static void draw(void) {
  if (is("rand")) rand();
  if (is("random")) random();
  if (is("rand_r")) rand_r(&seed);
  if (is("drand48")) drand48();
  if (is("lrand48")) lrand48();
  if (is("mrand48")) mrand48();
  if (is("erand48")) erand48(seeds);
  if (is("nrand48")) nrand48(seeds);
  if (is("jrand48")) jrand48(seeds);
  draw_reentrant();
}

static void seed_all(void) {
  long now = time(NULL);
  srand((unsigned)now);
  srand48(now);
  seed = (unsigned)now;
  seeds[0] = (unsigned short)now;
  initstate_r((unsigned)now, own_state, sizeof own_state, &random_data);
  srand48_r(now, &drand48_data);
}

static void draws(void) {
  seed_all();
  in_both(draw);
}

static void draw_rand(void) {
  rand();
}

static void draws_unseeded(void) {
  in_both(draw_rand);
}

static void draws_unseeded_again(void) {
  rand();
  in_both(draw_rand);
}

static void seed_and_draw(void) {
  srand(42);
  rand();
}

static void draws_seeded_alike(void) {
  srand(1);
  in_both(seed_and_draw);
}

static void draw_from_local(void) {
  unsigned local = 42;
  rand_r(&local);
}

static void draws_from_local(void) {
  in_both(draw_from_local);
}

static void draws_from_own_state(void) {
  initstate((unsigned)time(NULL), own_state, sizeof own_state);
  in_both(draw_rand);
}

static void draws_in_siblings(void) {
  pid_t children[2];
  srand((unsigned)time(NULL));
  for (int i = 0; i < 2; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      rand();
      _exit(0);
    }
  }
  for (int i = 0; i < 2; i++) wait_for(children[i]);
}

static void draws_after_second_fork(void) {
  srand((unsigned)time(NULL));
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
  for (int i = 0; i < 5; i++) rand();
  in_both(draw_rand);
}

static void draws_other_numbers(void) {
  srand((unsigned)time(NULL));
  pid_t child = fork();
  if (child == 0) {
    srand((unsigned)getpid());
    rand();
    _exit(0);
  }
  wait_for(child);
  rand();
}

/* ---- Descriptors ---- */

static int fd, other_fd;
static char path[] = "/tmp/state-XXXXXX";

static void open_file(void) {
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1 && unlink(path) == 0 && write(fd, "0123456789abcdef", 16) == 16 && lseek(fd, 0, SEEK_SET) == 0);
}

static void open_connection(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
  must(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(connect(fd, (struct sockaddr *)&address, size) == 0);
  other_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  must(other_fd != -1 && write(other_fd, "0123456789abcdef", 16) == 16);
}

static void read_once(void) {
  char bytes[2];
  must(read(fd, bytes, 2) == 2);
}

static void read_connection(void) {
  char bytes[2];
  struct iovec part = {bytes, 2};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  struct mmsghdr messages = {.msg_hdr = message};
  if (is("read")) must(read(fd, bytes, 2) == 2);
  if (is("readv")) must(readv(fd, &part, 1) == 2);
  if (is("recv")) must(recv(fd, bytes, 2, 0) == 2);
  if (is("recvfrom")) must(recvfrom(fd, bytes, 2, 0, NULL, NULL) == 2);
  if (is("recvmsg")) must(recvmsg(fd, &message, 0) == 2);
  if (is("recvmmsg")) must(recvmmsg(fd, &messages, 1, 0, NULL) == 1);
  if (is("peek")) must(recv(fd, bytes, 2, MSG_PEEK) == 2);
}

static void write_connection(void) {
  char bytes[2] = "x";
  struct iovec part = {bytes, 2};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  struct mmsghdr messages = {.msg_hdr = message};
  if (is("write")) must(write(fd, bytes, 2) == 2);
  if (is("writev")) must(writev(fd, &part, 1) == 2);
  if (is("send")) must(send(fd, bytes, 2, 0) == 2);
  if (is("sendto")) must(sendto(fd, bytes, 2, 0, NULL, 0) == 2);
  if (is("sendmsg")) must(sendmsg(fd, &message, 0) == 2);
  if (is("sendmmsg")) must(sendmmsg(fd, &messages, 1, 0) == 1);
  if (is("dprintf")) must(dprintf(fd, "x") == 1);
}

static void use_connection(void) {
  read_connection();
  write_connection();
}

static void uses(void) {
  open_connection();
  in_both(use_connection);
}

static void use_file(void) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  off_t offset = 0;
  char byte;
  if (is("sendfile")) must(sendfile(null, fd, NULL, 2) == 2);
  if (is("sendfile from")) must(sendfile(null, fd, &offset, 2) == 2);
  if (is("lseek")) must(lseek(fd, 1, SEEK_SET) == 1);
  if (is("where")) must(lseek(fd, 0, SEEK_CUR) == 0);
  if (is("pread")) must(pread(fd, &byte, 1, 0) == 1);
  close(null);
}

static void uses_file(void) {
  open_file();
  in_both(use_file);
}

static FILE *stream;

static void print_to_stream(void) {
  must(fprintf(stream, "x") == 1 && fflush(stream) == 0);
}

static void prints_to_connection(void) {
  open_connection();
  stream = fdopen(fd, "w");
  must(stream != NULL);
  in_both(print_to_stream);
}

static void get_line(void) {
  char line[4];
  must(fgets(line, sizeof line, stream) != NULL);
}

static void read_all(void) {
  while (getc(stream) != EOF) continue;
}

/* The second one finds nothing. */
static void reads_by_stream(void) {
  open_file();
  stream = fdopen(fd, "r");
  in_both(read_all);
}

/* What the child has read ahead goes back as it exits. */
static void gives_back(void) {
  open_file();
  stream = fdopen(fd, "r");
  get_line();
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  read_all();
}

/* All of it was read ahead before the fork, and is in both. */
static void reads_what_was_ahead(void) {
  open_file();
  stream = fdopen(fd, "r");
  get_line();
  in_both(get_line);
}

static void uses_copy(void) {
  open_file();
  pid_t child = fork();
  if (child == 0) {
    fd = dup(fd);
    read_once();
    _exit(0);
  }
  wait_for(child);
  read_once();
}

static void uses_other_of_same_number(void) {
  open_file();
  pid_t child = fork();
  if (child == 0) {
    close(fd);
    must(open("/etc/passwd", O_RDONLY | O_CLOEXEC) == fd);
    read_once();
    _exit(0);
  }
  wait_for(child);
  read_once();
}

/* The second takes the place of the first. */
static void uses_in_turn(void) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], "0123", 4) == 4);
  fd = ends[0];
  for (int i = 0; i < 2; i++) {
    pid_t child = fork();
    if (child == 0) {
      read_once();
      _exit(0);
    }
    wait_for(child);
  }
}

static void read_under_flock(void) {
  must(flock(fd, LOCK_EX) == 0);
  read_once();
  must(flock(fd, LOCK_UN) == 0);
}

static void uses_under_flock(void) {
  open_file();
  in_both(read_under_flock);
}

static pthread_mutex_t *mutex;

static void read_under_mutex(void) {
  must(pthread_mutex_lock(mutex) == 0);
  read_once();
  must(pthread_mutex_unlock(mutex) == 0);
}

static void uses_under_mutex(int shared) {
  pthread_mutexattr_t attributes;
  mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(mutex != MAP_FAILED && pthread_mutexattr_init(&attributes) == 0);
  must(pthread_mutexattr_setpshared(&attributes, shared) == 0 && pthread_mutex_init(mutex, &attributes) == 0);
  open_file();
  in_both(read_under_mutex);
}

static void uses_under_shared_mutex(void) {
  uses_under_mutex(PTHREAD_PROCESS_SHARED);
}

static void uses_under_own_mutex(void) {
  uses_under_mutex(PTHREAD_PROCESS_PRIVATE);
}

static void take_event(void) {
  eventfd_t count;
  must(eventfd_read(fd, &count) == 0);
}

static void takes_events(void) {
  fd = eventfd(2, EFD_CLOEXEC | (is("semaphore") ? EFD_SEMAPHORE : 0));
  pid_t child = fork();
  if (child == 0) {
    take_event();
    must(is("semaphore") || eventfd_write(fd, 1) == 0);
    _exit(0);
  }
  wait_for(child);
  take_event();
}

static DIR *directory;

static void read_directory(void) {
  while (readdir(directory) != NULL) continue;
}

static void reads_directory(void) {
  directory = opendir("/proc/self");
  must(directory != NULL);
  in_both(read_directory);
}

/* Two workers read from one pipe while both are there: bytes that are whole, or more. */
static void takes_in_siblings(void) {
  int ends[2], there[2];
  pid_t workers[2];
  char bytes[2];
  size_t size = is("bytes") ? 1 : 2;
  must(pipe2(ends, O_CLOEXEC) == 0 && pipe2(there, O_CLOEXEC) == 0 && write(ends[1], "0123", 2 * size) > 0);
  for (int i = 0; i < 2; i++) {
    workers[i] = fork();
    if (workers[i] != 0) continue;
    must(read(ends[0], bytes, size) == (ssize_t)size);
    close(there[1]);
    (void)!read(there[0], bytes, 1);
    _exit(0);
  }
  close(there[1]);
  for (int i = 0; i < 2; i++) wait_for(workers[i]);
}

static void read_input(void) {
  char byte;
  (void)!read(0, &byte, 1);
}

static void reads_input(void) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[1], "01", 2) == 2 && dup2(ends[0], 0) == 0);
  close(ends[0]);
  close(ends[1]);
  char *const arguments[] = {self, (char[]){"input"}, NULL};
  execv(self, arguments);
}

static void both_read_input(void) {
  in_both(read_input);
}

/* ---- Programs that are started ---- */

static void start(pid_t child) {
  if (child != 0) {
    wait_for(child);
    return;
  }
  if (is("dup2")) dup2(fd, 7);
  if (is("dup2") || is("close")) close(fd);
  if (is("standard")) dup2(fd, 1);
  if (is("fcntl")) fcntl(fd, F_SETFD, 0);
  if (is("cloexec")) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (is("sweep")) close_range((unsigned)fd + 1, ~0U, 0);
  if (is("list")) close(open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  execl(is("fails") ? "/nonexistent" : "/bin/true", "true", (char *)NULL);
  _exit(is("fails") ? 0 : 1);
}

__attribute__((noinline)) static void opens(void) {
  fd = socket(AF_INET, SOCK_STREAM | (is("fcntl") ? SOCK_CLOEXEC : 0), 0);
  must(fd > 2);
}

static void starts_by_fork(void) {
  opens();
  start(fork());
}

/* What the child opens itself, it has for the program. */
static void starts_with_own(void) {
  pid_t child = fork();
  if (child == 0) opens();
  start(child);
}

static void starts_by_vfork(void) {
  opens();
  pid_t child = vfork();
  if (child == 0) {
    if (is("dup2")) dup2(fd, 7);
    if (is("dup2") || is("close")) close(fd);
    if (is("standard")) dup2(fd, 1);
    if (is("fcntl")) fcntl(fd, F_SETFD, 0);
    if (is("cloexec")) fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (is("sweep")) close_range((unsigned)fd + 1, ~0U, 0);
    if (is("list")) close(open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    execl(is("fails") ? "/nonexistent" : "/bin/true", "true", (char *)NULL);
    _exit(is("fails") ? 0 : 1);
  }
  wait_for(child);
}

static void starts_by_spawn(void) {
  pid_t child;
  posix_spawn_file_actions_t actions;
  char *const arguments[] = {(char[]){"true"}, NULL};
  opens();
  must(posix_spawn_file_actions_init(&actions) == 0);
  if (is("dup2")) posix_spawn_file_actions_adddup2(&actions, fd, fd);
  if (is("close")) posix_spawn_file_actions_addclose(&actions, fd);
  if (is("closefrom")) posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  must(posix_spawn(&child, "/bin/true", &actions, NULL, arguments, (char *[]){NULL}) == 0);
  wait_for(child);
}

static void starts_told(void) {
  char count[16];
  opens();
  snprintf(count, sizeof count, "%d", fd - 2);
  must(setenv("LISTEN_FDS", count, 1) == 0);
  start(fork());
}

/* It is this program, which reads there, or does not. */
static void starts_user(void) {
  int ends[2];
  must(pipe(ends) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0 && write(ends[1], "01", 2) == 2);
  must(ends[0] < 100);
  pid_t child = fork();
  if (child == 0) {
    char number[2] = {(char)('a' + ends[0]), '\0'};
    execl(self, self, is("reads") ? "started" : "nothing", number, (char *)NULL);
    _exit(1);
  }
  wait_for(child);
}

static void started(void) {
  fd = which[0] - 'a';
  read_once();
}

static void nothing(void) {
}

static void starts_with_file(void) {
  FILE *file = fopen(is("r") ? "/etc/passwd" : "/tmp/state-file", which);
  must(file != NULL);
  unlink("/tmp/state-file");
  start(fork());
}

/* ---- Output ---- */

static void end_of_output(bool child) {
  if (is("purge") && child) __fpurge(stdout);
  if (is("null") && child) {
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, 1);
  }
  if (is("freopen") && child) stdout = freopen("/dev/null", "w", stdout);
  if (is("full"))
    for (int i = 0; i < 100000; i++) putchar('x');
  if (is("full") || (is("underscore") && child)) _exit(0);
  exit(0);
}

static void outputs(void) {
  static char buffer[4096];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  printf("unflushed");
  pid_t child = fork();
  if (child == 0) end_of_output(true);
  wait_for(child);
  end_of_output(false);
}

static void outputs_wide(void) {
  wprintf(L"unflushed");
  pid_t child = fork();
  if (child == 0) end_of_output(true);
  wait_for(child);
  end_of_output(false);
}

static void outputs_to_program(void) {
  FILE *program = popen("cat", "we");
  must(program != NULL && fputs("unflushed", program) >= 0);
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  must(pclose(program) == 0);
}

static void outputs_in_siblings(void) {
  printf("unflushed");
  for (int i = 0; i < 2; i++) {
    pid_t child = fork();
    if (child == 0) exit(0);
    wait_for(child);
    printf("more");
  }
  _exit(0);
}

/* ---- What runs at exit ---- */

static uint64_t generation;
static void *memory;
static pid_t process;

static void clean_up(void) {
  if (is("getpid") && getpid() != process) return;
  if (is("generation") && atfork_generation() != generation) return;
  if (is("memory")) free(memory);
  if (is("memory")) return;
  printf("cleaned up\n");
}

static void exits(void) {
  generation = atfork_generation();
  process = getpid();
  memory = malloc(10);
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child == 0) {
    if (is("generation")) (void)atfork_generation();
    exit(0);
  }
  wait_for(child);
}

/* ---- Temporary files ---- */

static void remove_file(void) {
  char *name = strrchr(path, '/') + 1;
  if (is("unlink")) must(unlink(path) == 0);
  if (is("remove")) must(remove(path) == 0);
  if (is("unlinkat")) {
    int place = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(unlinkat(place, name, 0) == 0);
  }
  _exit(0);
}

static void deletes(void) {
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1);
  pid_t child = fork();
  if (child == 0) remove_file();
  wait_for(child);
}

/* By its name alone. */
static void misses(void) {
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1 && close(fd) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(unlink(path) == 0);
    _exit(0);
  }
  wait_for(child);
  struct stat status;
  if (is("fopen")) must(fopen(path, "r") == NULL);
  if (is("access")) must(access(path, F_OK) == -1);
  if (is("stat")) must(stat(path, &status) == -1);
  if (is("rename")) must(rename(path, "/tmp/state-other") == -1);
  if (is("unlink")) must(unlink(path) == -1);
}

static void opens_exclusively(void) {
  snprintf(path, sizeof path, "/tmp/state-%06x", (unsigned)getpid() & 0xffffff);
  FILE *file = fopen(path, "wxe");
  must(file != NULL);
  pid_t child = fork();
  which = "unlink";
  if (child == 0) remove_file();
  wait_for(child);
}

static void deletes_renamed(void) {
  char other[] = "/tmp/state-other-XXXXXX";
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1 && mkdtemp(other) != NULL && rmdir(other) == 0 && rename(path, other) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(unlink(other) == 0);
    _exit(0);
  }
  wait_for(child);
}

/* ---- All of them ---- */

/* ---- Hooks of libatfork ---- */

static void hook(void *unused) {
  (void)unused;
}

/* The handlers of libatfork itself are missed by _Fork(), but not its hooks. */
static void polls(void) {
  must(atfork_register_after_fork(hook, NULL) != 0);
  pid_t child = _Fork();
  if (child == 0) {
    must(atfork_poll() == 1);
    printf("goes on\n");
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
}

static const struct {
  const char *name;
  void (*function)(void);
} cases[] = {
    {"draws", draws},
    {"draws-unseeded", draws_unseeded},
    {"draws-unseeded-again", draws_unseeded_again},
    {"draws-seeded-alike", draws_seeded_alike},
    {"draws-from-local", draws_from_local},
    {"draws-from-own-state", draws_from_own_state},
    {"draws-in-siblings", draws_in_siblings},
    {"draws-after-second-fork", draws_after_second_fork},
    {"draws-other-numbers", draws_other_numbers},
    {"uses", uses},
    {"uses-file", uses_file},
    {"prints-to-connection", prints_to_connection},
    {"reads-by-stream", reads_by_stream},
    {"gives-back", gives_back},
    {"reads-what-was-ahead", reads_what_was_ahead},
    {"uses-copy", uses_copy},
    {"uses-other-of-same-number", uses_other_of_same_number},
    {"uses-in-turn", uses_in_turn},
    {"uses-under-flock", uses_under_flock},
    {"uses-under-shared-mutex", uses_under_shared_mutex},
    {"uses-under-own-mutex", uses_under_own_mutex},
    {"takes-events", takes_events},
    {"reads-directory", reads_directory},
    {"takes-in-siblings", takes_in_siblings},
    {"reads-input", reads_input},
    {"input", both_read_input},
    {"starts-by-fork", starts_by_fork},
    {"starts-with-own", starts_with_own},
    {"starts-by-vfork", starts_by_vfork},
    {"starts-by-spawn", starts_by_spawn},
    {"starts-told", starts_told},
    {"starts-with-file", starts_with_file},
    {"starts-user", starts_user},
    {"started", started},
    {"nothing", nothing},
    {"outputs", outputs},
    {"outputs-wide", outputs_wide},
    {"outputs-to-program", outputs_to_program},
    {"outputs-in-siblings", outputs_in_siblings},
    {"exits", exits},
    {"deletes", deletes},
    {"misses", misses},
    {"opens-exclusively", opens_exclusively},
    {"deletes-renamed", deletes_renamed},
    {"polls", polls},
};

int main(int count, char **arguments) {
  self = arguments[0];
  which = count > 2 ? arguments[2] : "";
  for (size_t i = 0; count > 1 && i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(cases[i].name, arguments[1]) != 0) continue;
    cases[i].function();
    return 0;
  }
  return 98;
}
