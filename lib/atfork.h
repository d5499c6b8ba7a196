/* SPDX-License-Identifier: MIT */
/*
 * atfork: repair a process after fork()
 *
 * A child process has copies of its parent's locks, random numbers, connections and caches, and
 * most of them are wrong in the child.  Code that owns such state registers a *hook*, and the
 * library calls the hook before and after each fork, and exactly once in each new process.
 *
 * ---- Terms ----
 *
 * A *hook* is a set of callbacks that are registered together.  `prepare` runs before a fork, in
 * the forking thread.  `parent` runs after the fork in that thread.  `child` runs after the fork in
 * the child process.
 *
 * The *order* of hooks is by priority, then by registration.  `parent` and `child` callbacks run
 * in this order, `prepare` callbacks in the reverse order.  So the hook with the lowest priority
 * is prepared last, and repaired first: give a low priority to what other hooks use.
 *
 * The *generation* of a process is the number of forks between the first process, which loaded the
 * library, and this one: 0, 1, 2, ...  The *lineage* says which child of which child a process is:
 * "0", "0.1", "0.2", "0.2.1", ...
 *
 * A *bypassing fork* makes a child without the handlers of pthread_atfork(3): clone(2), clone3(2),
 * _Fork(3), syscall(SYS_fork).  In such a child atfork_generation() and atfork_once() are right at
 * once.  Its `child` callbacks run when the child calls atfork_poll(), or before its next ordinary
 * fork.  vfork(2), posix_spawn(3) and threads are no forks.
 *
 * The *place* of a process is its generation and its lineage.  A worker process that is spawned,
 * not forked, takes its place by a token (atfork_token(), atfork_spawned()), or by the number that
 * a launcher such as Slurm has given it (atfork_adopt()).
 *
 * ---- Example ----
 *
 *     #include <atfork.h>
 *     #include <stdio.h>
 *     #include <sys/wait.h>
 *     #include <unistd.h>
 *
 *     static void connect_again(void *server) {
 *       printf("process %d connects to %s\n",
 *              (int)atfork_generation(), (char *)server);
 *     }
 *
 *     int main(void) {
 *       static char server[] = "db.example";
 *       if (atfork_register_after_fork(connect_again, server) == 0)
 *         return 1;
 *       pid_t pid = fork();
 *       if (pid == 0) return 0;
 *       return waitpid(pid, NULL, 0) == pid ? 0 : 1;
 *     }
 *
 *     // prints: process 1 connects to db.example
 *
 * ---- What a callback may do ----
 *
 * The library holds no lock while it calls a callback.  A callback may call every function of the
 * library: it may register and unregister hooks, also its own, and it may fork.
 *
 * A callback must return.  It must not leave by longjmp(3), by a C++ exception, or by ending the
 * thread, also if another thread cancels it (pthread_cancel(3)): the behaviour is undefined.  The
 * functions of the library are no cancellation points.
 *
 * Between the fork and the end of the `child` callbacks the library itself allocates no memory, and
 * calls no function that does.  When the callbacks of a fork have run, it restores errno.
 *
 * ---- Child callbacks in a multithreaded process ----
 *
 * Only the forking thread exists in the child.  A lock that another thread held at the fork stays
 * locked there for ever.  So POSIX lets the child of a multithreaded process call only
 * async-signal-safe functions (signal-safety(7)) until it calls exec(3).
 *
 * C libraries allow more after an ordinary fork.  In its `child` callbacks, and after them, you may
 * also call:
 *
 * - with glibc: malloc(3) and its family, stdio(3), and pthread_create(3).  glibc locks malloc
 *   before the fork, after the `prepare` callbacks.  In the child it resets the locks of malloc and
 *   of all streams before the `child` callbacks.  But if another thread was writing to a stream, the
 *   stream may contain half of that output.
 * - with musl since 1.2.2: most functions, malloc(3) among them.  Do not use a stream that another
 *   thread may have been using, and do not call fflush(NULL).
 *
 * With glibc, some functions wait for ever in the child if another thread was in a function of the
 * same group at the fork:
 *
 * - rand(3), srand(3), random(3), srandom(3)
 * - setenv(3), putenv(3), unsetenv(3)
 * - localtime(3), mktime(3), strftime(3), tzset(3)
 * - setlocale(3)
 * - getpwuid(3), getpwnam(3), getgrgid(3), getaddrinfo(3)
 * - syslog(3)
 * - popen(3), pclose(3)
 * - iconv_open(3)
 * - dlopen(3), rarely
 *
 * Your own locks, and those of other libraries, are free in the child only if a fork handler sees
 * to that: atfork_register_mutex() does it for a mutex.
 *
 * After a bypassing fork the C library resets nothing.  If the parent had other threads, call only
 * async-signal-safe functions in the child.
 *
 * ---- Other fork handlers ----
 *
 * All hooks run from one set of fork handlers, which the library registers with pthread_atfork(3) at
 * the first call of one of its functions (with musl: when it is loaded).  If another library
 * registers its handlers later, its `prepare` runs before all hooks.  So a lock that this `prepare`
 * takes is held while the callbacks of hooks run.
 *
 * ---- Signal handlers ----
 *
 * Many functions are async-signal-safe after the first call.  The first call of a function of the
 * library calls pthread_atfork(3), and the first registration from a shared object calls
 * __cxa_atexit().  Both take locks of the C library, as malloc(3) does.  So if a signal handler makes
 * the first call while its thread is inside malloc(3), it may wait for ever.  The same happens in a
 * child that makes the first call, if another thread of its parent was inside malloc(3) at a
 * bypassing fork.  To avoid this, call atfork_generation() once when your program starts.  If a
 * process has made these first calls, its children need not make them.
 *
 * ---- When the library is loaded ----
 *
 * The library is ready when it is loaded.  A child that makes the first call finds its place in the
 * tree, even if its parent has called nothing.  In a program that never calls the library, a fork
 * costs the parent one page fault more, and the child none (with glibc).  The library is never
 * unloaded.
 *
 * A hook ends with the shared object whose code registered it: before dlclose(3) unmaps that code,
 * and at exit(3).
 *
 * ---- Several copies in one process ----
 *
 * A process has one registry, however many copies of the library are in it: the shared library of
 * the system, another one that a package brings along, a static one in a plugin.  The copy that is
 * loaded first serves the process, and the functions of all other copies call it.  Order, ids,
 * lineage, tokens and atfork_once() are common to all copies.
 *
 * Copies of very different versions may have different protocols.  Then the later copy writes a
 * line to stderr, and keeps a registry of its own.
 *
 * The serving copy stays loaded until the process ends.  If it is a static copy in a plugin, the
 * plugin stays loaded, too.  A plugin that is linked with the shared library can be unloaded.
 *
 * On Windows each copy serves itself.
 *
 * ---- Systems ----
 *
 * Linux, with glibc or musl.  musl's dlopen(3) does not load the shared library: link the program
 * with it.
 *
 * Windows has no fork.  There `child` callbacks run in atfork_spawned() and atfork_adopt(), and
 * `prepare` and `parent` never run.  atfork_register_mutex() does not exist.  A program or DLL that
 * registers a hook stays loaded until the process ends, and the `destroy` of such a hook does not
 * run at that end.  "Async-signal-safe" has no meaning.
 *
 * ---- Environment ----
 *
 * ATFORK_DEBUG  If it was 1 when the program started, a call that waits says so on stderr: after
 *               1 s, after 10 s, and whenever the time has doubled.  The line names the call, the
 *               thread, the hook, and what holds it up.  Ignored in setuid programs.  Without it,
 *               `gdb -batch -p PID -ex bt` shows a function whose name says what the thread waits
 *               for, such as `atfork_fork_waits_for_hook()`
 * ATFORK_RUN    The run to repeat: see atfork_run()
 * ATFORK_TOKEN  The place of a spawned worker: see atfork_spawned()
 */
