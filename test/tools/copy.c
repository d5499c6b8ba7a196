/* SPDX-License-Identifier: MIT */
/* A copy of a library that the command knows: its sessions say which copy made them.  With -DPLUGIN, what uses it. */
void *SSL_new(void *context);

#ifdef PLUGIN
int which_copy(void);

int which_copy(void) {
  return *(const int *)SSL_new((void *)0);
}
#else
void *SSL_new(void *context) {
  static int copy = COPY;
  (void)context;
  return &copy;
}
#endif
