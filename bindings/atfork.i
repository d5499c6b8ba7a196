/* SPDX-License-Identifier: MIT */
/*
 * The part of the API that all languages share.  Each language has its own file, which includes this one after its
 * typemaps, and adds what takes or returns functions of the language: register and related functions.
 */
%{
#include <atfork.h>
%}

%include "stdint.i"

/* atfork_generation() is atfork.generation() in a script. */
%rename("%(strip:[atfork_])s") "";

%feature("autodoc", "0");

uint64_t atfork_generation(void);
uint64_t atfork_seed(uint64_t base);
int atfork_poll(void);
const char *atfork_version(void);

/* The language's typemap passes (buf, size), and returns its content. */
int atfork_lineage(char *buf, size_t size);

uint64_t atfork_run(void);
enum atfork_place atfork_place(void); /* as a word */
void atfork_seed_bytes(uint64_t base, void *buf, size_t size); /* takes a size, returns the bytes */

int atfork_token(char *buf, size_t size);
int atfork_child_token(const char *token, uint64_t n, char *buf, size_t size);
int atfork_launcher(char *buf, size_t size);

/* Takes a text, or nothing; raises an error for an errno. */
int atfork_spawned(const char *token);
int atfork_adopt(const char *rank);
