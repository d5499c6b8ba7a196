/* SPDX-License-Identifier: MIT */
/*
 * What all targets share.  A target is given bytes: by libFuzzer, which looks for such as come to code that no others
 * came to, or by feed.c from files.  It aborts where the library does something else than what the target expects.
 */
#ifndef ATFORK_GUIDED_TARGET_H
#define ATFORK_GUIDED_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names that libFuzzer gives. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(condition) ((condition) ? (void)0 : expectation_failed(__FILE__, __LINE__, #condition))
_Noreturn void expectation_failed(const char *file, int line, const char *what);

/* The bytes as a string, in memory that ends with it; to be freed. */
char *text_of(const uint8_t *data, size_t size);

#endif
