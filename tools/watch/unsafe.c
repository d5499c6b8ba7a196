/* SPDX-License-Identifier: MIT */
/*
 * Signs that a child goes on: calls of functions that must not be called after a fork with threads, and whose internal
 * locks are not watched.  One sign is enough, so these are functions that nearly every program calls.
 */
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "held.h"

/* With _FORTIFY_SOURCE the compiler calls these. */
int __vprintf_chk(int flag, const char *format, va_list rest);
int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list rest);
int __printf_chk(int flag, const char *format, ...);
int __fprintf_chk(FILE *stream, int flag, const char *format, ...);

NEXT(puts);
NEXT(fputs);
NEXT(fputc);
NEXT(fwrite);
NEXT(vprintf);
NEXT(vfprintf);
NEXT(__vprintf_chk);
NEXT(__vfprintf_chk);
NEXT(fgets);
NEXT(getline);
NEXT(getaddrinfo);
NEXT(vsyslog);
NEXT(setenv);

EXPORT int puts(const char *string) {
  held_thread(__func__);
  return CALL(puts)(string);
}

EXPORT int fputs(const char *string, FILE *stream) {
  held_thread(__func__);
  return CALL(fputs)(string, stream);
}

EXPORT int fputc(int c, FILE *stream) {
  held_thread(__func__);
  return CALL(fputc)(c, stream);
}

EXPORT size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream) {
  held_thread(__func__);
  return CALL(fwrite)(bytes, size, count, stream);
}

EXPORT char *fgets(char *line, int size, FILE *stream) {
  held_thread(__func__);
  return CALL(fgets)(line, size, stream);
}

EXPORT ssize_t getline(char **line, size_t *size, FILE *stream) {
  held_thread(__func__);
  return CALL(getline)(line, size, stream);
}

#define FORMAT(last, result, call) \
  do {                             \
    va_list rest;                  \
    held_thread(__func__);         \
    va_start(rest, last);          \
    result = call;                 \
    va_end(rest);                  \
  } while (0)

EXPORT int printf(const char *format, ...) {
  int size;
  FORMAT(format, size, CALL(vprintf)(format, rest));
  return size;
}

EXPORT int fprintf(FILE *stream, const char *format, ...) {
  int size;
  FORMAT(format, size, CALL(vfprintf)(stream, format, rest));
  return size;
}

EXPORT int __printf_chk(int flag, const char *format, ...) {
  int size;
  FORMAT(format, size, CALL(__vprintf_chk)(flag, format, rest));
  return size;
}

EXPORT int __fprintf_chk(FILE *stream, int flag, const char *format, ...) {
  int size;
  FORMAT(format, size, CALL(__vfprintf_chk)(stream, flag, format, rest));
  return size;
}

EXPORT void syslog(int priority, const char *format, ...) {
  va_list rest;
  held_thread(__func__);
  va_start(rest, format);
  CALL(vsyslog)(priority, format, rest);
  va_end(rest);
}

EXPORT int vprintf(const char *format, va_list rest) {
  held_thread(__func__);
  return CALL(vprintf)(format, rest);
}

EXPORT int vfprintf(FILE *stream, const char *format, va_list rest) {
  held_thread(__func__);
  return CALL(vfprintf)(stream, format, rest);
}

EXPORT int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  held_thread(__func__);
  return CALL(getaddrinfo)(name, service, hints, found);
}

EXPORT int setenv(const char *name, const char *value, int replace) {
  held_thread(__func__);
  return CALL(setenv)(name, value, replace);
}
