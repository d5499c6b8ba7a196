/* SPDX-License-Identifier: MIT */
/* A shared object without a copy of the library, but with ELF notes that begin like the note of a copy. */
__asm__(
    ".pushsection .note.plain, \"a\", %note\n"
    ".balign 4\n"
    ".4byte 7, 8, 1\n .ascii \"atfork\\0\\0\"\n .4byte 0, 1\n" /* another size */
    ".4byte 7, 4, 1\n .ascii \"atpork\\0\\0\"\n .4byte 0\n"    /* another name */
    ".4byte 7, 4, 1\n .ascii \"atfo\"\n"                       /* no more of it */
    ".popsection\n");
