/* SPDX-License-Identifier: MIT */
/*
 * atfork: puts a process right after fork().
 *
 * A *hook* is up to three callbacks that are registered together: `prepare` runs before a fork in
 * the forking process, `parent` after it there, `child` after it in the new process.  Hooks are
 * ordered by (priority, registration): `parent` and `child` run in that order, `prepare` in the
 * reverse, so a low priority is nearer the base: prepared last, put right first.
 *
 * The *generation* is how many forks deep a process is: 0 where the library was first loaded.  The
 * *lineage* says which child of which child it is: "0", "0.1", "0.2", "0.2.1", …
 *
 * A *bypassing fork* runs no pthread_atfork(3) handlers: clone(2), clone3(2), _Fork(3),
 * syscall(SYS_fork).  atfork_generation() and atfork_once() notice it at once; the child hooks run
 * at atfork_poll(), or before the process's next ordinary fork.
 *
 * A worker that is spawned rather than forked takes its place in the tree by a token: atfork_token(), atfork_spawned();
 * or by the number that a launcher has given it: atfork_adopt().  atfork_place() says how a process has come to its
 * place.
 *
 * Callbacks run in the thread that forks, and no lock of the library is held meanwhile: they may
 * register, unregister, call every function of the library, and fork.  They must return: leaving one by
 * longjmp(3), by an exception or by ending the thread is undefined.  The library allocates nothing
 * while it runs them; what a callback itself may do in the child of a process with threads, only its
 * author can know (fork(2), "async-signal-safe").
 *
 * The library is ready when it is loaded: a child that makes the first call finds its place in the tree, whatever its
 * parent has called.  In a program that never calls the library a fork numbers its child; with glibc
 * the parent has one page more to copy, and the child none.  Without memory at the load each fork is noticed by its
 * pid, or the children of such a program are named by theirs.
 *
 * Async-signal-safe "after the first call": that one, of whatever function, tells the C library of our fork handlers by
 * pthread_atfork(3), and the first registration from a shared object of what to do when it goes, by __cxa_atexit.  Both
 * take locks of the C library, malloc(3)'s among them: a signal handler that makes the first call while its own thread
 * is inside such a function may wait for ever, and so may a child that makes it, where another thread of the parent was
 * inside one.  What a process has called its children have called too.
 *
 * A call that waits says nothing of it, unless the environment had ATFORK_DEBUG=1 as the program started: then it
 * writes a line to stderr after 1 s, after 10 s, and whenever the wait has doubled: which call waits in which thread,
 * for which hook, and why.  Not in setuid programs.  Without it, a debugger's backtrace has a function that is named
 * for what is waited for: `gdb -batch -p PID -ex bt` shows atfork_fork_waits_for_hook(), and the hook's name and id.
 *
 * A process has one registry, however many copies of the library are in it: the system's shared library, another that a
 * package brought along, a static one in a plugin.  The copy that is loaded first serves, and the functions of each
 * later one call it: order, ids, lineage, tokens and atfork_once() are the process's.  A copy of another protocol,
 * which a much older or newer version may have, says so in a line on stderr and stays apart.  A plugin whose static
 * copy serves stays loaded until the process ends; link it with the shared library, and it can go.  On Windows each
 * copy serves itself.
 *
 * On Windows, where nothing forks, `child` hooks run in atfork_spawned(), and `prepare` and `parent` never do.  There
 * is no atfork_register_mutex().  A module (program or DLL) that registers a hook stays loaded until the process ends,
 * and what is registered then is not destroyed.  "Async-signal-safe" is of no meaning there.
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
/* Whether the header is of this version or a later one, for #if too.  Since 0.1. */
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

/* Names a hook.  0 is never a hook, and an id is never given again to another one. */
typedef uint64_t atfork_id;

enum { ATFORK_PRIORITY_MIN = -32768, ATFORK_PRIORITY_MAX = 32767 };

