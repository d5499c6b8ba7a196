/* SPDX-License-Identifier: MIT */
/*
 * CUDA: if it is initialised before a fork, the child cannot use it.
 *
 * Most programs, and the runtime that is linked into them, look its functions up by name.  So our dlsym() returns our
 * functions, and stores the ones that it found.  So does our cuGetProcAddress(), which is CUDA's own dlsym().
 */
#include <dlfcn.h>
#include <string.h>

#include "library.h"

static bool begun;
static uint32_t generation; /* forks_generation() when it was initialised, or last recorded */
static uint64_t process;    /* number of the process that initialised it */

static void tell(const char *function) {
  generation = forks_generation();
  self_get();
  struct text text = {.size = 0};
  text_add(&text, function);
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_LIBRARY, &text, &stack, LIBRARY_CUDA, process);
}

static void use(const char *function, bool initialised) {
  if (!watches(WATCH_DESCRIPTORS)) return;
  if (!begun && initialised) {
    begun = true;
    generation = forks_generation();
    process = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  } else if (begun && generation != forks_generation()) {
    tell(function);
  }
}

/* Those that initialise CUDA, and those that only use it. */
/* clang-format off */
#define FUNCTIONS(begins, uses) \
  begins(cuInit) uses(cuDeviceGet) uses(cuDeviceGetCount) begins(cuDevicePrimaryCtxRetain) begins(cuCtxCreate_v2) \
  uses(cuCtxSetCurrent) uses(cuCtxSynchronize) uses(cuMemAlloc_v2) uses(cuMemFree_v2) uses(cuModuleLoadData) \
  uses(cuLaunchKernel) begins(cudaFree) begins(cudaMalloc) begins(cudaMallocHost) begins(cudaMallocManaged) \
  begins(cudaMemcpy) begins(cudaMemset) begins(cudaSetDevice) uses(cudaGetDevice) begins(cudaGetDeviceCount) \
  begins(cudaStreamCreate) uses(cudaStreamSynchronize) begins(cudaDeviceSynchronize) begins(cudaEventCreate) \
  uses(cudaLaunchKernel)
/* clang-format on */

/* Parameters are passed on unchanged: no function has more than these. */
#define PARAMETERS long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k
#define FUNCTION(of, begins)                                                                          \
  int of(PARAMETERS);                                                                                 \
  static struct next next_of_##of = {.name = #of};                                                    \
  EXPORT int of(PARAMETERS) {                                                                         \
    __typeof__(&of) next = (__typeof__(&of))library_next(&next_of_##of, __builtin_return_address(0)); \
    if (next == NULL) return 3; /* CUDA_ERROR_NOT_INITIALIZED, cudaErrorInitializationError */        \
    int error = next(a, b, c, d, e, f, g, h, i, j, k);                                                \
    use(#of, (begins) && error == 0);                                                                 \
    return error;                                                                                     \
  }
#define BEGINS(name) FUNCTION(name, true)
#define USES(name) FUNCTION(name, false)
FUNCTIONS(BEGINS, USES)

/* ---- Functions that are looked up ---- */

int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags);
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, void *status);
static struct next next_of_get = {.name = "cuGetProcAddress"}, next_of_get_v2 = {.name = "cuGetProcAddress_v2"};

static const struct ours {
  struct next *next;
  any_function function;
} ours[] = {
#define ROW(name) {&next_of_##name, (any_function)name},
    FUNCTIONS(ROW, ROW){&next_of_get, (any_function)cuGetProcAddress},
    {&next_of_get_v2, (any_function)cuGetProcAddress_v2},
};

/* Our function in place of the one that was found; if we have none, the one that was found. */
static void *replace(const char *name, void *found) {
  for (size_t i = 0; found != NULL && i < sizeof ours / sizeof ours[0]; i++) {
    void *own;
    memcpy(&own, &ours[i].function, sizeof own); /* ISO C has no conversion */
    if (strcmp(ours[i].next->name, name) != 0 || found == own) continue;
    any_function function;
    memcpy(&function, &found, sizeof function);
    atomic_store_explicit(&ours[i].next->function, function, memory_order_relaxed);
    return own;
  }
  return found;
}