#ifndef ATFORK_H
#define ATFORK_H

#ifndef _WIN32
#include <pthread.h>
#endif
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATFORK_VERSION_MAJOR 0
#define ATFORK_VERSION_MINOR 1
#define ATFORK_VERSION_MICRO 0
/* True if the header is of this version or of a later one; also for #if.  Since 0.1. */
#define ATFORK_CHECK_VERSION(major, minor, micro)                     \
  (ATFORK_VERSION_MAJOR != (major)   ? ATFORK_VERSION_MAJOR > (major) \
   : ATFORK_VERSION_MINOR != (minor) ? ATFORK_VERSION_MINOR > (minor) \
                                     : ATFORK_VERSION_MICRO >= (micro))

#ifndef ATFORK_API /* script/amalgamate's atfork.c has one of its own */
#if defined(ATFORK_BUILDING) && !defined(_WIN32)
#define ATFORK_API __attribute__((visibility("default")))
#else
#define ATFORK_API
#endif
#endif

/* Names a hook.  0 names none.  The library gives an id to one hook only. */
typedef uint64_t atfork_id;

enum { ATFORK_PRIORITY_MIN = -32768, ATFORK_PRIORITY_MAX = 32767 };

/* What a hook is.  It needs one callback; all other members may be 0. */
struct atfork_hook {
  const char *name;               /* for people */
  int priority;                   /* lower: repaired earlier */
  void (*prepare)(void *data);    /* before the fork */
  void (*parent)(void *data);     /* after it, in the parent */
  void (*child)(void *data);      /* after it, in the child */
  int (*try_prepare)(void *data); /* as prepare; may refuse */
  void (*wait)(void *data);       /* if try_prepare refused */
  void *data;                     /* passed to each callback */
  void (*destroy)(void *data);    /* once, after the hook's end */
};