struct atfork_hook {
  const char *name;            /* copied; NULL is ""; for people and for atfork_foreach() */
  int priority;                /* ATFORK_PRIORITY_MIN (-32768) … ATFORK_PRIORITY_MAX (32767) */
  void (*prepare)(void *data); /* each callback may be NULL, but not all of them */
  void (*parent)(void *data);
  void (*child)(void *data);
  int (*try_prepare)(void *data); /* instead of prepare: 0, or non-zero for "not now" */
  void (*wait)(void *data);    /* with try_prepare, may be NULL: takes what that has refused, however long it lasts */
  void *data;                  /* handed to each callback */
  void (*destroy)(void *data); /* may be NULL; called once, when the hook is gone for good */
};

/*
 * Registers a hook.
 *
 * When a `try_prepare` returns non-zero ("not now": a lock is taken, say), the hooks prepared so far
 * get their `parent`.  Then, with nothing prepared, the library calls the `wait` of the hook that refused: it blocks
 * until it has what `try_prepare` would have taken, and keeps it.  That hook is prepared now, and the library begins
 * the prepare phase again with the others, less those that were unregistered meanwhile.  So locks that other threads
 * take in another order cannot deadlock a fork, and locks that are nearly always taken cannot starve it.  If there is
 * no `wait`, the library backs off for 1 ms at most, and begins again with all of them.  A hook has `prepare` or
 * `try_prepare`, not both.
 *
 * While `wait` runs, other threads may take back all hooks but this one; a thread that has what it waits for must not
 * take this one back, or unload an object that has hooks.
 *
 * A hook that is registered while a fork is under way, by a callback or by another thread, first
 * takes part in the next fork.
 *
 * A hook goes with the shared object whose code registered it, before dlclose(3) unmaps that code, and
 * at exit(3).  (`&__dso_handle` is how the C++ ABI names a shared object; see __cxa_atexit.)  The plain
 * symbol `atfork_register`, which FFIs and dlsym(3) find, cannot know its caller: such a hook stays
 * until it is unregistered.  On Windows a DLL that has registered a hook is never unloaded, but for those of the plain
 * symbol.
 *
 * In C++ the hook may also be given by reference, and so be a temporary: in C++20
 * `atfork_register({.name = "log", .child = reopen})`.  In C++11 set the fields of an `atfork_hook hook = {}`, and give
 * `hook` or `&hook`.
 *
 * hook     what to register; copied
 * Returns  the hook's id; or 0 and errno:
 *          EINVAL  hook is NULL, has no callback, both prepare and try_prepare, wait without
 *                  try_prepare, or a priority out of range
 *          ENOMEM  no memory; nothing is changed
 * Thread-safe.  Async-signal-safe: yes, after the first of the same shared object.  Since 0.1.
 */
ATFORK_API atfork_id atfork_register(const struct atfork_hook *hook);

/*
 * Registers `func(data)` to run in each new process: a hook with only a `child`, at priority 0.
 *
 * The hook belongs to the caller's shared object, as atfork_register()'s does.
 *
 * The call that the library grew from: PyTorch's torch.multiprocessing._atfork.register_after_fork().
 *
 * func     not NULL
 * data     handed to func
 * Returns  as atfork_register()
 * Thread-safe.  Async-signal-safe: yes, after the first of the same shared object.  Since 0.1.
 */
ATFORK_API atfork_id atfork_register_after_fork(void (*func)(void *data), void *data);

