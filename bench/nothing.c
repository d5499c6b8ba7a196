/* SPDX-License-Identifier: MIT */
/* A C function for scripts to register. */
void bench_nothing(void *data);

void bench_nothing(void *data) {
  (void)data;
}
