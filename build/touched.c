// Writes which functions of a program are called, each once, in the order of their first calls.
//
//   touched SYMBOLS OUTPUT PROGRAM [ARGUMENT...]
//
// SYMBOLS has a line for each function: its address in hex, a space, its name; no address twice. A breakpoint stands at each until it
// is met. OUTPUT is added to. SIGTERM and SIGINT are passed on; the exit code is the program's. x86-64 alone.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct function {
  uint64_t address;
  char *name;
  unsigned char first; // the byte under the breakpoint
  char met;
};

static struct function *functions;
static size_t count;
static pid_t program;

static int by_address(const void *left, const void *right) {
  uint64_t a = ((const struct function *)left)->address, b = ((const struct function *)right)->address;
  return (a > b) - (a < b);
}

static void fail(const char *what) {
  perror(what);
  exit(125);
}

static void pass_on(int signal) { kill(program, signal); }

static void read_symbols(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail(path);
  char *line = NULL;
  size_t size = 0, room = 0;
  while (getline(&line, &size, file) > 0) {
    if (count == room) functions = realloc(functions, (room = 2 * room + 1024) * sizeof *functions);
    char *name;
    uint64_t address = strtoull(line, &name, 16);
    name[strcspn(name, "\n")] = 0;
    functions[count++] = (struct function){.address = address, .name = strdup(name + 1)};
  }
  free(line);
  fclose(file);
}

// Where the program was loaded: the first mapping of its file.
static uint64_t base_of(const char *path) {
  char maps[64], real[4096], line[8192];
  uint64_t base = 0;
  if (!realpath(path, real)) fail(path);
  snprintf(maps, sizeof maps, "/proc/%d/maps", program);
  FILE *file = fopen(maps, "r");
  while (file && !base && fgets(line, sizeof line, file))
    if (strstr(line, real)) base = strtoull(line, NULL, 16);
  if (!base) fail(maps);
  fclose(file);
  return base;
}

static void met(pid_t thread, int memory, FILE *output) {
  struct user_regs_struct registers;
  ptrace(PTRACE_GETREGS, thread, 0, &registers);
  struct function key = {.address = registers.rip - 1};
  struct function *function = bsearch(&key, functions, count, sizeof *functions, by_address);
  if (!function) return;
  if (!function->met) {
    function->met = 1;
    if (pwrite(memory, &function->first, 1, (off_t)function->address) != 1) fail(function->name);
    fprintf(output, "%s\n", function->name);
  }
  registers.rip--;
  ptrace(PTRACE_SETREGS, thread, 0, &registers);
}

int main(int argc, char **argv) {
  if (argc < 4) return fputs("usage: touched SYMBOLS OUTPUT PROGRAM [ARGUMENT...]\n", stderr), 125;
  read_symbols(argv[1]);
  FILE *output = fopen(argv[2], "a");
  if (!output) fail(argv[2]);
  setvbuf(output, NULL, _IOLBF, 0);
  program = fork();
  if (program == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execv(argv[3], argv + 3);
    _exit(127);
  }

  int status;
  waitpid(program, &status, 0);
  ptrace(PTRACE_SETOPTIONS, program, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", program);
  int memory = open(path, O_RDWR);
  uint64_t base = base_of(argv[3]);
  for (size_t i = 0; i < count; i++) {
    struct function *function = &functions[i];
    function->address += base;
    if (pread(memory, &function->first, 1, (off_t)function->address) != 1
        || pwrite(memory, "\xCC", 1, (off_t)function->address) != 1)
      fail(function->name);
  }
  qsort(functions, count, sizeof *functions, by_address);
  signal(SIGTERM, pass_on);
  signal(SIGINT, pass_on);
  ptrace(PTRACE_CONT, program, 0, 0);

  for (;;) {
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) return 125;
    if (!WIFSTOPPED(status)) {
      if (thread != program) continue;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    int signal = WSTOPSIG(status);
    // A stop above 16 bits tells of a new thread, which itself begins with SIGSTOP; what else comes is the program's.
    if (signal == SIGTRAP && status >> 16 == 0) met(thread, memory, output);
    ptrace(PTRACE_CONT, thread, 0, signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
  }
}