#ifndef _WIN32
/*
 * Registers a hook that holds `mutex` across each fork, so that no child is made while another thread
 * is inside it: locked before the fork, unlocked after it in the parent and in the child.
 *
 * While it is busy the fork is "not now", and waits for it as the hook's `wait` does (atfork_register()): so mutexes
 * that other threads lock in another order cannot deadlock a fork, nor busy ones starve it.  A thread that has it may
 * take this hook back.  Signals are held back for 100 ms at a time while a fork waits.  A thread that forks while it
 * holds the mutex itself waits for ever, as with pthread_atfork(3) and a plain lock (ATFORK_DEBUG=1 tells); if it is a
 * recursive one, the child has it free.  Not on Windows.
 *
 * In the child of a bypassing fork, a mutex that another thread of the parent had locked is made free: by
 * atfork_poll(), or in the next fork.
 *
 * A mutex may be registered more than once: a fork locks it once, for the first of its hooks that it prepares, and
 * the parent unlocks it when the last of them has run, the child when the first has.
 *
 * The hook belongs to the caller's shared object, as atfork_register()'s does.
 *
 * mutex     of the types normal, recursive or error-checking; private to the process, not robust, and without a
 *           priority protocol.  It stays the caller's, and must outlive the hook
 * priority  ATFORK_PRIORITY_MIN (-32768) … ATFORK_PRIORITY_MAX (32767)
 * Returns   as atfork_register(); EINVAL also for a NULL mutex
 * Thread-safe.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API atfork_id atfork_register_mutex(pthread_mutex_t *mutex, int priority);
#endif

/*
 * Takes a hook back.  When it returns, no callback of the hook is running or will run in this process,
 * and `destroy` has run: it waits for what other threads have under way that the hook takes part in, forks and
 * atfork_foreach().
 *
 * From inside a callback or a visit it never waits: a hook that takes part in forks under way still gets the rest of
 * them, `parent` in the parent and `child` in the child, takes part in the forks that their callbacks make meanwhile,
 * and ends, with `destroy`, when the last of them does, or the last atfork_foreach().
 *
 * A fork may come while another thread is here: then the hook ends in the child, too, with its `destroy`; unless that
 * thread has called `destroy` already, or is just about to.
 *
 * id       what a registration returned
 * Returns  0; or -1 and errno:
 *          ENOENT  id names no hook, or one that was unregistered already
 *          ENOMEM  only in a signal handler that interrupted this library in its own thread, when there is no memory
 * Thread-safe.  Async-signal-safe: yes, but it may wait.  Since 0.1.
 */
ATFORK_API int atfork_unregister(atfork_id id);

/*
 * How many forks deep this process is.  Right at once in every child, one of a bypassing fork included.
 * Bypassing forks that no process in between looked at count as one.
 *
 * Returns  0 where the library was first loaded, a parent's + 1 in its child
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API uint64_t atfork_generation(void);

/*
 * Writes this process's lineage: "0", "0.1" for its first child, "0.2", "0.2.1".  Unique in the tree of
 * processes, and the same from run to run if the forks are.  A fork that fails uses up a number.
 * The child of a bypassing fork is named by its pid: "0.p4711".  If another process of the tree may have been named by
 * that pid before, the name is "0.p10004711", then "0.p20004711", …  One exception: another library's fork handler
 * makes the child, between the phases of an ordinary fork.  Then the library takes it for that fork's child, and both
 * have the same lineage.  When a lineage grows past some 900 bytes, a digest replaces its left part:
 * "~89abcdef01234567.1".
 *
 * buf      where to; always terminated when size > 0; may be NULL when size is 0
 * size     of buf, in bytes; a lineage that does not fit is cut off
 * Returns  the lineage's length in bytes without the terminator, as snprintf(3) does; or -1 and errno:
 *          EINVAL  buf is NULL and size is not 0
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API int atfork_lineage(char *buf, size_t size);

/* How a process has come to its place in the tree. */
enum atfork_place {
  ATFORK_ROOT,    /* it has loaded the library, and nothing says that it is not the first */
  ATFORK_FORKED,  /* a process that had the library forked it */
  ATFORK_SPAWNED, /* atfork_spawned() */
  ATFORK_ADOPTED, /* atfork_adopt() */
  ATFORK_UNKNOWN  /* a guess, see atfork_place() */
};

