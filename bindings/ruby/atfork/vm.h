/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_RUBY_VM_H
#define ATFORK_RUBY_VM_H

void vm_init(void);

/* In a new process that C code has forked: tells Ruby, if nobody has.  A spawned one is no child of this VM's, and
 * nothing is done there.  With the GVL. */
void vm_settle(void);

#endif
