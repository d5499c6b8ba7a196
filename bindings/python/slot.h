/* SPDX-License-Identifier: MIT */
/* A function in a PyType_Slot, which has it as a void *: ISO C forbids that, and every system with Python allows it. */
#ifndef ATFORK_PYTHON_SLOT_H
#define ATFORK_PYTHON_SLOT_H

#define SLOT(function) __extension__(void *)(function)

#endif