/*
 * How this process has come to its place in the tree, and so to its lineage and seeds.
 *
 * ATFORK_UNKNOWN says that they are a guess: the library was loaded in a process that had been forked already, by one
 * that runs the same program.  It is likely to be one of several, as a server's workers are, each of which takes itself
 * for the root, and all have the same seeds.  What it forks has a guess for good.  Load the library before the fork; or
 * call atfork_adopt() or atfork_spawned() in the process that has loaded it, before it forks.
 *
 * Returns  one of the above.  On Windows never ATFORK_FORKED or ATFORK_UNKNOWN
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API enum atfork_place atfork_place(void);

/*
 * Names this run of the whole tree of processes: the root draws it from the kernel as the library is loaded, and all
 * that descend from it have the same, those spawned by token too.  So atfork_seed(atfork_run()) differs from process to
 * process and from run to run.
 *
 * The environment variable ATFORK_RUN, decimal without zeros before it or hexadecimal after 0x, repeats a run: log this
 * number, and set it there.  What is no such number is said on stderr, and ignored.  A process that atfork_adopt() has
 * placed takes ATFORK_RUN; or a digest of the name that its launcher has given the job, so that all processes of the
 * job agree; or else what it has drawn itself.
 *
 * Returns  any number of 64 bits
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API uint64_t atfork_run(void);

/*
 * A seed for this process: for one lineage another for each base; for one base another for each lineage, as far as
 * hashes of 64 bits differ; and the same from run to run for a lineage that is.  With atfork_run() as base it differs
 * from run to run, too.  The mixing function is SplitMix64's (Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators", 2014).  Not for cryptography.
 *
 * base     any value
 * Returns  a value of which each bit is as good as another
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API uint64_t atfork_seed(uint64_t base);

/*
 * As many bytes of seed as a generator's state needs: of which 256 bits depend on base and lineage, so that two
 * processes never have the same, as far as hashes differ.  The bytes are MGF1's (RFC 8017, B.2.1) with SHA-256 (FIPS
 * 180-4); doc/streams.md has what goes into it, and test vectors.  Fewer bytes are the first of more.  They are no
 * secret: base and lineage are none.
 *
 * base     any value
 * buf      where to; may be NULL when size is 0
 * size     of buf, in bytes, up to 2^37
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API void atfork_seed_bytes(uint64_t base, void *buf, size_t size);

/*
 * Runs the child hooks that this process missed because it was made by a bypassing fork: those that were registered in
 * the processes that it descends from.  Each runs once in a process, however often this is called.  So they do before
 * the next ordinary fork; and in a process that comes back into a `child` callback that made it, when that fork ends,
 * if hooks have been unregistered meanwhile.
 *
 * Returns  how many callbacks it ran
 * Thread-safe.  Async-signal-safe: as the callbacks are.  Since 0.1.
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
 * Calls `init(data)` once in each process: as pthread_once(3), but a new process calls it again.  When it
 * returns, init has returned in this process.
 *
 * A child that was forked while another thread was inside init runs init itself.  A child that init itself
 * forks is not done either: the next call there runs init again.
 *
 * once     not NULL; ATFORK_ONCE_INIT, or zero.  Its type is written `struct atfork_once` in C++ as well
 * init     not NULL; must return, and must not use the same control: that waits for ever, as with pthread_once(3)
 *          (ATFORK_DEBUG=1 tells)
 * data     handed to init
 * Thread-safe.  Async-signal-safe: no, it may wait for another thread's init.  Since 0.1.
 */
ATFORK_API void atfork_once(struct atfork_once *once, void (*init)(void *data), void *data);
#if defined(__cplusplus) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/* What atfork_foreach() shows of a hook.  The strings last as long as the visit. */
struct atfork_info {
  atfork_id id;
  uint64_t generation; /* of the process that registered it */
  struct atfork_hook hook;
};

/*
 * Visits the hooks that the next fork would run, in run order.  What is registered meanwhile is not visited, nor what a
 * callback has unregistered, which forks inside that callback still run.  The visitor may call every function of the
 * library, as a callback may.
 *
 * visit    called with each hook; a non-zero result ends the walk
 * arg      handed to visit
 * Returns  0, or what visit returned that ended the walk; or -1 and errno:
 *          EINVAL  visit is NULL
 * Thread-safe.  Async-signal-safe: as visit is.  Since 0.1.
 */
ATFORK_API int atfork_foreach(int (*visit)(const struct atfork_info *info, void *arg), void *arg);