/*
 * Registers a hook: callbacks around each fork
 *
 * The hook takes part in each fork that begins after this call.  If a fork is under way, made by
 * another thread or by the calling callback, the hook does not take part in that one.  The library
 * copies the hook and its name.
 *
 * - `name` is for people, and for atfork_foreach().  NULL means "".
 * - `priority` is from ATFORK_PRIORITY_MIN (-32768) to ATFORK_PRIORITY_MAX (32767).  It decides the
 *   order of hooks; see atfork(3).
 * - `prepare`, `parent` and `child` run before the fork, and after it in the parent and in the
 *   child.  Each may be NULL.  `parent` runs also if the fork has failed.
 * - `try_prepare` takes the place of `prepare`: a hook has one of them, not both.  It returns 0 when
 *   it is prepared, and another number to refuse: "not now".
 * - `wait` goes with `try_prepare`, and may be NULL.
 * - `data` is passed to each callback.
 * - `destroy` runs once, when the hook has ended: no other callback of it runs after that.  It may
 *   be NULL.
 *
 * ---- A hook that refuses ----
 *
 * Suppose two hooks take two locks before each fork, and a thread takes the same locks in the other
 * order.  With plain `prepare` callbacks that is a deadlock.  `try_prepare` avoids it: it tries the
 * lock, and refuses if the lock is busy.
 *
 * When a hook refuses, the library calls the `parent` of all hooks that were prepared for this
 * fork.  Then nothing is held, and the library calls the `wait` of the hook that refused.  `wait`
 * blocks until it has taken what `try_prepare` could not take, and returns with it taken.  This
 * hook is now prepared.  The library begins the prepare phase again with the other hooks, without
 * those that were unregistered meanwhile.  So busy locks neither deadlock a fork nor starve it.
 *
 * If the hook has no `wait`, the library pauses for at most 1 ms, and begins again with all hooks.
 *
 * While `wait` runs, other threads can unregister every other hook without waiting for this fork.  A
 * thread that holds what `wait` waits for must not unregister this hook, nor unload an object that
 * has hooks.
 *
 * ---- The shared object of a hook ----
 *
 * The hook belongs to the shared object that contains the call.  It ends before dlclose(3) unmaps
 * that object, and at exit(3).  This is why atfork_register() is also a macro: the macro passes the
 * address of the caller's object.  The function of that name, which dlsym(3) and foreign function
 * interfaces find, does not know its caller; such a hook stays until it is unregistered.
 *
 * On Windows a DLL that has registered a hook by the macro is never unloaded.
 *
 * ---- C++ ----
 *
 * A hook may be passed by reference, so it may be a temporary: in C++20
 * `atfork_register({.name = "log", .child = reopen})`.  In C++11 declare `atfork_hook hook = {}`, set
 * its members, and pass `hook` or `&hook`.
 *
 * hook     what to register
 * Returns  the id of the hook; or 0 and errno:
 *          EINVAL  `hook` is NULL; it has no callback; it has both `prepare` and `try_prepare`; it
 *                  has `wait` without `try_prepare`; or its priority is out of range
 *          ENOMEM  there is no memory; nothing has changed
 * Thread-safe.  Async-signal-safe: yes, after the first call from the same shared object.
 * Since 0.1.
 */
ATFORK_API atfork_id atfork_register(const struct atfork_hook *hook);

/*
 * Registers a function to call in each child
 *
 * Registers a hook whose only callback is `child`, with priority 0 and without a name.  Like all
 * hooks, it belongs to the shared object that contains the call; see atfork_register().
 *
 * func     what to call, as `func(data)`; not NULL
 * data     passed to func
 * Returns  the id of the hook; or 0 and errno:
 *          EINVAL  `func` is NULL
 *          ENOMEM  there is no memory; nothing has changed
 * Thread-safe.  Async-signal-safe: yes, after the first call from the same shared object.
 * Since 0.1.
 */
