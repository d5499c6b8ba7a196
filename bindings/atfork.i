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