/*
 * Writes a token that names the next worker which this process spawns: by posix_spawn(3), by exec(3), on a machine of
 * its own.  The worker hands it to atfork_spawned(), and so takes its place in the tree as the next child that this
 * process would fork: its generation is this one's + 1, its lineage "0.1", "0.2", …, from the same count.
 *
 * A token is text without blanks; it is for one worker, and travels by argument, or as ATFORK_TOKEN in the environment.
 * It is no secret, and no proof of who made it.
 *
 * buf      where to; always terminated when size > 0; may be NULL when size is 0
 * size     of buf, in bytes: 1,024 are enough for every token.  What does not fit is cut off, and then no number
 *          is used up
 * Returns  the token's length in bytes without the terminator, as snprintf(3) does; or -1 and errno:
 *          EINVAL  buf is NULL and size is not 0
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API int atfork_token(char *buf, size_t size);

/*
 * Writes the token of the n-th child of the process that `token` names: for who starts workers of a process that is
 * somewhere else, or has not started yet.  It uses up no number: nobody but the caller knows which are taken.
 *
 * token    from atfork_token(), or from this
 * n        from 1
 * buf      where to; always terminated when size > 0; may be NULL when size is 0
 * size     of buf, in bytes: 1,024 are enough for every token.  What does not fit is cut off
 * Returns  the length of what was to be written, without the terminator, as snprintf(3) does; or -1 and errno:
 *          EINVAL  buf is NULL and size is not 0, n is 0, or token is not one that atfork_token() has written, whole,
 *                  or is of a process as deep as 2^63 forks
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API int atfork_child_token(const char *token, uint64_t n, char *buf, size_t size);

/*
 * In a worker that was spawned rather than forked: takes the place in the tree that the token names, and runs the child
 * hooks registered so far, in order.  From there on generation, lineage and seeds are those of this place, and
 * each atfork_once() is due again.  Call it once, as the worker starts and before it has threads.
 *
 * A token from the environment is taken out of it, so that what this process spawns in its turn does not take itself
 * for this one.  In a setuid or setgid program the environment is not looked at.
 *
 * token    from atfork_token(); NULL: the environment variable ATFORK_TOKEN
 * Returns  0; or -1 and errno, with nothing changed:
 *          EINVAL    there is no token, or it is not one that atfork_token() has written, whole
 *          EALREADY  this process was forked by one that had the library, or it has taken a place before
 * Thread-safe, but for the environment.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API int atfork_spawned(const char *token);

/*
 * In a worker that its launcher has numbered: takes the place of that number, the lineage "0.r3" in generation 1, and
 * runs the child hooks registered so far, in order, as atfork_spawned() does.  What it forks is "0.r3.1".  Call it
 * once, as the worker starts and before it has threads.
 *
 * NULL takes the number from the variables of Slurm, PMIx, Open MPI, MPICH's Hydra and Intel MPI, Flux, PALS, JSM,
 * torchrun (RANK; LOCAL_RANK repeats on each node) or Kubernetes; atfork_launcher() shows them.  They stay in the
 * environment, so give what such a worker spawns a token, that it does not adopt the same place.
 *
 * rank     decimal digits, without zeros before them; NULL: what the launcher says
 * Returns  0; or -1 and errno, with nothing changed:
 *          EINVAL    rank is no such number, or two launchers give different ones
 *          ENOENT    rank is NULL, and no launcher gives one
 *          EALREADY  this process was forked by one that had the library, or it has taken a place before
 * Thread-safe, but for the environment.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API int atfork_adopt(const char *rank);

/*
 * Writes which variables of which launchers give this worker its number, for logs and errors: "SLURM_PROCID=3", or
 * "SLURM_PROCID=0 RANK=3", of which atfork_adopt() makes an error.
 *
 * buf      where to; always terminated when size > 0; may be NULL when size is 0
 * size     of buf, in bytes; what does not fit is cut off
 * Returns  the text's length in bytes without the terminator, as snprintf(3) does, 0 when there is no launcher; or -1
 *          and errno:
 *          EINVAL  buf is NULL and size is not 0
 * Thread-safe, but for the environment.  Async-signal-safe: no.  Since 0.1.
 */
ATFORK_API int atfork_launcher(char *buf, size_t size);