ATFORK_API atfork_id atfork_register_after_fork(void (*func)(void *data), void *data);

#ifndef _WIN32
/*
 * Registers a mutex, to hold it across each fork
 *
 * The forking thread locks the mutex before the fork, and unlocks it after the fork in the parent and
 * in the child.  So no child is made while another thread holds the mutex.  Hooks that use what the
 * mutex guards need a higher priority: then the mutex is locked after their `prepare`, and unlocked
 * before their `parent` and `child`.
 *
 * If the mutex is busy, the fork waits for it with no other registered mutex locked, as
 * atfork_register() describes.  If threads lock the mutexes in another order, the fork does not
 * deadlock; if mutexes are busy, it does not starve.  A thread that holds the mutex may unregister
 * it.  While a fork waits, it blocks signals for up to 100 ms at a time.
 *
 * A thread that forks while it holds the mutex itself waits for ever, as with pthread_atfork(3) and a
 * plain lock.  With ATFORK_DEBUG=1 in the environment the fork says so on stderr.  If the mutex is
 * recursive, the fork goes on, and the child finds the mutex unlocked.
 *
 * A bypassing fork (see atfork(3)) locks nothing.  If another thread of the parent held the mutex
 * then, atfork_poll() unlocks it in the child, and so does the child's next fork.
 *
 * A mutex may be registered more than once.  Each fork locks it once: for the first of its hooks that
 * is prepared.  In the parent the last of its hooks unlocks it, in the child the first.
 *
 * The hook belongs to the shared object that contains the call; see atfork_register().
 *
 * mutex     of type normal, recursive or error-checking; not robust, not shared between processes,
 *           and without a priority protocol.  It must exist as long as the hook
 * priority  ATFORK_PRIORITY_MIN (-32768) to ATFORK_PRIORITY_MAX (32767)
 * Returns   the id of the hook; or 0 and errno:
 *           EINVAL  `mutex` is NULL, or `priority` is out of range
 *           ENOMEM  there is no memory; nothing has changed
 * Thread-safe.  Async-signal-safe: no.  Not on Windows.  Since 0.1.
 */
ATFORK_API atfork_id atfork_register_mutex(pthread_mutex_t *mutex, int priority);
#endif

/*
 * Unregisters a hook
 *
 * When this function returns, no callback of the hook is running or will run in this process, and
 * its `destroy` has run.  To keep this promise it waits for the forks of other threads, and for
 * their calls of atfork_foreach(), if the hook takes part in them.
 *
 * Inside a callback of any hook, or inside a visitor of atfork_foreach(), it does not wait.  Then the
 * hook ends later, and its `destroy` runs: when the last fork or visit that the hook takes part in
 * has ended.  Until then its callbacks run for these forks (so that each `prepare` gets its `parent`
 * and `child`), and for forks that are made inside callbacks of these forks.
 *
 * If another thread forks during this call, the hook ends in the child, too, and `destroy` runs
 * there.  There is one exception: if the unregistering thread had called `destroy` already, or was
 * about to, `destroy` does not run in the child.
 *
 * id       the id that a registration has returned
 * Returns  0; or -1 and errno:
 *          ENOENT  no hook has this id, or the hook has been unregistered before
 *          ENOMEM  only in a signal handler that interrupted a function of this library: there is
 *                  no memory
 * Thread-safe.  Async-signal-safe: yes, after the first call, but it may wait.  Since 0.1.
 */
ATFORK_API int atfork_unregister(atfork_id id);