/* Its names have no suffix for a version, and it returns the function of the version that is asked for. */
static void replace_versioned(const char *name, void **function) {
  char versioned[64];
  if (strlen(name) >= sizeof versioned - 3) return;
  void *found = *function;
  *function = replace(name, found);
  strcpy(stpcpy(versioned, name), "_v2");
  if (*function == found) *function = replace(versioned, found);
}

EXPORT int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
  __typeof__(&cuGetProcAddress) next =
      (__typeof__(&cuGetProcAddress))library_next(&next_of_get, __builtin_return_address(0));
  if (next == NULL) return 3;
  int error = next(name, function, version, flags);
  if (error == 0 && watches(WATCH_DESCRIPTORS)) replace_versioned(name, function);
  return error;
}

EXPORT int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, void *status) {
  __typeof__(&cuGetProcAddress_v2) next =
      (__typeof__(&cuGetProcAddress_v2))library_next(&next_of_get_v2, __builtin_return_address(0));
  if (next == NULL) return 3;
  int error = next(name, function, version, flags, status);
  if (error == 0 && watches(WATCH_DESCRIPTORS)) replace_versioned(name, function);
  return error;
}

/* The C library's own, of the oldest version that there is. */
#if defined __x86_64__
#define OLDEST "GLIBC_2.2.5"
#else
#define OLDEST "GLIBC_2.17"
#endif

__attribute__((used, visibility("hidden"))) void *(*cuda_dlsym)(void *, const char *);

/* What our dlsym() returns; NULL: the C library's dlsym() is called, which reads its caller's address. */
__attribute__((used, visibility("hidden"))) void *cuda_look_up(void *object, const char *name);

void *cuda_look_up(void *object, const char *name) {
  if (cuda_dlsym == NULL) {
    void *found = dlvsym(RTLD_NEXT, "dlsym", OLDEST);
    memcpy(&cuda_dlsym, &found, sizeof found);
  }
  if (!watches(WATCH_DESCRIPTORS) || name == NULL || name[0] != 'c' || name[1] != 'u') return NULL;
  if (object == RTLD_NEXT || object == RTLD_DEFAULT) return NULL;
  void *found = cuda_dlsym(object, name), *own = replace(name, found);
  return own == found ? NULL : own;
}

/* clang-format off */
#if defined __x86_64__
__asm__(".text\n.globl dlsym\n.type dlsym, @function\ndlsym:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "pushq %rdi\n.cfi_adjust_cfa_offset 8\n"
        "pushq %rsi\n.cfi_adjust_cfa_offset 8\n"
        "subq $8, %rsp\n.cfi_adjust_cfa_offset 8\n"
        "call cuda_look_up\n"
        "addq $8, %rsp\n.cfi_adjust_cfa_offset -8\n"
        "popq %rsi\n.cfi_adjust_cfa_offset -8\n"
        "popq %rdi\n.cfi_adjust_cfa_offset -8\n"
        "testq %rax, %rax\n"
        "jne 1f\n"
        "jmp *cuda_dlsym(%rip)\n"
        "1: ret\n"
        ".cfi_endproc\n.size dlsym, . - dlsym\n");
#else
__asm__(".text\n.globl dlsym\n.type dlsym, %function\ndlsym:\n"
        ".cfi_startproc\n"
        "stp x29, x30, [sp, -32]!\n.cfi_adjust_cfa_offset 32\n"
        ".cfi_rel_offset x29, 0\n.cfi_rel_offset x30, 8\n"
        "stp x0, x1, [sp, 16]\n"
        "bl cuda_look_up\n"
        "mov x9, x0\n"
        "ldp x0, x1, [sp, 16]\n"
        "ldp x29, x30, [sp], 32\n.cfi_adjust_cfa_offset -32\n"
        ".cfi_restore x29\n.cfi_restore x30\n"
        "cbnz x9, 1f\n"
        "adrp x9, cuda_dlsym\n"
        "ldr x9, [x9, :lo12:cuda_dlsym]\n"
        "br x9\n"
        "1: mov x0, x9\n"
        "ret\n"
        ".cfi_endproc\n.size dlsym, . - dlsym\n");
#endif
/* clang-format on */