/*
 * The version of the library that runs, "MAJOR.MINOR.MICRO", that of the copy which serves this process;
 * ATFORK_VERSION_MAJOR, _MINOR and _MICRO are that of the header, and ATFORK_CHECK_VERSION(major, minor, micro) is true
 * where the header is of that version or a later one.
 *
 * Returns  a string that is never freed
 * Thread-safe.  Async-signal-safe: yes.  Since 0.1.
 */
ATFORK_API const char *atfork_version(void);

/*
 * What stands behind the calls above, for macros and for the authors of bindings.
 *
 * The registering functions, atfork_generation() and atfork_once() are macros, too.  A name that no parenthesis follows
 * is no macro, but the plain symbol: `&atfork_register`, `(atfork_register)(&hook)`.  The macros of the latter two call
 * static functions.  An inline function of C with external linkage may not, and calls the plain symbol.
 *
 * The _for forms take the shared object that the hook belongs to: ATFORK_MODULE, which is the caller's, or the address
 * of another's __dso_handle (on Windows: any in the module); or NULL for a hook that stays until it is unregistered.
 * They give ENOMEM also when the C library cannot note one more object.  Otherwise they are as the functions they are
 * named after.
 */
ATFORK_API atfork_id atfork_register_for(const struct atfork_hook *hook, void *dso);
ATFORK_API atfork_id atfork_register_after_fork_for(void (*func)(void *data), void *data, void *dso);
#ifndef _WIN32
ATFORK_API atfork_id atfork_register_mutex_for(pthread_mutex_t *mutex, int priority, void *dso);
#endif

/*
 * Where this process's mark stands: its generation + 1, or 0 when the library must be asked.  It stays there for good,
 * in children too, and is to be read atomically.
 * Thread-safe.  Async-signal-safe: yes, after the first call.  Since 0.1.
 */
ATFORK_API const uint64_t *atfork_mark(void);

#ifndef ATFORK_BUILDING

/* The address that stands for a shared object, under a name of ours: programs declare it, too, each with a type of its
 * own.  Ours has the type that a C++ compiler gives it, as link-time optimisation compares them. */
#define ATFORK_TEXT_OF(name) #name
#define ATFORK_SYMBOL(prefix, name) ATFORK_TEXT_OF(prefix) name
#ifdef _WIN32
extern void *atfork_module __asm__(ATFORK_SYMBOL(__USER_LABEL_PREFIX__, "__ImageBase"));
#else
extern void *atfork_module __asm__(ATFORK_SYMBOL(__USER_LABEL_PREFIX__, "__dso_handle"))
    __attribute__((visibility("hidden")));
#endif
#define ATFORK_MODULE (&atfork_module)

/* Variadic, as a comma inside braces ends a macro's argument.  No parentheses stand around __VA_ARGS__, so that a call
 * with too many or too few arguments does not compile; and none around the function, so that `::` may stand before it.
 */
#define atfork_register(...) atfork_register_for(__VA_ARGS__, ATFORK_MODULE)
#define atfork_register_after_fork(...) atfork_register_after_fork_for(__VA_ARGS__, ATFORK_MODULE)
#ifndef _WIN32
#define atfork_register_mutex(...) atfork_register_mutex_for(__VA_ARGS__, ATFORK_MODULE)
#endif

/* The mark, read in place: two loads, where a call would cost more than all the rest. */
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

/* Pairs with the release store of state[0] that ends an init: its effects are seen here.  That is the complement of the
 * mark, so that neither a control that is zero nor a mark that is, is taken for done. */
static inline void atfork_once_inline(struct atfork_once *once, void (*init)(void *data), void *data) {
  uint64_t mark = atfork_mark_inline();
  if (__builtin_expect(__atomic_load_n(&once->state[0], __ATOMIC_ACQUIRE) != ~mark, 0)) (atfork_once)(once, init, data);
}
#define atfork_once(...) atfork_once_inline(__VA_ARGS__)

#endif /* ATFORK_BUILDING */

#ifdef __cplusplus
}

/* C++ takes no address of a temporary.  The linkage is said, as the header may be included inside extern "C". */
extern "C++" {
inline atfork_id atfork_register_for(const atfork_hook &hook, void *dso) {
  return atfork_register_for(&hook, dso);
}
}
#endif

#endif
