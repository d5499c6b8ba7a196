/* SPDX-License-Identifier: MIT */
/*
 * What the watched processes write, and the command reads: records, in a file that all of them map.
 *
 *   | header | record | record | ...      each begins at a multiple of RECORD_UNIT bytes
 *
 * A writer takes its place by adding to `tail`, fills it in, and stores `size` last.  So a process that is killed in
 * the middle leaves a place whose size is 0; the reader goes on at the next unit that a record begins at.  Nothing here
 * allocates, locks or fails: a record for which there is no room is counted.
 */
#ifndef ATFORK_RECORD_H
#define ATFORK_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

enum {
  RECORD_UNIT = 64,
  RECORD_ARGS = 8,    /* numbers, at most */
  RECORD_FRAMES = 32, /* return addresses, at most */
  RECORD_TEXT = 1024, /* bytes, at most: strings one after the other, each with its NUL */
  RECORD_MAGIC = 0x4b46,
  LOG_STEP = 256 * 1024, /* bytes of space that are allocated at a time */
};

#define LOG_MAGIC 0x31474f4c4b465441ULL /* "ATFKLOG1" */

/* What is watched: the command says so in the header, and each process reads it once. */
enum watch_flags {
  WATCH_FORKS = 1,       /* always: processes, and how each was made */
  WATCH_LOCKS = 2,       /* locks, and threads that wait */
  WATCH_RANDOM = 4,      /* numbers that two processes draw */
  WATCH_DESCRIPTORS = 8, /* descriptors that two processes use */
  WATCH_FILES = 16,      /* stdio, temporary files, exit handlers */
  WATCH_EXPLORE = 32,    /* probes */
};

struct log_header {
  uint64_t magic;
  uint64_t size; /* of the file, in bytes */
  uint32_t flags;
  uint32_t wait_limit;         /* ms that a probe may hang */
  uint64_t choice;             /* of explore: operations whose hash is below it are probed; UINT64_MAX: all */
  uint64_t seed;               /* of explore */
  uint64_t slow;               /* ns that a handler may take */
  char probe[128];             /* of explore: a function of the program, or "" */
  _Atomic uint64_t tail;       /* where the next record begins */
  _Atomic uint64_t end;        /* space is allocated up to here; beyond, the file system may be full */
  _Atomic uint64_t lost;       /* records for which there was no space */
  _Atomic uint32_t processes;  /* the last number given to a process */
  _Atomic uint32_t wake;       /* a futex: changes with each record, while `sleeping` */
  _Atomic uint32_t sleeping;   /* the reader waits */
  _Atomic uint64_t operations; /* of explore: locks taken so far */
};

/* Of explore: the same for the same seed. */
static inline uint64_t log_hash(uint64_t seed, uint64_t operation) {
  uint64_t hash = (seed + 1) * 0x9e3779b97f4a7c15U + operation * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ hash >> 27) * 0x94d049bb133111ebU;
  return hash ^ hash >> 31;
}

/* How a process was made. */
enum how {
  HOW_ROOT, /* the command started it */
  HOW_FORK,
  HOW_VFORK,
  HOW_SPAWN,      /* posix_spawn(), posix_spawnp() */
  HOW_SYSTEM,     /* system() */
  HOW_POPEN,      /* popen() */
  HOW_DAEMON,     /* daemon() */
  HOW_FORKPTY,    /* forkpty() */
  HOW_LIBC,       /* fork handlers ran, but no function that is known was called */
  HOW_FORK_RAW,   /* syscall(SYS_fork) */
  HOW_UFORK,      /* _Fork() */
  HOW_CLONE,      /* clone() */
  HOW_CLONE_RAW,  /* syscall(SYS_clone) */
  HOW_CLONE3_RAW, /* syscall(SYS_clone3) */
  HOW_UNSEEN,     /* the child found out: for example, by the program's own system call instruction */
  HOW_PROBE,      /* of explore */
  HOWS
};

/*
 * The numbers of each record in their order; then its strings; `frames` where it has a stack.
 * A fork's id is unique among all processes; 0: none.  Addresses are those of the writing process.
 */
