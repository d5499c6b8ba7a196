/* SPDX-License-Identifier: MIT */
/* Descriptors that two processes use, or that one uses with care. */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "state.h"

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

const struct state_case descriptor_cases[] = {
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
    {NULL, NULL},
};