/*
 * Returns how many forks deep this process is
 *
 * It is the number of forks between the first process of the tree and this one.  It is right at once
 * in every child, also after a bypassing fork (see atfork(3)).  To find out whether the process has
 * forked, compare it with a number that you have stored: the call costs two loads.
 *
 * Several bypassing forks, one inside the child of another, count as one if no process in between
 * has called the library.
 *
 * Returns  0 in the process that first loaded the library; in a child the number of its parent + 1
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API uint64_t atfork_generation(void);

/*
 * Writes the lineage of this process, such as "0.2.1"
 *
 * The first process is "0", its first child "0.1", its second "0.2", and the first child of that
 * "0.2.1".  A fork that fails uses up a number.  The lineage is unique in the tree of processes.  It
 * is the same in each run of a program that forks in the same order.
 *
 * The child of a bypassing fork (see atfork(3)) is named by its pid: "0.p4711".  If another process
 * of the tree may have been named by this pid before, the name is "0.p10004711", then
 * "0.p20004711", and so on.
 *
 * When a lineage becomes longer than about 900 bytes, a digest replaces its left part:
 * "~89abcdef01234567.1".
 *
 * There is one way to get a lineage twice.  If a fork handler of another library makes a child by a
 * bypassing fork, during an ordinary fork, the library takes that child for the child of the
 * ordinary fork.
 *
 * buf      where to write; terminated if size is not 0; may be NULL if size is 0
 * size     the size of buf in bytes; a longer lineage is cut off
 * Returns  the length of the whole lineage in bytes, without the terminator, as snprintf(3) does;
 *          or -1 and errno:
 *          EINVAL  `buf` is NULL and `size` is not 0
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API int atfork_lineage(char *buf, size_t size);

/* How a process has come to its place in the tree. */
enum atfork_place {
  ATFORK_ROOT,    /* it is the first process */
  ATFORK_FORKED,  /* a process with the library forked it */
  ATFORK_SPAWNED, /* by atfork_spawned() */
  ATFORK_ADOPTED, /* by atfork_adopt() */
  ATFORK_UNKNOWN  /* its place is a guess */
};

/*
 * Returns how this process has come to its place
 *
 * - ATFORK_ROOT: the process has loaded the library, and seems to be the first of its tree.
 * - ATFORK_FORKED: it was forked by a process that had the library.
 * - ATFORK_SPAWNED: it has called atfork_spawned().
 * - ATFORK_ADOPTED: it has called atfork_adopt().
 * - ATFORK_UNKNOWN: its place is a guess.
 *
 * The place is a guess if the process was forked by a process of the same program, and loaded the
 * library after that, as the workers of a server may do.  Each of them takes itself for the first
 * process of a tree, so all have the lineage "0", and the same seeds.  Load the library before the
 * fork; or call atfork_adopt() or atfork_spawned() in each worker before it forks.  If the place of a
 * process is a guess, so is that of its children.
 *
 * Returns  one of these; on Windows never ATFORK_FORKED or ATFORK_UNKNOWN
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API enum atfork_place atfork_place(void);

/*
 * Returns a number that names this run of the program
 *
 * The first process draws the number from the kernel when it loads the library.  All its
 * descendants have the same number, also those that are spawned with a token.  So
 * `atfork_seed(atfork_run())` differs from process to process, and from run to run.
 *
 * To repeat a run, log the number, and set it in the environment variable ATFORK_RUN: as a decimal
 * number without leading zeros, or as a hexadecimal number after "0x".  Other values are reported
 * on stderr, and ignored.
 *
 * A process that has called atfork_adopt() takes its run from ATFORK_RUN; if that is not set, from
 * the name that the launcher has given the job, so that all processes of the job agree; and if
 * there is no such name, it keeps the number that it has drawn.
 *
 * Returns  any number of 64 bits
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API uint64_t atfork_run(void);

/*
 * Returns a 64-bit seed of this process
 *
 * The seed depends on the base and on the lineage, and on nothing else.  Two processes have
 * different seeds for the same base, and one process has different seeds for different bases, as
 * far as 64-bit hashes differ.  A fixed base gives the same seeds in each run; atfork_run() as the
 * base gives others in each run.  The seed is not secret: do not use it for cryptography.
 *
 * The mixing function is that of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
 * number generators", 2014).
 *
 * base     any number
 * Returns  any number of 64 bits; all bits are equally good
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API uint64_t atfork_seed(uint64_t base);

/*
 * Fills the state of a random number generator
 *
 * Writes bytes that depend on the base and on the lineage, through 256 bits of state: no two
 * processes get the same bytes, as far as hashes differ.  A shorter result is the beginning of a
 * longer one.  The bytes are not secret: do not use them for cryptography.
 *
 * The bytes are made by MGF1 (RFC 8017, B.2.1) with SHA-256 (FIPS 180-4).  doc/streams.md has the
 * construction, and test vectors.
 *
 * base     any number, as for atfork_seed()
 * buf      where to write; may be NULL if size is 0
 * size     the size of buf in bytes, up to 2^37
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API void atfork_seed_bytes(uint64_t base, void *buf, size_t size);

/*
 * Runs the child callbacks after a bypassing fork
 *
 * A bypassing fork (see atfork(3)) runs no callbacks.  In its child this function calls the `child`
 * callbacks that are due: those of the hooks that were registered in the processes that the child
 * descends from.  Each runs once in a process, however often this function is called.  In any other
 * process nothing is due.
 *
 * A process that does not call this function runs these callbacks before its next ordinary fork.
 *
 * If the bypassing fork was made inside a `child` callback, and hooks were unregistered meanwhile,
 * the callbacks may also run when the fork around it ends.
 *
 * Returns  the number of callbacks that it has run
 * Thread-safe.  Async-signal-safe: if the callbacks are, and after the first call.  Since 0.1.
 */