enum record_kind {
  RECORD_LOADED = 1,  /* ppid, 1 after an exec; path of the program, its arguments, as far as they fit */
  RECORD_UNWATCHED,   /* why (enum unwatched); path: a program that was started, and cannot be watched */
  RECORD_MODULE,      /* first address, end, its difference to the file's addresses; path */
  RECORD_FORK,        /* id, how, threads beside the caller's, pthread_atfork handlers, 1 in a signal handler;
                         name of the thread; frames */
  RECORD_FORKED,      /* id, child's pid or -errno, ns since RECORD_FORK */
  RECORD_BORN,        /* id, ppid, how, pthread_atfork handlers: written when the child first calls what is watched;
                         name of the thread, where no fork was seen */
  RECORD_EXEC,        /* id of the vfork() that made the process, 0: it is no such child; ppid; path */
  RECORD_EXEC_FAILED, /* errno; path */
  RECORD_SPAWNED,     /* id, pid (0: not known) or -errno, ns since RECORD_FORK; path, or the shell's command */
  RECORD_EXIT,        /* status, enum exit_by, id as RECORD_EXEC has it, ppid */
  RECORD_WAITED,      /* pid, status as of waitpid() */
  RECORD_CALLBACK,    /* id, phase (0 prepare, 1 parent, 2 child), ns, function, data (or what else tells
                         one from another), priority, enum callback_kind,
                         1: its object is unloaded; path of the object that registered it, name of the hook */
  RECORD_THREAD_LOST, /* id, tid, start routine, 1: it waits, object waited for; name of the thread, path of the start
                         routine's object */
  RECORD_GOES_ON,     /* id; a function that may not be called after a fork with threads, first called by this child */
  RECORD_LOCK_HELD,   /* id, enum lock_kind, lock, tid of its holder, site; name of the holder; frames: of the fork */
  RECORD_STUCK,       /* id, enum stuck, object, enum lock_kind, tid of the holder or 0, site of the holder, 1: ended by
                         us; name of the holder, function that waits; frames: who waits */
  RECORD_WAITERS_LOST, /* id, object, how many, 0 condition 1 barrier, 1: ended by us, as it would hang; function that
                           used it; frames: the use */
  RECORD_DRAWN,        /* where the generator's state is, place in its numbers (a seeding and a count, the state itself,
                          or the number), count, value, enum drawn_flags; function; frames */
  RECORD_DESCRIPTOR,   /* id of the description, fd, enum descriptor_kind, enum use, device, inode, 1: under a lock that
                          other processes wait for; what it is; frames: the use */
  RECORD_LEAKED, /* fd, enum descriptor_kind, 1: by exec in this process, 0: by posix_spawn() and its like; path of
                    the program, what it is; frames: where it was opened */
  RECORD_OUTPUT, /* id of the first fork at which the bytes were unflushed, stream, fd, their number; frames: where
                    they came out */
  RECORD_EXIT_HANDLER, /* number of the process that registered it, function, 1: it had an effect outside of the
                          process; frames: after it ran in another process */
  RECORD_DELETED,      /* number of the process that made the file, inode, enum deleted, 1: its descriptor from then is
                          open here; path; frames */
  RECORD_LIBRARY,   /* enum library, id of the session (process that opened it << 32 | number) or, of CUDA, process that
                       initialised it; function; frames: a use after a fork */
  RECORD_PROBE,     /* the k-th operation, lock, site, 0 well / 1 hung / 2 crashed, status; frames */
  RECORD_LOCK_ANEW, /* id, lock: one of RECORD_LOCK_HELD, initialised or released by the child */
  RECORD_THREAD_USED, /* id, tid of a lost thread; its name, function that was called for it; frames */
  RECORD_PROBED,      /* the k-th operation, enum probed, status as of waitpid(); what the probe did; frames */
  RECORD_KINDS
};

enum unwatched {
  UNWATCHED_STATIC,
  UNWATCHED_SETUID,
  UNWATCHED_FOREIGN,
  UNWATCHED_FORBIDDEN, /* the process may not open the log, or our library */
  UNWATCHED_HIDDEN,    /* it cannot find them */
};
enum exit_by { EXIT_EXIT, EXIT_UNDERSCORE, EXIT_RETURN };
enum callback_kind { CALLBACK_HANDLER, CALLBACK_HOOK };
enum lock_kind { KIND_MUTEX, KIND_READ, KIND_WRITE, KIND_SPIN, KIND_SEMAPHORE, KIND_FILE, LOCK_KINDS };
enum library { LIBRARY_TLS, LIBRARY_SQLITE, LIBRARY_POSTGRESQL, LIBRARY_CUDA };
enum deleted { DELETED_DELETED, DELETED_BY_MAKER, DELETED_MISSED };
enum use {
  USE_READ = 1,
  USE_WRITE = 2,
  USE_SEEK = 4,
  USE_CONTROL = 8,
  USE_WAIT = 16,
  USE_ENTER = 32,
  USE_OTHER = 64,
  USE_TAKE = 128, /* one byte was read */
};
enum descriptor_kind {
  DESCRIPTOR_OTHER,
  DESCRIPTOR_FILE,
  DESCRIPTOR_LOG, /* a file in append mode */
  DESCRIPTOR_DIRECTORY,
  DESCRIPTOR_PIPE,
  DESCRIPTOR_LISTENER,
  DESCRIPTOR_STREAM,       /* a connection */
  DESCRIPTOR_LOCAL_STREAM, /* of AF_UNIX */
  DESCRIPTOR_PACKETS,
  DESCRIPTOR_DATAGRAMS,
  DESCRIPTOR_EPOLL,
  DESCRIPTOR_EVENT,
  DESCRIPTOR_SEMAPHORE,
  DESCRIPTOR_TIMER,
  DESCRIPTOR_INOTIFY,
  DESCRIPTOR_IO_URING,
  DESCRIPTOR_KINDS
};
#define DESCRIPTOR_GIVEN 0x80000000U  /* in a description's id: open since the program was started, under the rest */
#define DESCRIPTOR_UNSEEN 0x40000000U /* opened by a function that is not watched, under the rest */
enum drawn_flags {
  DRAWN_UNSEEDED = 1, /* the program never seeded it: each run draws the same */
  DRAWN_HIDDEN = 2,   /* the state cannot be read: numbers are compared */
  DRAWN_OWN = 4,      /* the state may have been set after the fork */
};
enum probed { PROBED_HUNG, PROBED_CRASHED, PROBED_MISSING, PROBED_LATE, PROBED_FAILED };
enum stuck { STUCK_LOCK, STUCK_CONDITION, STUCK_BARRIER, STUCK_SEMAPHORE, STUCK_JOIN, STUCK_FUTEX, STUCKS };

struct record {
  _Atomic uint32_t size; /* in bytes, a multiple of RECORD_UNIT; stored last */
  uint16_t magic;
  uint16_t kind;
  int32_t pid;
  int32_t tid;
  uint32_t process; /* the number of this process; 0: it has none, as in a child of vfork() */
  uint8_t args;
  uint8_t frames;
  uint16_t text;
  uint64_t time;    /* ns, CLOCK_MONOTONIC */
  uint64_t words[]; /* args, frames, text */
};

static inline const uint64_t *record_frames(const struct record *record) {
  return record->words + record->args;
}

static inline const char *record_text(const struct record *record) {
  return (const char *)(record->words + record->args + record->frames);
}

#endif
