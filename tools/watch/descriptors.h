/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of this process.
 *
 * An open file description gets an id when it is opened.  A child has a copy of the table, so both processes know the
 * same id.  After a fork, each process records the first use of each kind of the descriptors that were open at the
 * fork.  Nothing is done at the fork itself.
 *
 * A child of vfork() has descriptors of its own, but uses its parent's memory.  So it only notes which numbers it has
 * set up.
 */
#ifndef ATFORK_WATCH_DESCRIPTORS_H
#define ATFORK_WATCH_DESCRIPTORS_H

#include "watch.h"

enum { DESCRIPTORS = 65536 };

struct descriptor {
  uint64_t id;            /* process that opened it, and a number; 0: opened unseen */
  _Atomic uint32_t noted; /* forks_generation() << 8 | the uses recorded since then */
  uint32_t made_by;       /* number of the process that gave it this number */
  const void *site;       /* that opened it; NULL: opened unseen, or meant to be passed on */
  bool semaphore;         /* eventfd(EFD_SEMAPHORE) */
  bool given;             /* it was open when the program was started */
};

extern struct descriptor descriptors[DESCRIPTORS];
extern int descriptors_highest; /* that was opened so far */
extern int descriptors_given;   /* that are no standard streams, and were open when the program was started */

static inline bool descriptor_is_known(int fd) {
  return (unsigned)fd < DESCRIPTORS;
}

/* A new description; returns fd, which may be -1. */
int descriptor_opened(int fd, const void *site);
/* Another number for the same description.  If the program chose the number, the descriptor is meant to be passed
 * on. */
int descriptor_copied(int old, int fd, const void *site, bool asked_for);
/* Before it is closed. */
void descriptor_closing(int fd);
/* Its close-on-exec flag was cleared: it is meant to be passed on. */
void descriptor_given(int fd);

/* This process goes through all of its descriptors, so those that it leaves open are meant to stay open. */
void descriptors_swept(void);
bool descriptors_are_swept(void);

/* A child of vfork() has set up this number. */
bool descriptor_is_set_up(int fd);

void descriptor_tell(int fd, enum use use);

/* Keeps errno. */
static inline void descriptor_used(int fd, enum use use) {
  uint32_t generation = forks_generation();
  if (LIKELY(generation == 0 && descriptors_given == 0) || !descriptor_is_known(fd)) return;
  uint32_t noted = atomic_load_explicit(&descriptors[fd].noted, memory_order_relaxed);
  if (LIKELY(noted >> 8 == (generation & 0xffffff) && (noted & use) != 0)) return;
  descriptor_tell(fd, use);
}

/* What kind it is now; *flags: of open(), if the kernel has them. */
struct stat;
void descriptor_name(int fd, char *name, size_t size);
enum descriptor_kind descriptor_kind(int fd, struct stat *status, int *flags);

/* The caller holds a lock that other processes wait for, too. */
extern _Atomic int descriptors_locked;

#endif
