/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of this process.
 *
 * What is open under one number in several processes is one open file description, and gets an id as it is opened:
 * a child's table is a copy.  After a fork each process tells of the first use of each kind of those that were open at
 * it.  So nothing is to be done at the fork itself.
 *
 * What a child of vfork() opens and closes changes its own descriptors, but it has its parent's memory: so it only
 * notes which numbers it has set up.
 */
#ifndef ATFORK_WATCH_DESCRIPTORS_H
#define ATFORK_WATCH_DESCRIPTORS_H

#include "watch.h"

enum { DESCRIPTORS = 65536 };

struct descriptor {
  uint64_t id;            /* process that opened it and a number of its; 0: nobody that we saw */
  _Atomic uint32_t noted; /* forks_generation() << 8 | the uses that were told since */
  uint32_t made_by;       /* number of the process that gave it this number */
  const void *site;       /* that opened it; NULL: nobody that we saw, or it is meant to be handed down */
  bool semaphore;         /* eventfd(EFD_SEMAPHORE) */
  bool given;             /* it was open as the program was started */
};

extern struct descriptor descriptors[DESCRIPTORS];
extern int descriptors_highest; /* that was opened so far */
extern int descriptors_given;   /* that are no standard streams, and were open as the program was started */

static inline bool descriptor_is_known(int fd) {
  return (unsigned)fd < DESCRIPTORS;
}

/* A new description; returns fd, which may be -1. */
int descriptor_opened(int fd, const void *site);
/* Another number for the same description; one that was asked for is meant to be handed down. */
int descriptor_copied(int old, int fd, const void *site, bool asked_for);
/* Before it is closed. */
void descriptor_closing(int fd);
/* Its close-on-exec flag was taken off: it is meant to be handed down. */
void descriptor_given(int fd);

/* This process goes through all that it has: what it leaves open, stays so on purpose. */
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

/* What it is now; *flags: of open(), as far as the kernel tells. */
struct stat;
void descriptor_name(int fd, char *name, size_t size);
enum descriptor_kind descriptor_kind(int fd, struct stat *status, int *flags);

/* Of a lock that other processes wait for, too: the caller holds one. */
extern _Atomic int descriptors_locked;

#endif