ATFORK_API int atfork_poll(void);

/* 64 bits that threads read and write without a lock.  i386 aligns a uint64_t in a struct to 4 bytes only: it may then
 * lie across two cache lines, where no processor reads it whole. */
typedef uint64_t atfork_word __attribute__((__aligned__(8)));

/* The control of an atfork_once(): static storage that starts as zero is ready, and so is ATFORK_ONCE_INIT. */
struct atfork_once {
  atfork_word state[2]; /* private */
};
#define ATFORK_ONCE_INIT \
  {                      \
    { 0, 0 }             \
  }

/* GCC's -Wshadow objects to a C++ function that has a struct's name. */
#if defined(__cplusplus) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif
/*
 * Calls a function once in each process
 *
 * Calls `init(data)` as pthread_once(3) does, but a child calls it again.  When atfork_once()
 * returns, init has returned in this process: the caller sees what init has written.
 *
 * If a thread forks while another thread is inside init, the child calls init itself.  If init
 * forks, the next call in that child calls init again.
 *
 * The control may also be static storage that is zero.  In C++ its type is written
 * `struct atfork_once`, as the function has the same name.
 *
 * once     the control, initialised with ATFORK_ONCE_INIT; not NULL
 * init     what to call; not NULL.  It must return.  It must not call atfork_once() with the same
 *          control: such a call waits for ever, as with pthread_once(3)
 * data     passed to init
 * Thread-safe.  Async-signal-safe: no, it may wait for the init of another thread.  Since 0.1.
 */
ATFORK_API void atfork_once(struct atfork_once *once, void (*init)(void *data), void *data);
#if defined(__cplusplus) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/* What atfork_foreach() shows of a hook. */
struct atfork_info {
  atfork_id id;
  uint64_t generation; /* of the process that registered it */
  struct atfork_hook hook;
};

/*
 * Visits all hooks, in their order
 *
 * Calls `visit(info, arg)` for each hook that a fork would run now.  `info`, and the name in it,
 * exist until visit returns.  The hooks of atfork_register_mutex() are visited, too.
 *
 * visit may call every function of the library, as a callback may.  Hooks that are registered
 * meanwhile are not visited.  If a callback around this call has unregistered a hook, that hook is
 * not visited either, though forks inside that callback still run it.
 *
 * visit    what to call; if it returns another number than 0, no more hooks are visited
 * arg      passed to visit
 * Returns  0, or what visit has returned; or -1 and errno:
 *          EINVAL  `visit` is NULL
 * Thread-safe.  Async-signal-safe: if visit is, and after the first call.  Since 0.1.
 */
ATFORK_API int atfork_foreach(int (*visit)(const struct atfork_info *info, void *arg), void *arg);

