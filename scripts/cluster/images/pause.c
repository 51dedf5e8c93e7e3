/* Holds a pod's namespaces until it is told to go. */
#include <signal.h>
#include <unistd.h>
static void leave(int signal_number) { _exit(signal_number == SIGTERM ? 0 : 1); }
int main(void) {
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  for (;;) pause();
}
