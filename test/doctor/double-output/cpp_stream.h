/* SPDX-License-Identifier: MIT */
/* std::ofstream, as a C++ compiler calls it. */
#ifndef ATFORK_TEST_DOCTOR_CPP_STREAM_H
#define ATFORK_TEST_DOCTOR_CPP_STREAM_H

#include "../program.h"

enum { STREAM_OUT = 16, STREAM_APPEND = 1 };

struct stream {
  _Alignas(16) char object[1024];
};

void _ZNSt14basic_ofstreamIcSt11char_traitsIcEEC1EPKcSt13_Ios_Openmode(struct stream *, const char *, int);
void _ZNSt14basic_ofstreamIcSt11char_traitsIcEED1Ev(struct stream *);
void *_ZNSo5writeEPKcl(struct stream *, const char *, long);
void *_ZNSo5flushEv(struct stream *);

static inline void stream_open(struct stream *stream, const char *path) {
  _ZNSt14basic_ofstreamIcSt11char_traitsIcEEC1EPKcSt13_Ios_Openmode(stream, path, STREAM_OUT | STREAM_APPEND);
}

static inline void stream_write(struct stream *stream, const char *text) {
  _ZNSo5writeEPKcl(stream, text, (long)strlen(text));
}

static inline void stream_flush(struct stream *stream) {
  _ZNSo5flushEv(stream);
}

static inline void stream_close(struct stream *stream) {
  _ZNSt14basic_ofstreamIcSt11char_traitsIcEED1Ev(stream);
}

#endif
