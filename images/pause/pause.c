/* The first process of a pod: keeps its namespaces, reaps orphans, ends when told to. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void finish(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void reap(int signal_number)
{
	(void)signal_number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(int argc, char **argv)
{
	struct sigaction end = {.sa_handler = finish};
	struct sigaction child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};

	/* kubeadm's health check before an upgrade runs "pause -v" as a job */
	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		puts("pause 3.10.2");
		return 0;
	}
	if (sigaction(SIGINT, &end, NULL) || sigaction(SIGTERM, &end, NULL) || sigaction(SIGCHLD, &child, NULL)) {
		perror("pause: sigaction");
		return 1;
	}
	for (;;)
		pause();
}
