/*
 * control.c
 *		What pg_control says of a data directory.
 *
 * Read by PostgreSQL's own get_controlfile(), which in a program ends the process
 * where the file cannot be read: so that is done in a child, which hands on what
 * it got.
 */
#include <postgres_fe.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <catalog/pg_control.h>
#include <common/controldata_utils.h>
#include <common/logging.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/text.h"
#include "control.h"

/* A server that runs may be writing it just now. */
#define TRIES		5
#define PAUSE_NS	20000000

/* FirstNormalObjectId of access/transam.h, the same since PostgreSQL 7.2: what initdb makes has lower ones. */
#define FIRST_NORMAL_OID	16384

/*
 * A file of 8 kB: what takes longer hangs.  The agent's loop waits for it, more than once
 * in a round perhaps, and must give a sign of life in WatchdogSec= of its unit.
 */
#define READ_LIMIT_MS	10000

/* What the child hands on; or what it says on stderr instead. */
typedef struct Answer
{
	ControlFileData file;
	bool		crc_ok;
} Answer;

/* In the child. */
static void
read_and_tell(const char *data, int pipe)
{
	Answer		answer;
	ControlFileData *file;

	pgha_become_child(pipe);
	if (dup2(pipe, STDERR_FILENO) < 0)
		_exit(1);
	memset(&answer, 0, sizeof(answer));
	pg_logging_init("pgha");
	file = get_controlfile(data, &answer.crc_ok);
	answer.file = *file;
	_exit(write(pipe, &answer, sizeof(answer)) == (ssize_t) sizeof(answer) ? 0 : 1);
}

/* As read(); -1 after an error, or when the time is over. */
static ssize_t
read_in_time(int fd, char *to, size_t size, int64_t end)
{
	struct pollfd set = {.fd = fd, .events = POLLIN};
	ssize_t		got = -1;

	do
	{
		int64_t		left = end - pgha_awake_ms();

		if (left <= 0)
			return -1;
		if (poll(&set, 1, (int) left) > 0)
			got = read(fd, to, size);
		else
			errno = EINTR;
	} while (got < 0 && errno == EINTR);
	return got;
}

/* Everything that the child writes; its exit status, or -1. */
static int
ask_child(const char *data, char *text, size_t size, size_t *length)
{
	int			fd[2];
	pid_t		pid;
	int			status = -1;
	ssize_t		got;
	int64_t		end = pgha_awake_ms() + READ_LIMIT_MS;

	*length = 0;
	if (pipe2(fd, O_CLOEXEC) != 0)
		return -1;
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
		read_and_tell(data, fd[1]);
	(void) close(fd[1]);
	while (pid > 0 && *length < size && (got = read_in_time(fd[0], text + *length, size - *length, end)) != 0)
	{
		if (got < 0)
		{
			/* On storage that hangs it may not even die: it is left to whoever reaps. */
			(void) kill(pid, SIGKILL);
			(void) waitpid(pid, &status, WNOHANG);
			(void) close(fd[0]);
			return -1;
		}
		*length += (size_t) got;
	}
	(void) close(fd[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool
read_file(const char *data, Answer *answer, char *error, size_t error_size)
{
	char		text[sizeof(Answer) + 1024];
	size_t		length;
	int			status = ask_child(data, text, sizeof(text) - 1, &length);
	const char *said;

	if (status == 0 && length == sizeof(Answer))
	{
		memcpy(answer, text, sizeof(Answer));
		return true;
	}
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	pgha_text_clean(text);
	said = strstr(text, "error: ");
	return pgha_fail(error, error_size, "pg_control of \"%s\" cannot be read: %s", data,
					 status > 0 && said != NULL ? said + strlen("error: ") : "the process that read it has failed");
}

/* The words of pg_controldata. */
static const char *
state_word(DBState state)
{
	static const char *const words[] = {
		[DB_STARTUP] = "starting up",
		[DB_SHUTDOWNED] = "shut down",
		[DB_SHUTDOWNED_IN_RECOVERY] = "shut down in recovery",
		[DB_SHUTDOWNING] = "shutting down",
		[DB_IN_CRASH_RECOVERY] = "in crash recovery",
		[DB_IN_ARCHIVE_RECOVERY] = "in archive recovery",
		[DB_IN_PRODUCTION] = "in production",
	};

	return (unsigned) state < lengthof(words) && words[state] != NULL ? words[state] : "unrecognized status code";
}

bool
pgha_server_control(const PghaAgentConf *conf, PghaControl *control,
					char *error, size_t error_size)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};
	Answer		answer;
	const ControlFileData *file = &answer.file;

	memset(control, 0, sizeof(*control));
	memset(&answer, 0, sizeof(answer));
	for (int i = 0; i < TRIES; i++)
	{
		if (i > 0)
			(void) nanosleep(&pause, NULL);
		if (!read_file(conf->data, &answer, error, error_size))
			return false;
		if (answer.crc_ok)
			break;
	}
	if (file->pg_control_version != PG_CONTROL_VERSION)
		return pgha_fail(error, error_size, "pg_control of \"%s\" has version %u, which is not that of PostgreSQL %s",
						 conf->data, file->pg_control_version, PG_MAJORVERSION);
	if (!answer.crc_ok)
		return pgha_fail(error, error_size, "pg_control of \"%s\" is damaged: its checksum is wrong", conf->data);

	control->system_identifier = file->system_identifier;
	(void) snprintf(control->state, sizeof(control->state), "%s", state_word(file->state));
	control->checkpoint_timeline = file->checkPointCopy.ThisTimeLineID;
	control->checkpoint_lsn = file->checkPoint;
	control->min_recovery_timeline = file->minRecoveryPointTLI;
	control->min_recovery_lsn = file->minRecoveryPoint;
	control->wal_log_hints = file->wal_log_hints;
	control->checksums = file->data_checksum_version != 0;
	/*
	 * Whatever is made has an OID, and the first that a server gives is 16384; initdb's
	 * are below, also after they have been used up once.  A crash leaves it open.
	 */
	control->untouched = file->state == DB_SHUTDOWNED && file->checkPointCopy.nextOid < FIRST_NORMAL_OID &&
		file->checkPointCopy.ThisTimeLineID == 1;
	control->wal_segment_size = (int) file->xlog_seg_size;
	return true;
}