/*
 * Writes a token for a worker that this process spawns
 *
 * A worker that is started by posix_spawn(3), by exec(3), or on another machine is no child that
 * the library knows.  A token gives such a worker the place of a child: the worker passes it to
 * atfork_spawned(), and has then the generation of this process + 1, and the lineage "0.1", "0.2",
 * and so on.  Tokens and forks take their numbers from the same count.
 *
 * Make a token for each worker.  Pass it in an argument, or in the environment variable
 * ATFORK_TOKEN.  It is printable text without spaces.  It is no secret, and no proof of who made it.
 *
 * buf      where to write; terminated if size is not 0; may be NULL if size is 0
 * size     the size of buf in bytes; 1,024 are enough for every token.  A longer token is cut off,
 *          and uses up no number
 * Returns  the length of the whole token in bytes, without the terminator, as snprintf(3) does; or
 *          -1 and errno:
 *          EINVAL  `buf` is NULL and `size` is not 0
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API int atfork_token(char *buf, size_t size);

/*
 * Writes the token of another process's child
 *
 * Writes the token of the n-th child of the process that `token` names.  It is for a launcher that
 * starts the workers of a process which is on another machine, or has not started yet.  It uses up
 * no number: the caller decides which numbers are taken.
 *
 * token    a token of atfork_token(), or of this function
 * n        the number of the child, from 1
 * buf      where to write; terminated if size is not 0; may be NULL if size is 0
 * size     the size of buf in bytes; 1,024 are enough for every token.  A longer token is cut off
 * Returns  the length of the whole token in bytes, without the terminator, as snprintf(3) does; or
 *          -1 and errno:
 *          EINVAL  `buf` is NULL and `size` is not 0; `n` is 0; `token` is not a whole token; or
 *                  its process is 2^63 forks deep
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API int atfork_child_token(const char *token, uint64_t n, char *buf, size_t size);

/*
 * Takes the place that a token names, in a spawned worker
 *
 * Gives this process the generation, the lineage, the run and the seeds of the token, and calls the
 * `child` callbacks of all hooks, in order.  After that each atfork_once() control is due again.
 *
 * Call it once, when the worker starts, before it forks and before it has threads.
 *
 * A token from the environment is removed from it, so that what this process spawns does not take
 * the same place.  A setuid or setgid program does not read its environment.
 *
 * token    a token of atfork_token(); NULL for the token in the environment variable ATFORK_TOKEN
 * Returns  0; or -1 and errno, and nothing has changed:
 *          EINVAL    there is no token, or it is not a whole token
 *          EALREADY  a process that had the library has forked this one, or this process has taken
 *                    a place before
 * Thread-safe, but no other thread may change the environment.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API int atfork_spawned(const char *token);

/*
 * Takes the place that a launcher has numbered
 *
 * Gives a worker with the number 3 the generation 1 and the lineage "0.r3", and calls the `child`
 * callbacks of all hooks, in order.  A child that it forks is "0.r3.1".
 *
 * If rank is NULL, the number comes from the variables of Slurm, PMIx, Open MPI, MPICH's Hydra,
 * Intel MPI, Flux, PALS, JSM, torchrun (RANK; LOCAL_RANK repeats on each node), or Kubernetes.
 * atfork_launcher() shows which.  The variables stay in the environment.  So give a token to what
 * such a worker spawns (atfork_token()), or it would adopt the same place.
 *
 * Call it once, when the worker starts, before it forks and before it has threads.
 *
 * rank     decimal digits without leading zeros; NULL for the number that a launcher has given
 * Returns  0; or -1 and errno, and nothing has changed:
 *          EINVAL    `rank` is not such a number, or two launchers give different numbers
 *          ENOENT    `rank` is NULL, and no launcher gives a number
 *          EALREADY  a process that had the library has forked this one, or this process has taken
 *                    a place before
 * Thread-safe, but no other thread may change the environment.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API int atfork_adopt(const char *rank);

/*
 * Writes which launcher's variables number this worker
 *
 * Writes the variables that atfork_adopt() would use, for logs and error messages:
 * "SLURM_PROCID=3".  If it writes two that differ, such as "SLURM_PROCID=0 RANK=3", atfork_adopt()
 * fails.
 *
 * buf      where to write; terminated if size is not 0; may be NULL if size is 0
 * size     the size of buf in bytes; a longer text is cut off
 * Returns  the length of the whole text in bytes, without the terminator, as snprintf(3) does; 0 if
 *          there is no launcher; or -1 and errno:
 *          EINVAL  `buf` is NULL and `size` is not 0
 * Thread-safe, but no other thread may change the environment.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API int atfork_launcher(char *buf, size_t size);

/*
 * Returns the version of the library that runs
 *
 * If a process has several copies of the library, it is the version of the copy that serves.
 *
 * ATFORK_VERSION_MAJOR, ATFORK_VERSION_MINOR and ATFORK_VERSION_MICRO are the version of the header.
 * `ATFORK_CHECK_VERSION(major, minor, micro)` is true if the header is of this version or of a later
 * one; it may be used in `#if`.
 *
 * Returns  "MAJOR.MINOR.MICRO", a string that is never freed
 * Thread-safe.  Async-signal-safe: yes.  Since 0.1.
 */
ATFORK_API const char *atfork_version(void);

