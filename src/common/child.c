/*
 * child.c
 *		What a process that was just forked does before it goes its own way.
 *
 * For the server, which forks the program, and for the program, which forks
 * itself and others.  It never allocates, and never waits.
 */
#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

void
pgha_close_files(int keep)
{
	int			first = STDERR_FILENO + 1;

	for (; first <= keep; first++)
	{
		if (first != keep)
			(void) close(first);
	}
	closefrom(first);
}

void
pgha_default_signals(void)
{
	for (int i = 1; i < NSIG; i++)
		(void) signal(i, SIG_DFL);
}

void
pgha_unblock_signals(void)
{
	sigset_t	none;

	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}

bool
pgha_end_with(pid_t parent, int signal_number)
{
	return prctl(PR_SET_PDEATHSIG, signal_number) == 0 && getppid() == parent;
}

void
pgha_become_child(int keep)
{
	pgha_default_signals();
	pgha_unblock_signals();
	pgha_close_files(keep);
}

/* What the service manager has given to this process, to speak for its service. */
static void
forget_service(void)
{
	(void) unsetenv("NOTIFY_SOCKET");
	(void) unsetenv("WATCHDOG_USEC");
	(void) unsetenv("WATCHDOG_PID");
}

bool
pgha_become_program(int input, int output)
{
	if (input < 0)
		input = open("/dev/null", O_RDONLY);

	pgha_default_signals();
	pgha_unblock_signals();
	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
		return false;
	pgha_close_files(-1);
	forget_service();
	return true;
}
