/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_RUBY_VM_H
#define ATFORK_RUBY_VM_H

/* In a new process that C code has forked: tells Ruby, if nobody has.  With the GVL. */
void vm_settle(void);

#endif
