/* SPDX-License-Identifier: MIT */
/*
 * What every language shares.  Each has a file of its own that includes this one after its typemaps, and adds what is about
 * functions of that language: register and its kin.
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

/* The language's typemap gives (buf, size), and returns what is in it. */
int atfork_lineage(char *buf, size_t size);

uint64_t atfork_run(void);
enum atfork_place atfork_place(void); /* as a word */
void atfork_seed_bytes(uint64_t base, void *buf, size_t size); /* takes a size, returns the bytes */

int atfork_token(char *buf, size_t size);
int atfork_child_token(const char *token, uint64_t n, char *buf, size_t size);
int atfork_launcher(char *buf, size_t size);

/* A text, or nothing; an errno is raised. */
int atfork_spawned(const char *token);
int atfork_adopt(const char *rank);