/*
 * Registers hooks for a given shared object
 *
 * These are for macros, and for authors of bindings.  They do what atfork_register(),
 * atfork_register_after_fork() and atfork_register_mutex() do, for the shared object `dso`.
 *
 * The three functions without _for, atfork_generation() and atfork_once() are macros as well as
 * functions.  A name without a parenthesis after it is the function: `&atfork_register`,
 * `(atfork_register)(&hook)`.  The macros of atfork_generation() and atfork_once() call static inline
 * functions.  In C, an inline function with external linkage must not use these two macros: there
 * call the functions.
 *
 * dso      the object that the hook ends with: ATFORK_MODULE for the object of the caller; the
 *          address of another object's __dso_handle (on Windows, any address in the module); or
 *          NULL for a hook that stays until it is unregistered
 * Returns  as the functions without _for.  ENOMEM also says that the C library could not note one
 *          more object
 * Thread-safe.  Async-signal-safe: as the functions without _for.  Since 0.1.
 */
ATFORK_API atfork_id atfork_register_for(const struct atfork_hook *hook, void *dso);
ATFORK_API atfork_id atfork_register_after_fork_for(void (*func)(void *data), void *data, void *dso);
#ifndef _WIN32
ATFORK_API atfork_id atfork_register_mutex_for(pthread_mutex_t *mutex, int priority, void *dso);
#endif

/*
 * Returns the address of this process's generation + 1
 *
 * The macro atfork_generation() reads it.  It is for authors of bindings.  The number at the address
 * is 0 when the process must call atfork_generation(): in a new process, and always where the kernel
 * cannot wipe pages at a fork.  Read it atomically, with acquire order.
 *
 * Returns  an address that is valid until the process ends, and in its children
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API const uint64_t *atfork_mark(void);

#ifndef ATFORK_BUILDING

/* The linker's symbol for the address of this shared object, under a name of ours: programs may declare the symbol,
 * too, with any type.  Ours has the type that a C++ compiler gives it, as link-time optimisation compares the types. */
#define ATFORK_TEXT_OF(name) #name
#define ATFORK_SYMBOL(prefix, name) ATFORK_TEXT_OF(prefix) name
#ifdef _WIN32
extern void *atfork_module __asm__(ATFORK_SYMBOL(__USER_LABEL_PREFIX__, "__ImageBase"));
#else
extern void *atfork_module __asm__(ATFORK_SYMBOL(__USER_LABEL_PREFIX__, "__dso_handle"))
    __attribute__((visibility("hidden")));
#endif
#define ATFORK_MODULE (&atfork_module)

/* Variadic, as a comma inside braces ends a macro's argument.  There are no parentheses around __VA_ARGS__, so that a
 * call with a wrong number of arguments does not compile; and none around the function, so that `::` may stand before
 * it.
 */
#define atfork_register(...) atfork_register_for(__VA_ARGS__, ATFORK_MODULE)
#define atfork_register_after_fork(...) atfork_register_after_fork_for(__VA_ARGS__, ATFORK_MODULE)
#ifndef _WIN32
#define atfork_register_mutex(...) atfork_register_mutex_for(__VA_ARGS__, ATFORK_MODULE)
#endif

/* Reads the mark in place.  That is two loads; a call would cost more. */
static inline uint64_t atfork_mark_inline(void) {
  static const atfork_word *where;
  const atfork_word *mark = __atomic_load_n(&where, __ATOMIC_RELAXED);
  if (__builtin_expect(!mark, 0)) {
    mark = atfork_mark();
    __atomic_store_n(&where, mark, __ATOMIC_RELAXED);
  }
  return __atomic_load_n(mark, __ATOMIC_ACQUIRE);
}

static inline uint64_t atfork_generation_inline(void) {
  uint64_t mark = atfork_mark_inline();
  return __builtin_expect(mark != 0, 1) ? mark - 1 : (atfork_generation)();
}
#define atfork_generation(...) atfork_generation_inline(__VA_ARGS__)

/* Acquire pairs with the release store of state[0] at the end of an init, whose effects are then visible here.  A
 * control that is done has the complement of the mark: so neither a zero control nor a zero mark looks like "done". */
static inline void atfork_once_inline(struct atfork_once *once, void (*init)(void *data), void *data) {
  uint64_t mark = atfork_mark_inline();
  if (__builtin_expect(__atomic_load_n(&once->state[0], __ATOMIC_ACQUIRE) != ~mark, 0)) (atfork_once)(once, init, data);
}
#define atfork_once(...) atfork_once_inline(__VA_ARGS__)

#endif /* ATFORK_BUILDING */

#ifdef __cplusplus
}

/* For temporaries, of which C++ takes no address.  The linkage is explicit, as the header may be included inside
 * extern "C". */
extern "C++" {
inline atfork_id atfork_register_for(const atfork_hook &hook, void *dso) {
  return atfork_register_for(&hook, dso);
}
}
#endif

#endif
